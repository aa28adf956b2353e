"""Where a round may end, and what is known of each such end."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
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
    steps, reaching = work.reaching(score, tail)
    n_filled = len(counts.filled)
    order, after, features = _first(
        steps, reaching, work.buckets.counts, work.n_near, counts.total, n_filled,
        work.n_near == n_filled, k, stands_for, _FARTHEST,
    )  # fmt: skip
    return Ends(work.near[order], after, features, score, float(work.buckets.spreads[order[0]]))


def later_ends(
    work: Work,
    tail: Tail,
    facts: Facts,
    counts: Counts,
    k: int,
    seen: Seen,
    stands_for: float = 1.0,
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
    """
    half = max(1, len(seen.scores) // 2)
    best, kth, middle = (float(seen.scores[i]) for i in (0, -1, half - 1))
    inside = work_within(facts, counts, seen.buckets)
    found = _Found(inside, tail, kth, middle)
    steps, reaching = work.reaching(kth, tail)
    _, beyond_half = work.reaching(middle, tail)
    own = inside.buckets.spreads[:_OWN]
    n_filled = len(counts.filled)
    is_all = work.n_near + found.n_filled == n_filled
    order, after, features = _later(
        steps, reaching, beyond_half, work.buckets.counts, work.n_near, is_all,
        (counts.total, n_filled, found.documents, len(seen.buckets)),
        (found.reaching, found.beyond_half, found.nearest, (best - kth) / float(own.mean())),
        (float(k), float(half), stands_for), _FARTHEST,
    )  # fmt: skip
    return Ends(work.near[order], after, features, kth, float(inside.buckets.spreads[0]))


class _Found:
    """What was to be expected where something was found.

    Attributes:
        documents: that are there.
        n_filled: buckets that hold any.
        reaching, beyond_half: documents that are expected to reach the k-th score, and that of the
            middle of the k.
        nearest: steps of the nearest bucket at the k-th score.
    """

    def __init__(self, inside: Work, tail: Tail, kth: float, middle: float) -> None:
        steps, reaching = inside.reaching(kth, tail)
        _, beyond_half = inside.reaching(middle, tail)
        self.documents = float(inside.buckets.counts.sum(dtype=np.float64))
        self.n_filled = int(np.count_nonzero(inside.buckets.counts))
        self.reaching = float(reaching.sum(dtype=np.float64))
        self.beyond_half = float(beyond_half.sum(dtype=np.float64))
        self.nearest = float(steps.min())


@compiled
def _first(
    steps: Floats,
    reaching: Floats,
    documents: Floats,
    n_near: int,
    total: float,
    n_filled: int,
    is_all: bool,
    k: int,
    stands_for: float,
    farthest: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """See `first_ends`: places in order, how many of them each end is after, and its features."""
    order = np.argsort(steps[:n_near])
    in_reach = _total(reaching)
    first = max(int(np.searchsorted(SHARES, k / total)) - 1, 0)
    wanted = SHARES[first:] * total
    wanted[0] = max(wanted[0], k)
    after, there, reached = _walk(order, documents, reaching, reaching, wanted, is_all)
    half_way, near = n_near, 0.0
    for i in range(n_near):
        near += reaching[order[i]]
        if near >= 0.5 * in_reach:
            half_way = i
            break
    features = np.empty((len(after), N_FIRST), dtype=np.float32)
    for end in range(len(after)):
        row = features[end]
        row[0] = math.log((in_reach + _TINY - reached[end, 0]) / k)
        row[1] = math.log(there[end] / total)
        row[2] = math.log(after[end] / n_filled)
        row[3] = steps[order[0]]
        row[4] = _next_steps(steps, order, after[end], farthest)
        row[5] = math.log(k * stands_for)
        row[6] = math.log(total / k)
        row[7] = math.log(half_way + 1)
    return order, after, features


@compiled
def _later(
    steps: Floats,
    reaching: Floats,
    beyond_half: Floats,
    documents: Floats,
    n_near: int,
    is_all: bool,
    whole: tuple[float, int, float, int],
    found: tuple[float, float, float, float],
    asked: tuple[float, float, float],
    farthest: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """See `later_ends`; the first end is after none.

    The whole are documents and buckets, and those of them that were looked into; found is what
    `_Found` has, and how much the best score is above the k-th, in spreads; asked are k, half of
    it, and what each document stands for.
    """
    total, n_filled, looked_into, n_seen = whole
    order = np.argsort(steps[:n_near])
    in_reach, half_in_reach = _total(reaching), _total(beyond_half)
    wanted = SHARES * total - looked_into
    wanted = wanted[wanted > 0.0]
    after, there, reached = _walk(order, documents, reaching, beyond_half, wanted, is_all)
    k, half, stands_for = asked
    features = np.empty((len(after) + 1, N_LATER), dtype=np.float32)
    afters = np.zeros(len(after) + 1, dtype=np.int64)
    afters[1:] = after
    for end in range(len(afters)):
        here = end - 1
        reached_here = reached[here, 0] if end else 0.0
        half_here = reached[here, 1] if end else 0.0
        there_here = there[here] if end else 0.0
        row = features[end]
        row[0] = math.log((in_reach + _TINY - reached_here) / k)
        row[1] = math.log((half_in_reach + _TINY - half_here) / half)
        row[2] = math.log((there_here + max(looked_into, _TINY)) / total)
        row[3] = math.log((afters[end] + n_seen) / n_filled)
        row[4] = math.log((found[0] + _TINY) / k)
        row[5] = math.log((found[1] + _TINY) / half)
        row[6] = found[2]
        row[7] = _next_steps(steps, order, afters[end], farthest)
        row[8] = math.log(k * stands_for)
        row[9] = math.log(max(looked_into, _TINY) / total)
        row[10] = found[3]
        row[11] = math.log(total / k)
    return order, afters, features


@compiled
def _walk(
    order: NDArray[np.int64],
    documents: Floats,
    reaching: Floats,
    beyond_half: Floats,
    wanted: NDArray[np.float64],
    is_all: bool,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """After how many buckets so many documents are reached, of those that are in order.

    One end may be there twice, where a bucket holds many.

    Returns:
        (e,) buckets, (e,) documents there, and (e, 2) those of them in reach.
    """
    after = np.empty(len(wanted) + 1, dtype=np.int64)
    there = np.empty(len(wanted) + 1)
    reached = np.empty((len(wanted) + 1, 2))
    n, total, in_reach, half_in_reach = 0, 0.0, 0.0, 0.0
    for i in range(len(order)):
        bucket = order[i]
        total += documents[bucket]
        in_reach += reaching[bucket]
        half_in_reach += beyond_half[bucket]
        is_last = is_all and i == len(order) - 1
        while n < len(wanted) and wanted[n] <= total:
            after[n], there[n] = i + 1, total
            reached[n, 0], reached[n, 1] = in_reach, half_in_reach
            n += 1
        if is_last and (n == 0 or after[n - 1] < len(order)):
            after[n], there[n] = i + 1, total
            reached[n, 0], reached[n, 1] = in_reach, half_in_reach
            n += 1
    return after[:n], there[:n], reached[:n]


@compiled
def _total(values: Floats) -> float:
    """In 64 bits."""
    total = 0.0
    for value in values:
        total += value
    return total


@compiled
def _next_steps(steps: Floats, order: NDArray[np.int64], after: int, farthest: float) -> float:
    """Those of the nearest bucket beyond an end."""
    if after < len(order):
        nearest = float(steps[order[after]])
    else:  # of what is in no order: the sample
        nearest = farthest
        for i in range(len(order), len(steps)):
            nearest = min(nearest, float(steps[i]))
    return min(nearest, farthest)
