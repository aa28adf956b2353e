"""The indexes that are compared: loaded, merged, and copies of them to be spoiled."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from meta4 import Document, HashModel, Meta4
from meta4.adapter.cli.common import counting
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.adapter.fields.vectors.tuning.tune import N_QUERIES
from meta4.adapter.load.loader import LoadReport, load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.models.artifact import checksum

from ..contest import FIELD, LOOK, live_bytes, merge
from .collection import Body, Collection
from .cpu import ServerCpu, client_seconds
from .rivals import Kind, kinds
from .sides import BbqFlatDialect

OURS = "bench-engine-meta4"
BBQ_FLAT = "bench-engine-bbq-flat"
_NO_WRITES = "index.blocks.write"


@dataclass(frozen=True)
class Loaded:
    """What loading one index took.

    Attributes:
        documents: how many.
        seconds: until all was indexed and no merge was under way.
        merge_seconds: to one segment, after that.
        server_cpu_s, client_cpu_s: for both.
        bytes: of the one segment.
        tune_seconds: of our calibration; 0 for others.
    """

    documents: int
    seconds: float
    merge_seconds: float
    server_cpu_s: float
    client_cpu_s: float
    bytes: int
    tune_seconds: float = 0.0


class Indexes:
    """Ours, made anew by each run, and the engine's own, kept from one run to the next.

    Args:
        engine: where.
        server: which engine it is.
        collection: what is loaded.
        model: hashes ours.
        n_tuning: documents that ours is calibrated with.
    """

    def __init__(
        self,
        engine: Engine,
        server: str,
        collection: Collection,
        model: HashModel,
        n_tuning: int = N_QUERIES,
    ) -> None:
        self.engine = engine
        self.collection = collection
        self.meta4 = Meta4(engine)
        self.kinds = kinds(server, engine.dialect, collection.base.shape[1])
        self._model = model
        self._n_tuning = n_tuning
        self._loaded: dict[str, Loaded] = {}

    def ours(self) -> str:
        """Our index, loaded in this run."""
        if OURS not in self._loaded:
            self.load_ours()
        return OURS

    def of(self, kind: Kind) -> str:
        """The index of one of the engine's own kinds, from a run before if there is one."""
        index = _name(kind)
        if self._origin(index) != self._mark(kind):
            self.load(kind)
        return index

    def as_loaded(self, kind: Kind | None) -> str:
        """The same, or ours for None, with the segments that loading left."""
        return _as_loaded(self.ours() if kind is None else self.of(kind))

    def load_ours(self) -> Loaded:
        """Hash here, load, tune, and merge to one segment."""
        self._create(self.engine, OURS)
        self.meta4.forget(OURS)

        def load() -> LoadReport:
            return self.meta4.load(index=OURS, documents=self._counted(OURS))

        self._loaded[OURS] = self._measured(OURS, load, self._tune)
        return self._loaded[OURS]

    def load(self, kind: Kind) -> Loaded:
        """Load one of the engine's own kinds, and merge to one segment."""
        index = _name(kind)
        self.engine.delete_index(index)
        self.engine.create_index(index, kind.index_body)

        def load() -> LoadReport:
            documents = self._counted(index, unit=kind.unit)
            return load_documents(self.engine, index, documents, None)

        loaded = self._measured(index, load, None, kind.of_several)
        self.engine.put_meta(index, {"loaded": self._mark(kind)})
        return loaded

    def load_bbq_flat(self) -> str:
        """Ours on a field of 1-bit vectors, calibrated as ours is."""
        other = connect(self.engine.url)
        other.calls.dialect = BbqFlatDialect(0)
        self._create(other, BBQ_FLAT)
        meta = self.engine.mappings(self.ours())[OURS]["_meta"]
        Meta4(other).load(index=BBQ_FLAT, documents=self._counted(BBQ_FLAT))
        self.engine.put_meta(BBQ_FLAT, meta)
        merge(self.engine, BBQ_FLAT)
        other.close()
        return BBQ_FLAT

    @contextmanager
    def copy(self, index: str) -> Iterator[str]:
        """A copy of an index for as long as the context: to be written to."""
        name = f"{index}-copy"
        _clone(self.engine, index, name, {})
        self.meta4.forget(name)
        try:
            yield name
        finally:
            self.engine.delete_index(name)

    def _create(self, engine: Engine, index: str) -> None:
        ref = ModelStore(engine).push("bench", self._model)
        engine.delete_index(index)
        create_index(
            engine,
            index,
            field=FIELD,
            ref=ref,
            model=self._model,
            plan="centroid",
            hashing="client",
        )

    def _counted(self, index: str, *, unit: bool = False) -> Iterator[Document]:
        n = len(self.collection.ids)
        with counting(f"loading {index}", n, "documents") as advance:
            for document in self.collection.documents(unit=unit):
                yield document
                advance(1)

    def _tune(self) -> None:
        with counting("tuning", self._n_tuning, "queries") as progress:
            tune_index(self.engine, OURS, n_queries=self._n_tuning, progress=progress)
        self.meta4.forget(OURS)

    def _measured(
        self,
        index: str,
        load: Callable[[], LoadReport],
        between: Callable[[], None] | None,
        of_several: Body | None = None,
    ) -> Loaded:
        """Load, keep a copy of what that left, and merge; `between` the two is not measured."""
        cpu = ServerCpu(self.engine)
        clocks = [time.monotonic, cpu.seconds, client_seconds]
        start = np.asarray([clock() for clock in clocks])
        report = load()
        assert not report.refusals, report.refusals[0]
        self.engine.refresh(index)
        self._wait_for_merges(index)
        load_took = np.asarray([clock() for clock in clocks]) - start
        pause = time.monotonic()
        if between is not None:
            between()
        pause = time.monotonic() - pause
        _clone(self.engine, index, _as_loaded(index), of_several or {})
        start = np.asarray([clock() for clock in clocks])
        merge(self.engine, index)
        merge_took = np.asarray([clock() for clock in clocks]) - start
        _, server, client = (load_took + merge_took).tolist()
        return Loaded(
            len(self.collection.ids),
            float(load_took[0]),
            float(merge_took[0]),
            server,
            client,
            live_bytes(self.engine, index),
            pause if between is not None else 0.0,
        )

    def _wait_for_merges(self, index: str) -> None:
        while True:
            stats = self.engine.request("GET", f"/{index}/_stats/merge")
            if not stats["_all"]["primaries"]["merges"]["current"]:
                return
            time.sleep(LOOK)

    def _mark(self, kind: Kind) -> str:
        """Of what an index of this kind has in it."""
        said = repr((kind.index_body, kind.of_several, kind.unit))
        return f"{self.collection.name} {checksum(said.encode())[:12]}"

    def _origin(self, index: str) -> Any:
        """The mark of an index that a run has left whole."""
        for name in (index, _as_loaded(index)):
            if not self.engine.index_exists(name):
                return None
        return self.engine.mappings(index)[index].get("_meta", {}).get("loaded")


def _name(kind: Kind) -> str:
    return f"bench-engine-{kind.name.replace(', ', '-').replace(' ', '-').replace('_', '-')}"


def _as_loaded(index: str) -> str:
    return f"{index}-loaded"


def _clone(engine: Engine, index: str, name: str, settings: Body) -> None:
    """Another index with the same segments, by links: nothing is copied or merged."""
    engine.delete_index(name)
    engine.request("PUT", f"/{index}/_settings", body={_NO_WRITES: True})
    try:
        settings = {_NO_WRITES: None, "index.number_of_replicas": 0, **settings}
        engine.request("PUT", f"/{index}/_clone/{name}", body={"settings": settings})
        health = {"wait_for_status": "green"}
        engine.request("GET", f"/_cluster/health/{name}", params=health)
    finally:
        engine.request("PUT", f"/{index}/_settings", body={_NO_WRITES: None})
