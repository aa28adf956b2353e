"""From a clause's query vector to the buckets that it looks into."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...mappings.fields import Keyword
from ...mappings.spec import IndexSpec
from ...models.model import HashModel
from ...models.probing.calibration import Calibration
from ...models.probing.directory import Directory
from ...models.probing.ranking import Probes, Ranking, bucket_prices, rank_buckets

#: Documents that can be scored in the time that choosing buckets costs, that their filter costs by
#: itself, and that each of its buckets costs: on OpenSearch at 0.12 µs a document, and about the
#: same on Elasticsearch, where a document and a bucket both cost twice as much. Saving fewer than
#: these is no saving.
CHOICE_WORTH, FILTER_WORTH, BUCKET_WORTH = 2_000, 2_000, 12
#: The same of an entry of a bucket, by the keyword that documents are looked for by, and of the
#: keyword itself. The index is sorted by the first of a document's buckets: those that are found by
#: another one lie anywhere. An entry is less than a document where a document has several.
_ENTRY_WORTH: dict[Keyword, float] = {"home": 1.0, "bucket": 0.9}
_KEYWORD_WORTH: dict[Keyword, int] = {"home": 0, "bucket": 2_300}
#: Turns in which a filter's local selectivity and the prefix settle; each lengthens the prefix.
_TURNS = 6
#: Buckets ordered at first.
_MOSTLY_ENOUGH = 512
_NARROW = "the filter keeps {:,} documents: scoring them all costs less than choosing among them"
_ALGORITHM_1 = "Algorithm 1: own bucket, then one more flipped bit until k are found"


@dataclass(frozen=True)
class Way:
    """One keyword by which documents can be looked for.

    Attributes:
        keyword: which.
        calibration: how much to look into by it; None where that was not measured.
        directory: all documents by it.
        filtered: those that match the request's filter; `directory` if it has none.
    """

    keyword: Keyword
    calibration: Calibration | None
    directory: Directory
    filtered: Directory

    def cost(self, recall: float, depth: float) -> float:
        """What a request is expected to cost, in documents scored, but for what all ways cost."""
        share = 1.0 if self.calibration is None else self.calibration.share(recall, depth)
        entries = self.filtered.n_postings * _ENTRY_WORTH[self.keyword]
        buckets = len(self.filtered.buckets) * BUCKET_WORTH
        return share * (entries + buckets) + _KEYWORD_WORTH[self.keyword]


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
        keyword: by which documents are looked for.
    """

    probes: Probes | None
    depth: float
    selectivity: float
    n_documents: int
    promised_recall: float | None
    reason: str
    keyword: Keyword = "bucket"


def plan_request(
    query: NDArray[np.float32],
    k: int,
    recall: float,
    spec: IndexSpec,
    model: HashModel,
    ways: Sequence[Way],
) -> RequestPlan:
    """Choose the buckets for one query vector.

    Args:
        query: (dims,) float32.
        k: results wanted, with what is left out that may be as near.
        recall: recall wanted, in (0, 1].
        spec: of the index.
        model: the index's.
        ways: by which documents can be looked for; one at least.
    """
    directory, filtered = ways[0].directory, ways[0].filtered
    calibration = ways[0].calibration
    # Of the documents that it was measured with some may be hidden here, or gone.
    n_measured = 0 if calibration is None else calibration.n_documents
    n_all = max(directory.n_documents, n_measured)
    selectivity = filtered.n_documents / n_all if n_all else 1.0
    depth = k / selectivity if selectivity else float(k)

    def exact(reason: str) -> RequestPlan:
        return RequestPlan(None, depth, selectivity, filtered.n_documents, 1.0, reason)

    calibrated = calibration is not None and calibration.plan == spec.plan
    if recall == 1.0:
        return exact("recall 1 is exact search")
    if filtered.n_postings == 0:
        return exact("the filter keeps no hashed document")
    if not calibrated and spec.plan != "bitwise":
        return exact("not calibrated, so nothing less can be promised; run: meta4 index tune")
    if calibrated and filtered.n_documents - k < CHOICE_WORTH + FILTER_WORTH:
        return exact(_NARROW.format(filtered.n_documents))
    way = min(ways, key=lambda way: way.cost(recall, depth))
    directory, filtered, calibration = way.directory, way.filtered, way.calibration
    # Each document lies in so many buckets on average: so many postings are sure to hold k.
    overlap = filtered.overlap
    costs = model.bucket_costs(query, spec.plan)
    if spec.plan == "learned":
        costs = bucket_prices(costs, directory)
    if calibration is None or not calibrated:
        ranking = rank_buckets(costs, directory, filtered)
        n = ranking.reaching(0, k * overlap, whole_levels=True)
        return RequestPlan(
            ranking.prefix(n), depth, selectivity, filtered.n_documents, None, _ALGORITHM_1
        )
    # Most requests end among the first few hundred buckets: ordering all takes twice as long.
    for best in (_MOSTLY_ENOUGH, None):
        ranking = rank_buckets(costs, directory, filtered, best)
        n, reached_depth = _calibrated_prefix(
            ranking, calibration, k, recall, depth, overlap, directory.n_postings
        )
        if n < len(ranking.buckets):
            break
    else:
        return exact(f"recall {recall:g} at depth {reached_depth:.0f} needs every bucket")
    depth, probes = reached_depth, ranking.prefix(n)
    spared = filtered.n_documents - probes.n_postings / overlap
    if spared < FILTER_WORTH + BUCKET_WORTH * len(probes.buckets):
        return exact(_NARROW.format(filtered.n_documents))
    share = ranking.cumulated_all[n - 1] / max(1, directory.n_postings)
    reason = f"calibrated: {share:.2%} of the buckets' entries for recall {recall:g}"
    return RequestPlan(
        probes, depth, selectivity, filtered.n_documents, recall, reason, way.keyword
    )


def _calibrated_prefix(
    ranking: Ranking,
    calibration: Calibration,
    k: int,
    recall: float,
    depth: float,
    overlap: float,
    n_postings: int,
) -> tuple[int, float]:
    """The prefix that the calibration asks for, and the depth that it was asked at.

    The k nearest that a filter keeps lie as far out as the k / s nearest of all, where s is the
    filter's selectivity *near the query*: a filter may keep other regions than the query's. So
    s is read off the prefix itself, and the prefix is lengthened until both agree.
    """
    n = 0
    for _ in range(_TURNS):
        if calibration.prices is not None:
            limit = math.log(calibration.price(recall, depth))
            longer = ranking.costing(limit, k * overlap)
        else:
            wanted = calibration.share(recall, depth) * n_postings
            longer = ranking.reaching(wanted, k * overlap, whole_levels=False)
        if longer <= n:
            break
        n = longer
        if not ranking.is_filtered or n == len(ranking.buckets):
            break
        kept = float(ranking.cumulated[n - 1]) / float(ranking.cumulated_all[n - 1])
        depth = max(depth, k / kept)
    return n, depth
