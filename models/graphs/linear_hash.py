"""A linear hash of many vectors, in NumPy: what `meta4.models.graphs.grid` defines, bit by bit.

Products with all rows are taken in an arithmetic that is faster than the definition's, and what
comes within its error of being decided otherwise is computed anew as it is defined: nearly always
one cell of thousands. The errors are bounded for any order of addition (Higham, "Accuracy and
Stability of Numerical Algorithms", 2nd edition, section 3.1).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..embeddings import Embeddings, Progress, lengths_of, matrix_products, no_progress
from ..statistics import table_buckets
from .grid import GridWeights, dots, in_order

#: Relative error of a rounding to float32, and to float64.
_ROUNDING_32, _ROUNDING_64 = 2.0**-24, 2.0**-53
#: Vectors at once, and numbers of their products with all cells: 4 MB.
_BATCH, _PRODUCTS = 128, 1 << 20
#: Products that are computed anew at once.
_ANEW = 2048
#: Residuals are no shorter: one of length zero has no direction, and needs none.
_TINY = 1e-300

#: Of as many rows as vectors, by their positions, a number for each pair.
_Numbers = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]


class LinearHash:
    """Bits and buckets of embeddings.

    Args:
        weights: fitted.
    """

    def __init__(self, weights: GridWeights) -> None:
        self._weights = weights
        self._code = _Hyperplanes(weights.code_rows, weights.code_offsets)
        if weights.bucket_kind == "cells":
            self._bucket_ids = _Cells(weights).ids
        else:
            self._tables = _Hyperplanes(weights.bucket_rows, weights.bucket_offsets)
            self._bucket_ids = self._of_tables

    def bits(self, embeddings: Embeddings) -> NDArray[np.bool_]:
        """Bits of codes.

        Args:
            embeddings: (n, dims) float32, finite, no zero rows, n > 0.

        Returns:
            (n, n_bits) bool.
        """
        return np.concatenate([self._code.signs(x) for x in self._batches(embeddings)])

    def buckets(
        self, embeddings: Embeddings, progress: Progress = no_progress
    ) -> NDArray[np.int64]:
        """Bucket ids.

        Args:
            embeddings: (n, dims) float32, finite, no zero rows, n > 0.
            progress: called with ("hashing", rows done, n).

        Returns:
            (n, buckets_per_document) int64: a cell and SOAR's second, or one of each table.
        """
        n_done, found = 0, []
        for x in self._batches(embeddings):
            found.append(self._bucket_ids(x))
            n_done += len(x)
            progress("hashing", n_done, len(embeddings))
        return np.concatenate(found)

    def _of_tables(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        return table_buckets(self._tables.signs(x), self._weights.n_tables)

    def _batches(self, embeddings: Embeddings) -> Iterator[NDArray[np.float64]]:
        size = max(1, min(_BATCH, _PRODUCTS // self._weights.n_buckets))
        for start in range(0, len(embeddings), size):
            yield embeddings[start : start + size].astype(np.float64)


class _Hyperplanes:
    """On which sides of hyperplanes vectors are.

    Both ways to compute a margin err by at most (dims + 2) roundings of |row| |x| + |offset| |x|.
    """

    def __init__(self, rows: NDArray[np.int16], offsets: NDArray[np.float64]) -> None:
        self._rows = rows
        self._doubles = rows.astype(np.float64)
        self._offsets = offsets
        largest = np.sqrt(np.square(self._doubles).sum(axis=1)) + np.abs(offsets)
        #: Of a vector of length 1, how near to zero a margin's sign is not known.
        self._near = largest * (2 * rows.shape[1] + 8) * _ROUNDING_64

    def signs(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n, n_rows) whether margins of (n, dims) vectors are above zero."""
        norms = lengths_of(x)
        margins = matrix_products(self._doubles, x.T) - self._offsets[:, None] * norms
        signs: NDArray[np.bool_] = margins > 0.0
        near = np.flatnonzero(np.abs(margins) <= self._near[:, None] * norms)

        def anew(rows: NDArray[np.intp], of: NDArray[np.intp]) -> NDArray[np.float64]:
            return dots(self._rows[rows], x[of]) - self._offsets[rows] * norms[of]

        signs.ravel()[near] = _in_parts(anew, *np.divmod(near, len(x))) > 0.0
        return signs.T


class _Cells:
    """The nearest cells of vectors, and SOAR's second.

    A float32 product of a cell's centroid c and a vector of length 1 errs by at most dims + 3
    roundings of |c|: two of the numbers themselves, and dims of the sum. Of two that are compared
    either may err, and so may what is added to one of them for that.
    """

    def __init__(self, weights: GridWeights) -> None:
        self._weights = weights
        centroids = weights.bucket_rows.astype(np.float64) * weights.scale
        longest = np.sqrt(np.square(centroids).sum(axis=1).max())
        dims = centroids.shape[1]
        # Doubled, as the loss has them: a factor of two is exact.
        self._doubled = (2.0 * centroids).astype(np.float32)
        self._constants = weights.loss_constants.astype(np.float32)[:, None]
        self._root = np.sqrt(weights.soar_lambda)
        self._near_product = np.float32(2.0 * longest * (2 * dims + 8) * _ROUNDING_32)
        # The square's own error is twice that of what is squared, at most 1 + |c|, times that.
        largest = (1.0 + weights.soar_lambda) * (1.0 + longest) ** 2
        self._near_loss = np.float32(largest * (4 * dims + 34) * _ROUNDING_32)

    def ids(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """(n, 2) ids of the cells of (n, dims) vectors."""
        rows, scale, norms = self._weights.bucket_rows, self._weights.scale, lengths_of(x)
        u = x / norms[:, None]

        def cosines(cells: NDArray[np.intp], of: NDArray[np.intp]) -> NDArray[np.float64]:
            return dots(rows[cells], x[of]) * scale / norms[of]

        products = matrix_products(self._doubled, u.T.astype(np.float32))
        near = products >= products.max(axis=0) - self._near_product
        first = _least(near, lambda cells, of: -cosines(cells, of))

        residuals = u - rows[first] * scale
        directions = residuals / np.maximum(lengths_of(residuals), _TINY)[:, None]
        along = in_order(directions * x / norms[:, None])

        def losses(cells: NDArray[np.intp], of: NDArray[np.intp]) -> NDArray[np.float64]:
            across = along[of] - dots(rows[cells], directions[of]) * scale
            plain = self._weights.loss_constants[cells] - 2.0 * cosines(cells, of)
            return plain + self._weights.soar_lambda * across * across

        # The root of lambda goes into the directions, where it costs no pass over all cells.
        halved = (0.5 * self._root * directions).T.astype(np.float32)
        loss = matrix_products(self._doubled, halved)
        loss -= (self._root * along).astype(np.float32)
        loss *= loss
        loss -= products
        loss += self._constants
        loss[first, np.arange(len(x))] = np.inf
        near = loss <= loss.min(axis=0) + self._near_loss
        return np.stack([first, _least(near, losses)], axis=1)


def _least(near: NDArray[np.bool_], numbers: _Numbers) -> NDArray[np.int64]:
    """For each column the row with the least number, the first of equals.

    Args:
        near: (n_rows, n) which come into question, at least one in each column.
        numbers: by definition.
    """
    n = near.shape[1]
    rows, of = np.divmod(np.flatnonzero(near), n)  # ten times as fast as `nonzero`
    order = np.lexsort((rows, _in_parts(numbers, rows, of), of))
    return rows[order][np.searchsorted(of[order], np.arange(n))]


def _in_parts(
    numbers: _Numbers, rows: NDArray[np.intp], of: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The numbers of many pairs, in bounded memory."""
    found = np.empty(len(rows))
    for start in range(0, len(rows), _ANEW):
        part = slice(start, start + _ANEW)
        found[part] = numbers(rows[part], of[part])
    return found
