"""`meta4 eval`: recall, documents looked into and latency, measured on an index."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..catalog import read_field
from ..client.meta4 import Meta4
from ..fields.field import Field
from ..fields.promise import Question

#: Other than the one that `tune` draws its queries with: an evaluation is about other queries.
EVAL_SEED = 1


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        n_to_find: answers that there were to all the queries; of none, the recall says nothing.
        recall_asked: what was promised: what every request asked for, where it can.
        recall_at_k: what was found of what was to be found, ties counted by score.
        recall_error: its standard error.
        recall_worst: mean of the tenth of the queries that got the least; None where queries do not
            count by themselves.
        docs_looked_into: mean share of the documents that the rerank scored, in [0, 1].
        p50_ms, p95_ms: whole request, rewriting included.
        exact_p50_ms, exact_p95_ms: the engine's own exact scan.
        details: found and promised by parts, where the kind of field has some.
    """

    index: str
    k: int
    n_queries: int
    n_to_find: int
    recall_asked: float
    recall_at_k: float
    recall_error: float
    recall_worst: float | None
    docs_looked_into: float
    p50_ms: float
    p95_ms: float
    exact_p50_ms: float
    exact_p95_ms: float
    details: tuple[dict[str, Any], ...] = ()

    @property
    def lack(self) -> str | None:
        """Why it says nothing of the recall, in words; None where it does."""
        if self.n_to_find:
            return None
        return (
            f"nothing was to be found in index {self.index!r}: none of {self.n_queries:,} queries "
            f"has an answer beside itself"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON; a recall of nothing is none."""
        if self.n_to_find:
            return asdict(self)
        return asdict(self) | dict.fromkeys(("recall_at_k", "recall_error", "recall_worst"))


def evaluate_index(
    meta4: Meta4,
    index: str,
    *,
    field: str | None = None,
    n_queries: int = 200,
    given: Any = None,
    k: int = 25,
    recall: float | None = None,
    within: dict[str, Any] | None = None,
    seed: int = EVAL_SEED,
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Compare requests with exact ones, on documents drawn or on given queries.

    Args:
        meta4: who searches.
        index: which index.
        field: which of its fields; its only one by default.
        n_queries: documents drawn, or how many of `given`.
        given: queries to search for instead of documents, as the field reads them.
        k: results wanted.
        recall: what each request asks for; None for what it asks for by itself.
        within: a filter that both sides search under.
        seed: which documents or queries.
        progress: called with the number of queries done since the last call.

    Raises:
        NotFoundError: no such index, or not one of ours.
        InputError: nothing to ask for, or a recall that such a field does not have.
    """
    engine = meta4.engine
    hashed = read_field(engine, index, field)
    promise = hashed.promise
    judge = promise.judge(k, recall)
    questions = promise.questions(engine, index, n_queries, seed, given)
    if not questions:
        raise InputError(f"nothing to ask index {index!r} with: no query has a {hashed.value_name}")
    kept = [query for query in ({"exists": {"field": hashed.scored}}, within) if query]
    total = engine.count(index, {"bool": {"filter": kept}})
    shares: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    for question in questions:
        body = _request(hashed, question, k, judge.asks, within)
        started = time.perf_counter()
        found = meta4.search(index=index, body=body)["hits"]["hits"]
        ours.append(time.perf_counter() - started)
        exact = meta4.rewrite(index=index, body=_request(hashed, question, k, 1.0, within))
        started = time.perf_counter()
        truth = engine.search(index, exact)["hits"]["hits"]
        theirs.append(time.perf_counter() - started)
        judge.add(question, found, truth)
        _, (planned,) = meta4.plan(index=index, body=body)
        shares.append(engine.count(index, hashed.searched(planned.legs[0])) / max(1, total))
        progress(1)
    judged = judge.judged()
    return Evaluation(
        index=index,
        k=k,
        n_queries=len(questions),
        n_to_find=judged.n,
        recall_asked=judged.promised,
        recall_at_k=judged.recall,
        recall_error=judged.error,
        recall_worst=judged.worst,
        docs_looked_into=float(np.mean(shares)),
        p50_ms=_percentile(ours, 50),
        p95_ms=_percentile(ours, 95),
        exact_p50_ms=_percentile(theirs, 50),
        exact_p95_ms=_percentile(theirs, 95),
        details=tuple(judged.details),
    )


def _request(
    field: Field, question: Question, k: int, recall: float, within: dict[str, Any] | None
) -> dict[str, Any]:
    """Search for what is asked; a document that is the query is kept out itself."""
    clause = {**question.operand, "k": k, "recall": recall}
    conditions: dict[str, Any] = {"must": [{"meta4_similar": {field.spec.field: clause}}]}
    if question.id is not None:
        conditions["must_not"] = [{"ids": {"values": [question.id]}}]
    if within is not None:
        conditions["filter"] = [within]
    return {"_source": False, "query": {"bool": conditions}}


def _percentile(seconds: list[float], q: float) -> float:
    return float(np.percentile(seconds, q) * 1000)
