"""How much of an index to look into for a recall: measured once, promised per request."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from .probing import Plan

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
    #: For each target, the share in [0, 1] at each depth.
    shares: dict[str, tuple[float, ...]]
    n_queries: int = Field(ge=1)
    #: Whether the index's own documents were the queries, or some that were given.
    queries: QuerySource = "documents"
    n_documents: int = Field(ge=1)
    _remembered: Callable[[float, float], float] = PrivateAttr()

    def model_post_init(self, _context: Any) -> None:
        """Requests ask for the same few shares again and again."""
        self._remembered = lru_cache(_REMEMBERED)(self._interpolated)

    def share(self, recall: float, depth: float) -> float:
        """Share of the postings to look into.

        Between targets and depths the logarithm is interpolated (of 1 - recall, of the share,
        of the depth); beyond the greatest depth it is continued by the last slope; a recall
        above the highest target is exact search.

        Returns:
            A float in (0, 1]; 1 means all.
        """
        return self._remembered(recall, depth)

    def _interpolated(self, recall: float, depth: float) -> float:
        targets = sorted(float(target) for target in self.shares)
        if recall > targets[-1]:
            return 1.0
        wanted = max(recall, targets[0])
        above = bisect_left(targets, wanted)
        high = self._log_share(targets[above], depth)
        if targets[above] == wanted:
            return min(1.0, math.exp(high))
        low = self._log_share(targets[above - 1], depth)
        gap = [math.log(1 - r) for r in (targets[above - 1], wanted, targets[above])]
        part = (gap[1] - gap[0]) / (gap[2] - gap[0])
        return min(1.0, math.exp(low + part * (high - low)))

    def _log_share(self, target: float, depth: float) -> float:
        shares = self.shares[_key(target)]
        depth = max(depth, float(self.depths[0]))
        after = min(max(1, bisect_left(self.depths, depth)), len(shares) - 1)
        if after == 0:
            return math.log(shares[0])
        x0, x1 = math.log(self.depths[after - 1]), math.log(self.depths[after])
        y0, y1 = math.log(shares[after - 1]), math.log(shares[after])
        slope = (y1 - y0) / (x1 - x0)
        if depth > self.depths[-1]:
            return y1 + max(0.0, slope) * (math.log(depth) - x1)
        return y0 + slope * (math.log(depth) - x0)


def _key(target: float) -> str:
    return f"{target:g}"


def calibrate(
    needed: Sequence[NDArray[np.float64]],
    plan: Plan,
    *,
    n_documents: int,
    queries: QuerySource = "documents",
) -> Calibration:
    """Find the smallest share that reaches each target.

    A share is accepted where the mean recall over the queries, less one standard error,
    reaches the target: the promise is about queries to come, not about those measured.

    Args:
        needed: one array for each query, of the depth that it was measured to: the share of
            the postings within which the order of the plan meets its i-th nearest document.
        plan: whose order.
        n_documents: documents in the index while it was measured.
        queries: whose queries they are.
    """
    deepest = max(len(row) for row in needed)
    depths = tuple(depth for depth in DEPTHS if depth <= deepest) or (deepest,)
    shares: dict[str, tuple[float, ...]] = {}
    at_depth = {d: np.stack([row[:d] for row in needed if len(row) >= d]) for d in depths}
    for target in TARGETS:
        shares[_key(target)] = tuple(_smallest_share(at_depth[d], target) for d in depths)
    return Calibration(
        plan=plan,
        depths=depths,
        shares=shares,
        n_queries=len(needed),
        queries=queries,
        n_documents=n_documents,
    )


def _smallest_share(needed: NDArray[Any], target: float) -> float:
    """Bisection over the shares that occur; recall grows with the share."""
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
