"""Sketches: a vector's leading principal directions as bytes, which a first phase is scored by.

A product of two sketches is that of the vectors but for what lies outside the directions and for
rounding. What a first phase reads for each document is then a few hundred bytes in place of a few
thousand, and full vectors are read of the best alone.

Directions are those of the vectors' second moment about the origin, not about the mean: what is to
be kept is the product of two vectors, and of all projections on as many directions theirs loses
least of it on average (Eckart & Young, Psychometrika 1936). The first directions of a sketch are a
sketch themselves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .embeddings import Embeddings, lengths_of, matrix_products, products, unit
from .graphs.grid import centroids_to_grid

#: Directions that a model keeps at most.
MOST_DIRECTIONS = 256
#: A number of a sketch is from -LARGEST to LARGEST.
LARGEST = 127
#: Vectors that directions are found by, those that windows are measured among, and queries.
_FITTED, _AMONG, _QUERIES = 50_000, 20_000, 400
#: Nearest that a window is to hold, and the share of them.
NEAREST, HELD = 10, 0.995
#: Numbers of directions that are tried.
_STEP = 32
#: Vectors projected at once.
_BATCH = 1024

Sketches = NDArray[np.int8]


@dataclass(frozen=True)
class SketchWeights:
    """Directions, on the grid of `meta4.models.graphs.grid`.

    Of a vector x number r is rint(factor * <rows_r, x> / |x|), no farther from zero than `LARGEST`.

    Attributes:
        rows: (n_directions, dims) int16, the leading ones first.
        factor: steps of a sketch in one of the grid, for a vector of length 1.
    """

    rows: NDArray[np.int16]
    factor: float

    def sketches(self, embeddings: Embeddings) -> Sketches:
        """(n, n_directions) int8 of (n, dims) float32, finite, no zero rows.

        A number within 1e-9 of the middle between two is not defined: another program may add in
        another order.
        """
        parts = [
            self._sketches(embeddings[start : start + _BATCH].astype(np.float64))
            for start in range(0, len(embeddings), _BATCH)
        ]
        return np.concatenate(parts)

    def _sketches(self, x: NDArray[np.float64]) -> Sketches:
        steps = matrix_products(x, self._columns) * (self.factor / lengths_of(x)[:, None])
        whole: Sketches = np.clip(np.rint(steps), -LARGEST, LARGEST).astype(np.int8)
        return whole

    def of_query(self, query: NDArray[np.float32]) -> Sketches:
        """(n_directions,) int8 of one (dims,) float32, scaled so that its largest is `LARGEST`.

        It is held against many and stored nowhere: what counts is their order.
        """
        along = products(self._singles, query)
        largest = float(np.abs(along).max())
        whole: Sketches = np.rint(along * (LARGEST / max(largest, 1e-30))).astype(np.int8)
        return whole

    @cached_property
    def _columns(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.rows.T, dtype=np.float64)

    @cached_property
    def _singles(self) -> NDArray[np.float32]:
        return self.rows.astype(np.float32)


class SketchWindows(BaseModel):
    """How many of the best by their sketches hold the nearest.

    Attributes:
        ks: (m,) how many are to be found, ascending from 1.
        windows: by recall, (m,) documents for each of these.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ks: tuple[int, ...] = Field(min_length=1)
    windows: dict[str, tuple[int, ...]]

    @model_validator(mode="after")
    def _fits(self) -> "SketchWindows":
        """It comes out of a mapping, where others can write."""
        if self.ks[0] != 1 or list(self.ks) != sorted(set(self.ks)):
            raise ValueError(f"ks: expected ascending numbers from 1, got {self.ks}")
        for recall, row in self.windows.items():
            if len(row) != len(self.ks) or any(w < k for w, k in zip(row, self.ks, strict=True)):
                raise ValueError(f"recall {recall}: expected a window of k and more for each k")
        if not self.windows or not all(0.0 < float(recall) < 1.0 for recall in self.windows):
            raise ValueError(f"expected recalls in (0, 1), got {sorted(self.windows)}")
        return self

    def window(self, k: int, recall: float) -> int | None:
        """For k and a recall below 1; None for a higher one than was measured.

        A window grows slower than k: between two ks it is no more than in proportion to the lower
        and than that of the upper.
        """
        asked = [float(one) for one in self.windows]
        if recall > max(asked):
            return None
        row = self.windows[str(min(one for one in asked if one >= recall))]
        at = max(i for i, one in enumerate(self.ks) if one <= k)
        in_proportion = math.ceil(row[at] * k / self.ks[at])
        return min(in_proportion, row[at + 1]) if at + 1 < len(row) else in_proportion

    def wider(self, other: "SketchWindows") -> "SketchWindows":
        """The wider of two that were measured for the same ks and recalls; else this one."""
        if self.ks != other.ks or self.windows.keys() != other.windows.keys():
            return self
        wider = {
            recall: tuple(map(max, row, other.windows[recall]))
            for recall, row in self.windows.items()
        }
        return self.model_copy(update={"windows": wider})


def fit_sketch(embeddings: Embeddings) -> SketchWeights:
    """Find the directions.

    Args:
        embeddings: (n, dims) float32, no zero rows.
    """
    step = -(-len(embeddings) // _FITTED)
    x = unit(embeddings[::step])
    _, vectors = np.linalg.eigh(x.T @ x)
    leading = vectors[:, ::-1][:, :MOST_DIRECTIONS].T
    # An axis has two directions: the one with the larger part on its own side is taken.
    leading *= np.sign(leading[np.arange(len(leading)), np.abs(leading).argmax(axis=1)])[:, None]
    rows, _ = centroids_to_grid(leading)
    largest = float(np.abs(x @ rows.T.astype(np.float64)).max())
    return SketchWeights(rows, LARGEST / largest)


def windows_of(weights: SketchWeights, embeddings: Embeddings) -> tuple[tuple[int, int], ...]:
    """How many of the best by sketches hold the nearest, by the number of directions.

    Args:
        weights: fitted.
        embeddings: (n, dims) float32, no zero rows; some are drawn, evenly.

    Returns:
        (directions, documents) pairs, with more directions each, the last with all.
    """
    drawn = unit(embeddings[:: -(-len(embeddings) // _AMONG)]).astype(np.float32)
    queries = drawn[:: -(-len(drawn) // _QUERIES)]
    k = min(NEAREST, len(drawn) - 1)
    if k < 1:
        return ()
    whole = weights.sketches(drawn).astype(np.float32)
    nearest = _order(queries @ drawn.T, k)
    asked = np.stack([weights.of_query(query) for query in queries]).astype(np.float32)
    found = []
    for n in [*range(_STEP, len(weights.rows), _STEP), len(weights.rows)]:
        scores = asked[:, :n] @ whole[:, :n].T
        found.append((n, window_for(ranks_of(nearest, scores), HELD)))
    return tuple(found)


def ranks_of(nearest: NDArray[np.intp], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """At which places documents stand in the order of a score, from 1, ties counted against them.

    Args:
        nearest: (q, k) documents.
        scores: (q, n) of all.
    """
    own = np.take_along_axis(scores, nearest, axis=1)
    pairs = zip(scores, own, strict=True)
    return np.stack([(row >= mine[:, None]).sum(axis=1) for row, mine in pairs])


def window_for(ranks: Sequence[int] | NDArray[np.int64], held: float) -> int:
    """The smallest window that holds a share of documents with such ranks."""
    ordered = np.sort(np.ravel(ranks))
    return int(ordered[min(len(ordered) - 1, max(0, int(np.ceil(held * len(ordered))) - 1))])


def _order(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """(q, k) the nearest but the first, which is the query itself."""
    order: NDArray[np.intp] = np.argsort(-scores, axis=1, kind="stable")[:, 1 : k + 1]
    return order
