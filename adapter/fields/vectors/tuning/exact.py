"""Queries, drawn from an index or given, and their nearest by the engine's own exact scan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....errors import EmbeddingError, InputError
from .....mappings.fields import Keyword
from .....mappings.spec import IndexSpec
from .....models.embeddings import as_embedding, embedding_fault
from ....engines.engine import Engine
from ...queries import sample_documents

_AT_ONCE = 8


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
    """A query's nearest documents, nearest first: ids, scores and each one's keywords."""

    ids: list[str]
    scores: NDArray[np.float64]
    terms: dict[Keyword, list[list[str]]]


def draw_queries(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    n: int,
    seed: int,
    given: NDArray[Any] | None,
    within: dict[str, Any] | None = None,
) -> list[Query]:
    """Rows of `given`, (m, dims), or documents where it is None: at most `n`, drawn by the seed.

    Documents may be drawn under a filter; one whose vector cannot be read here is passed over.

    Raises:
        EmbeddingError: rows of other dimensions, or that cannot be searched for; no document's
            vector can be read.
        InputError: no row, or no document with a vector.
    """
    if given is not None:
        return _sample_rows(given, spec, n, seed)
    drawn = sample_documents(engine, index, spec.field, n, seed, within)
    faults = [embedding_fault(values, spec.dims) for _, values in drawn]
    if None not in faults:
        raise EmbeddingError(f"document {drawn[0][0]!r} of index {index!r}: {faults[0]}")
    return [
        Query(identity, as_embedding(values, spec.dims))
        for (identity, values), fault in zip(drawn, faults, strict=True)
        if fault is None
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
    """The `depth` nearest of each query but itself, found by scoring every document.

    Args:
        engine: where.
        index: which index.
        spec: of the field.
        queries: what is searched for.
        depth: how many of each.
        progress: called with the number of queries done since the last call.
        within: a filter that keeps only what the field's model hashed; None where that is all.
    """
    paths = {keyword: spec.fields.keyword(keyword) for keyword in spec.all_keywords}
    for start in range(0, len(queries), _AT_ONCE):
        group = queries[start : start + _AT_ONCE]
        bodies = [
            {
                "size": depth + 1,
                "_source": False,
                "docvalue_fields": list(paths.values()),
                "query": engine.dialect.knn(spec, one.vector, depth + 1, within),
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
                {
                    keyword: [hit.get("fields", {}).get(path, []) for hit in hits]
                    for keyword, path in paths.items()
                },
            )
        progress(len(group))
