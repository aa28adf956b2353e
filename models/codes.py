"""Binary codes: packed bytes for arrays, 64-bit longs for engines, Hamming distance."""

import numpy as np
from numpy.typing import NDArray

BITS_PER_LONG = 64
MIN_BITS, MAX_BITS = 3, 1024


def n_longs(n_bits: int) -> int:
    """Number of 64-bit fields that hold a code of `n_bits`."""
    return -(-n_bits // BITS_PER_LONG)


def pack_bits(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack bits, first bit highest, as `numpy.packbits` does.

    Args:
        bits: (n, n_bits) bool.

    Returns:
        (n, ceil(n_bits / 8)) uint8; the last byte is filled up with zeros.
    """
    return np.packbits(bits, axis=1)


def unpack_bits(codes: NDArray[np.uint8], n_bits: int) -> NDArray[np.bool_]:
    """Inverse of `pack_bits`: (n, ceil(n_bits / 8)) uint8 to (n, n_bits) bool."""
    return np.unpackbits(codes, axis=1, count=n_bits).astype(bool)


def codes_to_longs(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Codes as the engines store them: signed, big-endian, 64 bits a field.

    Args:
        codes: (n, n_bytes) uint8.

    Returns:
        (n, ceil(n_bytes / 8)) int64; the last long is filled up with zeros on the right.
    """
    n, n_bytes = codes.shape
    padded = np.zeros((n, -(-n_bytes // 8) * 8), dtype=np.uint8)
    padded[:, :n_bytes] = codes
    return padded.view(">i8").astype(np.int64)


def longs_to_codes(longs: NDArray[np.int64], n_bits: int) -> NDArray[np.uint8]:
    """Inverse of `codes_to_longs`: (n, m) int64 to (n, ceil(n_bits / 8)) uint8."""
    as_bytes = np.ascontiguousarray(longs.astype(">i8")).view(np.uint8)
    return as_bytes[:, : -(-n_bits // 8)].copy()


def hamming_distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pairwise Hamming distances.

    Args:
        a: (n, n_bytes) uint8.
        b: (m, n_bytes) uint8.

    Returns:
        (n, m) int64 in [0, 8 * n_bytes].
    """
    ours, theirs = (codes_to_longs(codes).view(np.uint64) for codes in (a, b))
    distances = np.zeros((len(a), len(b)), dtype=np.int64)
    for word in range(ours.shape[1]):
        distances += np.bitwise_count(ours[:, word, None] ^ theirs[:, word])
    return distances
