"""Vectors that lie bucket by bucket, and the buckets nearest to each of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from ..embeddings import Embeddings, matrix_products

#: Rows at a time.
_BATCH = 8_192
#: Buckets about a vector's own among which its nearest are looked for: among all it would cost a
#: twentieth of comparing everything.
NEAR = 256


def in_file(blocks: Iterable[Embeddings], dims: int) -> Embeddings:
    """(n, dims) float32 rows that come block by block, in a temporary file that is mapped.

    The system keeps in memory what there is room for; the file has no name, and is gone with us.
    """
    with TemporaryFile() as file:
        n = 0
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype=np.float32).data)
            n += len(block)
        file.flush()
        if n == 0:
            return np.empty((0, dims), dtype=np.float32)
        return np.asarray(np.memmap(file, dtype=np.float32, mode="r", shape=(n, dims)))


@dataclass(frozen=True)
class BucketRows:
    """Vectors in the order of their buckets, which are numbered anew without empty ones.

    Attributes:
        rows: (n, dims) float32 of length 1.
        buckets: (n,) int32, ascending.
        order: (n,) int64, where each row was before.
    """

    rows: Embeddings
    buckets: NDArray[np.int32]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Embeddings, buckets: NDArray[np.int64]) -> "BucketRows":
        """Sort rows by bucket; those that have none go into the one whose mean is nearest.

        Args:
            rows: (n, dims) float32 of length 1.
            buckets: (n,) int64, -1 where a row has none.
        """
        astray = np.flatnonzero(buckets < 0)
        if 0 < len(astray) < len(rows):
            known = cls.of_known(rows, buckets, np.flatnonzero(buckets >= 0))
            names = buckets[known.order[known.starts[:-1]]]
            buckets = buckets.copy()
            height = max(1, _BATCH * NEAR // len(known.means))
            for start in range(0, len(astray), height):
                part = astray[start : start + height]
                buckets[part] = names[np.argmax(rows[part] @ known.means.T, axis=1)]
        return cls.of_known(rows, buckets, np.arange(len(rows)))

    @classmethod
    def of_known(
        cls, rows: Embeddings, buckets: NDArray[np.int64], chosen: NDArray[np.int64]
    ) -> "BucketRows":
        """Some rows, sorted by bucket."""
        order = chosen[np.argsort(buckets[chosen], kind="stable")]
        blocks = (rows[order[i : i + _BATCH]] for i in range(0, len(order), _BATCH))
        numbers = np.unique(buckets[order], return_inverse=True)[1].astype(np.int32)
        return cls(in_file(blocks, rows.shape[1]), numbers, order)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(n_buckets + 1,) where each bucket's rows begin, and where the last one's end."""
        firsts = np.flatnonzero(np.diff(self.buckets, prepend=-1))
        return np.append(firsts, len(self.rows))

    @cached_property
    def means(self) -> Embeddings:
        """(n_buckets, dims) float32: directions of the buckets' means."""
        sums = np.empty((len(self.starts) - 1, self.rows.shape[1]), dtype=np.float32)
        for number, (start, end) in enumerate(self.spans()):
            sums[number] = self.rows[start:end].sum(axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        np.divide(sums, lengths, out=sums, where=lengths > 0)
        return sums

    def spans(self) -> Iterator[tuple[int, int]]:
        """Where each bucket's rows begin and end."""
        return pairwise(self.starts.tolist())

    def nearest(self, n: int) -> NDArray[np.int32]:
        """The buckets nearest to each row, its own first of all; in no certain order.

        Args:
            n: how many, no more than there are, and than `NEAR`.

        Returns:
            (n_rows, n) int32.
        """
        found = np.empty((len(self.rows), n), dtype=np.int32)
        for number, (first, last) in enumerate(self.spans()):
            near = self._near[number]
            means = self.means[near].T
            for start in range(first, last, _BATCH):
                rows = slice(start, min(start + _BATCH, last))
                costs = -matrix_products(self.rows[rows], means)
                costs[:, near == number] = -np.inf
                found[rows] = near[_smallest(costs, n)]
        return found

    @cached_property
    def _near(self) -> NDArray[np.int32]:
        """(n_buckets, NEAR or all) int32: the buckets about each, itself among them."""
        n = len(self.means)
        near = np.empty((n, min(n, NEAR)), dtype=np.int32)
        height = max(1, _BATCH * NEAR // n)
        for start in range(0, n, height):
            rows = np.arange(start, min(start + height, n))
            costs = -(self.means[rows] @ self.means.T)
            costs[rows - start, rows] = -np.inf
            near[rows] = _smallest(costs, near.shape[1])
        return near

    def place_of(self, rows: NDArray[np.int64], buckets: NDArray[np.int32]) -> NDArray[np.int64]:
        """How many of its nearest buckets a row must have for one of them to be among these.

        Args:
            rows: (m,) which.
            buckets: (m,) one for each.

        Returns:
            (m,) int64, 1 for its own.
        """
        places = np.empty(len(rows), dtype=np.int64)
        height = max(1, _BATCH * NEAR // len(self.means))
        for start in range(0, len(rows), height):
            part = slice(start, start + height)
            scores = self.rows[rows[part]] @ self.means.T
            at = np.arange(len(scores))
            limits = scores[at, buckets[part]]
            own = self.buckets[rows[part]]
            scores[at, own] = -np.inf
            nearer = (scores > limits[:, None]).sum(axis=1)
            places[part] = np.where(own == buckets[part], 1, nearer + 2)
        return places


def _smallest(costs: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """(m, n) columns of the smallest in each row."""
    if n == costs.shape[1]:
        return np.broadcast_to(np.arange(n), costs.shape)
    return np.argpartition(costs, n - 1, axis=1)[:, :n]
