"""Pairs of vectors that are at least so similar, found by buckets, or by comparing everything.

A vector is compared with those that lie in the buckets nearest to it. Two that are alike have the
same buckets near them, wherever each lies: a pair is found from either side.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..embeddings import Embeddings, matrix_products
from .bucket_rows import BucketRows

#: Products of two rows at once, and rows whose cosines are decided at once.
_PRODUCTS, _DECIDED = 1 << 22, 1 << 16
#: Rows of a block where all are compared with all.
_BLOCK = 2_048
#: Multiplications that threads are not worth waking for: a bucket takes fewer, and there are many.
_SMALL = 1 << 24
#: Decimals of a cosine: what float64 makes of it, and not the last digits, in which a vector
#: and its double differ.
DECIMALS = 12


class Pairs(NamedTuple):
    """Some pairs of rows, in no certain order, none of which comes twice.

    Attributes:
        a: (m,) int64.
        b: (m,) int64, never that of `a`.
        cosines: (m,) float64, rounded to `DECIMALS`.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    cosines: NDArray[np.float64]


@dataclass(frozen=True)
class BucketJoin:
    """Rows, each compared with those in some buckets.

    Attributes:
        rows: the vectors.
        looked_into: (n, reach) int32, the buckets of each row, its own among them; None where all
            rows are compared with all.
    """

    rows: BucketRows
    looked_into: NDArray[np.int32] | None

    @property
    def share(self) -> float:
        """How many of all pairs are compared, those that come from both sides counted twice."""
        if self.looked_into is None:
            return 1.0
        sizes = np.diff(self.rows.starts)
        return float(sizes[self.looked_into].sum() * 2.0 / max(1, len(self.rows.rows)) ** 2)

    def finds(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(m,) whether pairs of rows are compared."""
        if self.looked_into is None:
            return np.ones(len(a), dtype=np.bool_)
        return self._looks(a, b) | self._looks(b, a)

    def _looks(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of `a` looks into the bucket of its `b`."""
        assert self.looked_into is not None
        looks: NDArray[np.bool_] = np.any(
            self.looked_into[a] == self.rows.buckets[b][:, None], axis=1
        )
        return looks

    def pairs(
        self, min_cosine: float, advance: Callable[[int], None] = lambda _: None
    ) -> Iterator[Pairs]:
        """All pairs that are compared and at least so similar, as rows of `rows`.

        Args:
            min_cosine: how similar.
            advance: called with the rows that are done since the last call.
        """
        for a, b in self.candidates(min_cosine, advance):
            yield from decided(self.rows.rows, a, b, min_cosine)

    def candidates(
        self, min_cosine: float, advance: Callable[[int], None] = lambda _: None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """The same as float32 has them, and a few that are a hair less similar; each once."""
        blocks = self._all_blocks() if self.looked_into is None else self._bucket_blocks()
        for a, b, done in blocks:
            for some, others in close_rows(self.rows.rows, a, b, min_cosine):
                kept = self._once(some, others)
                if kept.any():
                    yield some[kept], others[kept]
            advance(done)

    def _all_blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
        """Which rows are compared with which; and how many are then done with."""
        rows = np.arange(len(self.rows.rows))
        for start in range(0, len(rows), _BLOCK):
            yield rows[start : start + _BLOCK], rows[start:], len(rows[start : start + _BLOCK])

    def _bucket_blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
        assert self.looked_into is not None
        reach = self.looked_into.shape[1]
        by_bucket = np.argsort(self.looked_into, axis=None, kind="stable")
        counts = np.bincount(self.looked_into.ravel(), minlength=len(self.rows.starts) - 1)
        ends = np.cumsum(counts)
        for number, (start, end) in enumerate(self.rows.spans()):
            looking = by_bucket[ends[number] - counts[number] : ends[number]] // reach
            yield np.arange(start, end), looking, end - start

    def _once(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which do not come from the other side too, and are not a row and itself."""
        kept: NDArray[np.bool_] = a < b
        if self.looked_into is not None:
            own, other = self.rows.buckets[a], self.rows.buckets[b]
            kept = np.where(own == other, kept, (own < other) | ~self._looks(a, b))
        return kept


def close_rows(
    rows: Embeddings, a: NDArray[np.int64], b: NDArray[np.int64], min_cosine: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Those of some rows and some others that may be so similar; a row and itself are, too.

    Products in float32 find these, and `decided` by float64: the same whatever is compared with it.

    Args:
        rows: (n, dims) float32 of length 1.
        a: (k,) int64, ascending without a gap.
        b: (m,) int64.
        min_cosine: how similar.
    """
    if not len(a):
        return
    # What a sum of so many float32 products can be off by, and rows' lengths.
    limit = np.float32(min_cosine - (rows.shape[1] + 8) * np.finfo(np.float32).eps)
    height = min(len(a), _BLOCK)
    width = max(1, _PRODUCTS // height)
    room = np.empty(height * min(width, len(b)), dtype=np.float32)  # fresh pages cost more
    for start in range(0, len(b), width):
        others = b[start : start + width]
        columns = rows[others].T
        for first in range(a[0], a[-1] + 1, height):
            some = rows[first : min(first + height, a[-1] + 1)]
            if some.size * len(others) <= _SMALL:
                products = matrix_products(some, columns)
            else:
                products = room[: len(some) * len(others)].reshape(len(some), len(others))
                np.matmul(some, columns, out=products)
            close = np.flatnonzero(products >= limit)
            if len(close):
                i, j = np.divmod(close, len(others))
                yield first + i, others[j]


def decided(
    rows: Embeddings, a: NDArray[np.int64], b: NDArray[np.int64], min_cosine: float
) -> Iterator[Pairs]:
    """Of pairs of rows those that are at least so similar."""
    for start in range(0, len(a), _DECIDED):
        part = slice(start, start + _DECIDED)
        cosines = cosines_of(rows[a[part]], rows[b[part]])
        kept = cosines >= min_cosine
        if kept.any():
            yield Pairs(a[part][kept], b[part][kept], cosines[kept])


def cosines_of(a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
    """(m,) cosines of (m, dims) rows with as many others, in float64, to `DECIMALS`."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    squares = np.square(x).sum(axis=1) * np.square(y).sum(axis=1)
    cosines: NDArray[np.float64] = np.round((x * y).sum(axis=1) / np.sqrt(squares), DECIMALS)
    return cosines
