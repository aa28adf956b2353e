"""Locally optimised product quantisation (Kalantidis & Avrithis, CVPR 2014), out of FAISS's parts.

The authors' own package is for Python 2. A coarse quantiser's cells have each a rotation and a
product quantiser of their own for the residuals.
"""

import faiss
import numpy as np
from numpy.typing import NDArray

#: Dimensions kept, cells, subquantisers, and bits of each: a cell of a few thousand documents has
#: enough to train 64 centroids with, and not 256.
_KEPT, _CELLS, _PARTS, _BITS = 128, 16, 32, 6
_PROBED = 4


class Lopq:
    """Args: base: (n, dims) float32."""

    def __init__(self, base: NDArray[np.float32]) -> None:
        self._axes = faiss.PCAMatrix(base.shape[1], min(_KEPT, base.shape[1]))
        self._axes.train(base)
        x = self._axes.apply(base)
        dims = x.shape[1]
        kmeans = faiss.Kmeans(dims, _CELLS, niter=20, seed=1)
        kmeans.train(x)
        self._centroids = np.asarray(kmeans.centroids)
        cells = kmeans.index.search(x, 1)[1][:, 0]
        self._members = [np.flatnonzero(cells == cell) for cell in range(_CELLS)]
        self._indexes = []
        for cell, rows in enumerate(self._members):
            rotation = faiss.OPQMatrix(dims, _PARTS)
            rotation.niter = 10
            quantiser = faiss.ProductQuantizer(dims, _PARTS, _BITS)
            rotation.pq = quantiser  # else it takes 8 bits for the rotation's training
            index = faiss.IndexPreTransform(rotation, faiss.IndexPQ(dims, _PARTS, _BITS))
            residuals = x[rows] - self._centroids[cell]
            index.train(residuals)
            index.add(residuals)
            self._indexes.append(index)

    def candidates(self, query: NDArray[np.float32], n: int) -> NDArray[np.intp]:
        """The n rows with the nearest residuals, of the nearest cells."""
        x = self._axes.apply(query[None])
        near = np.argsort(np.square(self._centroids - x).sum(axis=1))[:_PROBED]
        distances, rows = [], []
        for cell in near.tolist():
            of_cell = min(n, len(self._members[cell]))
            found, places = self._indexes[cell].search(x - self._centroids[cell], of_cell)
            distances.append(found[0])
            rows.append(self._members[cell][places[0]])
        best = np.argsort(np.concatenate(distances), kind="stable")[:n]
        return np.asarray(np.concatenate(rows)[best])
