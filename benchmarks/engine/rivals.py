"""The engine's own indexes of vectors, each with the settings that serve it best.

Not measured: see `NOT_MEASURED`, which the documents say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from meta4.mappings.dialect import Dialect

from ..contest import FIELD, K
from .collection import Body, Question

PLAIN = "hnsw"
INNER_PRODUCT = "hnsw, innerproduct"
SQ_7 = "hnsw, sq 7 bits"
INT8, BBQ = "int8_hnsw", "bbq_hnsw"
_CONCURRENT = "search.concurrent_segment_search.mode"
#: On by default, it ends a walk before all candidates are seen: with it 10,000 of them found 0.988
#: on all words. Off is compared with on for 8,000 words only, where it found as much or more.
_EARLY_END = "dense_vector.hnsw_enable_early_termination"
#: By engine, what it has besides, and why it does not stand in the tables.
NOT_MEASURED: Mapping[str, str] = {
    "opensearch": (
        "Not measured: encoder `sq` with 1 bit, `compression_level: 32x`, `mode: on_disk` and "
        '`method: {"name": "flat"}`. Each needs native libraries, which the node of the '
        "benchmark does not have, and ends it at the first flush. So do Faiss's graph and IVF."
    ),
    "elasticsearch": (
        "Not measured: `bbq_disk`, which answers each document with 403 and "
        '"license is non-compliant".'
    ),
}


@dataclass(frozen=True)
class Way:
    """One way of asking an index.

    Attributes:
        name: for the results.
        body: of a question and a number of candidates; a function of a module, so that it can
            be sent to another process.
    """

    name: str
    body: Callable[[Question, int], Body]


@dataclass(frozen=True)
class Kind:
    """An index of the engine's own.

    Attributes:
        name: what it is called in results.
        index_body: its settings and mapping.
        ways: of asking it, of which the fastest is taken.
        unit: whether its documents are loaded with length 1.
        of_several: settings that serve it better while it has more segments than one.
    """

    name: str
    index_body: Body
    ways: tuple[Way, ...]
    unit: bool = False
    of_several: Body = field(default_factory=dict)


def kinds(engine: str, dialect: Dialect, dims: int) -> list[Kind]:
    """Those of an engine, its plain HNSW first."""
    return {"opensearch": _opensearch, "elasticsearch": _elasticsearch}[engine](dialect, dims)


def _opensearch(dialect: Dialect, dims: int) -> list[Kind]:
    def graph(space: str, encoder: Body | None = None) -> Body:
        body = dialect.graph_index_body(FIELD, dims, PLAIN)
        method = body["mappings"]["properties"][FIELD]["method"]
        method["space_type"] = space
        if encoder is not None:
            method["parameters"]["encoder"] = encoder
        # Handing the only segment to another thread costs more than it saves, as in ours.
        body["settings"]["index"][_CONCURRENT] = "none"
        return body

    several = {f"index.{_CONCURRENT}": "auto"}
    seven_bits = {"name": "sq", "parameters": {"bits": 7}}
    both = (Way("k", _opensearch_k), Way("ef_search", _opensearch_ef))
    again = Way("k, all scored again", _opensearch_k_again)
    units = (Way("k", _opensearch_unit_k), Way("ef_search", _opensearch_unit_ef))
    return [
        Kind(PLAIN, graph("cosinesimil"), both, of_several=several),
        Kind(INNER_PRODUCT, graph("innerproduct"), units, unit=True, of_several=several),
        Kind(SQ_7, graph("cosinesimil", seven_bits), (*both, again), of_several=several),
    ]


def _elasticsearch(dialect: Dialect, dims: int) -> list[Kind]:
    whole = (Way("knn", _knn_section), Way("query", _knn_query))
    again = (Way("knn", _knn_section), Way("query, all scored again", _knn_query_again))
    ways = {PLAIN: whole, INT8: again, BBQ: again}

    def graph(name: str) -> Body:
        body = dialect.graph_index_body(FIELD, dims, name)
        body["settings"]["index"][_EARLY_END] = False
        return body

    return [Kind(name, graph(name), ways[name]) for name in dialect.graphs]


def _opensearch_knn(question: Question, inner: Body) -> Body:
    if question.within is not None:
        inner["filter"] = question.within
    return {"size": K, "_source": False, "query": {"knn": {FIELD: inner}}}


def _opensearch_k(question: Question, candidates: int) -> Body:
    return _opensearch_knn(question, {"vector": question.vector, "k": candidates})


def _opensearch_ef(question: Question, candidates: int) -> Body:
    parameters = {"ef_search": candidates}
    inner = {"vector": question.vector, "k": K, "method_parameters": parameters}
    return _opensearch_knn(question, inner)


def _opensearch_k_again(question: Question, candidates: int) -> Body:
    """All candidates scored by their full vectors, as 7 bits lose more than any walk finds."""
    again = {"oversample_factor": 1.0}
    inner = {"vector": question.vector, "k": candidates, "rescore": again}
    return _opensearch_knn(question, inner)


def _unit(question: Question) -> Question:
    vector = question.vector / np.linalg.norm(question.vector)
    return Question(vector, question.kept, question.truth)


def _opensearch_unit_k(question: Question, candidates: int) -> Body:
    return _opensearch_k(_unit(question), candidates)


def _opensearch_unit_ef(question: Question, candidates: int) -> Body:
    return _opensearch_ef(_unit(question), candidates)


def _elasticsearch_knn(question: Question, k: int, candidates: int) -> Body:
    knn: Body = {
        "field": FIELD,
        "query_vector": question.vector,
        "k": k,
        "num_candidates": candidates,
    }
    if question.within is not None:
        knn["filter"] = question.within
    return knn


def _knn_section(question: Question, candidates: int) -> Body:
    knn = _elasticsearch_knn(question, K, candidates)
    return {"size": K, "_source": False, "knn": knn}


def _knn_query(question: Question, candidates: int) -> Body:
    """Spares the round that a section takes before the query's."""
    knn = _elasticsearch_knn(question, K, candidates)
    return {"size": K, "_source": False, "query": {"knn": knn}}


def _knn_query_again(question: Question, candidates: int) -> Body:
    """All candidates scored by their full vectors: that costs little beside the walk."""
    knn = _elasticsearch_knn(question, candidates, candidates)
    knn["rescore_vector"] = {"oversample": 1.0}
    return {"size": K, "_source": False, "query": {"knn": knn}}
