"""Measuring recall on the index's own documents, and storing the table."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....errors import InputError
from .....mappings.spec import IndexSpec
from .....models.choice.judgement import Look, look
from .....models.model import HashModel
from .....models.probing.calibration import TARGETS, Calibration, QuerySource, calibrate
from .....models.probing.directory import Directory, bucket_ids
from .....models.stopping.record import OutlookRecord
from ....engines.engine import Engine
from ....search.clauses import SimilarClause
from ....search.plan import CHOSEN_FROM, RequestPlan
from ....search.sites import Site
from ...meta import write_spec
from ...recall import recall_by_score
from ..directory import read_directories
from ..request import SMALLEST_K, PlannedVectors
from .exact import Query, draw_queries, exact_neighbours
from .fitting import tune_outlook
from .windows import measure_windows

N_QUERIES = 2000
#: How far out the truth of most queries reaches.
SHALLOW = 100
#: How far out that of every sixth does: the 25 nearest under a filter that keeps 1.25%. A deep
#: truth averages over more neighbours, so that fewer queries do.
DEEP, DEEP_STEP = 2000, 6
#: Where the buckets that documents are looked for by are one each, but for what was counted twice.
_ONE_EACH = 1.01
#: Of so many queries one's whole order is kept, for the mean share at a price.
_KEPT_STEP = 4
#: First-phase windows that `hamming` is measured with, as multiples of k.
_WINDOWS = (5, 10, 20, 40, 80, 160)
_HAMMING_QUERIES = 100


def tune_vectors(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    model: HashModel,
    *,
    n_queries: int = N_QUERIES,
    given: NDArray[Any] | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Calibration | OutlookRecord:
    """Measure a field, and write what was found into its index's mapping.

    Where buckets have places, and documents enough that not all are scored in any case: an
    outlook (see `tune_outlook`). Else a table: one exact scan for each query gives the nearest
    documents and their buckets; where in the plan's order those buckets stand says what every
    smaller search would have found.

    Args:
        engine: where.
        index: which index.
        spec: of the field.
        model: the field's.
        n_queries: documents drawn as queries, or rows of `given`; of an outlook how many queries'
            time it may take.
        given: (n, dims) vectors that people have searched for, to be used instead: what is
            promised holds for queries like those that it was measured with, and questions
            may lie elsewhere than documents.
        seed: which documents or rows.
        progress: called with the number of queries done since the last call.

    Raises:
        InputError: no queries, or no hashed document that one of them could find.
        EmbeddingError: a given vector that cannot be searched for.
    """
    directories = engine.run(read_directories(engine.calls, index, spec, spec.all_keywords))
    directory = directories["bucket"]
    # Strays are in every answer wherever one looks, so that they say nothing of the order.
    hashed = spec.hashed if directory.n_strays else None
    # A document that is the query is no answer to it.
    farthest = directory.n_documents - directory.n_strays - (given is None)
    if farthest < 1 or not directory.n_postings:
        raise _too_few(index, directory, given is None)
    home = directories[spec.home_keyword]
    windows = {}
    if spec.sketch:
        windows["windows"] = measure_windows(
            engine, index, spec, model, given=given, n_queries=n_queries, seed=seed
        )
    if spec.plan == "centroid" and home.overlap < _ONE_EACH and farthest >= CHOSEN_FROM:
        outlook = tune_outlook(
            engine, index, spec, model, home,
            n_queries=n_queries, given=given, seed=seed, progress=progress,
        )  # fmt: skip
        spec = spec.model_copy(update={"calibration": None, "outlook": outlook, **windows})
        write_spec(engine, index, spec)
        _write_window(engine, index, spec, model, n_queries, seed, hashed)
        return outlook
    queries = draw_queries(engine, index, spec, n_queries, seed, given, hashed)
    orders = {keyword: _Orders(spec, by) for keyword, by in directories.items()}
    for group, reach in ((queries[::DEEP_STEP], DEEP), (_without_each_sixth(queries), SHALLOW)):
        depth = min(reach, farthest)
        truth = exact_neighbours(engine, index, spec, group, depth, progress, hashed)
        for query, neighbours in zip(group, truth, strict=True):
            costs = model.bucket_costs(query.vector, spec.plan)
            for keyword, order in orders.items():
                order.add(costs, neighbours.terms[keyword][:depth])
    source: QuerySource = "documents" if given is None else "given"
    by = {keyword: order.calibration(source) for keyword, order in orders.items()}
    calibration = by["bucket"].model_copy(update={"home": by.get("home")})
    spec = spec.model_copy(update={"calibration": calibration, "outlook": None, **windows})
    write_spec(engine, index, spec)
    _write_window(engine, index, spec, model, n_queries, seed, hashed)
    return calibration


class _Orders:
    """How far down the order of the buckets the neighbours of queries are met, by one keyword."""

    def __init__(self, spec: IndexSpec, directory: Directory) -> None:
        self._plan = spec.plan
        self._directory = directory
        self._rows: list[NDArray[np.float64]] = []
        self._looks: list[Look] = []

    def add(self, costs: NDArray[np.float32], neighbours: Sequence[Sequence[str]]) -> None:
        """Count a query, by the costs of its buckets and its neighbours' keywords."""
        own = look(costs, self._plan, self._directory)
        if len(self._rows) % _KEPT_STEP == 0:
            self._looks.append(own)
        n_buckets = self._directory.n_buckets
        met = [bucket_ids(terms, n_buckets) for terms in neighbours]
        self._rows.append(own.needed(met, n_buckets))

    def calibration(self, queries: QuerySource) -> Calibration:
        """What they say of queries to come."""
        return calibrate(
            self._rows,
            self._plan,
            n_documents=self._directory.n_documents,
            queries=queries,
            share_at=self._share_at if self._plan == "learned" else None,
        )

    def _share_at(self, limit: float) -> float:
        return float(np.mean([own.share_at(limit) for own in self._looks]))


def _without_each_sixth(queries: list[Query]) -> list[Query]:
    return [query for i, query in enumerate(queries) if i % DEEP_STEP]


def _too_few(index: str, directory: Directory, by_documents: bool) -> InputError:
    """Why nothing can be measured, and the way out."""
    way = f"load some: meta4 ingest FILE --index {index}"
    if directory.n_strays:
        way = f"hash what is there: meta4 index heal {index}"
    n_hashed = directory.n_documents - directory.n_strays
    least = "two, each of which asks for the other" if by_documents else "one that can be found"
    return InputError(
        f"index {index!r} has too few hashed documents to measure with, {n_hashed:,} of the "
        f"{directory.n_documents:,} that have a vector; expected at least {least}; {way}"
    )


def _write_window(
    engine: Engine, index: str, spec: IndexSpec, model: HashModel, n: int, seed: int,
    hashed: dict[str, Any] | None,
) -> None:  # fmt: skip
    if spec.strategy == "hamming":
        queries = draw_queries(engine, index, spec, min(n, _HAMMING_QUERIES), seed, None, hashed)
        window = _measure_window(engine, index, spec, model, queries)
        write_spec(engine, index, spec.model_copy(update={"window": window}))


def _measure_window(
    engine: Engine, index: str, spec: IndexSpec, model: HashModel, queries: list[Query]
) -> int:
    """The smallest window that loses less to the Hamming phase than the highest target allows.

    Measured over all hashed documents, where the buckets lose nothing and all loss is the window's.
    """
    k = SMALLEST_K
    truth = list(exact_neighbours(engine, index, spec, queries, k, lambda _: None, spec.hashed))
    n_documents = engine.count(index)
    everywhere = RequestPlan(None, k, 1.0, n_documents, None, "")
    for window in _WINDOWS:
        tried = spec.model_copy(update={"window": window})
        recalls = []
        for query, neighbours in zip(queries, truth, strict=True):
            # Any recall below 1 will do: it is the plan that says where to look.
            clause = SimilarClause(vector=query.vector.tolist(), k=k, recall=0.99)
            itself = [] if query.id is None else [{"ids": {"values": [query.id]}}]
            site = Site((), spec.field, clause, (), tuple(itself))
            planned = PlannedVectors(
                site, query.vector[None], everywhere, 0, tried, model, engine.dialect
            )
            phases = planned.phases()
            if phases is None:
                return window
            hits = engine.search(index, {"size": k, "_source": False, **phases})["hits"]["hits"]
            found = np.asarray([hit["_score"] for hit in hits])
            recalls.append(recall_by_score(found, neighbours.scores, k))
        if float(np.mean(recalls)) >= TARGETS[-1]:
            return window
    return _WINDOWS[-1]
