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


def itq_index(base: NDArray[np.float32], n_bits: int) -> faiss.Index:
    """`ITQTransform` before the signs, trained; no more bits than dimensions."""
    return _trained(faiss.index_factory(base.shape[1], f"ITQ{n_bits},LSH"), base)


def lsh_codes(base: NDArray[np.float32], queries: NDArray[np.float32], n_bits: int) -> Codes:
    """`IndexLSH` with a random rotation and trained thresholds, as the NPHash paper takes it."""
    index = _trained(faiss.IndexLSH(base.shape[1], n_bits, True, True), base)
    return Codes(index.sa_encode(base), index.sa_encode(queries))


def itq_codes(base: NDArray[np.float32], queries: NDArray[np.float32], n_bits: int) -> Codes | None:
    """Of `itq_index`; None where there are more bits than dimensions."""
    if n_bits > base.shape[1]:
        return None
    index = itq_index(base, n_bits)
    return Codes(index.sa_encode(base), index.sa_encode(queries))


def _trained(index: faiss.Index, base: NDArray[np.float32]) -> faiss.Index:
    step = -(-len(base) // _TRAINED_ON)
    index.train(np.ascontiguousarray(base[::step]))
    return index
