"""Queries and filters that are harder than documents as queries, made of documents.

Queries: documents, drawn over documents and over buckets; points between two and three of them;
documents with noise. Filters: of what is near to the query nothing; only what is near another
document; a thin sample; what is not in a direction near the query's, which cuts through buckets;
only small buckets, or only large ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..embeddings import Embeddings, unit
from ..probing.directory import Counts
from .shapes import Facts, ReadyShapes
from .tail import Floats

Rng = np.random.Generator
#: Documents that a threshold is read off.
_READ = 20_000
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Situation:
    """A query under a filter, with all that is to be known of its answer.

    Attributes:
        facts: of the query.
        counts: of what the filter keeps.
        scores: (n,) float32 cosines of what it keeps.
        homes: (n,) their buckets.
        is_plain: whether the query is like the documents and there is no filter but of its own
            region.
    """

    facts: Facts
    counts: Counts
    scores: Floats
    homes: NDArray[np.int64]
    is_plain: bool

    def kth_score(self, k: int) -> np.float32:
        """Score of the k-th nearest."""
        kth: np.float32 = np.partition(self.scores, -k)[-k]
        return kth

    def nearest(self, k: int) -> NDArray[np.int64]:
        """Buckets of the k nearest, and of what is as near as the k-th."""
        found: NDArray[np.int64] = self.homes[self.scores >= self.kth_score(k)]
        return found

    def best_in(self, buckets: NDArray[np.int64], k: int) -> Floats:
        """Scores of the k best of some buckets, or of all that they hold, best first."""
        is_in = np.zeros(len(self.counts.by_id), dtype=bool)
        is_in[buckets] = True
        found = self.scores[is_in[self.homes]]
        if len(found) > k:
            found = np.partition(found, -k)[-k:]
        best: Floats = np.sort(found)[::-1]
        return best


class Sample:
    """Documents that situations are made of.

    Args:
        embeddings: (n, dims) float32 of length 1.
        homes: (n,) int64 their buckets.
        shapes: of the buckets.
    """

    def __init__(
        self, embeddings: Embeddings, homes: NDArray[np.int64], shapes: ReadyShapes
    ) -> None:
        self.embeddings, self.homes, self.shapes = embeddings, homes, shapes
        self.counts = np.bincount(homes, minlength=len(shapes.groups))
        self._members = np.argsort(homes, kind="stable")
        self._starts = np.searchsorted(homes[self._members], np.arange(len(self.counts) + 1))
        self._several = np.flatnonzero(self.counts > 1)
        self._distinct = distinct_rows(embeddings)

    def any_row(self, rng: Rng) -> int:
        """A document; equal ones count once."""
        return int(self._distinct[rng.integers(len(self._distinct))])

    def even_row(self, rng: Rng) -> int:
        """A document of a bucket, each as likely as another."""
        if not len(self._several):
            return self.any_row(rng)
        bucket = rng.choice(self._several)
        return int(self._members[rng.integers(self._starts[bucket], self._starts[bucket + 1])])

    def situation(self, query: Floats, kept: Mask, *, is_plain: bool) -> Situation:
        """A query under a filter."""
        scores = self.embeddings @ query
        homes = self.homes
        if not kept.all():
            scores, homes = scores[kept], homes[kept]
        counts = np.bincount(homes, minlength=len(self.counts)).astype(np.float32)
        return Situation(self.shapes.facts(query), Counts(counts), scores, homes, is_plain)

    def threshold(self, along: Floats, share: float) -> float:
        """What so large a share of the documents lies below, in a direction."""
        step = max(1, len(self.homes) // _READ)
        return float(np.quantile((self.embeddings[::step] @ along), share))


def distinct_rows(embeddings: Embeddings) -> NDArray[np.intp]:
    """The first of each that are equal, ascending."""
    _, first = np.unique(embeddings, axis=0, return_index=True)
    return np.sort(first)


def situations(sample: Sample, n: int, seed: int) -> Iterator[Situation]:
    """So many of each kind.

    Args:
        sample: of documents.
        n: of each.
        seed: which.
    """
    rng = np.random.default_rng(seed)
    for make_query, make_filter in _KINDS:
        for _ in range(n):
            query, own = make_query(sample, rng)
            kept = np.ones(len(sample.homes), dtype=bool)
            if make_filter is not None:
                kept = make_filter(sample, query, rng)
            if own is not None:
                kept[own] = False
            if kept.any():
                is_plain = make_query in _LIKE and make_filter in (None, _near_gone)
                yield sample.situation(query, kept, is_plain=is_plain)


def _document(sample: Sample, rng: Rng) -> tuple[Floats, int | None]:
    row = sample.any_row(rng)
    return sample.embeddings[row], row


def _evenly(sample: Sample, rng: Rng) -> tuple[Floats, int | None]:
    row = sample.even_row(rng)
    return sample.embeddings[row], row


def _between(n: int) -> Callable[[Sample, Rng], tuple[Floats, int | None]]:
    def query(sample: Sample, rng: Rng) -> tuple[Floats, int | None]:
        rows = rng.integers(len(sample.homes), size=n)
        return _direction(sample.embeddings[rows].sum(axis=0), rng), None

    return query


def _noisy(level: float) -> Callable[[Sample, Rng], tuple[Floats, int | None]]:
    def query(sample: Sample, rng: Rng) -> tuple[Floats, int | None]:
        return _direction(_disturbed(sample.embeddings[sample.any_row(rng)], level, rng), rng), None

    return query


def _near_gone(sample: Sample, query: Floats, rng: Rng) -> Mask:
    """Whole buckets, nearest first, up to a share of the documents."""
    order = np.argsort(-sample.shapes.facts(query).means)
    share = rng.choice([0.02, 0.1, 0.3, 0.7]) * len(sample.homes)
    gone = np.zeros(len(sample.counts), dtype=bool)
    gone[order[: np.searchsorted(np.cumsum(sample.counts[order]), share) + 1]] = True
    kept: Mask = ~gone[sample.homes]
    return kept


def _near_another(sample: Sample, _query: Floats, rng: Rng) -> Mask:
    other = sample.embeddings[sample.any_row(rng)]
    kept: Mask = sample.embeddings @ other > sample.threshold(other, rng.choice([0.5, 0.8, 0.95]))
    return kept


def _thin(sample: Sample, _query: Floats, rng: Rng) -> Mask:
    kept: Mask = rng.random(len(sample.homes)) < rng.choice([0.3, 0.1, 0.03])
    return kept


def _far_along(sample: Sample, query: Floats, rng: Rng) -> Mask:
    along = _direction(_disturbed(query, rng.choice([0.0, 0.5, 1.0]), rng), rng)
    share = rng.choice([rng.uniform(0.1, 0.9), 0.95, 0.99])
    kept: Mask = sample.embeddings @ along < sample.threshold(along, share)
    return kept


def _small(sample: Sample, _query: Floats, rng: Rng) -> Mask:
    own = sample.counts[sample.homes]
    kept: Mask = own <= np.quantile(own, rng.uniform(0.1, 0.8))
    return kept


def _large(sample: Sample, _query: Floats, rng: Rng) -> Mask:
    own = sample.counts[sample.homes]
    kept: Mask = own >= np.quantile(own, rng.uniform(0.2, 0.9))
    return kept


def _disturbed(vector: Floats, level: float, rng: Rng) -> Floats:
    noise = rng.normal(size=len(vector)) * (level / np.sqrt(len(vector)))
    disturbed: Floats = vector + noise.astype(np.float32)
    return disturbed


def _direction(vector: Floats, rng: Rng) -> Floats:
    """Scaled to length 1; any one where there is none."""
    if not vector.any():
        vector = rng.normal(size=len(vector)).astype(np.float32)
    direction: Floats = unit(vector).astype(np.float32)
    return direction


#: Of queries that are like the documents.
_LIKE = (_document, _evenly)
_Query = Callable[[Sample, Rng], tuple[Floats, int | None]]
_Filter = Callable[[Sample, Floats, Rng], Mask]
_KINDS: list[tuple[_Query, _Filter | None]] = [
    *[(_document, None)] * 4, *[(_evenly, None)] * 2, (_between(2), None), (_between(3), None),
    (_noisy(0.4), None), (_noisy(1.0), None),
    *[(_document, _near_gone)] * 4,
    (_document, _near_another), (_evenly, _near_another), (_document, _thin), (_noisy(1.0), _thin),
    (_document, _far_along), (_document, _far_along), (_evenly, _far_along),
    (_document, _small), (_evenly, _small), (_document, _large),
]  # fmt: skip
#: Kinds of situations.
N_KINDS = len(_KINDS)
