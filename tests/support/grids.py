"""Weights on the grid and vectors that lie where a hash is hard to decide."""

import numpy as np

from meta4 import HashModel
from meta4.models.artifact import Manifest, TrainingData, checksum
from meta4.models.graphs.grid import GRID_MAX, GridWeights
from meta4.models.graphs.linear_graph import linear_hash_to_onnx
from meta4.models.specs import CellsSpec


def cell_weights(rows, *, scale=1.0 / GRID_MAX, soar_lambda=1.0, code_rows=None, offsets=None):
    rows = np.asarray(rows, dtype=np.int16)
    code_rows = rows[:8] if code_rows is None else np.asarray(code_rows, dtype=np.int16)
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0)
    return GridWeights(
        bucket_kind="cells",
        bucket_rows=rows,
        bucket_offsets=np.zeros(len(rows)),
        code_rows=code_rows,
        code_offsets=np.zeros(len(code_rows)) if offsets is None else np.asarray(offsets, float),
        centroids=(rows / lengths).astype(np.float32),
        scale=scale,
        n_tables=1,
        soar_lambda=soar_lambda,
    )


def spherical(rng, n, dims):
    """Cells of length one on the grid, some of them twice, some nearly the same."""
    rows = rng.standard_normal((n, dims))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.rint(rows * GRID_MAX).astype(np.int16)
    rows[n // 2] = rows[0]
    rows[n - 1] = rows[1]
    rows[n - 2] = rows[2]
    rows[n - 2, 0] += 1 if rows[n - 2, 0] < GRID_MAX else -1
    return rows


def hard_vectors(rng, rows):
    """Centroids, what is as near to two, those with their last bit another, lengths 1e-42 to 1e36.

    Gives (n, dims) float32, finite and not zero.
    """
    rows = np.asarray(rows, dtype=np.float32)
    some, others = rng.permutation(rows)[:12], rng.permutation(rows)[:12]
    x = np.concatenate(
        [some, some + others, some - others, rng.integers(-2, 3, (12, len(rows[0])))]
    )
    x = x.astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), rng.standard_normal(x.shape)])
    x = np.concatenate([x, x[::3] * np.float32(1e-20), x[1::3] * np.float32(1e33)])
    x = np.concatenate([x, x[::5] * np.float32(1e-25)]).astype(np.float32)
    return x[x.any(axis=1)]


def model_of(weights):
    """A model of cells that has these weights."""
    onnx_bytes = linear_hash_to_onnx(weights)
    n_buckets, dims = weights.bucket_rows.shape
    manifest = Manifest(
        spec=CellsSpec(
            n_bits=len(weights.code_rows), n_buckets=n_buckets, soar_lambda=weights.soar_lambda
        ),
        dims=dims,
        n_buckets=n_buckets,
        buckets_per_document=2,
        training=TrainingData(n=n_buckets, fingerprint="none"),
        sha256=checksum(onnx_bytes),
    )
    return HashModel(manifest, onnx_bytes)
