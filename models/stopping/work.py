"""The buckets that a decision is made on: the nearest, and a sample that stands for the others."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from ..probing.directory import Counts
from .shapes import Facts
from .tail import ORIGIN, STEPS, Floats, Tail

#: Of the buckets that are not among the nearest, one is looked at for so many.
_STEP = 16
#: Where the k-th score is looked for: so many spreads above the highest mean, and around that.
_GUESS = 1.0
_TRIED = np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.5], dtype=np.float32)
_TURNS = 3
_FEWEST, _FLAT, _HIGHEST, _FARTHEST = 1e-6, 1e-6, 2.0, 4.0
_SMALLEST = 1e-9
#: A mean cosine below all.
_NOWHERE = -9.0


class _Buckets(NamedTuple):
    """Near buckets, then the sample of the others; arrays of float32.

    Attributes:
        counts: (m + r,) documents, those of the sample times what each stands for.
        means: (m + r,) see `Facts`.
        spreads: (m + r,) see `Facts`.
        slopes, starts: (m + r,) steps of the tail that a score takes, and where those begin.
    """

    counts: Floats
    means: Floats
    spreads: Floats
    slopes: Floats
    starts: Floats


@dataclass(frozen=True)
class Work:
    """Near buckets, then the sample of the others.

    Attributes:
        near: (m,) buckets.
        buckets: see `_Buckets`: what is known of them.
    """

    near: NDArray[np.int64]
    buckets: _Buckets

    @property
    def n_near(self) -> int:
        """How many are near."""
        return len(self.near)

    def reaching(self, score: float, tail: Tail) -> tuple[Floats, Floats]:
        """How far a score lies above each bucket's mean, and documents that should reach it.

        Returns:
            (m + r,) float32 as `Tail` takes it, `ORIGIN` + z * `STEPS`, and (m + r,) float32.
        """
        steps, reaching = _reaching(self.buckets, tail.table, score)
        return steps, reaching

    def kth_score(self, k: int, tail: Tail) -> float:
        """The score that k documents are expected to reach, between a few that are tried."""
        score: float = _kth_score(self.buckets, tail.table, k)
        return score


def work_on(facts: Facts, counts: Counts, best: int | None) -> Work:
    """About so many of the nearest buckets, and a sample of the others; None for all buckets."""
    return _work(facts, counts, *_parted(facts.means, counts.filled, best or 0))


def beyond(facts: Facts, counts: Counts, buckets: NDArray[np.int64]) -> tuple[Facts, Counts]:
    """The same without some buckets, which then hold nothing and lie nowhere."""
    means = facts.means.copy()
    means[buckets] = _NOWHERE
    return replace(facts, means=means), counts.without(buckets)


def work_within(facts: Facts, counts: Counts, buckets: NDArray[np.int64]) -> Work:
    """Some buckets and no others."""
    return _work(facts, counts, buckets, buckets[:0])


def _work(facts: Facts, counts: Counts, near: NDArray[np.int64], far: NDArray[np.int64]) -> Work:
    shapes = facts.shapes
    deviations, groups = shapes.deviations, shapes.groups
    gathered = _gathered(
        near, far, counts.by_id, counts.total, facts.means, facts.scales, groups, deviations,
        float(STEPS), ORIGIN,
    )  # fmt: skip
    return Work(near, _Buckets(*gathered))


@compiled
def _parted(
    means: Floats, filled: NDArray[np.int64], best: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest buckets, and a sample of the others.

    Where the nearest end is read off a sample: to part all takes longer than all else. Where most
    buckets are filled the few empty ones are no burden.
    """
    is_gathered = best == 0 or 2 * len(filled) < len(means)
    n = len(filled) if is_gathered else len(means)
    if best == 0 or n < 2 * best:
        return filled, filled[:0]
    sample = np.empty((n + _STEP - 1) // _STEP, dtype=np.float32)
    for i in range(len(sample)):
        at = _STEP * i
        sample[i] = means[filled[at] if is_gathered else at]
    last = len(sample) - 1 - best // _STEP
    limit = np.partition(sample, last)[last]
    near, far = np.empty(n, dtype=np.int64), np.empty(len(sample), dtype=np.int64)
    n_near = n_far = 0
    for at in range(n):
        bucket = filled[at] if is_gathered else at
        if means[bucket] >= limit:
            near[n_near] = bucket
            n_near += 1
        elif at % _STEP == 0:
            far[n_far] = bucket
            n_far += 1
    return near[:n_near].copy(), far[:n_far].copy()


@compiled
def _gathered(
    near: NDArray[np.int64],
    far: NDArray[np.int64],
    by_id: Floats,
    total: float,
    means: Floats,
    scales: Floats,
    groups: NDArray[np.int64],
    deviations: Floats,
    tail_steps: float,
    tail_origin: float,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """See `_Buckets`."""
    n_near, n = len(near), len(near) + len(far)
    counts, mean = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    spread, slopes = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    starts = np.empty(n, dtype=np.float32)
    left, there = total, 0.0
    for i in range(n):
        bucket = near[i] if i < n_near else far[i - n_near]
        counts[i] = by_id[bucket]
        mean[i] = means[bucket]
        spread[i] = scales[groups[bucket]] * deviations[bucket]
        slopes[i] = tail_steps / spread[i]
        starts[i] = mean[i] * slopes[i] - tail_origin
        if i < n_near:
            left -= counts[i]
        else:
            there += counts[i]
    counts[n_near:] *= np.float32(max(left, 0.0) / max(there, _SMALLEST))
    return counts, mean, spread, slopes, starts


@compiled
def _share_of(table: Floats, step: float) -> float:
    """Of a bucket's documents, those that reach so far, see `Tail`."""
    share: float = table[min(max(int(step), 0), len(table) - 1)]
    return share


@compiled
def _documents(buckets: _Buckets, table: Floats, score: float) -> float:
    """That are expected to reach a score."""
    total = 0.0
    for i in range(len(buckets.counts)):
        total += _share_of(table, score * buckets.slopes[i] - buckets.starts[i]) * buckets.counts[i]
    return total


@compiled
def _reaching(buckets: _Buckets, table: Floats, score: float) -> tuple[Floats, Floats]:
    """See `Work.reaching`."""
    steps, reaching = np.empty_like(buckets.counts), np.empty_like(buckets.counts)
    for i in range(len(steps)):
        steps[i] = score * buckets.slopes[i] - buckets.starts[i]
        reaching[i] = _share_of(table, steps[i]) * buckets.counts[i]
    return steps, reaching


@compiled
def _kth_score(buckets: _Buckets, table: Floats, k: int) -> float:
    """See `Work.kth_score`."""
    highest = buckets.means.argmax()
    spread = buckets.spreads[highest]
    score = float(buckets.means[highest] + _GUESS * spread)
    for _ in range(_TURNS):
        # Where k lie between: between two of those tried, or as far beyond them as their line.
        at = 0
        low = score + spread * _TRIED[0]
        n_low = _documents(buckets, table, low)
        high, n_high = low, n_low
        while at < len(_TRIED) - 1 and (at == 0 or n_high > k):
            at += 1
            low, n_low = high, n_high
            high = score + spread * _TRIED[at]
            n_high = _documents(buckets, table, high)
        above = math.log(max(n_low, _FEWEST) / k)
        below = math.log(max(n_high, _FEWEST) / k)
        part = above / (above - below) if above - below > _FLAT else 0.0
        lowest, farthest = score + spread * _TRIED[0], score + spread * _TRIED[-1]
        score = low + min(max(part, -_FARTHEST), _FARTHEST) * (high - low)
        if lowest <= score <= farthest:
            break
    return min(max(score, -1.0), _HIGHEST)
