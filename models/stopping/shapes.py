"""Where the documents of each bucket lie, and how they spread: what their scores are expected from.

A bucket's scores have the mean q·m, m its documents' mean, and the variance t · qᵀSq: t the trace
of the covariance of what is left of them, S the covariance's shape, pooled over a group of
neighbouring buckets and kept as a few leading directions. With one spread for all directions the
scores of different queries have no common tail; along the query they nearly do.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from ..embeddings import Embeddings, unit

#: Groups of neighbouring buckets, and the leading directions that are kept of each.
_GROUPS, _RANK = 8, 16
#: Buckets that a group has at least.
_SMALLEST_GROUP = 16
_TURNS = 10
#: Documents that the whole counts as beside a bucket's own.
_PRIOR_OF_MEAN, _PRIOR_OF_TRACE = 2.0, 3.0
#: Steps of what is kept as bytes.
_BYTE, _LOG_STEPS = 127.0, 24.0
_SMALLEST = 1e-9
#: What 1 is in a query of whole numbers; those of 16 bits hold it, and the products 32.
_WHOLE = 16384.0

Floats = NDArray[np.float32]
T = TypeVar("T", np.int8, np.float32)


@dataclass(frozen=True)
class Facts:
    """What a query's scores in each bucket are expected to be.

    Attributes:
        means: (n_buckets,) float32, mean cosine of the query to the bucket's documents.
        scales: (n_groups,) float32, standard deviation of the scores of a bucket of each group,
            were the trace of its covariance 1.
        shapes: of the buckets.
    """

    means: Floats
    scales: Floats
    shapes: "ReadyShapes"

    def spreads(self, buckets: NDArray[np.int64] | slice = slice(None)) -> Floats:
        """Standard deviation of the scores in some buckets, all by default."""
        spreads: Floats = self.scales[self.shapes.groups[buckets]]
        spreads *= self.shapes.deviations[buckets]
        return spreads


@dataclass(frozen=True)
class BucketShapes:
    """Statistics of all buckets, as they are kept: in bytes.

    Attributes:
        lengths: (n_buckets,) uint8, length of the mean vector along the bucket's direction, by 255.
        traces: (n_buckets,) uint8, logarithm of the trace of the covariance, see `_from_log`.
        groups: (n_buckets,) uint8, the group of each bucket.
        axes: (n_groups, rank, dims) int8, unit directions of each group, by 127.
        shares: (n_groups, rank + 1) float32, share of the variance along each of these, and along
            each direction that is at right angles to all of them.
    """

    lengths: NDArray[np.uint8]
    traces: NDArray[np.uint8]
    groups: NDArray[np.uint8]
    axes: NDArray[np.int8]
    shares: Floats

    def ready(self, directions: Floats) -> "ReadyShapes":
        """The same to compute with.

        Args:
            directions: (n_buckets, dims) float32 of length 1, or zero; those it was made with.
        """
        n_groups, rank, dims = self.axes.shape
        steps = np.maximum(np.abs(directions).max(axis=1, initial=0.0), _SMALLEST) / _BYTE
        means = np.round(directions / steps[:, None]).astype(np.int8)
        units = np.full(n_groups * rank, 1.0 / _BYTE)
        rest = self.shares[:, -1]
        beyond_rest = np.zeros((n_groups, n_groups, rank), dtype=np.float32)
        beyond_rest[range(n_groups), range(n_groups)] = self.shares[:, :-1] - rest[:, None]
        return ReadyShapes(
            _in_quarters(np.concatenate([means, self.axes.reshape(-1, dims)])),
            np.concatenate([steps * self.lengths / 255.0, units]).astype(np.float32),
            np.sqrt(_from_log(self.traces)),
            self.groups.astype(np.intp),
            beyond_rest.reshape(n_groups, -1),
            rest,
            dims,
        )


@dataclass(frozen=True)
class ReadyShapes:
    """See `BucketShapes`: what one product with a query gives all of.

    Attributes:
        rows: (n_buckets + n_groups * rank, 4, dims / 4) int8, means of the buckets, then the axes
            of each group, with zeros behind. As bytes they are read in a quarter of the time;
            outlooks are fitted with what that changes.
        steps: (n_buckets + n_groups * rank,) float32, what 1 stands for in each row.
        deviations: (n_buckets,) float32, square roots of the traces.
        groups: (n_buckets,) the group of each bucket.
        beyond_rest: (n_groups, n_groups * rank) float32, of each group the shares of its axes
            beyond that of any other direction; 0 for axes of others.
        rest: (n_groups,) float32, the share of any other direction.
        dims: of a query.
    """

    rows: NDArray[np.int8]
    steps: Floats
    deviations: Floats
    groups: NDArray[np.intp]
    beyond_rest: Floats
    rest: Floats
    dims: int

    def facts(self, query: Floats) -> Facts:
        """Of a query.

        Args:
            query: (dims,) float32 of length 1.
        """
        found = _products(self.rows, self.steps, _in_quarters(query[None])[0])
        n_buckets = len(self.groups)
        along = found[n_buckets:]
        along *= along
        variance = self.beyond_rest @ along
        variance += self.rest
        scales = np.sqrt(np.maximum(variance, np.float32(_SMALLEST)))
        return Facts(found[:n_buckets], scales, self)


def _in_quarters(rows: NDArray[T]) -> NDArray[T]:
    """(n, 4, m) of (n, dims), with zeros behind."""
    n, dims = rows.shape
    quarters = np.zeros((n, 4 * -(-dims // 4)), dtype=rows.dtype)
    quarters[:, :dims] = rows
    return quarters.reshape(n, 4, -1)


@compiled
def _products(rows: NDArray[np.int8], steps: Floats, query: Floats) -> Floats:
    """(n,) of (n, 4, m) rows with a (4, m) query of length 1, in whole numbers of 32 bits.

    Four sums at once take half the time of one, where each step would wait for the one before.
    """
    n, m = len(rows), query.shape[1]
    whole = np.empty((4, m), dtype=np.int16)
    for quarter in range(4):
        for j in range(m):
            whole[quarter, j] = round(query[quarter, j] * _WHOLE)
    found = np.empty(n, dtype=np.float32)
    for i in range(n):
        a = b = c = d = np.int32(0)
        for j in range(m):
            a = np.int32(a + np.int32(rows[i, 0, j]) * np.int32(whole[0, j]))
            b = np.int32(b + np.int32(rows[i, 1, j]) * np.int32(whole[1, j]))
            c = np.int32(c + np.int32(rows[i, 2, j]) * np.int32(whole[2, j]))
            d = np.int32(d + np.int32(rows[i, 3, j]) * np.int32(whole[3, j]))
        found[i] = (a + b + c + d) * steps[i] / _WHOLE
    return found


def measure_shapes(
    directions: Floats, embeddings: Embeddings, homes: NDArray[np.int64]
) -> BucketShapes:
    """Measure them on documents.

    Args:
        directions: (n_buckets, dims) float32, the buckets' own, of length 1, or zero.
        embeddings: (n, dims) float32 of length 1.
        homes: (n,) the bucket of each.
    """
    n_buckets, dims = directions.shape
    counts = np.bincount(homes, minlength=n_buckets)
    own = directions[homes]
    along = np.einsum("nd,nd->n", embeddings, own)
    totals = np.bincount(homes, along, n_buckets)
    lengths = (totals + _PRIOR_OF_MEAN * along.mean()) / (counts + _PRIOR_OF_MEAN)
    lengths[~directions.any(axis=1)] = 0.0  # no training document fell there
    kept_lengths = np.round(np.clip(lengths, 0.0, 1.0) * 255).astype(np.uint8)
    own *= (kept_lengths / np.float32(255))[homes, None]
    rest = np.subtract(embeddings, own, out=own)
    squares = np.einsum("nd,nd->n", rest, rest)
    traces = np.bincount(homes, squares, n_buckets) + _PRIOR_OF_TRACE * squares.mean()
    traces /= counts + _PRIOR_OF_TRACE
    groups = _neighbouring(directions, max(1, min(_GROUPS, n_buckets // _SMALLEST_GROUP)))
    axes, shares = _covariances(rest, groups[homes], int(groups.max()) + 1, min(_RANK, dims - 1))
    return BucketShapes(kept_lengths, _to_log(traces), groups.astype(np.uint8), axes, shares)


def _neighbouring(directions: Floats, n_groups: int) -> NDArray[np.intp]:
    """(n_buckets,) groups by spherical k-means."""
    filled = directions[directions.any(axis=1)]
    drawn = np.random.default_rng(1).choice(len(filled), min(n_groups, len(filled)), replace=False)
    centres = filled[drawn]
    groups: NDArray[np.intp] = np.zeros(len(directions), dtype=np.intp)
    for _ in range(_TURNS):
        groups = np.argmax(directions @ centres.T, axis=1)
        for group in np.unique(groups):
            total = directions[groups == group].sum(axis=0)
            if total.any():
                centres[group] = unit(total)
    return groups


def _covariances(
    rest: Floats, owners: NDArray[np.intp], n_groups: int, rank: int
) -> tuple[NDArray[np.int8], Floats]:
    """Leading directions of each group's covariance, and the shares of its variance."""
    dims = rest.shape[1]
    pooled = _of_trace_one(rest)
    axes = np.zeros((n_groups, rank, dims), dtype=np.int8)
    shares = np.zeros((n_groups, rank + 1), dtype=np.float32)
    for group in range(n_groups):
        own = rest[owners == group]
        weight = len(own) / (len(own) + 2 * dims)
        values, vectors = np.linalg.eigh(weight * _of_trace_one(own) + (1.0 - weight) * pooled)
        leading = dims - rank
        axes[group] = np.round(vectors[:, leading:].T * _BYTE)
        shares[group, :rank] = values[leading:]
        shares[group, rank] = max(values[:leading].sum(), 0.0) / leading
    return axes, shares


def _of_trace_one(rest: Floats) -> NDArray[np.float64]:
    """(dims, dims) covariance without its size; one that is alike in all directions of nothing."""
    covariance = (rest.T @ rest).astype(np.float64)
    trace = float(np.trace(covariance))
    if trace <= _SMALLEST:
        covariance, trace = np.eye(rest.shape[1]), float(rest.shape[1])
    scaled: NDArray[np.float64] = covariance / trace
    return scaled


def _to_log(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """In (0, 1] as bytes: 255 is 1, a step a twenty-fourth of its logarithm."""
    logs = np.log(np.maximum(values, _SMALLEST))
    return np.round(np.clip(255 + logs * _LOG_STEPS, 0, 255)).astype(np.uint8)


def _from_log(values: NDArray[np.uint8]) -> Floats:
    logs = (values.astype(np.float32) - np.float32(255)) / np.float32(_LOG_STEPS)
    found: Floats = np.exp(logs)
    return found
