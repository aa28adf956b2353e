"""FAISS's own binary codes: LSH with a rotation and trained thresholds, and ITQ."""

from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

#: As much as FAISS itself takes to train ITQ.
_TRAINED_ON = 100_000


class Codes(NamedTuple):
    """Packed codes: (n, n_bytes) uint8 of the base and of the queries."""

    base: NDArray[np.uint8]
    queries: NDArray[np.uint8]


def lsh_codes(base: NDArray[np.float32], queries: NDArray[np.float32], n_bits: int) -> Codes:
    """`IndexLSH` with a random rotation and trained thresholds, as the NPHash paper takes it."""
    return _codes(faiss.IndexLSH(base.shape[1], n_bits, True, True), base, queries)


def itq_codes(base: NDArray[np.float32], queries: NDArray[np.float32], n_bits: int) -> Codes | None:
    """`ITQTransform` before the signs; None where there are more bits than dimensions."""
    if n_bits > base.shape[1]:
        return None
    return _codes(faiss.index_factory(base.shape[1], f"ITQ{n_bits},LSH"), base, queries)


def _codes(index: faiss.Index, base: NDArray[np.float32], queries: NDArray[np.float32]) -> Codes:
    step = -(-len(base) // _TRAINED_ON)
    index.train(np.ascontiguousarray(base[::step]))
    return Codes(index.sa_encode(base), index.sa_encode(queries))
