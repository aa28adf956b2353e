"""How much of a set of documents a model looks into for a recall, without an engine.

The yardstick by which models are compared and chosen: the mean share of the documents in the
buckets that a plan takes, at the smallest limit with which the mean recall reaches the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..embeddings import Embeddings, unit
from ..model import HashModel
from ..probing.directory import Directory
from ..probing.ranking import Plan, bucket_prices

#: Queries multiplied with all documents at a time.
_BATCH = 100


@dataclass(frozen=True)
class Look:
    """One query's order of the filled buckets.

    Attributes:
        buckets: (m,) int64 ids, best first.
        limits: (m,) float64 ascending: the share of the postings up to each bucket's end, or
            the bucket's price.
        shares: (m,) float64, the share in any case.
    """

    buckets: NDArray[np.int64]
    limits: NDArray[np.float64]
    shares: NDArray[np.float64]

    def length_at(self, limit: float) -> int:
        """Number of buckets within a limit."""
        return int(self.limits.searchsorted(limit, side="right"))

    def share_at(self, limit: float) -> float:
        """Share of the postings in buckets within a limit."""
        n = self.length_at(limit)
        return float(self.shares[n - 1]) if n else 0.0

    def needed(self, buckets: Sequence[NDArray[np.int64]], n_buckets: int) -> NDArray[np.float64]:
        """The limit within which each of some documents is met.

        Args:
            buckets: each document's; a document without any is met last.
            n_buckets: possible buckets.
        """
        met_at = np.full(n_buckets, self.limits[-1])
        met_at[self.buckets] = self.limits
        last = self.limits[-1]
        return np.array([met_at[own].min() if len(own) else last for own in buckets])


def look(costs: NDArray[np.float32], plan: Plan, directory: Directory) -> Look:
    """Order the filled buckets by what `HashModel.bucket_costs` gives for a query."""
    if plan == "learned":
        costs = bucket_prices(costs, directory)
    order = np.argsort(costs[directory.buckets], kind="stable")
    buckets = directory.buckets[order]
    shares = np.cumsum(directory.counts[order]) / directory.n_postings
    limits = np.exp(costs[buckets].astype(np.float64)) if plan == "learned" else shares
    return Look(buckets, limits, shares)


def documents_looked_into(
    model: HashModel,
    base: Embeddings,
    queries: Embeddings,
    plan: Plan,
    recalls: Sequence[float],
    k: int = 25,
) -> list[float]:
    """Mean share of the documents looked into, for each of some recalls.

    Args:
        model: what is judged.
        base: (n, dims) float32 documents, n > k.
        queries: (m, dims) float32, not among them.
        plan: order of the buckets.
        recalls: wanted, in (0, 1].
        k: neighbours that recall is about.
    """
    ids = model.buckets(base)
    filled, counts = np.unique(ids, return_counts=True)
    directory = Directory(filled, counts, model.n_buckets, len(base))
    order = np.argsort(ids.ravel(), kind="stable")
    documents = np.split(order // ids.shape[1], np.cumsum(np.bincount(ids.ravel()))[:-1])
    truth = nearest_neighbours(base, queries, k)
    looks = [look(model.bucket_costs(query, plan), plan, directory) for query in queries]
    needed = np.stack(
        [own.needed(list(ids[row]), model.n_buckets) for own, row in zip(looks, truth, strict=True)]
    )
    limits = np.sort(needed.ravel())
    shares = []
    for recall in recalls:
        limit = float(limits[int(np.ceil(recall * len(limits))) - 1])
        taken = [own.buckets[: own.length_at(limit)] for own in looks]
        seen = [len(np.unique(np.concatenate([documents[b] for b in some]))) for some in taken]
        shares.append(float(np.mean(seen)) / len(base))
    return shares


def nearest_neighbours(base: Embeddings, queries: Embeddings, k: int) -> NDArray[np.int64]:
    """(m, k) rows of the nearest by cosine, not ordered."""
    directions = unit(base).astype(np.float32)
    found = []
    for start in range(0, len(queries), _BATCH):
        cosines = queries[start : start + _BATCH] @ directions.T
        found.append(np.argpartition(-cosines, k - 1, axis=1)[:, :k])
    return np.concatenate(found)
