"""The buckets that a decision is made on: the nearest, and a sample that stands for the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..probing.directory import Counts
from .shapes import Facts
from .tail import Floats, Tail

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
    """

    near: NDArray[np.intp]
    counts: Floats
    means: Floats
    spreads: Floats

    @property
    def n_near(self) -> int:
        """How many are near."""
        return len(self.near)

    def z(self, scores: float | Floats) -> Floats:
        """How many spreads a score lies above each bucket's mean: (m + r,).

        Of (s, 1) scores (s, m + r).
        """
        above: Floats = np.asarray(scores, dtype=np.float32) - self.means
        above /= self.spreads
        return above

    def reaching(self, scores: float | Floats, tail: Tail) -> Floats:
        """Documents that are expected to score so much; shaped as `z`."""
        return self.counts * tail(self.z(scores))

    def kth_score(self, k: int, tail: Tail) -> float:
        """The score that k documents are expected to reach, between a few that are tried."""
        highest = int(self.means.argmax())
        spread = self.spreads[highest]
        score = self.means[highest] + _GUESS * spread
        for _ in range(_TURNS):
            scores = score + spread * _TRIED
            expected = self.reaching(scores[:, None], tail).sum(axis=1)
            excess = np.log(np.maximum(expected, _FEWEST) / k)
            score = np.float32(_where_zero(scores, excess))
            if scores[0] <= score <= scores[-1]:
                break
        return float(min(max(score, -1.0), _HIGHEST))


def _where_zero(scores: Floats, excess: Floats) -> float:
    """Where a falling line through points is 0, or would be."""
    at = int(np.clip(np.searchsorted(-excess, 0.0), 1, len(scores) - 1))
    fall = float(excess[at - 1] - excess[at])
    part = float(excess[at - 1]) / fall if fall > _FLAT else 0.0
    return float(scores[at - 1] + min(max(part, -4.0), 4.0) * (scores[at] - scores[at - 1]))


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
    return Facts(means, facts.spreads), counts.without(buckets)


def _work(facts: Facts, counts: Counts, near: NDArray[np.intp], far: NDArray[np.intp]) -> Work:
    both = np.concatenate([near, far])
    own = counts.by_id[both]
    if len(far):
        rest = own[len(near) :]
        left = counts.total - float(own[: len(near)].sum(dtype=np.float64))
        rest *= max(left, 0.0) / max(float(rest.sum(dtype=np.float64)), 1e-9)
    return Work(near, own, facts.means[both], facts.spreads[both])
