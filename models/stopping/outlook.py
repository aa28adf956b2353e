"""Where a request begins to look, and whether it has looked far enough."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..probing.directory import Counts
from .ends import Ends, Seen, first_ends, later_ends
from .regression import Regression, share_of
from .shapes import Facts, ReadyShapes
from .tail import Tail
from .work import beyond, work_on

#: Buckets that are put in order, at first and then; most requests end among the first.
BEST = 512
_BESTS = (BEST, 2048, None)
#: A k-th score is no surprise where it lies below the expected one by no more than so much of the
#: nearest bucket's spread: of those that do hardly one in a hundred looks further.
_SURPRISE = 0.25
#: More than that is not told apart from all.
_MOST = 0.999


@dataclass(frozen=True)
class Prospect:
    """What a round looks into.

    Attributes:
        buckets: (m,) int64, in all, those of rounds before first.
        counted: (n,) int64, the same and as many more as this round adds, the next best: whose
            documents are to be known before it is judged.
        missing: share of the k nearest that is expected to be in others.
        score: a k-th that would be no surprise.
    """

    buckets: NDArray[np.int64]
    counted: NDArray[np.int64]
    missing: float
    score: float = math.inf


@dataclass(frozen=True)
class Outlook:
    """What is expected of the buckets of an index.

    Attributes:
        shapes: their statistics.
        tail: of their scores.
        first: what is missing before anything was found.
        later: what is missing where the k-th score is known of what was looked into.
    """

    shapes: ReadyShapes
    tail: Tail
    first: Regression
    later: Regression

    def rehearse(self) -> None:
        """Have all that a request runs compiled: that takes seconds, once in an installation."""
        query = np.zeros(self.shapes.dims, dtype=np.float32)
        query[0] = 1.0
        facts = self.shapes.facts(query)
        counts = Counts(np.ones(len(facts.means), dtype=np.float32))
        nearest = facts.means.argsort()[-1:]
        self.begin(facts, counts, 1, 0.5)
        self.judge(facts, counts, 1, 0.5, Seen(nearest, facts.means[nearest]), 1.0)

    def begin(self, facts: Facts, counts: Counts, k: int, goal: float) -> Prospect:
        """A first round that leaves no more missing than `goal`, as far as can be told.

        Args:
            facts: of the query.
            counts: of what may be found.
            k: how many are to be found.
            goal: share of them that may be missing, in (0, 1).
        """
        for best in _BESTS:
            work = work_on(facts, counts, best)
            ends = first_ends(work, self.tail, counts, k)
            reached, missing = self.first.first_below(ends.features, min(goal, _MOST))
            if reached >= 0:
                n = ends.after[reached]
                return Prospect(ends.order[:n], ends.order[: 2 * n], missing, _no_surprise(ends))
            if work.n_near == len(counts.filled):
                break
        return Prospect(counts.filled, counts.filled, 0.0)

    def judge(
        self, facts: Facts, counts: Counts, k: int, goal: float, seen: Seen, patience: float
    ) -> tuple[float, Prospect | None]:
        """What is missing after a round, and the next one where that is too much.

        Args:
            facts: of the query.
            counts: of what may be found.
            k: how many are to be found.
            goal: share of them that may be missing.
            seen: what was looked into, and found there.
            patience: a request goes on where more is expected to be missing than this many times
                the goal: on average over requests the goal is kept by where they begin, and a
                further round costs one by itself.
        """
        if seen.expected is not None and seen.scores[-1] > seen.expected:
            return goal, None
        others, left = beyond(facts, counts, seen.buckets)
        if left.total <= 0.0:
            return 0.0, None
        missing = 1.0
        for best in _BESTS:
            work = work_on(others, left, best)
            ends = later_ends(work, self.tail, facts, counts, k, seen)
            if best == BEST:
                missing = share_of(float(self.later(ends.features[:1])[0]))
                if missing <= patience * goal:
                    return missing, None
            reached, expected = self.later.first_below(ends.features, min(goal, _MOST))
            if reached >= 0:
                n = ends.after[reached]
                if not n:
                    return missing, None
                further, counted = (
                    np.concatenate([seen.buckets, ends.order[:several]]) for several in (n, 2 * n)
                )
                return missing, Prospect(further, counted, expected, _no_surprise(ends))
            if work.n_near >= len(left.filled):
                break
        everywhere = np.concatenate([seen.buckets, left.filled])
        return missing, Prospect(everywhere, everywhere, 0.0)


def _no_surprise(ends: Ends) -> float:
    return ends.score - _SURPRISE * ends.spread
