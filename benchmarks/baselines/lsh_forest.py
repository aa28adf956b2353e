"""LSH Forest (Bawa, Condie & Ganesan, WWW 2005): datasketch's, over signs of random projections."""

import numpy as np
from datasketch import MinHash, MinHashLSHForest
from numpy.typing import NDArray

#: Trees and their depth: ten labels, as deep as 60,000 documents need and some more.
_TREES, _DEPTH = 10, 24


class LshForest:
    """The forest knows of hash values only, whatever family they are of.

    Args:
        base: (n, dims) float32.
    """

    def __init__(self, base: NDArray[np.float32]) -> None:
        rng = np.random.default_rng(0)
        self._projections = rng.standard_normal((base.shape[1], _TREES * _DEPTH)).astype(np.float32)
        self._forest = MinHashLSHForest(num_perm=_TREES * _DEPTH, l=_TREES)
        for row, values in enumerate(self._values(base)):
            self._forest.add(row, values)
        self._forest.index()

    def candidates(self, query: NDArray[np.float32], n: int) -> NDArray[np.intp]:
        """The n rows with the longest common labels."""
        (values,) = self._values(query[None])
        return np.array(self._forest.query(values, n), dtype=np.intp)

    def _values(self, x: NDArray[np.float32]) -> list[MinHash]:
        signs = (x @ self._projections > 0).astype(np.uint64)
        return [MinHash(num_perm=len(row), hashvalues=row, scheme="legacy") for row in signs]
