"""`meta4 eval`: recall, documents looked into and latency, measured on an index."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..client import Meta4
from ..search.catalog import HashedIndex
from ..search.explanation import documents_in
from .exact import Query, draw_queries, exact_neighbours, recall_by_score

#: Other than the one that `tune` draws its queries with: an evaluation is about other queries.
EVAL_SEED = 1


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        recall_asked: what every request asked for.
        recall_at_k: mean over the queries, ties counted by score.
        recall_error: its standard error.
        docs_looked_into: mean share of the documents that the rerank scored, in [0, 1].
        p50_ms, p95_ms: whole request, rewriting included.
        exact_p50_ms, exact_p95_ms: the engine's own exact scan.
    """

    index: str
    k: int
    n_queries: int
    recall_asked: float
    recall_at_k: float
    recall_error: float
    docs_looked_into: float
    p50_ms: float
    p95_ms: float
    exact_p50_ms: float
    exact_p95_ms: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate_index(
    meta4: Meta4,
    index: str,
    *,
    n_queries: int = 200,
    given: NDArray[Any] | None = None,
    k: int = 25,
    recall: float = 0.95,
    within: dict[str, Any] | None = None,
    seed: int = EVAL_SEED,
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Compare requests with the engine's exact scan, on documents drawn or on given queries.

    Args:
        meta4: the gateway.
        index: which index.
        n_queries: documents drawn, or rows of `given`.
        given: (n, dims) vectors to search for instead of documents.
        k: results wanted.
        recall: what each request asks for.
        within: a filter that both sides search under.
        seed: which documents or rows.
        progress: called with the number of queries done since the last call.
    """
    known = meta4.catalog.get(index)
    queries = draw_queries(meta4.engine, index, known.spec, n_queries, seed, given)
    recalls: list[float] = []
    shares: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    truths = exact_neighbours(meta4.engine, index, known.spec, queries, k, lambda _: None, within)
    for query, truth in zip(queries, truths, strict=True):
        body = _request(known, query, k, recall, within)
        started = time.perf_counter()
        hits = meta4.search(index=index, body=body)["hits"]["hits"]
        ours.append(time.perf_counter() - started)
        exact = meta4.rewrite(index=index, body=_request(known, query, k, 1.0, within))
        started = time.perf_counter()
        meta4.engine.search(index, exact)
        theirs.append(time.perf_counter() - started)
        found = np.asarray([hit["_score"] for hit in hits])
        recalls.append(recall_by_score(found, truth.scores, k))
        _, planned = meta4.plan(index=index, body=body)
        looked_into = documents_in(meta4.engine, known, planned[0])
        shares.append(looked_into / max(1, planned[0].plan.n_documents))
        progress(1)
    return Evaluation(
        index=index,
        k=k,
        n_queries=len(queries),
        recall_asked=recall,
        recall_at_k=float(np.mean(recalls)),
        recall_error=float(np.std(recalls) / np.sqrt(len(recalls))),
        docs_looked_into=float(np.mean(shares)),
        p50_ms=_percentile(ours, 50),
        p95_ms=_percentile(ours, 95),
        exact_p50_ms=_percentile(theirs, 50),
        exact_p95_ms=_percentile(theirs, 95),
    )


def _request(
    known: HashedIndex, query: Query, k: int, recall: float, within: dict[str, Any] | None
) -> dict[str, Any]:
    """Search for the query's vector; a document that is the query is kept out itself."""
    clause = {"vector": query.vector.tolist(), "k": k, "recall": recall}
    conditions: dict[str, Any] = {"must": [{"meta4_similar": {known.spec.field: clause}}]}
    if query.id is not None:
        conditions["must_not"] = [{"ids": {"values": [query.id]}}]
    if within is not None:
        conditions["filter"] = [within]
    return {"_source": False, "query": {"bool": conditions}}


def _percentile(seconds: list[float], q: float) -> float:
    return float(np.percentile(seconds, q) * 1000)
