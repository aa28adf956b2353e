"""Queries, drawn from an index or given, and their nearest by the engine's own exact scan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...ingest.documents import value_at
from ...mappings.spec import IndexSpec
from ...models.embeddings import as_embedding
from ..engines.engine import Engine

_AT_ONCE = 8
#: Scores of the same pair differ by no more than this between scoring paths (float32).
SCORE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Query:
    """What is searched for.

    Attributes:
        id: `_id` of the document that serves as the query, and is no answer to itself; None
            for a vector that was given.
        vector: (dims,) float32.
    """

    id: str | None
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """A query's nearest documents, nearest first: ids, scores and each one's buckets."""

    ids: list[str]
    scores: NDArray[np.float64]
    buckets: list[list[str]]


def draw_queries(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    n: int,
    seed: int,
    given: NDArray[Any] | None,
) -> list[Query]:
    """Rows of `given`, (m, dims), or documents where it is None: at most `n`, drawn by the seed.

    Raises:
        EmbeddingError: rows of other dimensions, or that cannot be searched for.
        InputError: no row, or no document with a vector.
    """
    if given is None:
        return _sample_documents(engine, index, spec, n, seed)
    return _sample_rows(given, spec, n, seed)


def _sample_documents(
    engine: Engine, index: str, spec: IndexSpec, n: int, seed: int
) -> list[Query]:
    """The same documents for the same seed and the same index."""
    body = {
        "size": min(n, 10_000),
        "_source": [spec.field],
        "query": {
            "function_score": {
                "query": {"bool": {"filter": [{"exists": {"field": spec.field}}]}},
                "random_score": {"seed": seed, "field": "_seq_no"},
                "boost_mode": "replace",
            }
        },
    }
    hits = engine.search(index, body, params=engine.vectors_in_source())["hits"]["hits"]
    if not hits:
        raise InputError(
            f"index {index!r} has no document with a {spec.field!r} yet; load some first: "
            f"meta4 ingest FILE --index {index}"
        )
    return [
        Query(hit["_id"], as_embedding(value_at(hit["_source"], spec.field), spec.dims))
        for hit in hits
    ]


def _sample_rows(vectors: NDArray[Any], spec: IndexSpec, n: int, seed: int) -> list[Query]:
    if len(vectors) == 0:
        raise InputError("the query file has no vectors")
    rows = np.arange(len(vectors))
    if len(vectors) > n:
        rows = np.sort(np.random.default_rng(seed).choice(len(vectors), n, replace=False))
    return [Query(None, as_embedding(vectors[row], spec.dims, what=f"query {row}")) for row in rows]


def exact_neighbours(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    queries: list[Query],
    depth: int,
    progress: Callable[[int], None],
    within: dict[str, Any] | None = None,
) -> Iterator[Neighbours]:
    """The `depth` nearest of each query but itself, found by scoring every document."""
    for start in range(0, len(queries), _AT_ONCE):
        group = queries[start : start + _AT_ONCE]
        bodies = [
            {
                "size": depth + 1,
                "_source": False,
                "docvalue_fields": [spec.fields.bucket],
                "query": engine.dialect.knn(spec, one.vector.tolist(), depth + 1, within),
            }
            for one in group
        ]
        answers = engine.msearch(index, bodies)
        for one, answer in zip(group, answers, strict=True):
            hits = answer["hits"]["hits"]
            if one.id is not None:
                hits = [hit for hit in hits if hit["_id"] != one.id]
            hits = hits[:depth]
            yield Neighbours(
                [hit["_id"] for hit in hits],
                np.asarray([hit["_score"] for hit in hits]),
                [hit.get("fields", {}).get(spec.fields.bucket, []) for hit in hits],
            )
        progress(len(group))


def recall_by_score(found: NDArray[np.float64], truth: NDArray[np.float64], k: int) -> float:
    """recall@k with ties counted by score: an answer as near as the k-th nearest is right.

    Args:
        found: (m,) scores of what was found, of which the first k count.
        truth: (n,) scores of the nearest documents, best first.
        k: results wanted; with fewer documents in all, all of them.
    """
    wanted = min(k, len(truth))
    if wanted == 0:
        return 1.0
    right = int((found[:k] >= truth[wanted - 1] - SCORE_TOLERANCE).sum())
    return min(right, wanted) / wanted
