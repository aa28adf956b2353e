"""From a clause's query vector to the buckets that it looks into."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..mappings.spec import IndexSpec
from ..models.directory import Directory
from ..models.grid import GridWeights
from ..models.probing import Probes, bucket_costs, choose_probes

#: Documents that can be scored in the time that a bucket filter costs by itself (measured:
#: 0.6 ms against 0.15-0.2 µs a document). Saving fewer than these is no saving.
FILTER_WORTH = 3_500


@dataclass(frozen=True)
class RequestPlan:
    """What a request will look into, and what it promises.

    Attributes:
        probes: the buckets; None for exact search of all that the filter keeps.
        depth: how far out the request reaches: k divided by the filter's selectivity.
        selectivity: share of the index's documents that the filter keeps, in (0, 1].
        n_documents: documents with a vector that the filter keeps.
        promised_recall: 1 for exact search, None where nothing was calibrated.
        reason: why this many, in words.
    """

    probes: Probes | None
    depth: float
    selectivity: float
    n_documents: int
    promised_recall: float | None
    reason: str


def plan_request(
    query: NDArray[np.float32],
    k: int,
    recall: float,
    spec: IndexSpec,
    weights: GridWeights,
    directory: Directory,
    filtered: Directory,
) -> RequestPlan:
    """Choose the buckets for one query vector.

    Args:
        query: (dims,) float32.
        k: results wanted.
        recall: recall wanted, in (0, 1].
        spec: of the index; its calibration says how much to look into.
        weights: of the index's model.
        directory: all documents.
        filtered: the documents that match the request's filter; `directory` if it has none.
    """
    selectivity = filtered.n_documents / directory.n_documents if directory.n_documents else 1.0
    depth = k / selectivity if selectivity else float(k)

    def exact(reason: str) -> RequestPlan:
        return RequestPlan(None, depth, selectivity, filtered.n_documents, 1.0, reason)

    calibration = spec.calibration
    calibrated = calibration is not None and calibration.plan == spec.plan
    # Each document lies in at most this many buckets, so that so many postings hold k documents.
    overlap = filtered.n_postings / max(1, filtered.n_documents - filtered.n_strays)
    least = k * max(1.0, overlap)
    if recall == 1.0:
        return exact("recall 1 is exact search")
    if calibration is not None and calibrated:
        share = calibration.share(recall, depth)
        if share >= 1.0:
            return exact(f"recall {recall:g} at depth {depth:.0f} needs every bucket")
        wanted = max(least, share * filtered.n_postings)
        reason = f"calibrated: {share:.2%} of the postings for recall {recall:g}"
    elif spec.plan == "bitwise":
        wanted = least
        reason = "Algorithm 1: own bucket, then one more flipped bit until k are found"
    else:
        return exact("not calibrated, so nothing less can be promised; run: meta4 index tune")
    saved = filtered.n_documents - wanted / max(1.0, overlap)
    if calibrated and saved < FILTER_WORTH:
        return exact(
            f"the filter keeps {filtered.n_documents:,} documents: scoring them all costs less "
            f"than choosing among them"
        )
    costs = bucket_costs(query, weights, spec.plan)
    probes = choose_probes(costs, filtered, wanted, whole_levels=spec.plan == "bitwise")
    return RequestPlan(
        probes,
        depth,
        selectivity,
        filtered.n_documents,
        recall if calibrated else None,
        reason,
    )
