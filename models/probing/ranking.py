"""Which buckets a request looks into, and in which order.

    bitwise    by Hamming distance to the query's own bucket: Algorithm 1 of the Meta4 paper,
               which looks into its own bucket and, where top-k is not found, into the 1-bit
               neighbours (then 2-bit, and so on)
    margin     by the squared distance to the hyperplanes that separate a bucket from the
               query: query-directed multi-probe (Lv et al., "Multi-probe LSH", VLDB 2007)
    centroid   by cosine to the bucket's mean vector
    learned    by price: the bucket's documents for each expected neighbour among them, which a
               network predicts
    classes    as margin, in the tables of the classes that the query activates most strongly, then
               in those of the others (DAsH, section 3)

More probes never lose a candidate: a larger budget takes a longer prefix of the same order.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..specs import BucketKind
from .directory import Directory

#: Costs of which one is looked at to tell about where the best end.
_STEP = 8

Plan = Literal["bitwise", "margin", "centroid", "learned", "classes"]
PLANS: tuple[Plan, ...] = ("bitwise", "margin", "centroid", "learned", "classes")


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
    """Buckets in a plan's order for one query, with what a prefix of them holds.

    Attributes:
        buckets: (m,) int64 ids, best first.
        costs: (m,) float32, ascending.
        counts: (m,) int64 postings under the filter; 0 in buckets that are empty.
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

    def costing(self, limit: float, at_least: float) -> int:
        """Length of the prefix of no higher cost, or of a longer one that holds enough.

        Args:
            limit: highest cost.
            at_least: see `reaching`.
        """
        # The limit has been through a logarithm and back.
        within = int(self.costs.searchsorted(limit + 1e-5, side="right"))
        enough = int(self.cumulated.searchsorted(at_least)) + 1
        return min(max(within, enough), len(self.buckets))

    def prefix(self, n: int) -> Probes:
        """The first `n` buckets, without those that are empty, or are so under the filter."""
        buckets = self.buckets[:n][self.counts[:n] > 0]
        return Probes(buckets, int(self.cumulated[n - 1]) if n else 0)


def default_plan(bucket_kind: BucketKind) -> Plan:
    """The plan that looks into the fewest documents."""
    own: dict[BucketKind, Plan] = {"routed": "learned", "classes": "classes"}
    return own.get(bucket_kind, "centroid")


def check_plan(plan: Plan, bucket_kind: BucketKind) -> None:
    """Refuse a plan that the model's buckets have no meaning for.

    Raises:
        InputError: `bitwise` or `margin` with buckets that are not made of bits; `learned` with
            a model that has not learned where neighbours are; `classes` with one without
            classes, or another with one that has them.
    """
    if plan == "classes" or bucket_kind == "classes":
        if plan != "classes":
            raise InputError(
                f"plan {plan!r} knows nothing of classes, and the buckets of a 'dash' model are "
                f"each of a class; use plan 'classes'"
            )
        if bucket_kind != "classes":
            raise InputError(
                "plan 'classes' begins with a query's strongest classes, and only a 'dash' model "
                "has classes; use plan 'centroid'"
            )
    if plan in ("bitwise", "margin") and bucket_kind != "bits":
        raise InputError(
            f"plan {plan!r} flips bits of a bucket, and cells are not made of bits; "
            f"use plan 'centroid', or a model whose buckets are bits (lsh, itq, dtsh)"
        )
    if plan == "learned" and bucket_kind != "routed":
        raise InputError(
            "plan 'learned' asks a network where neighbours are, and only a 'learned' model has "
            "one; use plan 'centroid'"
        )


def bucket_prices(costs: NDArray[np.float32], directory: Directory) -> NDArray[np.float32]:
    """Logarithm of what each filled bucket costs for what it is expected to hold.

    The price is the bucket's documents divided by the share of the query's neighbours that are
    expected among them. Taking every bucket below one price, the same for all queries, is the
    least looking for the recall over them all: a query whose neighbours are hard to tell looks
    into more than one whose are easy, and no exchange between the two would pay.

    Args:
        costs: (n_buckets,) float32, -log of the expected share.
        directory: of all documents.

    Returns:
        (n_buckets,) float32; buckets that are not filled keep their cost.
    """
    prices = costs.copy()
    prices[directory.buckets] += np.log(directory.counts, dtype=np.float32)
    return prices


def flip_costs(
    margins: NDArray[np.float64], n_tables: int, plan: Literal["bitwise", "margin"]
) -> NDArray[np.float32]:
    """Cost of each possible bucket of bits: what it takes to flip the query's bits to it.

    Args:
        margins: (n_tables * bits_per_table,) signed distances to the buckets' boundaries.
        n_tables: tables.
        plan: whether each bit costs 1, or its squared distance.

    Returns:
        (n_buckets,) float32, comparable within one query only.
    """
    flips = np.ones_like(margins) if plan == "bitwise" else np.square(margins)
    return _flip_costs(margins.reshape(n_tables, -1) > 0, flips.reshape(n_tables, -1)).ravel()


def class_costs(
    logits: NDArray[np.float32], margins: NDArray[np.float32], n_tables: int, strongest: int
) -> NDArray[np.float32]:
    """Cost of each possible bucket of a model with classes, comparable within one query only.

    Those of the strongest classes first, in the order of their squared distances; then those
    of each of the others, by its activation.

    Args:
        logits: (n_classes,) of the query.
        margins: (n_classes, n_tables * bits_per_table) to the boundaries of every class's
            buckets, in deviations.
        n_tables: of a class.
        strongest: classes whose buckets come first.

    Returns:
        (n_buckets,) float32.
    """
    tables = margins.reshape(len(logits) * n_tables, -1)
    costs = _flip_costs(tables > 0, np.square(tables)).reshape(len(logits), -1)
    ranks = np.empty(len(logits))
    ranks[np.argsort(-logits, kind="stable")] = np.arange(len(logits))
    after = np.maximum(ranks - strongest + 1, 0.0)
    costs += (after * (1.0 + float(costs.max())))[:, None].astype(np.float32)
    return costs.ravel()


def _flip_costs(bits: NDArray[np.bool_], flips: NDArray[Any]) -> NDArray[np.float32]:
    """Cost of each id of each table: the sum of `flips` over the bits in which it differs.

    Args:
        bits: (n_tables, bits_per_table) of the query.
        flips: of the same shape.

    Returns:
        (n_tables, 2 ** bits_per_table) float32.
    """
    costs = np.zeros((len(bits), 1), dtype=np.float32)
    for is_set, flip in zip(bits.T, flips.T.astype(np.float32), strict=True):
        # The highest bit first: each turn appends one bit on the right, a 0 and a 1.
        choices = np.stack([np.where(is_set, flip, 0.0), np.where(is_set, 0.0, flip)], axis=1)
        costs = (costs[:, :, None] + choices[:, None, :]).reshape(len(bits), -1)
    return np.asarray(costs, dtype=np.float32)


def rank_buckets(
    costs: NDArray[np.float32],
    directory: Directory,
    filtered: Directory,
    best: int | None = None,
) -> Ranking:
    """Order the buckets by cost.

    Args:
        costs: (n_buckets,) float32.
        directory: of all documents.
        filtered: of those that the filter keeps; `directory` itself where there is no filter.
        best: order about so many of the best, which is quicker; None orders all.
    """
    # Where most are filled the few empty ones are no burden, and nothing has to be gathered.
    mostly_filled = 2 * len(directory.buckets) >= len(costs)
    own_costs = costs if mostly_filled else costs[directory.buckets]
    order = _cheapest(own_costs, best)
    buckets = order if mostly_filled else directory.buckets[order]
    counts_of_all = directory.by_id[buckets]
    cumulated_all = counts_of_all.cumsum()
    counts, cumulated = counts_of_all, cumulated_all
    if filtered is not directory:
        counts = filtered.by_id[buckets]
        cumulated = counts.cumsum()
    return Ranking(buckets, own_costs[order], counts, cumulated_all, cumulated)


def _cheapest(costs: NDArray[np.float32], best: int | None) -> NDArray[np.intp]:
    """Places of the lowest costs, in their order: of about `best`, or of all.

    Where the best end is read off every eighth cost: to part all of them takes longer than all
    else that a request is planned with.
    """
    if best is None or len(costs) < 2 * best:
        return costs.argsort()
    sample = costs[::_STEP].copy()
    sample.partition(best // _STEP)
    (chosen,) = (costs <= sample[best // _STEP]).nonzero()
    order: NDArray[np.intp] = chosen[costs[chosen].argsort()]
    return order
