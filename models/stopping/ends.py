"""Where a round may end, and what is known of each such end."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..probing.directory import Counts
from .shapes import Facts
from .tail import HIGH, ORIGIN, STEPS, Floats, Tail
from .work import Work, work_within

#: Shares of the documents at which a round may end.
SHARES = np.geomspace(1e-4, 1.0, 24)
#: Features of first and of later ends.
N_FIRST, N_LATER = 8, 12
#: Buckets whose mean spread is a query's step.
_OWN = 50
#: As far as a bucket that there is not.
_FARTHEST = ORIGIN + HIGH * STEPS
_TINY = 1e-4
_NONE = np.zeros(0, dtype=np.intp)
_HERE = np.zeros(1, dtype=np.intp)


@dataclass(frozen=True)
class Seen:
    """What rounds have looked into.

    Attributes:
        buckets: (m,) int64.
        scores: (k,) float32 cosines of the k best found there, best first.
        expected: the k-th that would be no surprise; None where to find a better one tells nothing.
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
        spread: of the scores in the nearest bucket.
    """

    order: NDArray[np.int64]
    after: NDArray[np.int64]
    features: Floats
    score: float
    spread: float


def first_ends(work: Work, tail: Tail, counts: Counts, k: int, stands_for: float = 1.0) -> Ends:
    """Where the first round may end.

    Its features: what is missing at the score that k documents are expected to reach; how much is
    looked into; the nearest bucket and the next one; and how the documents near the query are
    shared out.

    Args:
        work: on all buckets.
        tail: of the index.
        counts: of what may be found.
        k: how many are to be found.
        stands_for: documents that each of a sample stands for: its k nearest lie as far out as so
            many times k of all, and count as these.
    """
    score = work.kth_score(k, tail)
    steps = work.steps(score)
    order = steps[: work.n_near].argsort()
    reaching = tail.at(steps)
    reaching *= work.counts
    found = reaching.take(order).cumsum(dtype=np.float64)
    total = float(found[-1] + np.add.reduce(reaching[work.n_near :], dtype=np.float64))
    cumulated = work.counts.take(order).cumsum(dtype=np.float64)
    at_least_k = SHARES[max(int(SHARES.searchsorted(k / counts.total)) - 1, 0) :] * counts.total
    at_least_k[0] = max(at_least_k[0], k)
    after = _after(cumulated, at_least_k, _is_all(work, counts, 0))
    last = after - 1
    rows = np.empty((N_FIRST, len(after)), dtype=np.float32)
    rows[0] = (total + _TINY - found.take(last)) / k
    rows[1] = cumulated.take(last) / counts.total
    rows[2] = after / len(counts.filled)
    np.log(rows[:3], out=rows[:3])
    rows[3] = steps[order[0]]
    rows[4] = _next_steps(steps, order, after)
    rows[5] = math.log(k * stands_for)
    rows[6] = math.log(counts.total / k)
    rows[7] = math.log(int(found.searchsorted(0.5 * total)) + 1)
    nearest = float(work.spreads[order[0]])
    return Ends(work.near[order], after, rows.T, float(score), nearest)


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
    scores = np.array([seen.scores[-1], seen.scores[half - 1]], dtype=np.float32)
    inside = work_within(facts, counts, seen.buckets)
    looked_into = float(np.add.reduce(inside.counts, dtype=np.float64))
    there = inside.reaching(scores, tail).tolist()
    steps = work.steps(scores[:, None])
    reaching = tail.at(steps)
    reaching *= work.counts
    order = _NONE if now else steps[0, : work.n_near].argsort()
    found = np.zeros((3, len(order) + 1))
    reaching.take(order, axis=1).cumsum(axis=1, dtype=np.float64, out=found[:2, 1:])
    work.counts.take(order).cumsum(dtype=np.float64, out=found[2, 1:])
    totals = found[:2, -1] + np.add.reduce(
        reaching[:, 0 if now else work.n_near :], axis=1, dtype=np.float64
    )
    is_all = not now and _is_all(work, counts, int(np.count_nonzero(inside.counts)))
    wanted = SHARES * counts.total - looked_into
    after = np.concatenate([_HERE, _after(found[2, 1:], wanted[wanted > 0.0], is_all)])
    rows = np.empty((N_LATER, len(after)), dtype=np.float32)
    rows[0] = (totals[0] + _TINY - found[0].take(after)) / k
    rows[1] = (totals[1] + _TINY - found[1].take(after)) / half
    rows[2] = (found[2].take(after) + max(looked_into, _TINY)) / counts.total
    rows[3] = (after + len(seen.buckets)) / len(counts.filled)
    np.log(rows[:4], out=rows[:4])
    rows[4] = math.log((there[0] + _TINY) / k)
    rows[5] = math.log((there[1] + _TINY) / half)
    rows[6] = inside.steps(scores[0]).min()
    rows[7] = _next_steps(steps[0], order, after)
    rows[8] = math.log(k * stands_for)
    rows[9] = math.log(max(looked_into, _TINY) / counts.total)
    rows[10] = (seen.scores[0] - scores[0]) / _step(inside.spreads)
    rows[11] = math.log(counts.total / k)
    nearest = float(inside.spreads[0])
    return Ends(work.near[order], after, rows.T, float(scores[0]), nearest)


def _step(spreads: Floats) -> float:
    """By which scores differ near a query, from the spreads of buckets, nearest first."""
    own = spreads[:_OWN]
    return float(np.add.reduce(own)) / len(own)


def _is_all(work: Work, counts: Counts, n_seen: int) -> bool:
    """Whether there are no buckets but the near ones and those that were looked into."""
    return work.n_near + n_seen == len(counts.filled)


def _after(
    cumulated: NDArray[np.float64], wanted: NDArray[np.float64], is_all: bool
) -> NDArray[np.int64]:
    """After how many buckets so many documents are reached, of those that are in order.

    One end may be there twice, where a bucket holds many.
    """
    there = cumulated[-1] if len(cumulated) else 0.0
    after = cumulated.searchsorted(wanted[: wanted.searchsorted(there, side="right")]) + 1
    if is_all and (not len(after) or after[-1] < len(cumulated)):
        after = np.append(after, len(cumulated))
    return after


def _next_steps(steps: Floats, order: NDArray[np.intp], after: NDArray[np.int64]) -> Floats:
    """Of each end, those of the nearest bucket beyond."""
    rest = steps[len(order) :]  # of what is in no order: the sample, or all
    following = np.empty(len(order) + 1, dtype=np.float32)
    steps.take(order, out=following[:-1])
    following[-1] = rest.min() if len(rest) else _FARTHEST
    next_steps: Floats = np.minimum(following.take(after), np.float32(_FARTHEST))
    return next_steps
