"""Which buckets a request looks into, and in which order.

    bitwise    by Hamming distance to the query's own bucket: Algorithm 1 of the Meta4 paper,
               which looks into its own bucket and, where top-k is not found, into the 1-bit
               neighbours (then 2-bit, and so on)
    margin     by the squared distance to the hyperplanes that separate a bucket from the
               query: query-directed multi-probe (Lv et al., "Multi-probe LSH", VLDB 2007)
    centroid   by cosine to the bucket's mean vector

More probes never lose a candidate: a larger budget takes a longer prefix of the same order.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .directory import Directory
from .grid import GridWeights
from .statistics import margins, table_buckets

Plan = Literal["bitwise", "margin", "centroid"]
PLANS: tuple[Plan, ...] = ("bitwise", "margin", "centroid")


@dataclass(frozen=True)
class Probes:
    """A prefix of the order.

    Attributes:
        buckets: (m,) int64 ids, best first.
        n_postings: sum of their counts: at least as many as there are documents to look into.
    """

    buckets: NDArray[np.int64]
    n_postings: int


def check_plan(plan: Plan, weights: GridWeights) -> None:
    """Refuse a plan that the model's buckets have no meaning for.

    Raises:
        InputError: `bitwise` or `margin` with buckets that are not made of bits.
    """
    if weights.bucket_kind == "cells" and plan != "centroid":
        raise InputError(
            f"plan {plan!r} flips bits of a bucket, and the buckets of a 'cells' model are not "
            f"made of bits; use plan 'centroid', or an 'lsh' or 'itq' model"
        )


def bucket_costs(
    query: NDArray[np.float32], weights: GridWeights, plan: Plan
) -> NDArray[np.float32]:
    """How far each possible bucket is from a query; lower is better.

    Args:
        query: (dims,) float32, not zero.
        weights: the model's.
        plan: which distance.

    Returns:
        (n_buckets,) float32, comparable within one query only.
    """
    if plan == "centroid":
        negated: NDArray[np.float32] = -(weights.centroids @ query)
        return negated
    margin = margins(query[None].astype(np.float64), weights.bucket_rows, weights.bucket_offsets)
    per_table = weights.bits_per_table
    own = table_buckets(margin > 0, weights.n_tables)[0] & ((1 << per_table) - 1)
    if plan == "bitwise":
        flips = np.ones_like(margin[0])
    else:
        lengths = np.linalg.norm(weights.bucket_rows.astype(np.float64), axis=1)
        flips = np.square(margin[0] / lengths)
    costs = [
        _flip_costs(flips[table * per_table : (table + 1) * per_table], int(own[table]))
        for table in range(weights.n_tables)
    ]
    return np.concatenate(costs).astype(np.float32)


def _flip_costs(flips: NDArray[np.float64], own: int) -> NDArray[np.float64]:
    """Cost of each id of one table: the sum of `flips` over the bits in which it differs."""
    costs = np.zeros(1)
    for flip in flips:  # the highest bit first: each turn appends one bit on the right
        costs = np.stack([costs, costs + flip], axis=1).ravel()
    by_id: NDArray[np.float64] = costs[np.arange(len(costs)) ^ own]
    return by_id


def choose_probes(
    costs: NDArray[np.float32], directory: Directory, min_postings: float, *, whole_levels: bool
) -> Probes:
    """The shortest prefix of the order that holds `min_postings`.

    Args:
        costs: (n_buckets,) float32.
        directory: which buckets are not empty; only those are probed.
        min_postings: what the probes' counts must add up to; all buckets if they cannot.
        whole_levels: take all buckets of equal cost or none (Algorithm 1's radius).
    """
    own_costs = costs[directory.buckets]
    order = np.argsort(own_costs)
    cumulated = np.cumsum(directory.counts[order])
    n_probes = int(np.searchsorted(cumulated, min_postings, side="left")) + 1
    n_probes = min(n_probes, len(order))
    if whole_levels and n_probes:
        sorted_costs = own_costs[order]
        n_probes = int(np.searchsorted(sorted_costs, sorted_costs[n_probes - 1], side="right"))
    return Probes(
        directory.buckets[order[:n_probes]], int(cumulated[n_probes - 1]) if n_probes else 0
    )
