"""Where a round may end, and what is known of each such end."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..probing.directory import Counts
from .shapes import Facts
from .tail import Floats, Tail
from .work import Work

#: Shares of the documents at which a round may end.
SHARES = np.geomspace(1e-4, 1.0, 24)
#: Buckets whose mean spread is a query's step, and the part of it by which scores are moved.
_OWN, _PART = 50, 0.5
#: As far as a bucket that there is not.
_FARTHEST = 12.0
_TINY = 1e-4
_NONE = np.zeros(0, dtype=np.intp)
_HERE = np.zeros(1, dtype=np.intp)
_ONE = np.ones((1, 1), dtype=np.float32)


@dataclass(frozen=True)
class Seen:
    """What rounds have looked into.

    Attributes:
        buckets: (m,) int64.
        scores: (k,) float32 cosines of the k best found there, best first.
        expected: the k-th, as it was expected; None where to find a better one tells nothing.
    """

    buckets: NDArray[np.int64]
    scores: Floats
    expected: float | None = None


@dataclass(frozen=True)
class Ends:
    """Where a round may end.

    Attributes:
        order: (m,) int64 buckets that were not looked into, best first.
        after: (e,) int64, how many of them each end is after, ascending.
        features: (e, n_features) float32 of each end.
        score: the k-th that they are told from.
    """

    order: NDArray[np.int64]
    after: NDArray[np.int64]
    features: Floats
    score: float


def first_ends(work: Work, tail: Tail, counts: Counts, k: int, stands_for: float = 1.0) -> Ends:
    """Where the first round may end.

    Its features: what is missing at the score that k documents are expected to reach, and at higher
    and lower ones; the nearest bucket and the next one; how much is looked into; and how the
    documents near the query are shared out.

    Args:
        work: on all buckets.
        tail: of the index.
        counts: of what may be found.
        k: how many are to be found.
        stands_for: documents that each of a sample stands for: its k nearest lie as far out as so
            many times k of all, and count as these.
    """
    score = work.kth_score(k, tail)
    z = work.z(score)
    order = z[: work.n_near].argsort()
    shift = np.float32(_PART * _step(work.spreads[order])) / work.spreads
    along, totals = _expected(work, tail, order, np.stack([z, z + shift, z - shift]))
    cumulated, found = along[-1], along[:-1]
    after = _after(cumulated, np.maximum(SHARES * counts.total, k), _is_all(work, counts, 0))
    rows = np.empty((len(after), 12), dtype=np.float32)
    rows[:, :3] = _logs_of_missing(totals, found[:, after - 1], k)
    rows[:, 3] = z[order[0]]
    rows[:, 4] = _next_z(z, order, after)
    rows[:, 5] = math.log(k * stands_for)
    rows[:, 6] = np.log(cumulated[after - 1] / counts.total)
    rows[:, 7] = math.log(counts.total / k)
    rows[:, 8] = math.log(int(found[0].searchsorted(0.5 * totals[0])) + 1)
    rows[:, 9] = np.log(after / len(counts.filled))
    rows[:, 10] = math.log((totals[1] + _TINY) / k)
    rows[:, 11] = math.log((totals[2] + _TINY) / k)
    return Ends(work.near[order], after, rows, score)


def later_ends(
    work: Work,
    tail: Tail,
    facts: Facts,
    counts: Counts,
    k: int,
    seen: Seen,
    stands_for: float = 1.0,
    *,
    now: bool = False,
) -> Ends:
    """Where the next round may end; first of all here, without one.

    The same with the scores that were found in the place of expected ones, and with what was to be
    expected where something was found.

    Args:
        work: on the buckets that were not looked into.
        tail: of the index.
        facts: of the query.
        counts: of what may be found, in all buckets.
        k: how many are to be found.
        seen: what was looked into, and found.
        stands_for: see `first_ends`.
        now: only what is missing without another round.
    """
    half = max(1, len(seen.scores) // 2)
    best, middle, last = (float(seen.scores[i]) for i in (0, half - 1, -1))
    inside = Work(
        seen.buckets, counts.by_id[seen.buckets], facts.means[seen.buckets],
        facts.spreads[seen.buckets],
    )  # fmt: skip
    step = _step(inside.spreads)
    scores = np.array([[last], [middle], [last + _PART * step]], dtype=np.float32)
    z = work.z(scores)
    order = _NONE if now else z[0, : work.n_near].argsort()
    along, totals = _expected(work, tail, order, z)
    looked_into = float(inside.counts.sum(dtype=np.float64))
    along = np.concatenate([np.zeros((len(along), 1)), along], axis=1)
    along[-1] += looked_into
    cumulated, found = along[-1], along[:-1]
    is_all = not now and _is_all(work, counts, int(np.count_nonzero(inside.counts)))
    after = np.concatenate([_HERE, _after(cumulated[1:], SHARES * counts.total, is_all)])
    there = inside.reaching(scores[:2], tail).sum(axis=1)
    rows = np.empty((len(after), 13), dtype=np.float32)
    rows[:, :3] = _logs_of_missing(totals, found[:, after], np.array([[k], [half], [k]]))
    rows[:, 3] = math.log((there[0] + _TINY) / k)
    rows[:, 4] = math.log((there[1] + _TINY) / half)
    rows[:, 5] = inside.z(last).min()
    rows[:, 6] = _next_z(z[0], order, after)
    rows[:, 7] = math.log(k * stands_for)
    rows[:, 8] = np.log(cumulated[after] / counts.total)
    rows[:, 9] = math.log(max(looked_into, _TINY) / counts.total)
    rows[:, 10] = (best - last) / step
    rows[:, 11] = math.log(counts.total / k)
    rows[:, 12] = np.log((after + len(seen.buckets)) / len(counts.filled))
    return Ends(work.near[order], after, rows, last)


def _is_all(work: Work, counts: Counts, n_seen: int) -> bool:
    """Whether there are no buckets but the near ones and those that were looked into."""
    return work.n_near + n_seen == len(counts.filled)


def _after(
    cumulated: NDArray[np.float64], wanted: NDArray[np.float64], is_all: bool
) -> NDArray[np.int64]:
    """After how many buckets so many documents are reached, of those that are in order."""
    after = np.searchsorted(cumulated, wanted) + 1
    is_new = after <= len(cumulated)
    is_new[1:] &= after[1:] != after[:-1]
    after = after[is_new]
    if is_all and (not len(after) or after[-1] < len(cumulated)):
        after = np.append(after, len(cumulated))
    return after


def _expected(
    work: Work, tail: Tail, order: NDArray[np.intp], z: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Documents expected so far out.

    Args:
        work: m buckets.
        tail: of the index.
        order: (o,) of its near buckets.
        z: (n, m) of n scores.

    Returns:
        (n + 1, o) summed up along the order, the last the documents that there are; and (n,) how
        many are expected in all.
    """
    several = np.concatenate([tail(z), _ONE.repeat(z.shape[1], axis=1)])
    several *= work.counts
    along = several.take(order, axis=1).cumsum(axis=1, dtype=np.float64)
    if len(order) == z.shape[1]:
        # In the precision of the sums along: what is left at the end is nothing, and no rounding.
        return along, along[:-1, -1]
    if not len(order):
        return along, several[:-1].sum(axis=1, dtype=np.float64)
    rest = several[:-1, work.n_near :].sum(axis=1, dtype=np.float64)
    return along, along[:-1, -1] + rest


def _logs_of_missing(totals: NDArray[np.float64], found: NDArray[np.float64], n: Any) -> Any:
    """(e, s) logarithm of what is missing of n, from (s,) totals and (s, e) found."""
    return np.log((totals[:, None] - found + _TINY) / n).T


def _next_z(z: Floats, order: NDArray[np.intp], after: NDArray[np.int64]) -> Floats:
    """Of each end, that of the nearest bucket beyond."""
    rest = z[len(order) :]  # of what is in no order: the sample, or all
    beyond = float(rest.min()) if len(rest) else _FARTHEST
    return np.minimum(np.append(z[order], np.float32(beyond))[after], np.float32(_FARTHEST))


def _step(spreads: Floats) -> float:
    return float(spreads[:_OWN].mean())
