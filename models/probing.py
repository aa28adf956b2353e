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
    """A prefix of the order, without buckets that are empty under the filter.

    Attributes:
        buckets: (m,) int64 ids, best first.
        n_postings: sum of their counts under the filter.
    """

    buckets: NDArray[np.int64]
    n_postings: int


@dataclass(frozen=True)
class Ranking:
    """All buckets in a plan's order for one query, with what a prefix of them holds.

    Attributes:
        buckets: (m,) int64 ids, best first.
        costs: (m,) float32, ascending.
        counts: (m,) int64 postings under the filter.
        cumulated_all: (m,) int64 postings of all documents, summed up to each bucket.
        cumulated: (m,) int64, the same under the filter; the same array where there is none.
    """

    buckets: NDArray[np.int64]
    costs: NDArray[np.float32]
    counts: NDArray[np.int64]
    cumulated_all: NDArray[np.int64]
    cumulated: NDArray[np.int64]

    @property
    def is_filtered(self) -> bool:
        """Whether the filter keeps less than all."""
        return self.cumulated is not self.cumulated_all

    def reaching(self, budget: float, at_least: float, *, whole_levels: bool) -> int:
        """Length of the longest prefix within the budget, or of a longer one that holds enough.

        Args:
            budget: postings of all documents, as `calibrate` counts them: up to the end of
                the last bucket.
            at_least: postings under the filter that the prefix must hold in any case.
            whole_levels: take all buckets of equal cost or none (Algorithm 1's radius).

        Returns:
            The whole order's length where it does not hold enough.
        """
        # A budget is a share times the postings, so that it may fall short by rounding.
        within = int(self.cumulated_all.searchsorted(budget + 0.5))
        enough = int(self.cumulated.searchsorted(at_least)) + 1
        n = min(max(within, enough), len(self.buckets))
        if whole_levels and n:
            n = int(self.costs.searchsorted(self.costs[n - 1], side="right"))
        return n

    def prefix(self, n: int) -> Probes:
        """The first `n` buckets, without those that are empty under the filter."""
        buckets = self.buckets[:n]
        if self.is_filtered:
            buckets = buckets[self.counts[:n] > 0]
        return Probes(buckets, int(self.cumulated[n - 1]) if n else 0)


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


def rank_buckets(
    costs: NDArray[np.float32],
    directory: Directory,
    filtered: Directory,
    best: int | None = None,
) -> Ranking:
    """Order the filled buckets by cost.

    Args:
        costs: (n_buckets,) float32.
        directory: of all documents.
        filtered: of those that the filter keeps; `directory` itself where there is no filter.
        best: order only so many of the best, which is quicker; None orders all.
    """
    none_empty = len(directory.buckets) == len(costs)
    own_costs = costs if none_empty else costs[directory.buckets]
    if best is None or best >= len(own_costs):
        order = own_costs.argsort()
    else:
        chosen = own_costs.argpartition(best)[:best]
        order = chosen[own_costs[chosen].argsort()]
    buckets = order if none_empty else directory.buckets[order]
    counts_of_all = directory.counts[order]
    cumulated_all = counts_of_all.cumsum()
    counts, cumulated = counts_of_all, cumulated_all
    if filtered is not directory:
        by_id = np.zeros(len(costs), dtype=np.int64)
        by_id[filtered.buckets] = filtered.counts
        counts = by_id[buckets]
        cumulated = counts.cumsum()
    return Ranking(buckets, own_costs[order], counts, cumulated_all, cumulated)
