"""An outlook as an index keeps it: in its mapping, next to the spec that it belongs to."""

import base64
import io
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .ends import N_FIRST, N_LATER
from .outlook import Outlook
from .regression import Regression
from .shapes import BucketShapes, Floats
from .tail import N_STEPS, Tail

QuerySource = Literal["documents", "given"]
_NETWORKS = ("first", "later")
#: Goals kept: requests ask for few recalls.
_REMEMBERED = 1024
_TINY = 1e-9


class AtLeast(BaseModel):
    """A recall that so large a share of the queries has at least."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    at_least: Annotated[float, Field(gt=0.0, le=1.0)]
    share: Annotated[float, Field(gt=0.0, lt=1.0, alias="for")]


class Delivered(BaseModel):
    """What requests of one kind were found to deliver while it was tuned.

    Attributes:
        queries: whose they were.
        k: how many were to be found.
        asked: recall.
        mean: recall delivered.
        error: standard error of the mean.
        worst: mean of the tenth of the queries that got the least.
        looked_into: share of the documents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: Literal["documents", "over buckets", "given"]
    k: int
    asked: float
    mean: float
    error: float
    worst: float
    looked_into: float


class OutlookRecord(BaseModel):
    """See `Outlook`.

    Attributes:
        n_documents: that the index had.
        n_sampled: of these, that it was fitted on.
        queries: whose it was adjusted to.
        depths: (m,) documents that may be found for each that is to be found, ascending.
        leeway: (m,) at each of these: what may be missing, as a multiple of what was asked for.
        clustering: how much alike the fates of one query's answers are, in [0, 1).
        delivered: what requests delivered.
        packed: arrays, by `pack`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_documents: int = Field(ge=1)
    n_sampled: int = Field(ge=1)
    queries: QuerySource = "documents"
    depths: tuple[float, ...] = Field(min_length=1)
    leeway: tuple[float, ...] = Field(min_length=1)
    clustering: float = Field(ge=0.0, lt=1.0)
    delivered: tuple[Delivered, ...] = ()
    packed: str

    @model_validator(mode="after")
    def _fits(self) -> "OutlookRecord":
        """It comes out of a mapping, where others can write."""
        if len(self.depths) != len(self.leeway) or sorted(set(self.depths)) != list(self.depths):
            raise ValueError("expected a leeway for each of ascending depths")
        if min(self.depths) <= 0 or min(self.leeway) <= 0:
            raise ValueError("expected depths and leeway above 0")
        return self

    def goal(self, recall: float | AtLeast, k: int, total: float) -> float:
        """Share of the k nearest that may be expected to be missing.

        Args:
            recall: asked for; below 1.
            k: how many are to be found.
            total: documents that may be found.
        """
        return _goal(recall, k, total, self.depths, self.leeway, self.clustering)

    def unpacked(self, directions: Floats) -> Outlook:
        """To compute with.

        Args:
            directions: (n_buckets, dims) float32 of the model, of length 1, or zero.

        Raises:
            ValueError: what is kept is not of such buckets.
        """
        with np.load(io.BytesIO(base64.b64decode(self.packed)), allow_pickle=False) as kept:
            arrays = dict(kept)
        names = BucketShapes.__dataclass_fields__
        shapes = BucketShapes(**{name: arrays[name] for name in names})
        n_buckets, dims = directions.shape
        if shapes.lengths.shape != (n_buckets,) or shapes.axes.shape[2] != dims:
            raise ValueError(f"the outlook is not of {n_buckets:,} buckets of {dims} dimensions")
        n_groups = len(shapes.axes)
        if (
            not shapes.groups.shape == shapes.traces.shape == (n_buckets,)
            or int(shapes.groups.max(initial=0)) >= n_groups
            or shapes.shares.shape != (n_groups, shapes.axes.shape[1] + 1)
        ):
            raise ValueError("the outlook's buckets and groups are not of one number")
        tail = Tail(arrays["tail"])
        if tail.logs.shape != (N_STEPS,):
            raise ValueError(f"expected a tail of {N_STEPS} steps, got {tail.logs.shape}")
        first, later = (
            Regression(tuple(arrays[f"{name}_{i}"] for i in range(6))) for name in _NETWORKS
        )
        if not (first.takes(N_FIRST) and later.takes(N_LATER)):
            raise ValueError("it was fitted by another version, to other features")
        return Outlook(shapes.ready(directions), tail, first, later)


@lru_cache(_REMEMBERED)
def _goal(
    recall: float | AtLeast,
    k: int,
    total: float,
    depths: tuple[float, ...],
    leeway: tuple[float, ...],
    clustering: float,
) -> float:
    depth = math.log(max(total, 1.0) / k)
    part = float(np.interp(depth, np.log(depths), leeway))
    if isinstance(recall, AtLeast):
        return mean_for(recall, k, clustering) * part
    return (1.0 - recall) * part


def pack(shapes: BucketShapes, outlook: Outlook) -> str:
    """Base64 of the arrays, in NumPy's own compressed format."""
    arrays: dict[str, Any] = dict(vars(shapes))
    arrays["tail"] = outlook.tail.logs
    for name, network in zip(_NETWORKS, (outlook.first, outlook.later), strict=True):
        arrays |= {f"{name}_{i}": weight for i, weight in enumerate(network.weights)}
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return base64.b64encode(out.getvalue()).decode()


def mean_for(recall: AtLeast, k: int, clustering: float) -> float:
    """The mean share missing at which so large a share of the queries has so much.

    How many of a query's k are missing is taken for beta-binomial: each with a chance of its
    query's own, the more alike within a query the higher the clustering.
    """
    allowed = math.floor((1.0 - recall.at_least) * k + 1e-9)
    low, high = 0.0, 1.0 - recall.at_least if recall.at_least < 1.0 else 1.0 / k
    for _ in range(40):
        middle = (low + high) / 2.0
        if _at_most(allowed, k, middle, clustering) >= recall.share:
            low = middle
        else:
            high = middle
    return max(low, 1e-6)


def _at_most(allowed: int, k: int, mean: float, clustering: float) -> float:
    """P(no more than `allowed` of k are missing)."""
    if mean <= 0.0:
        return 1.0
    scale = 1.0 / max(clustering, 1e-6) - 1.0
    a, b = mean * scale, (1.0 - mean) * scale
    # P(0) and the ratio of each to the one before.
    log_p = math.lgamma(b + k) - math.lgamma(b) + math.lgamma(a + b) - math.lgamma(a + b + k)
    total = math.exp(log_p)
    for i in range(allowed):
        log_p += math.log((k - i) * (a + i) / ((i + 1) * (b + k - i - 1)))
        total += math.exp(log_p)
    return total


def clustering_of(expected: Sequence[float], missing: Sequence[float], ks: Sequence[int]) -> float:
    """By moments: how far what was missing was from what was expected, beyond what k alone makes.

    Where less was missing on the whole than was expected, as much less is taken for expected.

    Args:
        expected: mean share of each query.
        missing: share that was.
        ks: of how many.
    """
    mean, share, k = (np.asarray(values, dtype=np.float64) for values in (expected, missing, ks))
    if share.any():
        mean = mean * min(1.0, float(share.sum()) / max(float(mean.sum()), _TINY))
    by_one = mean * (1.0 - mean)
    of_alike = float((by_one * (1.0 - 1.0 / k)).sum())
    if of_alike <= 0.0:
        return 0.0
    excess = float((np.square(share - mean) - by_one / k).sum())
    return float(min(max(excess / of_alike, 0.0), 0.95))
