"""An outlook held against exact answers of the whole index: what it delivers, and how to mend that.

It is fitted on a sample, in which the nearest lie farther apart than in all documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..probing.directory import Counts
from .ends import Seen
from .outlook import Outlook
from .record import Delivered, clustering_of
from .tail import Floats

#: How many are to be found, and recalls asked for, while it is held against exact answers.
KS = (1, 10, 100)
ASKED = (0.9, 0.95, 0.99)
#: Multiples of what may be missing that are tried. What was fitted is not sure: where all documents
#: took part in that, something is kept in hand.
_TRIED = (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.45, 1.7, 2.0, 2.4)
#: Of the tried recalls those that decide: at the highest the mean of so few queries says little.
_DECIDE = (0.9, 0.95)
_ROUNDS = 4
#: See `Outlook.judge`; without a filter, where what comes later is like what it was fitted on.
PATIENCE = 2.5


@dataclass(frozen=True)
class Answered:
    """A query and its nearest documents.

    Attributes:
        query: (dims,) float32 of length 1.
        scores: (n,) float32 cosines, best first.
        homes: (n,) int64 their buckets.
        source: whose query it is.
    """

    query: Floats
    scores: Floats
    homes: NDArray[np.int64]
    source: str


@dataclass(frozen=True)
class Trial:
    """What a request came to."""

    recall: float
    looked_into: float
    expected: float
    n_rounds: int


def tried(outlook: Outlook, counts: Counts, one: Answered, k: int, goal: float) -> Trial:
    """What a request would do, round after round."""
    facts = outlook.shapes.facts(one.query)
    prospect = outlook.begin(facts, counts, k, goal)
    for n_rounds in range(1, _ROUNDS + 1):
        is_seen = np.zeros(len(counts.by_id), dtype=bool)
        is_seen[prospect.buckets] = True
        missing = prospect.missing
        scores = one.scores[is_seen[one.homes]][:k]
        if len(scores) < k:
            wider = outlook.begin(facts, counts, k * 4**n_rounds, goal).buckets
            is_seen[wider] = True
            following = replace(prospect, buckets=np.flatnonzero(is_seen))
        else:
            seen = Seen(prospect.buckets, scores, prospect.score)
            missing, further = outlook.judge(facts, counts, k, goal, seen, PATIENCE)
            if further is None:
                break
            following = further
        if n_rounds < _ROUNDS:
            prospect = following
    wanted = min(k, len(one.scores))
    found = int((one.scores[is_seen[one.homes]] >= one.scores[wanted - 1] - 1e-7).sum())
    looked_into = float(counts.by_id[is_seen].sum()) / max(counts.total, 1.0)
    return Trial(min(found / wanted, 1.0), looked_into, missing, n_rounds)


@dataclass(frozen=True)
class Adjusted:
    """See `OutlookRecord`."""

    depths: tuple[float, ...]
    leeway: tuple[float, ...]
    clustering: float
    delivered: tuple[Delivered, ...]


def adjust(
    outlook: Outlook, counts: Counts, answered: Sequence[Answered], *, is_sampled: bool
) -> Adjusted:
    """Find what may be missing so that what is asked for is delivered, by the depth of a request.

    Args:
        outlook: as it was fitted.
        counts: of all documents.
        answered: queries with their exact answers.
        is_sampled: whether the index has documents that it was not fitted on; where it has, and
            more is delivered than asked for, so much more may be missing. Where it was fitted on
            all, what is delivered beyond is for queries and filters that are like none of these.
    """
    sources = list(dict.fromkeys(one.source for one in answered))
    by_source = {source: [one for one in answered if one.source == source] for source in sources}
    deepest = min(len(one.scores) for one in answered)
    ks = [k for k in KS if k <= deepest] or [deepest]
    leeway: dict[int, float] = {}
    for k in ks:
        for factor in reversed([one for one in _TRIED if one < 1.0 or is_sampled]):
            leeway[k] = factor
            if all(
                _delivers(outlook, counts, several, k, asked, factor)
                for several in by_source.values()
                for asked in _DECIDE
            ):
                break
    delivered = []
    pairs: list[tuple[float, float, int]] = []
    for source, several in by_source.items():
        for k in ks:
            for asked in ASKED:
                goal = (1.0 - asked) * leeway[k]
                trials = [tried(outlook, counts, one, k, goal) for one in several]
                delivered.append(_summed_up(source, k, asked, trials))
                pairs += [(one.expected / leeway[k], 1.0 - one.recall, k) for one in trials]
    clustering = clustering_of(*zip(*pairs, strict=True))
    ordered = sorted((max(counts.total / k, 1e-9), leeway[k]) for k in ks)
    return Adjusted(
        tuple(depth for depth, _ in ordered),
        tuple(one for _, one in ordered),
        clustering,
        tuple(delivered),
    )


def _delivers(
    outlook: Outlook, counts: Counts, several: Sequence[Answered], k: int, asked: float,
    factor: float,
) -> bool:  # fmt: skip
    goal = (1.0 - asked) * factor
    recalls = [tried(outlook, counts, one, k, goal).recall for one in several]
    error = float(np.std(recalls) / np.sqrt(len(recalls)))
    return float(np.mean(recalls)) - error >= asked


def _summed_up(source: str, k: int, asked: float, trials: Sequence[Trial]) -> Delivered:
    recalls = np.sort([one.recall for one in trials])
    return Delivered(
        queries=source,  # type: ignore[arg-type]
        k=k,
        asked=asked,
        mean=float(recalls.mean()),
        error=float(recalls.std() / np.sqrt(len(recalls))),
        worst=float(recalls[: max(1, len(recalls) // 10)].mean()),
        looked_into=float(np.mean([one.looked_into for one in trials])),
    )
