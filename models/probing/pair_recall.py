"""How many of all similar pairs buckets find, measured on documents drawn from two kinds.

Pairs are rare, and a document drawn from all has mostly none. So they are drawn from those that a
first look found in a pair, and from the others, each weighted by what it stands for: an estimate
of a ratio by stratified sampling (Cochran, "Sampling Techniques", 1977, chapter 6).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .bucket_rows import BucketRows
from .pairs import BucketJoin, close_rows, decided

#: Rows compared with all at once, and pairs of one row that are looked at.
_AT_ONCE, _PER_ROW = 512, 50
#: Standard deviations of 95% on one side.
_Z = 1.645


@dataclass(frozen=True)
class PairRecall:
    """What buckets find of all pairs.

    Attributes:
        recall: share; None where there was no pair in the sample.
        at_least: a bound that holds 19 times of 20; 0 where nothing is known.
        n_pairs: pairs of the drawn documents.
        n_documents: drawn documents.
    """

    recall: float | None
    at_least: float
    n_pairs: int
    n_documents: int


#: What comparing everything finds.
ALL = PairRecall(1.0, 1.0, 0, 0)


@dataclass(frozen=True)
class PairSample:
    """Pairs of drawn rows with any others, found by comparing these with all.

    Attributes:
        a: (m,) int64, the drawn row of each pair.
        b: (m,) int64, the other one.
        kinds: (m,) int64, of `a`: 0 where a pair of it was known before, else 1.
        weights: (m,) float64, pairs that each stands for.
        row_weights: by kind, the rows that a drawn one stands for.
        n_pairs: how many pairs were found; of a row that has many, some are kept.
        n_documents: rows drawn.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    kinds: NDArray[np.int64]
    weights: NDArray[np.float64]
    row_weights: tuple[float, float]
    n_pairs: int
    n_documents: int

    def reach(self, rows: BucketRows, recall: float) -> int:
        """Into how many of its nearest buckets a row must look for such a recall."""
        if not len(self.a):
            return 1
        places = np.minimum(
            rows.place_of(self.a, rows.buckets[self.b]), rows.place_of(self.b, rows.buckets[self.a])
        )
        order = np.argsort(places)
        reached = np.cumsum(self.weights[order])
        return int(places[order[np.argmax(reached >= recall * reached[-1])]])

    def recall(self, join: BucketJoin) -> PairRecall:
        """What is found of them.

        The bound adds to what is missed what may have been missed by chance, as Wilson's interval
        does, for each kind; a row counts as one, since its pairs are missed together.
        """
        total = float(self.weights.sum())
        if not total:
            return PairRecall(None, 0.0, 0, self.n_documents)
        missed = np.where(join.finds(self.a, self.b), 0.0, self.weights)
        most = float(missed.sum())
        for kind, weight in enumerate(self.row_weights):
            if weight > 1.0:  # else all of the kind were drawn
                those = self.kinds == kind
                by_row = np.bincount(self.a, missed * those)
                n_rows = len(np.unique(self.a[those]))
                one = float(self.weights[those].sum()) / n_rows if n_rows else weight
                spread = sqrt(float(np.square(by_row).sum()) + (one * _Z / 2) ** 2)
                most += one * _Z**2 / 2 + _Z * spread
        recall = 1.0 - float(missed.sum()) / total
        return PairRecall(recall, max(0.0, 1.0 - most / total), self.n_pairs, self.n_documents)


def draw_pairs(
    rows: BucketRows,
    min_cosine: float,
    in_pairs: NDArray[np.bool_],
    wanted: tuple[int, int],
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> PairSample:
    """All pairs of drawn rows.

    Args:
        rows: the vectors.
        min_cosine: how similar pairs are.
        in_pairs: (n,) of which rows a pair is known.
        wanted: how many rows are drawn of these and of the others, at most.
        rng: draws.
        progress: called with the rows compared so far, and all that are.
    """
    drawn, row_weights = [], []
    for those, n in zip((np.flatnonzero(in_pairs), np.flatnonzero(~in_pairs)), wanted, strict=True):
        drawn.append(np.sort(rng.choice(those, min(n, len(those)), replace=False)))
        row_weights.append(len(those) / max(1, len(drawn[-1])))
    chosen = np.concatenate(drawn)
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    n_pairs = 0
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        for row, kept, each in _partners(rows, some, min_cosine, rng):
            weight = row_weights[not in_pairs[row]] * each
            found.append((np.full(len(kept), row), kept, np.full(len(kept), weight)))
            n_pairs += round(len(kept) * each)
        progress(min(start + _AT_ONCE, len(chosen)), len(chosen))
    a, b, weights = (np.concatenate([part[i] for part in found]) for i in range(3))
    kinds = (~in_pairs[a]).astype(np.int64)
    both = (row_weights[0], row_weights[1])
    return PairSample(a, b, kinds, weights, both, n_pairs, len(chosen))


def _partners(
    rows: BucketRows, drawn: NDArray[np.int64], min_cosine: float, rng: np.random.Generator
) -> Iterator[tuple[int, NDArray[np.int64], float]]:
    """Those of the drawn rows that are in pairs, some partners of each, and what one stands for.

    Of a row that may have many partners some are drawn as they come, and decided alone.
    """
    everything = np.arange(len(rows.rows))
    drawn = np.sort(drawn)
    counts = np.zeros(len(drawn), dtype=np.int64)
    owners = others = np.empty(0, dtype=np.int64)
    keys = np.empty(0)
    for some, of in close_rows(rows.rows, everything, drawn, min_cosine):
        real = some != of
        numbers = np.searchsorted(drawn, of[real])
        counts += np.bincount(numbers, minlength=len(drawn))
        owners = np.concatenate([owners, numbers])
        others = np.concatenate([others, some[real]])
        keys = np.concatenate([keys, rng.random(len(numbers))])
        if len(owners) > 2 * _PER_ROW * len(drawn):
            owners, others, keys = _fewest(owners, others, keys)
    owners, others, keys = _fewest(owners, others, keys)
    for number in np.unique(owners):
        candidates = others[owners == number]
        row = np.full(len(candidates), drawn[number])
        kept = [pairs.b for pairs in decided(rows.rows, row, candidates, min_cosine)]
        if kept:
            yield int(drawn[number]), np.concatenate(kept), float(counts[number] / len(candidates))


def _fewest(
    owners: NDArray[np.int64], others: NDArray[np.int64], keys: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Of each owner those with the `_PER_ROW` least keys, which are drawn at random."""
    order = np.lexsort((keys, owners))
    owners, others, keys = owners[order], others[order], keys[order]
    firsts = np.searchsorted(owners, owners)
    kept = np.arange(len(owners)) - firsts < _PER_ROW
    return owners[kept], others[kept], keys[kept]
