"""How much of an index to look into for a recall: measured once, promised per request."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from .ranking import Plan

#: The recalls that `meta4 index tune` measures.
TARGETS = (0.90, 0.95, 0.99, 0.999)
#: Depths that it measures them at, up to the depth of the ground truth.
DEPTHS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000)
#: Answers kept: filters differ in their selectivity, and so in depth.
_REMEMBERED = 1024

QuerySource = Literal["documents", "given"]


class Calibration(BaseModel):
    """Shares of the index's postings to look into, by recall and depth.

    A *depth* is how far out a request reaches: k for a plain one, and k divided by the
    filter's selectivity for a filtered one, as the 25 nearest of a tenth of the documents lie
    as far out as the 250 nearest of all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: Plan
    depths: tuple[int, ...] = Field(min_length=1)
    #: For each target, the share in [0, 1] at each depth; with prices, the mean over queries.
    shares: dict[str, tuple[float, ...]]
    #: For plan `learned`: the price up to which buckets are looked into, which differs from
    #: share to share by query; see `meta4.models.probing.ranking.bucket_prices`.
    prices: dict[str, tuple[float, ...]] | None = None
    n_queries: int = Field(ge=1)
    #: Whether the index's own documents were the queries, or some that were given.
    queries: QuerySource = "documents"
    n_documents: int = Field(ge=1)
    #: The same where documents are looked for by the first of their buckets alone.
    home: "Calibration | None" = None
    _remembered: Callable[[float, float, bool], float] = PrivateAttr()

    def model_post_init(self, _context: Any) -> None:
        """Requests ask for the same few shares again and again."""
        self._remembered = lru_cache(_REMEMBERED)(self._interpolated)

    @model_validator(mode="after")
    def _can_be_interpolated(self) -> "Calibration":
        """It comes out of a mapping, where others can write."""
        if self.depths[0] < 1 or list(self.depths) != sorted(set(self.depths)):
            raise ValueError(f"depths: expected ascending numbers from 1, got {self.depths}")
        for table in (self.shares,) if self.prices is None else (self.shares, self.prices):
            if not table or not all(_is_target(key) for key in table):
                raise ValueError(f"expected recalls in (0, 1), got {sorted(table)}")
            if any(len(row) != len(self.depths) for row in table.values()):
                raise ValueError("expected a number for each depth")
        limits = self.shares if self.prices is None else self.prices
        if not all(0.0 < limit < math.inf for row in limits.values() for limit in row):
            raise ValueError("expected numbers above 0")
        return self

    def share(self, recall: float, depth: float) -> float:
        """Share of the postings to look into.

        Between targets and depths the logarithm is interpolated (of 1 - recall, of the share,
        of the depth); beyond the greatest depth it is continued by the last slope; a recall
        above the highest target is exact search.

        Returns:
            A float in (0, 1]; 1 means all.
        """
        return min(1.0, self._remembered(recall, depth, False))

    def price(self, recall: float, depth: float) -> float:
        """Highest price of a bucket to look into; interpolated as shares are.

        Returns:
            A positive float; infinity means all.
        """
        return self._remembered(recall, depth, True)

    def _interpolated(self, recall: float, depth: float, priced: bool) -> float:
        table = self.prices if priced else self.shares
        assert table is not None
        targets = sorted(float(target) for target in table)
        if recall > targets[-1]:
            return math.inf
        wanted = max(recall, targets[0])
        above = bisect_left(targets, wanted)
        high = self._log_value(table[_key(targets[above])], depth)
        if targets[above] == wanted:
            return math.exp(high)
        low = self._log_value(table[_key(targets[above - 1])], depth)
        gap = [math.log(1 - r) for r in (targets[above - 1], wanted, targets[above])]
        part = (gap[1] - gap[0]) / (gap[2] - gap[0])
        return math.exp(low + part * (high - low))

    def _log_value(self, values: Sequence[float], depth: float) -> float:
        depth = max(depth, float(self.depths[0]))
        after = min(max(1, bisect_left(self.depths, depth)), len(values) - 1)
        if after == 0:
            return math.log(values[0])
        x0, x1 = math.log(self.depths[after - 1]), math.log(self.depths[after])
        y0, y1 = math.log(values[after - 1]), math.log(values[after])
        slope = (y1 - y0) / (x1 - x0)
        if depth > self.depths[-1]:
            return y1 + max(0.0, slope) * (math.log(depth) - x1)
        return y0 + slope * (math.log(depth) - x0)


def more_careful(several: Sequence[Calibration | None]) -> Calibration | None:
    """One that promises what each of several does, for their indexes together.

    Shares are the largest of each depth and target; None where one has nothing to promise.
    """
    known = [one for one in several if one is not None]
    first = known[0] if known else None
    if first is None or len(known) < len(several):
        return None
    if len(known) == 1:
        return first
    is_priced = [one.prices is not None for one in known]
    if len({one.plan for one in known}) > 1 or len(set(is_priced)) > 1:
        return None
    homes = [one.home for one in known]
    depths = tuple(sorted({depth for one in known for depth in one.depths}))
    # A recall above the highest target means all, so those are asked for that all were measured at.
    targets = set.intersection(*(set(one.shares) for one in known))

    def largest(of: Callable[[Calibration, float, int], float]) -> dict[str, tuple[float, ...]]:
        return {
            key: tuple(max(of(one, float(key), depth) for one in known) for depth in depths)
            for key in sorted(targets, key=float)
        }

    return Calibration(
        plan=first.plan,
        depths=depths,
        shares=largest(Calibration.share),
        prices=largest(Calibration.price) if is_priced[0] else None,
        n_queries=sum(one.n_queries for one in known),
        queries=first.queries,
        n_documents=sum(one.n_documents for one in known),
        home=more_careful(homes),
    )


def _is_target(key: str) -> bool:
    try:
        return 0.0 < float(key) < 1.0 and _key(float(key)) == key
    except ValueError:
        return False


def _key(target: float) -> str:
    return f"{target:g}"


def calibrate(
    needed: Sequence[NDArray[np.float64]],
    plan: Plan,
    *,
    n_documents: int,
    queries: QuerySource = "documents",
    share_at: Callable[[float], float] | None = None,
) -> Calibration:
    """Find the smallest share that reaches each target.

    A share is accepted where the mean recall over the queries, less one standard error,
    reaches the target: the promise is about queries to come, not about those measured.

    Args:
        needed: one array for each query, of the depth that it was measured to: the share of
            the postings within which the order of the plan meets its i-th nearest document
            (or the price, see `share_at`).
        plan: whose order.
        n_documents: documents in the index while it was measured.
        queries: whose queries they are.
        share_at: given where `needed` holds prices: mean share of the postings in buckets of
            no higher price.
    """
    deepest = max(len(row) for row in needed)
    depths = tuple(depth for depth in DEPTHS if depth <= deepest) or (deepest,)
    at_depth = {d: np.stack([row[:d] for row in needed if len(row) >= d]) for d in depths}
    limits = {
        _key(target): tuple(_smallest_limit(at_depth[d], target) for d in depths)
        for target in TARGETS
    }
    shares, prices = limits, None
    if share_at is not None:
        shares = {key: tuple(share_at(limit) for limit in row) for key, row in limits.items()}
        prices = limits
    return Calibration(
        plan=plan,
        depths=depths,
        shares=shares,
        prices=prices,
        n_queries=len(needed),
        queries=queries,
        n_documents=n_documents,
    )


def _smallest_limit(needed: NDArray[Any], target: float) -> float:
    """Bisection over the values that occur; recall grows with the limit."""
    candidates = np.unique(needed)
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        recall = (needed <= candidates[middle]).mean(axis=1)
        error = recall.std() / np.sqrt(len(recall))
        if recall.mean() - error >= target:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])
