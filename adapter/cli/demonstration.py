"""`meta4 demo`: the main job on real words, and what it buys against the same engine."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...demo import Sample, load_sample
from ...ingest.documents import Document
from ...mappings.dialect import GraphSearch
from ...models.model import HashModel
from ...models.specs import CellsSpec
from ..client.meta4 import Meta4
from ..engines.engine import Engine
from ..fields.recall import recall_by_score
from ..load.loader import load_documents
from ..manage.indexes import create_index
from ..measure import comparison
from ..measure.tune import tune_index
from ..model_store import ModelStore

FIELD = "embedding"
INDEX, BASELINE = "meta4-demo-words", "meta4-demo-hnsw"
_MODEL = "demo-words"
_K = 25
_RECALLS = (0.95, 0.99)
_N_BUCKETS, _N_BITS = 1024, 64
_N_HELD_OUT, _N_TUNING, _N_TIMED, _N_QUESTIONS = 1500, 400, 300, 200
_HNSW_CHOICES = tuple(range(25, 1001, 5))
#: Gives a context whose value takes how many steps are done: (what, how many, unit).
Bar = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Row:
    """One line of the comparison: what it is, recall@25, share looked into, latency in ms."""

    name: str
    recall: float
    docs_looked_into: float | None
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Demonstration:
    """All that the demonstration found."""

    n_documents: int
    train_s: float
    ingest_docs_per_s: float
    baseline_docs_per_s: float
    similar: list[tuple[str, float]]
    analogy: list[tuple[str, float]]
    n_questions: int
    questions_same_as_exact: float
    questions_correct: float
    rows: list[Row]
    hnsw_candidates: dict[str, int]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """One JSON object; the main figures are those at recall 0.95."""
        by_name = {row.name: row for row in self.rows}
        result: dict[str, Any] = {
            "n_documents": self.n_documents,
            "train_s": self.train_s,
            "ingest_docs_per_s": self.ingest_docs_per_s,
            "hnsw_ingest_docs_per_s": self.baseline_docs_per_s,
            "similar_to_berlin": self.similar,
            "analogy": self.analogy,
            "analogy_correct": self.analogy[0][0] == "france",
            "questions": self.n_questions,
            "questions_same_as_exact": self.questions_same_as_exact,
            "questions_correct": self.questions_correct,
            "seconds": self.seconds,
        }
        for recall in _RECALLS:
            ours, theirs = by_name[f"meta4 {recall:g}"], by_name[f"hnsw {recall:g}"]
            figures = {
                "recall_at_25": ours.recall,
                "docs_looked_into": ours.docs_looked_into,
                "p50_ms": ours.p50_ms,
                "p95_ms": ours.p95_ms,
                "speedup_vs_exact": by_name["exact script"].p50_ms / ours.p50_ms,
                "speedup_vs_hnsw": theirs.p50_ms / ours.p50_ms,
                "hnsw_recall_at_25": theirs.recall,
                "hnsw_candidates": self.hnsw_candidates[f"{recall:g}"],
            }
            result[f"at_{recall:g}"] = figures
            if recall == _RECALLS[0]:
                result |= figures
        return result


def run_demonstration(
    engine: Engine, bar: Bar, stages: Callable[[str, int, int], None]
) -> Demonstration:
    """Train, create, ingest through the pipeline, tune, ask, compare.

    Both indexes are made anew each time and left in place for the user to look at.
    """
    started = time.monotonic()
    sample = load_sample()
    held_out = _held_out(sample)
    indexed = np.setdiff1d(np.arange(len(sample.words)), held_out)
    base = sample.vectors[indexed]
    clock = time.monotonic()
    spec = CellsSpec(n_buckets=_N_BUCKETS, n_bits=_N_BITS)
    model = HashModel.fit(spec, base, stages)
    ref = ModelStore(engine).push(_MODEL, model)
    train_s = time.monotonic() - clock
    for index in (INDEX, BASELINE):
        engine.delete_index(index)
    create_index(engine, INDEX, field=FIELD, ref=ref, model=model, hashing="server")
    graph = engine.dialect.graphs[0]
    engine.create_index(BASELINE, engine.dialect.graph_index_body(FIELD, base.shape[1], graph))
    rates = []
    for index in (INDEX, BASELINE):
        with bar(f"loading {index}", len(base), "documents") as advance:
            rates.append(_load(engine, index, sample, indexed, advance))
    with bar("tuning", _N_TUNING, "queries") as advance:
        tune_index(engine, INDEX, n_queries=_N_TUNING, progress=advance)
    meta4 = Meta4(engine)
    similar = _ask(meta4, {"meta4_similar": {FIELD: {"id": "berlin", "k": 5}}})
    analogy = _ask(meta4, _analogy("berlin", "germany", "paris"))
    same, correct, n_questions = _questions(meta4, sample, indexed)
    rows, hnsw_candidates = _compare(meta4, base, sample.vectors[held_out], bar)
    return Demonstration(
        n_documents=len(base),
        train_s=train_s,
        ingest_docs_per_s=rates[0],
        baseline_docs_per_s=rates[1],
        similar=similar,
        analogy=analogy,
        n_questions=n_questions,
        questions_same_as_exact=same,
        questions_correct=correct,
        rows=rows,
        hnsw_candidates=hnsw_candidates,
        seconds=time.monotonic() - started,
    )


def _held_out(sample: Sample) -> NDArray[np.int64]:
    """Rows that are queries and no documents: none that the demonstration asks about."""
    asked = {word for question in sample.questions for word in question} | {"berlin"}
    free = [row for row, word in enumerate(sample.words) if word not in asked]
    return np.sort(np.random.default_rng(0).choice(free, _N_HELD_OUT, replace=False))


def _load(
    engine: Engine,
    index: str,
    sample: Sample,
    rows: Iterable[int],
    advance: Callable[[int], None],
) -> float:
    """Plain bulk requests of plain documents, merged to one segment; documents by second."""

    def documents() -> Iterator[Document]:
        for row in rows:
            yield Document(sample.words[row], {FIELD: sample.vectors[row]})

    clock = time.monotonic()
    report = load_documents(engine, index, documents(), None, advance=advance)
    if report.refusals:
        raise AssertionError(f"the sample's documents were refused: {report.refusals[0]}")
    engine.request("POST", f"/{index}/_forcemerge", params={"max_num_segments": 1})
    engine.refresh(index)
    return report.n_indexed / (time.monotonic() - clock)


def _analogy(a: str, b: str, c: str, recall: float = 0.99) -> dict[str, Any]:
    operands: dict[str, Any] = {"a": {"id": a}, "b": {"id": b}, "c": {"id": c}}
    return {"meta4_analogy": {FIELD: {**operands, "k": 3, "recall": recall}}}


def _ask(meta4: Meta4, query: dict[str, Any]) -> list[tuple[str, float]]:
    answer = meta4.search(index=INDEX, body={"_source": False, "query": query})
    return [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]


def _questions(
    meta4: Meta4, sample: Sample, indexed: NDArray[np.int64]
) -> tuple[float, float, int]:
    """Shares of the questions answered as the exact scan does, and as the question's author."""
    questions = sample.questions[:_N_QUESTIONS]
    same = correct = 0
    for a, b, c, d in questions:
        ours = _ask(meta4, _analogy(a, b, c))[0][0]
        same += ours == _ask(meta4, _analogy(a, b, c, recall=1.0))[0][0]
        correct += ours == d
    return same / len(questions), correct / len(questions), len(questions)


def _compare(
    meta4: Meta4, base: NDArray[np.float32], queries: NDArray[np.float32], bar: Bar
) -> tuple[list[Row], dict[str, int]]:
    truth = comparison.exact_truth(base, queries, _K)
    engine = meta4.engine
    dialect = engine.dialect
    option = dialect.candidate_options[-1]

    def ours(recall: float) -> comparison.Search:
        return lambda query: _hits(meta4.search(index=INDEX, body=_similar(query, recall)))

    def hnsw(candidates: int) -> comparison.Search:
        def search(query: NDArray[np.float32]) -> list[dict[str, Any]]:
            body = dialect.graph_body(GraphSearch(FIELD, query, _K, candidates, option))
            return _hits(engine.search(BASELINE, body))

        return search

    def script(query: NDArray[np.float32]) -> list[dict[str, Any]]:
        return _hits(engine.search(INDEX, dialect.exact_body(FIELD, query, _K, None)))

    timed, timed_truth = queries[:_N_TIMED], truth[:_N_TIMED]
    hnsw_candidates: dict[str, int] = {}
    sides: dict[str, comparison.Search] = {"exact script": script}
    for recall in _RECALLS:
        reached = np.mean(
            [
                recall_by_score(_scores(ours(recall)(query)), scores, _K)
                for query, scores in zip(timed, timed_truth, strict=True)
            ]
        )
        candidates, _ = comparison.fewest_candidates(
            hnsw, timed, timed_truth, _K, float(reached), _HNSW_CHOICES
        )
        hnsw_candidates[f"{recall:g}"] = candidates
        sides[f"hnsw {recall:g}"] = hnsw(candidates)
        sides[f"meta4 {recall:g}"] = ours(recall)
    with bar("comparing", len(timed), "queries") as advance:
        timings = comparison.interleaved(
            sides, timed, timed_truth, _K, warm_up=100, progress=advance
        )
    looked_into = {
        f"meta4 {recall:g}": float(
            np.mean([_looked_into(meta4, query, recall) for query in timed[:100]])
        )
        for recall in _RECALLS
    }
    rows = [
        Row(name, timing.recall, looked_into.get(name), timing.p50_ms, timing.p95_ms)
        for name, timing in timings.items()
    ]
    return rows, hnsw_candidates


def _similar(query: NDArray[np.float32], recall: float) -> dict[str, Any]:
    clause = {"vector": query.tolist(), "k": _K, "recall": recall}
    return {"_source": False, "query": {"meta4_similar": {FIELD: clause}}}


def _looked_into(meta4: Meta4, query: NDArray[np.float32], recall: float) -> float:
    explained = meta4.explain(index=INDEX, body=_similar(query, recall))
    return float(explained["clauses"][0]["share_looked_into"])


def _hits(answer: dict[str, Any]) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = answer["hits"]["hits"]
    return hits


def _scores(hits: list[dict[str, Any]]) -> NDArray[np.float64]:
    return np.asarray([hit["_score"] for hit in hits])
