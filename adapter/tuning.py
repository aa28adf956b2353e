"""`meta4 index tune`: measure recall on the index's own documents, and store the table."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mappings.spec import IndexSpec
from ..models.calibration import Calibration, calibrate
from ..models.directory import Directory
from ..models.model import HashModel
from ..models.probing import Plan, bucket_costs, check_plan
from .catalog import read_directory, read_spec
from .engines.opensearch import OpenSearchEngine
from .gateway import Meta4
from .store import ModelStore
from .truth import Query, exact_neighbours, recall_by_score, sample_queries

N_QUERIES = 1000
#: How far out the truth reaches: the 25 nearest under a filter that keeps 1.25%.
DEPTH = 2000
#: First-phase windows that `hamming` is measured with, as multiples of k.
_WINDOWS = (5, 10, 20, 40, 80, 160)
_HAMMING_K = 25
_HAMMING_QUERIES = 100


def tune_index(
    engine: OpenSearchEngine,
    index: str,
    *,
    plan: Plan | None = None,
    n_queries: int = N_QUERIES,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Calibration:
    """Calibrate an index and write the table into its mapping.

    One exact scan for each query gives the documents out to `DEPTH` and their buckets; where
    in the plan's order those buckets stand says what every smaller search would have found.

    Args:
        engine: where.
        index: which index.
        plan: change the index's plan to this one.
        n_queries: documents drawn as queries.
        seed: which documents.
        progress: called with the number of queries done since the last call.

    Raises:
        NotFoundError: no such index, or not one of ours.
        InputError: no documents yet, or a plan that the model has no meaning for.
    """
    engine.refresh(index)
    spec = read_spec(engine, index)
    _, model = ModelStore(engine).pull(str(spec.model))
    spec = spec.model_copy(update={"plan": plan or spec.plan})
    check_plan(spec.plan, model.weights)
    directory = read_directory(engine, index, spec, None)
    queries = sample_queries(engine, index, spec, n_queries, seed)
    depth = min(DEPTH, max(1, directory.n_documents - 1))
    rows = [
        _shares_needed(query, neighbours.buckets, depth, spec, model, directory)
        for query, neighbours in zip(
            queries,
            exact_neighbours(engine, index, spec, queries, depth, progress),
            strict=True,
        )
    ]
    calibration = calibrate(np.stack(rows), spec.plan, n_documents=directory.n_documents)
    spec = spec.model_copy(update={"calibration": calibration})
    engine.put_meta(index, spec.to_meta())
    if spec.strategy == "hamming":
        window = _measure_window(engine, index, spec, queries[:_HAMMING_QUERIES])
        engine.put_meta(index, spec.model_copy(update={"window": window}).to_meta())
    return calibration


def _shares_needed(
    query: Query,
    buckets: list[list[str]],
    depth: int,
    spec: IndexSpec,
    model: HashModel,
    directory: Directory,
) -> NDArray[np.float64]:
    """Share of the postings after which the plan's order has met each neighbour."""
    costs = bucket_costs(query.vector, model.weights, spec.plan)
    order = np.argsort(costs[directory.buckets], kind="stable")
    met_after = np.full(model.n_buckets, directory.n_postings, dtype=np.int64)
    met_after[directory.buckets[order]] = np.cumsum(directory.counts[order])
    needed = np.ones(depth)
    for i, terms in enumerate(buckets):
        if terms:
            needed[i] = met_after[[int(term, 16) for term in terms]].min() / directory.n_postings
    return needed


def _measure_window(
    engine: OpenSearchEngine, index: str, spec: IndexSpec, queries: list[Query]
) -> int:
    """The smallest window that loses less to the Hamming phase than the highest target allows.

    Measured with recall 1, where the buckets lose nothing and all loss is the window's.
    """
    truth = list(exact_neighbours(engine, index, spec, queries, _HAMMING_K, lambda _: None))
    meta4 = Meta4(engine)
    for window in _WINDOWS:
        engine.put_meta(index, spec.model_copy(update={"window": window}).to_meta())
        meta4.catalog.forget(index)
        recalls = []
        for query, neighbours in zip(queries, truth, strict=True):
            clause = {"id": query.id, "k": _HAMMING_K, "recall": 1.0}
            body: dict[str, Any] = {
                "_source": False,
                "query": {"meta4_similar": {spec.field: clause}},
            }
            hits = meta4.search(index=index, body=body)["hits"]["hits"]
            found = np.asarray([hit["_score"] for hit in hits])
            recalls.append(recall_by_score(found, neighbours.scores, _HAMMING_K))
        if float(np.mean(recalls)) >= 0.999:
            return window
    return _WINDOWS[-1]
