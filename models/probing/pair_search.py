"""How far buckets must be looked into so that a share of all similar pairs is found."""

from dataclasses import dataclass

import numpy as np

from ..embeddings import Progress, no_progress
from .bucket_rows import NEAR, BucketRows
from .pair_recall import ALL, PairRecall, draw_pairs
from .pairs import BucketJoin

#: Up to so many rows all are compared: drawing a sample costs as much.
FEW = 10_000
#: Buckets that a row looks into at first, and at most.
_FIRST, _FARTHEST = 4, NEAR // 2
#: Share of all pairs above which all are compared, in large blocks, which costs less by pair.
_MOST = 0.25
#: Rows drawn to see how far to look, and to measure what is found: of those in a pair, of others.
_TO_CHOOSE, _TO_MEASURE = (500, 500), (500, 2_000)


@dataclass(frozen=True)
class PairSearch:
    """What is compared, and which share of all pairs that finds."""

    join: BucketJoin
    found: PairRecall


def search_for_pairs(
    rows: BucketRows, min_cosine: float, recall: float, progress: Progress = no_progress
) -> PairSearch:
    """The cheapest search that finds a share of all pairs, as measured on documents drawn anew.

    Args:
        rows: vectors by bucket.
        min_cosine: how similar pairs are.
        recall: the share; 1 compares everything.
        progress: called with (stage, done, total).
    """
    n, n_buckets = len(rows.rows), len(rows.starts) - 1
    everything = PairSearch(BucketJoin(rows, None), ALL)
    to_rank = n_buckets**2 * 2.0 / max(1, n) ** 2  # of all pairs, so many are of buckets
    if recall == 1.0 or n <= FEW or n_buckets < _FIRST or to_rank > _MOST:
        return everything
    rng = np.random.default_rng(0)
    first = BucketJoin(rows, rows.nearest(_FIRST))
    if first.share > _MOST:
        return everything
    in_pairs = np.zeros(n, dtype=np.bool_)
    n_seen = 0

    def seen(more: int) -> None:
        nonlocal n_seen
        n_seen += more
        progress("first look", n_seen, n)

    for a, b in first.candidates(min_cosine, seen):
        in_pairs[a] = in_pairs[b] = True
    join, reach, wanted = first, _FIRST, _TO_CHOOSE
    while True:
        sample = draw_pairs(
            rows, min_cosine, in_pairs, wanted, rng, lambda i, n: progress("drawn documents", i, n)
        )
        # Half of what may be missed is left to chance.
        reach = max(reach, sample.reach(rows, (1.0 + recall) / 2))
        if reach > min(_FARTHEST, n_buckets):
            return everything
        if reach > _FIRST:
            join = BucketJoin(rows, rows.nearest(reach))
        if join.share > _MOST:
            return everything
        wanted = _TO_MEASURE
        fresh = draw_pairs(
            rows, min_cosine, in_pairs, wanted, rng, lambda i, n: progress("measured on", i, n)
        )
        found = fresh.recall(join)
        if found.recall is None or found.recall >= recall:
            return PairSearch(join, found)
        reach *= 2
