"""An index of ours and one of HNSW with the same documents, and searches in both."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4 import Document, EmbeddedNode, HashModel, Meta4
from meta4.adapter.cli.common import counting, downloading, stages
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.adapter.engines.node.elasticsearch import ElasticsearchServer
from meta4.adapter.engines.node.folders import default_data
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import Server
from meta4.adapter.fields.vectors.tuning.tune import N_QUERIES
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure import comparison
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.ingest.hashers import Hasher
from meta4.mappings.dialect import GraphSearch
from meta4.models.artifact import checksum, fingerprint
from meta4.models.probing.ranking import Plan
from meta4.models.specs import AnySpec

FIELD = "embedding"
K = 25
OURS = "bench-meta4"
SERVERS: dict[str, Server] = {
    "opensearch": OpenSearchServer(),
    "elasticsearch": ElasticsearchServer("9.4.3"),
}
_HEAP_MB = 4096
#: Candidates of a graph search that are tried: steps of about 5%, up to the engines' own limit.
CANDIDATES = (*sorted({round(25 * 1.05**i) for i in range(120)}), 10_000)
_EQUAL_QUERIES = 300
#: Seconds between looks at what a server does by itself.
LOOK = 0.2


@dataclass(frozen=True)
class Loaded:
    """What loading one side took: seconds with the merge to one segment, and bytes.

    `taken_over` where a run before on the same machine measured it.
    """

    seconds: float
    load_seconds: float
    bytes: int
    n: int
    taken_over: bool = False


@contextmanager
def bench_engine(name: str = "opensearch", data: Path | None = None) -> Iterator[Engine]:
    """A node that keeps its data between benchmarks; ended with us, by Ctrl-C or by SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data = data or bench_data(name)
    with EmbeddedNode(SERVERS[name], data=data, heap_mb=_HEAP_MB, progress=downloading) as node:
        yield connect(node.url)


def bench_data(name: str) -> Path:
    """Where the node of an engine keeps its data between benchmarks."""
    return default_data().parent / f"bench-{name}"


def fit(
    spec: AnySpec, vectors: NDArray[np.float32], labels: NDArray[np.int64] | None = None
) -> HashModel:
    """A model, with progress."""
    with stages() as progress:
        return HashModel.fit(spec, vectors, progress, labels=labels)


def fit_once(spec: AnySpec, vectors: NDArray[np.float32]) -> HashModel:
    """The same, unless a run before left the model of this spec and these vectors."""
    digest = checksum(f"{spec.model_dump_json()} {fingerprint(vectors)}".encode())
    folder = default_data().parent / "bench-models" / digest[:16]
    if not folder.exists():
        fit(spec, vectors).save(folder)
    return HashModel.load(folder)


class Contest:
    """Both indexes, loaded with the same vectors."""

    def __init__(
        self,
        engine: Engine,
        base: NDArray[np.float32],
        ids: list[str],
        model: HashModel,
    ) -> None:
        self.engine = engine
        self.meta4 = Meta4(engine)
        self.base = base
        self.model = model
        self._ids = ids
        self._graph = engine.dialect.graphs[0]
        self._theirs = f"bench-{self._graph}-{fingerprint(base)[:12]}"
        self._row_of = {identity: row for row, identity in enumerate(ids)}

    def load_ours(self, plan: Plan) -> Loaded:
        """Hash here, load, merge to one segment."""
        ref = ModelStore(self.engine).push("bench", self.model)
        self.engine.delete_index(OURS)
        create_index(
            self.engine,
            OURS,
            field=FIELD,
            ref=ref,
            model=self.model,
            plan=plan,
            hashing="client",
        )
        self.meta4.forget(OURS)
        return self._load(OURS, self.engine.run(self.meta4.core.hasher(OURS)))

    def load_theirs(self) -> Loaded:
        """Load the index of the engine's plain HNSW, merge to one segment.

        An index that a run before left with the same vectors is taken as it is, with the times
        that its mapping tells: building the graph takes longer than all the rest.
        """
        index = self._theirs
        if self.engine.index_exists(index):
            meta = self.engine.mappings(index)[index].get("_meta", {})
            if "loaded" in meta:
                return Loaded(**meta["loaded"] | {"taken_over": True})
            self.engine.delete_index(index)
        body = self.engine.dialect.graph_index_body(FIELD, self.base.shape[1], self._graph)
        self.engine.create_index(index, body)
        loaded = self._load(index, None)
        self.engine.put_meta(index, {"loaded": asdict(loaded)})
        return loaded

    def tune(self, given: NDArray[np.float32] | None = None, *, plan: Plan | None = None) -> float:
        """Calibrate ours, with documents as queries or with those given; gives the seconds.

        From then on requests follow the plan, if one is named.
        """
        clock = time.monotonic()
        with counting("tuning", N_QUERIES, "queries") as progress:
            tune_index(self.engine, OURS, plan=plan, given=given, progress=progress)
        self.meta4.forget(OURS)
        return time.monotonic() - clock

    def ours(self, recall: float | None) -> comparison.Search:
        """Our search at a recall, the whole request with its rewriting."""

        def search(query: NDArray[np.float32]) -> list[dict[str, Any]]:
            body = self._body(query, recall)
            hits: list[dict[str, Any]] = self.meta4.search(index=OURS, body=body)["hits"]["hits"]
            return hits

        return search

    def hnsw(self, candidates: int) -> comparison.Search:
        """The graph's search; see `Dialect.graph_body`."""
        dialect = self.engine.dialect
        option = dialect.candidate_options[-1]
        return lambda query: self._hits(
            self._theirs, dialect.graph_body(GraphSearch(FIELD, query, K, candidates, option))
        )

    def exact_script(self) -> comparison.Search:
        """Painless over all documents."""
        dialect = self.engine.dialect
        return lambda query: self._hits(OURS, dialect.exact_body(FIELD, query, K, None))

    def equal(self, queries: NDArray[np.float32], truth: NDArray[np.float64], recall: float) -> int:
        """The fewest candidates with which the graph has this recall on these queries."""
        candidates, _ = comparison.fewest_candidates(
            self.hnsw,
            queries[:_EQUAL_QUERIES],
            truth[:_EQUAL_QUERIES],
            K,
            recall,
            CANDIDATES,
            self.scores,
        )
        return candidates

    def recall(
        self, search: comparison.Search, queries: NDArray[np.float32], truth: NDArray[np.float64]
    ) -> float:
        """Mean recall@25 of a search on the queries that `equal` uses."""
        sides = {"one": search}
        rows = slice(0, _EQUAL_QUERIES)
        timings = comparison.interleaved(
            sides, queries[rows], truth[rows], K, scores_of=self.scores
        )
        return timings["one"].recall

    def scores(self, query: NDArray[np.float32], hits: list[dict[str, Any]]) -> NDArray[np.float64]:
        """(1 + cosine) / 2 of the hits, best first: what a quantised graph says is not that."""
        found = self.base[[self._row_of[hit["_id"]] for hit in hits]].astype(np.float64)
        cosines = found @ query / np.linalg.norm(found, axis=1) / np.linalg.norm(query)
        return np.sort((1.0 + cosines) / 2.0)[::-1]

    def looked_into(self, queries: NDArray[np.float32], recall: float | None) -> float:
        """Mean share of the documents that our rerank scores."""
        shares = []
        for query in queries:
            told = self.meta4.explain(index=OURS, body=self._body(query, recall))
            shares.append(told["clauses"][0]["share_looked_into"])
        return float(np.mean(shares))

    def _body(self, query: NDArray[np.float32], recall: float | None) -> dict[str, Any]:
        """Our request; without a recall it asks for what a clause asks for by itself."""
        asked = {} if recall is None else {"recall": recall}
        clause = {"meta4_similar": {FIELD: {"vector": query.tolist(), "k": K, **asked}}}
        return {"_source": False, "query": clause}

    def _hits(self, index: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = self.engine.search(index, body)["hits"]["hits"]
        return hits

    def _documents(self) -> Iterator[Document]:
        for row, vector in enumerate(self.base):
            yield Document(self._ids[row], {FIELD: vector})

    def _load(self, index: str, hasher: Hasher | None) -> Loaded:
        clock = time.monotonic()
        with counting(f"loading {index}", len(self.base), "documents") as advance:
            report = load_documents(self.engine, index, self._documents(), hasher, advance=advance)
        assert not report.refusals, report.refusals[0]
        loaded = time.monotonic()
        merge(self.engine, index)
        done = time.monotonic()
        return Loaded(done - clock, loaded - clock, live_bytes(self.engine, index), len(self.base))


def merge(engine: Engine, index: str) -> None:
    """To one segment: a long merge outlasts a client's patience, so ask and wait for its end."""
    engine.refresh(index)
    params = {"max_num_segments": 1, "wait_for_completion": "false"}
    task = engine.request("POST", f"/{index}/_forcemerge", params=params)["task"]
    while not engine.request("GET", f"/_tasks/{task}")["completed"]:
        time.sleep(LOOK)
    engine.refresh(index)


def live_bytes(engine: Engine, index: str) -> int:
    """Of the segments that searches see; merged ones are deleted a while later."""
    engine.request("POST", f"/{index}/_flush", params={"force": "true"})
    answer = engine.request("GET", f"/{index}/_segments")
    (shards,) = answer["indices"][index]["shards"].values()
    return sum(segment["size_in_bytes"] for segment in shards[0]["segments"].values())
