"""Spherical k-means cells as buckets, with a second cell for each document.

Cells: Dhillon & Modha, "Concept decompositions for large sparse text data using clustering",
Machine Learning 42 (2001). The second cell: Sun et al., "SOAR: Improved Indexing for
Approximate Nearest Neighbor Search", NeurIPS 2023, equation of the loss
l(r', r) = |r'|^2 + lambda * <r', r/|r|>^2, with r and r' the residuals to both centroids.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..embeddings import Embeddings, Progress, unit
from ..graphs.grid import GridWeights, centroids_to_grid, hyperplanes_to_grid
from ..specs import CellBucketsSpec
from ..statistics import random_rotation

_BATCH = 8192


def fit_cells(embeddings: Embeddings, spec: CellBucketsSpec, progress: Progress) -> GridWeights:
    """Cells from k-means; code bits from random rotations about the data's mean."""
    dims = embeddings.shape[1]
    rng = np.random.default_rng(spec.seed)
    cells = fit_cell_buckets(embeddings, spec, rng, progress)
    planes = np.vstack([random_rotation(dims, rng) for _ in range(-(-spec.n_bits // dims))])[
        : spec.n_bits
    ]
    mean = unit(embeddings).astype(np.float32).mean(axis=0, dtype=np.float64)
    code_rows, code_offsets = hyperplanes_to_grid(planes, planes @ mean)
    return replace(cells, code_rows=code_rows, code_offsets=code_offsets)


def fit_cell_buckets(
    embeddings: Embeddings, spec: CellBucketsSpec, rng: np.random.Generator, progress: Progress
) -> GridWeights:
    """Cells alone: weights with a code of no bits.

    Raises:
        InputError: fewer vectors than cells.
    """
    n, dims = embeddings.shape
    check_enough_for_cells(n, spec)
    x = unit(embeddings).astype(np.float32)
    centroids = spherical_kmeans(x, spec.n_buckets, spec.iterations, rng, progress)
    # Near cells get near ids: the index is sorted by bucket, so what is probed together
    # then lies together on disk.
    centroids = centroids[locality_order(centroids)]
    bucket_rows, scale = centroids_to_grid(centroids)
    return GridWeights(
        bucket_kind="cells",
        bucket_rows=bucket_rows,
        bucket_offsets=np.zeros(len(bucket_rows)),
        code_rows=np.zeros((0, dims), dtype=np.int16),
        code_offsets=np.zeros(0),
        centroids=unit(bucket_rows).astype(np.float32),
        scale=scale,
        n_tables=1,
        soar_lambda=spec.soar_lambda,
    )


def check_enough_for_cells(n: int, spec: CellBucketsSpec) -> None:
    """Refuse to make more cells than there are vectors.

    Raises:
        InputError: fewer vectors than cells.
    """
    if n < spec.n_buckets:
        raise InputError(
            f"{spec.n_buckets} cells need at least as many training vectors, got {n}; "
            f"give more vectors or fewer --buckets"
        )


def spherical_kmeans(
    x: NDArray[np.float32],
    n_cells: int,
    iterations: int,
    rng: np.random.Generator,
    progress: Progress,
) -> NDArray[np.float32]:
    """Cells' centroids of unit vectors, themselves of length 1.

    Args:
        x: (n, dims) float32 of length 1.
        n_cells: at most n.
        iterations: turns of assignment and mean.
        rng: draws the first centroids, and new ones for cells that ran empty.
        progress: called after every turn.

    Returns:
        (n_cells, dims) float32.
    """
    centroids = x[np.sort(rng.choice(len(x), n_cells, replace=False))]
    for turn in range(iterations):
        nearest = np.concatenate(
            [np.argmax(x[i : i + _BATCH] @ centroids.T, axis=1) for i in range(0, len(x), _BATCH)]
        )
        order = np.argsort(nearest, kind="stable")
        filled, starts = np.unique(nearest[order], return_index=True)
        sums = np.zeros_like(centroids)
        sums[filled] = np.add.reduceat(x[order], starts, axis=0)
        empty = ~sums.any(axis=1)
        sums[empty] = x[rng.choice(len(x), int(empty.sum()), replace=False)]
        centroids = unit(sums).astype(np.float32)
        progress("cells", turn + 1, iterations)
    return centroids


def locality_order(centroids: NDArray[np.float32]) -> NDArray[np.intp]:
    """An order of the centroids in which neighbours in the list are neighbours in space.

    Halves the set again and again at the median of its first principal axis.
    """
    leaf = 4
    parts = [np.arange(len(centroids))]
    while any(len(part) > leaf for part in parts):
        halves: list[NDArray[np.intp]] = []
        for part in parts:
            if len(part) <= leaf:
                halves.append(part)
                continue
            points = centroids[part] - centroids[part].mean(axis=0)
            axis = np.linalg.eigh(points.T @ points)[1][:, -1]
            along = part[np.argsort(points @ axis, kind="stable")]
            halves += [along[: len(along) // 2], along[len(along) // 2 :]]
        parts = halves
    return np.concatenate(parts)
