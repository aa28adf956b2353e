"""Iterative quantisation (Gong & Lazebnik, "Iterative quantization", CVPR 2011, section 2)."""

import numpy as np
from numpy.typing import NDArray

from ..embeddings import Embeddings, Progress, unit
from ..graphs.grid import GridWeights, hyperplanes_to_grid
from ..specs import ItqSpec
from ..statistics import random_rotation, table_centroids


def fit_itq(embeddings: Embeddings, spec: ItqSpec, progress: Progress) -> GridWeights:
    """PCA, then the rotation that brings the projected data nearest to the hypercube's corners.

    More bits than dimensions are made of several rotations of the same projection. Each
    table has a rotation of its own.
    """
    rng = np.random.default_rng(spec.seed)
    x = unit(embeddings)
    mean = x.mean(axis=0)
    x -= mean
    axes = _principal_axes(x)
    widths = _block_widths(spec.n_bits, x.shape[1])
    tables = [spec.bits_per_table] * spec.n_tables
    n_steps = (len(widths) + len(tables)) * spec.iterations
    done = 0
    blocks: list[NDArray[np.float64]] = []
    for width in [*tables, *widths]:
        usable = min(width, x.shape[1])
        projection = axes[:, :usable]
        projected = x @ projection
        rotation = random_rotation(usable, rng)
        for _ in range(spec.iterations):
            rotation = _update_rotation(projected, rotation)
            done += 1
            progress("rotations", done, n_steps)
        rows = (projection @ rotation).T
        if usable < width:  # a table with more bits than the data has dimensions
            rows = np.vstack([rows, rng.standard_normal((width - usable, x.shape[1]))])
        blocks.append(rows)
    bucket_planes = np.vstack(blocks[: len(tables)])
    code_planes = np.vstack(blocks[len(tables) :])
    bucket_rows, bucket_offsets = hyperplanes_to_grid(bucket_planes, bucket_planes @ mean)
    code_rows, code_offsets = hyperplanes_to_grid(code_planes, code_planes @ mean)
    return GridWeights(
        bucket_kind="bits",
        bucket_rows=bucket_rows,
        bucket_offsets=bucket_offsets,
        code_rows=code_rows,
        code_offsets=code_offsets,
        centroids=table_centroids(embeddings, bucket_rows, bucket_offsets, spec.n_tables),
        scale=1.0,
        n_tables=spec.n_tables,
        soar_lambda=0.0,
    )


def _principal_axes(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """(dims, dims) eigenvectors of the covariance, largest variance first."""
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes: NDArray[np.float64] = vectors[:, ::-1]
    return axes


def _update_rotation(
    projected: NDArray[np.float64], rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One turn of section 2.2: fix R and set B = sgn(VR), then fix B and solve Procrustes."""
    corners = np.where(projected @ rotation > 0, 1.0, -1.0)
    left, _, right = np.linalg.svd(corners.T @ projected)
    updated: NDArray[np.float64] = (left @ right).T
    return updated


def _block_widths(n_bits: int, dims: int) -> list[int]:
    """Split `n_bits` into blocks of at most `dims`, as even as possible."""
    n_blocks = -(-n_bits // dims)
    return [len(part) for part in np.array_split(np.arange(n_bits), n_blocks)]
