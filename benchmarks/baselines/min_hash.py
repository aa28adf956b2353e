"""MinHash LSH (Broder, 1997; Indyk & Motwani, STOC 1998): datasketch's, over sets of dimensions."""

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

#: A vector's set: the dimensions in which it is largest.
_LARGEST = 64
_PERMUTATIONS, _THRESHOLD = 128, 0.3


class MinHashTables:
    """Args: base: (n, dims) float32."""

    def __init__(self, base: NDArray[np.float32]) -> None:
        self._tables = MinHashLSH(threshold=_THRESHOLD, num_perm=_PERMUTATIONS)
        self._names = [str(name).encode() for name in range(base.shape[1])]
        with self._tables.insertion_session() as session:
            for row, values in enumerate(self._values(base)):
                session.insert(row, values)

    def candidates(self, query: NDArray[np.float32]) -> NDArray[np.intp]:
        """Rows that share a bucket."""
        (values,) = self._values(query[None])
        return np.array(self._tables.query(values), dtype=np.intp)

    def _values(self, x: NDArray[np.float32]) -> list[MinHash]:
        largest = np.argpartition(-x, _LARGEST, axis=1)[:, :_LARGEST]
        sets = ([self._names[i] for i in row] for row in largest.tolist())
        return list(MinHash.generator(sets, num_perm=_PERMUTATIONS))
