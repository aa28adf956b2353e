"""The buckets that a decision is made on: the nearest, and a sample that stands for the others."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..probing.directory import Counts
from .shapes import Facts
from .tail import ORIGIN, STEPS, Floats, Tail

#: Of the buckets that are not among the nearest, one is looked at for so many.
_STEP = 16
#: Where the k-th score is looked for: so many spreads above the highest mean, and around that.
_GUESS = 1.0
_TRIED = np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.5], dtype=np.float32)
_TURNS = 3
_FEWEST, _FLAT, _HIGHEST = 1e-6, 1e-6, 2.0
#: A mean cosine below all.
_NOWHERE = -9.0


@dataclass(frozen=True)
class Work:
    """Near buckets, then the sample of the others; arrays of float32.

    Attributes:
        near: (m,) buckets.
        counts: (m + r,) documents, those of the sample times what each stands for.
        means: (m + r,) see `Facts`.
        spreads: (m + r,) see `Facts`.
        slopes, starts: (m + r,) steps of the tail that a score takes, and where those begin.
    """

    near: NDArray[np.intp]
    counts: Floats
    means: Floats
    spreads: Floats
    slopes: Floats
    starts: Floats

    @classmethod
    def on(cls, near: NDArray[np.intp], counts: Floats, means: Floats, spreads: Floats) -> "Work":
        """See `Work`."""
        slopes = np.float32(STEPS) / spreads
        starts = means * slopes
        starts -= np.float32(ORIGIN)
        return cls(near, counts, means, spreads, slopes, starts)

    @property
    def n_near(self) -> int:
        """How many are near."""
        return len(self.near)

    def steps(self, scores: np.float32 | Floats) -> Floats:
        """How many spreads a score lies above each bucket's mean, as `Tail.at` takes it: (m + r,).

        Of (s, 1) scores (s, m + r).
        """
        steps: Floats = scores * self.slopes
        steps -= self.starts
        return steps

    def reaching(self, scores: Floats, tail: Tail) -> Floats:
        """Documents that are expected to reach each of (s,) scores: (s,)."""
        # Not `@`: of five buckets OpenBLAS, in some processes, says an invalid value that there is
        # not, which NumPy passes on as a warning.
        reaching: Floats = np.einsum("sm,m->s", tail.at(self.steps(scores[:, None])), self.counts)
        return reaching

    def kth_score(self, k: int, tail: Tail) -> np.float32:
        """The score that k documents are expected to reach, between a few that are tried."""
        highest = self.means.argmax()
        spread = self.spreads[highest]
        score = float(self.means[highest] + _GUESS * spread)
        around = spread * _TRIED
        for _ in range(_TURNS):
            scores = np.float32(score) + around
            score = _where(scores.tolist(), self.reaching(scores, tail).tolist(), k)
            if scores[0] <= score <= scores[-1]:
                break
        return np.float32(min(max(score, -1.0), _HIGHEST))


def _where(scores: list[float], reaching: list[float], k: int) -> float:
    """The score that k reach: between two of those tried, or as far beyond them as their line."""
    at = 1
    while at < len(scores) - 1 and reaching[at] > k:
        at += 1
    above, below = (math.log(max(reaching[i], _FEWEST) / k) for i in (at - 1, at))
    part = above / (above - below) if above - below > _FLAT else 0.0
    return scores[at - 1] + min(max(part, -4.0), 4.0) * (scores[at] - scores[at - 1])


def work_on(facts: Facts, counts: Counts, best: int | None) -> Work:
    """About so many of the nearest buckets, and a sample of the others; None for all buckets.

    Where the nearest end is read off a sample: to part all takes longer than all else. Where most
    buckets are filled the few empty ones are no burden, and nothing has to be gathered.
    """
    means, filled = facts.means, counts.filled
    is_gathered = best is None or 2 * len(filled) < len(means)
    if is_gathered:
        means = means[filled]
    if best is None or len(means) < 2 * best:
        return _work(facts, counts, filled, filled[:0])
    sample = means[::_STEP]
    last = len(sample) - 1 - best // _STEP
    limit = np.partition(sample, last)[last]
    (near,) = (means >= limit).nonzero()
    (far,) = (sample < limit).nonzero()
    far *= _STEP
    if is_gathered:
        near, far = filled[near], filled[far]
    return _work(facts, counts, near, far)


def beyond(facts: Facts, counts: Counts, buckets: NDArray[np.int64]) -> tuple[Facts, Counts]:
    """The same without some buckets, which then hold nothing and lie nowhere."""
    means = facts.means.copy()
    means[buckets] = _NOWHERE
    return replace(facts, means=means), counts.without(buckets)


def work_within(facts: Facts, counts: Counts, buckets: NDArray[np.int64]) -> Work:
    """Some buckets and no others."""
    return _work(facts, counts, buckets, buckets[:0])


def _work(facts: Facts, counts: Counts, near: NDArray[np.intp], far: NDArray[np.intp]) -> Work:
    both = np.concatenate([near, far]) if len(far) else near
    own = counts.by_id.take(both)
    if len(far):
        rest = own[len(near) :]
        left = counts.total - float(np.add.reduce(own[: len(near)], dtype=np.float64))
        rest *= max(left, 0.0) / max(float(np.add.reduce(rest, dtype=np.float64)), 1e-9)
    return Work.on(near, own, facts.means.take(both), facts.spreads(both))
