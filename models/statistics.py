"""What the kinds of model share: rotations, and mean vectors of bit buckets."""

import numpy as np
from numpy.typing import NDArray

from .embeddings import Embeddings, unit

_BATCH = 16384


def random_rotation(dims: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A (dims, dims) orthogonal matrix, uniformly drawn (Mezzadri, Notices AMS 54, 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((dims, dims)))
    rotation: NDArray[np.float64] = q * np.sign(np.diag(r))
    return rotation


def margins(
    x: NDArray[np.float64], rows: NDArray[np.int16], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """<rows, x> - offsets * |x|: (n, dims) float64 to (n, n_rows) float64."""
    norms = np.sqrt(np.square(x).sum(axis=1, keepdims=True))
    result: NDArray[np.float64] = x @ rows.astype(np.float64).T - norms * offsets
    return result


def table_buckets(bits: NDArray[np.bool_], n_tables: int) -> NDArray[np.int64]:
    """Bucket ids from the tables' bits: (n, n_tables * bits_per_table) to (n, n_tables).

    The first bit is the highest; table t's buckets begin at t * 2 ** bits_per_table.
    """
    n, n_rows = bits.shape
    per_table = n_rows // n_tables
    powers = 1 << np.arange(per_table - 1, -1, -1, dtype=np.int64)
    ids: NDArray[np.int64] = bits.reshape(n, n_tables, per_table).astype(np.int64) @ powers
    shifted: NDArray[np.int64] = ids + (np.arange(n_tables, dtype=np.int64) << per_table)
    return shifted


def table_centroids(
    embeddings: Embeddings,
    rows: NDArray[np.int16],
    offsets: NDArray[np.float64],
    n_tables: int,
) -> NDArray[np.float32]:
    """Direction of the mean of the training vectors in each bucket.

    Returns:
        (n_buckets, dims) float32, length 1, or zero where no vector fell.
    """
    ids = np.concatenate(
        [
            table_buckets(margins(unit(embeddings[i : i + _BATCH]), rows, offsets) > 0, n_tables)
            for i in range(0, len(embeddings), _BATCH)
        ]
    )
    return bucket_means(embeddings, ids, n_tables << (len(rows) // n_tables))


def bucket_means(
    embeddings: Embeddings, ids: NDArray[np.int64], n_buckets: int
) -> NDArray[np.float32]:
    """Direction of the mean of the directions in each bucket.

    Args:
        embeddings: (n, dims) float32.
        ids: (n, buckets_per_document) int64.
        n_buckets: possible buckets.

    Returns:
        (n_buckets, dims) float32, length 1, or zero where no vector fell.
    """
    sums = np.zeros((n_buckets, embeddings.shape[1]))
    for start in range(0, len(embeddings), _BATCH):
        x = unit(embeddings[start : start + _BATCH])
        for column in ids[start : start + _BATCH].T:
            np.add.at(sums, column, x)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    means = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)
    directions: NDArray[np.float32] = means.astype(np.float32)
    return directions
