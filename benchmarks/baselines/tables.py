"""Hash tables over all documents, looked up for many keys at once."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class HashTables:
    """Several tables in one sorted list of keys.

    Args:
        keys: (n, n_tables) int64, of which no two tables share one.
    """

    def __init__(self, keys: NDArray[np.int64]) -> None:
        n, n_tables = keys.shape
        self.n = n
        order = np.argsort(keys.ravel(), kind="stable")
        self._rows = (order // n_tables).astype(np.int32)
        self._keys, starts = np.unique(keys.ravel()[order], return_index=True)
        self._starts = np.append(starts, len(order))

    def documents(self, keys: NDArray[np.int64]) -> NDArray[np.intp]:
        """The rows that have any of (m,) keys, each once."""
        places = np.minimum(self._keys.searchsorted(keys), len(self._keys) - 1)
        return self._of_places(places[self._keys[places] == keys].tolist())

    def _of_places(self, places: Iterable[int]) -> NDArray[np.intp]:
        seen = np.zeros(self.n, dtype=np.bool_)
        starts = self._starts
        for place in places:
            seen[self._rows[starts[place] : starts[place + 1]]] = True
        return np.flatnonzero(seen)
