"""How many dimensions data really has: the correlation fractal dimension, by box counting.

The number of pairs of vectors within a distance r grows as r ** D (Belussi & Faloutsos, "Estimating
the selectivity of spatial queries using the 'correlation' fractal dimension", VLDB 1995); pairs in
the same box of a grid of side r grow alike, and are counted without looking at pairs: one pass for
each grid (Traina et al., "Fast feature selection using fractal dimension", SBBD 2000, which the
DAsH paper cites for its linear time).

Each grid is shifted at random and a count is a mean over several. In many dimensions a grid that
halves each of them parts almost all pairs, so sides go far beyond the data's extent: two vectors
share a box with probability prod(1 - |x_j - y_j| / side), which falls with their L1 distance, so
that the power of the side is that of the distance still.

More dimensions than 64 are projected on 64 random directions first: almost every projection on more
directions than D keeps the correlation dimension (Sauer & Yorke, "Are the dimensions of a set and
its image equal under typical smooth functions?", Ergodic Theory and Dynamical Systems 17, 1997).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..errors import InputError
from .embeddings import Progress, no_progress
from .pictures import new_picture

#: Fewer distinct vectors have too few pairs to count.
LEAST_VECTORS = 100
#: The line is fitted where counts are no noise, and below what the data's edges bend: from a pair
#: for each 100 vectors, but 100 pairs at least, to a hundredth of all pairs.
_PAIRS_A_VECTOR, _LEAST_PAIRS, _HIGHEST_SHARE = 0.01, 100, 0.01
#: Grids averaged for a count: when the range is looked for, and within it.
_COARSE_GRIDS, _FINE_GRIDS = 4, 8
#: Sides within the range: so many an octave, but so many at least.
_AN_OCTAVE, _LEAST_SIDES = 4, 12
#: Octaves looked through for the range; float32 has no more between its finest steps and 1.
_MOST_OCTAVES = 40
#: Dimensions that are gridded. Twenty is the most that a dimension can be told of with a million
#: vectors (Eckmann & Ruelle, Physica D 56, 1992: D < 2 log10 n), and some room.
_MOST_DIMS = 64
#: Numbers gridded at once: half a megabyte, in a core's cache.
_AT_ONCE = 1 << 16


class FractalDimension(BaseModel):
    """What was counted, and the line through it.

    Attributes:
        dimension: D, the slope of log(pairs) over log(side).
        intercept: of the line, in natural logarithms.
        n: distinct vectors.
        sides: (s,) of boxes, in the data's units, descending.
        pairs: (s,) in the same box.
        fitted: (s,) whether the line is fitted to it.
    """

    model_config = ConfigDict(frozen=True)

    dimension: float
    intercept: float
    n: int
    sides: tuple[float, ...]
    pairs: tuple[float, ...]
    fitted: tuple[bool, ...]

    @property
    def all_pairs(self) -> float:
        """Pairs that there are."""
        return self.n * (self.n - 1) / 2

    def side_of(self, pairs: float) -> float:
        """The side at which the line has so many pairs."""
        return float(np.exp((np.log(pairs) - self.intercept) / self.dimension))


def correlation_dimension(
    vectors: NDArray[np.floating], *, seed: int = 0, progress: Progress = no_progress
) -> FractalDimension:
    """Count pairs over a range of box sides, and fit the line. Linear in n.

    Args:
        vectors: (n, dims), of which those that are equal count once.
        seed: of the grids' shifts.
        progress: called with ("box counting", sides done, sides in all).

    Raises:
        InputError: fewer than 100 distinct vectors.
    """
    rng = np.random.default_rng(seed)
    x = _distinct(vectors, rng)
    n = len(x)
    if n < LEAST_VECTORS:
        raise InputError(
            f"the fractal dimension is counted over {LEAST_VECTORS} distinct vectors or more, "
            f"got {n}; give more vectors"
        )
    if x.shape[1] > _MOST_DIMS:
        x = x @ rng.standard_normal((x.shape[1], _MOST_DIMS), dtype=np.float32)
    x -= x.min(axis=0)
    most = _HIGHEST_SHARE * n * (n - 1) / 2
    least = max(_LEAST_PAIRS, _PAIRS_A_VECTOR * n)
    widest = float(x.max(axis=0).sum(dtype=np.float64))
    sides, pairs = [widest], [n * (n - 1) / 2]
    while pairs[-1] > least and len(sides) < _MOST_OCTAVES:
        sides.append(sides[-1] / 2)
        pairs.append(_mean_pairs(x, sides[-1], _COARSE_GRIDS, rng))
    fine = _range(np.asarray(sides), np.asarray(pairs), most, least)
    within = []
    for i, side in enumerate(fine):
        within.append(_mean_pairs(x, side, _FINE_GRIDS, rng))
        progress("box counting", i + 1, len(fine))
    slope, intercept = np.polyfit(np.log(fine), np.log(np.maximum(within, 1.0)), 1)
    order = np.argsort(-np.concatenate([sides, fine]), kind="stable")
    return FractalDimension(
        dimension=float(slope),
        intercept=float(intercept),
        n=n,
        sides=tuple(np.concatenate([sides, fine])[order].tolist()),
        pairs=tuple(np.concatenate([pairs, within])[order].tolist()),
        fitted=tuple((order >= len(sides)).tolist()),
    )


def pairs_in_boxes(x: NDArray[np.float32], side: float, rng: np.random.Generator) -> float:
    """Pairs of vectors in the same box of one grid, shifted at random.

    A box is known by a 64-bit number: its whole coordinates' product with random odd ones, modulo
    2 ** 64. Two boxes share a number once in 2 ** 63 or so.

    Args:
        x: (n, dims) float32, not negative.
        side: of a box, in the units of x.
        rng: draws the grid's shift and the multipliers.
    """
    shift = rng.random(x.shape[1], dtype=np.float32)
    multipliers = rng.integers(0, 1 << 62, x.shape[1], dtype=np.int64) * 2 + 1
    boxes = np.empty(len(x), dtype=np.int64)
    rows = max(1, _AT_ONCE // x.shape[1])
    boxes_a_unit = np.float32(1.0 / side)
    for start in range(0, len(x), rows):
        part = x[start : start + rows] * boxes_a_unit + shift
        boxes[start : start + rows] = part.astype(np.int64) @ multipliers
    _, counts = np.unique(boxes, return_counts=True)
    in_box = counts.astype(np.float64)
    return float((in_box * (in_box - 1.0)).sum() / 2.0)


def draw_dimension(found: dict[str, FractalDimension], path: Path) -> None:
    """The log-log plot: pairs over box sides, with each fitted line and its slope.

    Args:
        found: by what was counted; one panel for each.
        path: of the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    picture = new_picture(4.6 * len(found), 3.8, "drawing the pairs curve")
    for axes, (name, one) in zip(
        picture.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True
    ):
        sides, pairs, fitted = (np.asarray(v) for v in (one.sides, one.pairs, one.fitted))
        some = pairs > 0
        axes.loglog(sides[some], pairs[some], ".", color="grey", label="pairs counted")
        axes.loglog(sides[fitted], pairs[fitted], ".", color="C0", label="the line is fitted to")
        ends = np.array([one.side_of(1.0), one.side_of(one.all_pairs)])
        line = np.exp(one.intercept) * ends**one.dimension
        axes.loglog(ends, line, "--", color="C1", label=f"slope D = {one.dimension:.2f}")
        axes.axhline(one.all_pairs, color="lightgrey", linewidth=1, zorder=0)
        axes.set(title=name, xlabel="side of a box", ylabel="pairs in the same box")
        axes.legend(loc="lower right", fontsize="small")
    picture.savefig(path, dpi=110)


def _distinct(vectors: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
    """The first of each set of equal rows, copied."""
    x = np.ascontiguousarray(vectors, dtype=np.float32) + np.float32(0.0)  # no -0.0
    multipliers = rng.integers(0, 1 << 62, x.shape[1], dtype=np.int64) * 2 + 1
    keys = np.concatenate(
        [
            x[i : i + _AT_ONCE].view(np.int32).astype(np.int64) @ multipliers
            for i in range(0, len(x), _AT_ONCE)
        ]
    )
    _, first = np.unique(keys, return_index=True)
    return x if len(first) == len(x) else x[np.sort(first)]


def _mean_pairs(x: NDArray[np.float32], side: float, n: int, rng: np.random.Generator) -> float:
    """Mean over n grids."""
    return float(np.mean([pairs_in_boxes(x, side, rng) for _ in range(n)]))


def _range(
    sides: NDArray[np.float64], pairs: NDArray[np.float64], most: float, least: float
) -> NDArray[np.float64]:
    """Sides between those with `most` and `least` pairs, read off the coarse counts."""
    # Counts of few grids go up and down; their logarithms' highest so far, from below, do not.
    heights = np.maximum.accumulate(np.log(np.maximum(pairs, 1.0))[::-1])
    logs = np.log(sides)[::-1]
    lower, upper = np.interp(np.log([least, most]), heights, logs)
    n = max(_LEAST_SIDES, round(_AN_OCTAVE * (upper - lower) / np.log(2.0)))
    return np.asarray(np.geomspace(np.exp(upper), np.exp(lower), n))
