"""Weights on an integer grid: the one definition of a linear hash that every runtime shares.

A hash is computed in two places, Painless (ingest pipeline) and NumPy (`linear_hash.py`), and
anybody may compute it in a third with onnxruntime. Here weights are integers in
[-GRID_MAX, GRID_MAX] and sums are float64: a float32 input times such an integer is exact, and
what is left of the order of addition is 1e-16 of the sum. The first two add in one order, that
of `dots` and `lengths_of`, and so agree on ties, too. The range is chosen so that a weight is one
character of two UTF-8 bytes in the pipeline (`meta4.ingest.pipeline`).

    margin_r(x) = <rows_r, x> - offsets_r * |x|        bit_r = margin_r > 0
    cosine_j(x) = scale * <rows_j, x> / |x|            cell  = argmax_j, lowest id on ties
    loss_j(x)   = constants_j - 2 * cosine_j(x) + lambda * (<d, x> / |x| - scale * <rows_j, d>)^2
                                                       second = argmin_j, j != cell, lowest id
    where d is the direction of the residual x / |x| - scale * rows_cell
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

GRID_MAX = 959
#: Products that are added up before they are added to a sum: the pipeline's loop is unrolled so.
UNROLLED = 4


@dataclass(frozen=True)
class GridWeights:
    """A fitted linear hash.

    Attributes:
        bucket_kind: "bits" (a bucket is the bits of its table's rows) or "cells".
        bucket_rows: (n_rows, dims) int16; hyperplanes, or cells' centroids.
        bucket_offsets: (n_rows,) float64; zero for cells.
        code_rows: (n_bits, dims) int16.
        code_offsets: (n_bits,) float64.
        centroids: (n_buckets, dims) float32, length 1; zero where no training document fell.
        scale: what one grid step of `bucket_rows` is worth; 1 for bits.
        n_tables: tables of bits; 1 for cells.
        soar_lambda: SOAR's λ; 0 for bits.
    """

    bucket_kind: Literal["bits", "cells"]
    bucket_rows: NDArray[np.int16]
    bucket_offsets: NDArray[np.float64]
    code_rows: NDArray[np.int16]
    code_offsets: NDArray[np.float64]
    centroids: NDArray[np.float32]
    scale: float
    n_tables: int
    soar_lambda: float

    @property
    def n_buckets(self) -> int:
        """Possible buckets over all tables."""
        return len(self.centroids)

    @property
    def bits_per_table(self) -> int:
        """Bits of one table's bucket; meaningless for cells."""
        return len(self.bucket_rows) // self.n_tables

    @cached_property
    def loss_constants(self) -> NDArray[np.float64]:
        """(n_buckets,) 1 + |c|^2, the part of SOAR's loss that is a cell's own."""
        centroids = self.bucket_rows.astype(np.float64) * self.scale
        constants: NDArray[np.float64] = 1.0 + np.square(centroids).sum(axis=1)
        return constants

    @property
    def size(self) -> int:
        """Number of weights."""
        return int(self.bucket_rows.size + self.code_rows.size)


def dots(a: NDArray[Any], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) products of the rows of two (n, dims) matrices, added in the order of the definition."""
    n, dims = a.shape
    products = np.zeros((n, -(-dims // UNROLLED), UNROLLED))
    np.multiply(a, b, out=products.reshape(n, -1)[:, :dims])
    return in_order(in_order(products))


def in_order(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the last axis, from its first number to its last."""
    sums: NDArray[np.float64] = np.add.accumulate(numbers, axis=-1)[..., -1]
    return sums


def hyperplanes_to_grid(
    rows: NDArray[Any], offsets: NDArray[Any]
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Round hyperplanes to the grid, each by its own scale, as a sign does not see scale.

    Args:
        rows: (n, dims) floats.
        offsets: (n,) floats, in units of the rows.

    Returns:
        (n, dims) int16 rows and (n,) float64 offsets in grid steps.
    """
    steps = GRID_MAX / np.abs(rows).max(axis=1)
    return (
        np.rint(rows * steps[:, None]).astype(np.int16),
        np.asarray(offsets * steps, dtype=np.float64),
    )


def centroids_to_grid(centroids: NDArray[Any]) -> tuple[NDArray[np.int16], float]:
    """Round centroids to the grid by one common scale: (n, dims) int16 and the scale."""
    scale = float(np.abs(centroids).max()) / GRID_MAX
    return np.rint(centroids / scale).astype(np.int16), scale
