"""Indexes of the same vectors, ours by each way and the engine's graphs, and searches in them."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from meta4 import Document, HashModel, Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.cli.common import counting
from meta4.adapter.engines.engine import Engine
from meta4.adapter.fields.recall import recall_by_score
from meta4.adapter.fields.vectors.tuning.tune import N_QUERIES
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure import comparison
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.mappings.dialect import Dialect, GraphSearch
from meta4.mappings.spec import FirstPhase, IndexSpec
from meta4.models.artifact import fingerprint
from meta4.models.specs import CellsSpec, cells_for

from .contest import FIELD, fit_once, live_bytes, merge
from .worlds import Body, Floats, Json, World

K = 10
#: That are tried for a graph, over k; the engines take 10,000 at most.
_CANDIDATES = tuple(1.15**i for i in range(49))
#: Of each query, by its bytes, what it is asked under.
Filters = Mapping[bytes, Body | None]
NO_FILTERS: Filters = {}
#: Every second or third vector of a larger set is enough to find its cells.
_TRAINED_ON = 400_000
_MARK = "bench"


@dataclass(frozen=True)
class Ours:
    """An index of ours.

    Attributes:
        name: for tables.
        key: for the index's name.
        first_phase: as `create_index` takes it.
    """

    name: str
    key: str
    first_phase: FirstPhase

    def model(self, world: World) -> HashModel:
        """Fitted by this run or by one before."""
        step = -(-len(world.base) // _TRAINED_ON)
        return fit_once(
            CellsSpec(n_buckets=cells_for(len(world.base)), n_bits=64), world.base[::step]
        )


@dataclass(frozen=True)
class Graph:
    """The engine's own index of a kind, one of its dialect's `graphs`."""

    name: str

    @property
    def key(self) -> str:
        """For the index's name."""
        return self.name.replace("_", "-")


Side = Ours | Graph
#: The first is whose recall rivals must reach.
OURS = (Ours("meta4", "auto", "auto"), Ours("meta4, full vectors", "none", "none"))
HNSW = Graph("hnsw")


def graphs(dialect: Dialect) -> list[Graph]:
    """All that an engine has and a node of ours runs, its plain HNSW first."""
    return [Graph(name) for name in dialect.graphs]


class Sides:
    """Indexes of one world on one engine.

    Args:
        engine: they are on.
        world: they are of.
        k: that is asked for.
        n_tuned: queries that ours are tuned with; each is searched exactly.
    """

    def __init__(self, engine: Engine, world: World, k: int = K, n_tuned: int = N_QUERIES) -> None:
        self.engine = engine
        self.meta4 = Meta4(engine)
        self.world = world
        self.k = k
        self.n_tuned = n_tuned

    def index(self, side: Side) -> str:
        """What it is called."""
        return f"bench-{self.world.key}-{side.key}"

    def load(self, side: Side, *, anew: bool) -> Json:
        """Load an index, merge it to one segment, and tune ours; gives what that took.

        Args:
            side: which.
            anew: also where a run before left it with the same vectors and model.
        """
        model = side.model(self.world) if isinstance(side, Ours) else None
        fields = ",".join(self.world.fields[0])
        of = f"{side!r} {fingerprint(self.world.base)} {fields} {model and model.manifest.sha256}"
        index = self.index(side)
        if not anew and self.engine.index_exists(index):
            left = self.engine.mappings(index)[index].get("_meta", {}).get(_MARK, {})
            if left.get("of") == of:
                loaded: Json = left["loaded"]
                return loaded if model is None else self._tuned(index, of, loaded, model)
        self.engine.delete_index(index)
        if isinstance(side, Ours):
            assert model is not None
            loaded = self._load_ours(index, side, model)
        else:
            self.engine.create_index(index, self._graph_body(side))
            loaded = self._load(index, None)
        self.engine.put_meta(index, {_MARK: {"of": of, "loaded": loaded}})
        return loaded if model is None else self._tuned(index, of, loaded, model)

    def ours(self, side: Ours, recall: float, filters: Filters = NO_FILTERS) -> comparison.Search:
        """The whole request at a recall, with its rewriting."""
        index = self.index(side)

        def search(query: Floats) -> list[Body]:
            body = self.body(query, recall, filters)
            hits: list[Body] = self.meta4.search(index=index, body=body)["hits"]["hits"]
            return hits

        return search

    def graph(
        self, side: Graph, candidates: int, filters: Filters = NO_FILTERS
    ) -> comparison.Search:
        """The graph's search.

        What a quantised one finds is all scored again by its full vectors: that costs little
        beside the walk, and few bits alone lose more than any walk finds.
        """
        index, dialect = self.index(side), self.engine.dialect
        option = dialect.candidate_options[-1]

        def search(query: Floats) -> list[Body]:
            within = filters.get(query.tobytes())
            body = dialect.graph_body(GraphSearch(FIELD, query, self.k, candidates, option, within))
            if side != HNSW:
                body["knn"] |= {"k": max(self.k, candidates), "rescore_vector": {"oversample": 1.0}}
            hits: list[Body] = self.engine.search(index, body)["hits"]["hits"]
            return hits

        return search

    def fewest(
        self, side: Graph, queries: Floats, truth: Any, recall: float, filters: Filters = NO_FILTERS
    ) -> int:
        """The fewest candidates with which a graph has this recall on these queries."""
        with_candidates: Callable[[int], comparison.Search] = partial(
            self.graph, side, filters=filters
        )
        tried = sorted({min(10_000, round(self.k * factor)) for factor in _CANDIDATES})
        candidates, _ = comparison.fewest_candidates(
            with_candidates, queries, truth, self.k, recall, tried, self.world.scores
        )
        return candidates

    def delivered(self, search: comparison.Search, queries: Floats, truth: Any) -> float:
        """Mean recall of a search on queries, by the (n, k) scores of their nearest."""
        found = [
            recall_by_score(self.world.scores(query, search(query)), best, self.k)
            for query, best in zip(queries, truth, strict=True)
        ]
        return float(np.mean(found))

    def body(self, query: Floats, recall: float, filters: Filters = NO_FILTERS) -> Body:
        """What a user of ours writes."""
        clause: Body = {"meta4_similar": {FIELD: {"vector": query, "k": self.k, "recall": recall}}}
        within = filters.get(query.tobytes())
        if within is not None:
            clause = {"bool": {"must": [clause], "filter": [within]}}
        return {"_source": False, "query": clause}

    def _load_ours(self, index: str, side: Ours, model: HashModel) -> Json:
        ref = ModelStore(self.engine).push(f"bench-{self.world.key}", model)
        create_index(
            self.engine,
            index,
            field=FIELD,
            ref=ref,
            model=model,
            hashing="client",
            first_phase=side.first_phase,
        )
        self.meta4.forget(index)
        return self._load(index, self.engine.run(self.meta4.core.hasher(index)))

    def _tuned(self, index: str, of: str, loaded: Json, model: HashModel) -> Json:
        """Tune an index that is loaded, unless a run before did; gives what both took."""
        if "tune_s" in loaded:
            return loaded
        clock = time.monotonic()
        with counting("tuning", self.n_tuned, "queries") as progress:
            tune_index(self.engine, index, n_queries=self.n_tuned, progress=progress)
        self.meta4.forget(index)
        spec = read_spec(self.engine, index)
        assert isinstance(spec, IndexSpec)
        windows = None if spec.windows is None else spec.windows.model_dump()
        tuned = {"tune_s": time.monotonic() - clock, "directions": spec.sketch, "windows": windows}
        loaded = loaded | tuned | {"cells": model.n_buckets}
        self.engine.put_meta(index, {_MARK: {"of": of, "loaded": loaded}})
        return loaded

    def _graph_body(self, side: Graph) -> Body:
        """On unit vectors, with their product where a graph's cosine takes longer."""
        dims = self.world.base.shape[1]
        body = self.engine.dialect.graph_index_body(FIELD, dims, side.name)
        vector = body["mappings"]["properties"][FIELD]
        if "method" in vector:
            vector["method"]["space_type"] = "innerproduct"
        return body

    def _load(self, index: str, hasher: Any) -> Json:
        world = self.world

        def documents() -> Iterator[Document]:
            for row, (vector, fields) in enumerate(zip(world.base, world.fields, strict=True)):
                yield Document(str(row), {FIELD: vector, **fields})

        clock = time.monotonic()
        with counting(f"loading {index}", len(world.base), "documents") as advance:
            loaded = load_documents(self.engine, index, documents(), hasher, advance=advance)
        assert not loaded.refusals, loaded.refusals[0]
        load_s = time.monotonic() - clock
        merge(self.engine, index)
        return {
            "seconds": time.monotonic() - clock,
            "load_s": load_s,
            "bytes": live_bytes(self.engine, index),
        }
