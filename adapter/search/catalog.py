"""What is known of the cluster's hashed indexes: spec, model and directory, kept fresh."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import orjson

from ...errors import ConflictError, NotFoundError
from ...mappings.spec import IndexSpec
from ...mappings.texts import TextSpec
from ...models.model import HashModel
from ...models.probing.directory import Directory
from ..engines.engine import Engine
from ..engines.names import check_index
from ..model_store import ModelStore

#: Seconds until a directory is read again. Counts only steer how far a plan reaches; a document
#: in a bucket that is known is found the moment the engine makes it visible.
FRESH_FOR = 30.0
_FILTERS_KEPT = 256
#: Buckets asked for at once: an engine answers at most 65,535 by default.
_PAGE = 32_768
S = TypeVar("S")


@dataclass(frozen=True)
class HashedIndex:
    """One index as a request sees it.

    Attributes:
        name: as it was asked for; may be an alias or a pattern.
        concrete: the indexes that it names.
    """

    name: str
    concrete: frozenset[str]
    spec: IndexSpec
    model: HashModel
    directory: Directory


class Catalog:
    """Reads and caches; nothing here is written."""

    def __init__(self, engine: Engine, *, fresh_for: float = FRESH_FOR) -> None:
        self._engine = engine
        self._store = ModelStore(engine)
        self._fresh_for = fresh_for
        self._indexes: dict[str, tuple[float, HashedIndex]] = {}
        self._filtered: OrderedDict[tuple[str, bytes], tuple[float, Directory]] = OrderedDict()
        self._models: dict[str, HashModel] = {}
        self._texts: dict[str, tuple[float, TextSpec | None]] = {}

    def get(self, index: str) -> HashedIndex:
        """The index, at most `fresh_for` seconds old.

        Raises:
            NotFoundError: no such index, or not a hashed one.
            ConflictError: a pattern whose indexes have different specs.
        """
        cached = self._indexes.get(index)
        if cached is not None and time.monotonic() - cached[0] < self._fresh_for:
            return cached[1]
        read_at = time.monotonic()
        concrete, spec = read_specs(self._engine, index)
        model = self._model(spec)
        directory = read_directory(self._engine, index, spec, None)
        entry = HashedIndex(index, concrete, spec, model, directory)
        self._indexes[index] = (read_at, entry)
        return entry

    def texts(self, index: str) -> TextSpec | None:
        """The spec of an index of texts, as fresh; None where it holds vectors.

        Raises:
            NotFoundError: no such index, or not a hashed one.
            ConflictError: a pattern whose indexes have different specs.
        """
        known = self._indexes.get(index)
        if known is not None and time.monotonic() - known[0] < self._fresh_for:
            return None
        cached = self._texts.get(index)
        if cached is None or time.monotonic() - cached[0] >= self._fresh_for:
            cached = time.monotonic(), read_text_spec(self._engine, index)
            self._texts[index] = cached
        return cached[1]

    def hashing(self, index: str) -> tuple[IndexSpec, HashModel]:
        """What a writer takes, who may not be allowed to search; raises as `get` does."""
        spec = read_spec(self._engine, index)
        return spec, self._model(spec)

    def filtered(self, index: HashedIndex, query: dict[str, Any]) -> Directory:
        """The directory of the documents that match `query`: one small aggregation, cached."""
        key = (index.name, orjson.dumps(query, option=orjson.OPT_SORT_KEYS))
        cached = self._filtered.get(key)
        if cached is not None and time.monotonic() - cached[0] < self._fresh_for:
            self._filtered.move_to_end(key)
            return cached[1]
        read_at = time.monotonic()
        directory = read_directory(self._engine, index.name, index.spec, query)
        self._filtered[key] = (read_at, directory)
        if len(self._filtered) > _FILTERS_KEPT:
            self._filtered.popitem(last=False)
        return directory

    def has_moved(self, index: str) -> bool:
        """Whether an alias names another index than when it was read; then it is forgotten."""
        known = self._indexes.get(index)
        if known is None or known[1].concrete == frozenset(self._engine.mappings(index)):
            return False
        self.forget(index)
        return True

    def forget(self, index: str) -> None:
        """Read the index anew at the next request."""
        self._indexes.pop(index, None)
        self._texts.pop(index, None)
        for key in [key for key in self._filtered if key[0] == index]:
            del self._filtered[key]

    def _model(self, spec: IndexSpec) -> HashModel:
        sha256 = spec.model.sha256
        if sha256 not in self._models:
            ref, model = self._store.pull(str(spec.model))
            if ref.sha256 != sha256:
                raise ConflictError(
                    f"the index was made with model {spec.model} of checksum {sha256[:12]}…, and "
                    f"the store has {ref.sha256[:12]}… under that name; push the right one again"
                )
            self._models[sha256] = model
        return self._models[sha256]


def read_text_spec(engine: Engine, index: str) -> TextSpec | None:
    """The spec in the mapping of an index of texts; None where its hashed field holds vectors.

    Raises:
        NotFoundError: no such index, or not a hashed one.
        ConflictError: an alias or pattern over indexes with different specs.
    """
    return _specs(engine, index, TextSpec.from_mapping)[1]


def read_spec(engine: Engine, index: str) -> IndexSpec:
    """The spec in an index's mapping.

    Raises:
        NotFoundError: no such index, or not a hashed one.
        ConflictError: an alias or pattern over indexes with different specs.
    """
    return read_specs(engine, index)[1]


def read_specs(engine: Engine, index: str) -> tuple[frozenset[str], IndexSpec]:
    """The indexes that a name stands for, and their one spec; raises as `read_spec` does."""
    return _specs(engine, index, IndexSpec.from_mapping)


def _specs(
    engine: Engine, index: str, parse: Callable[[dict[str, Any], str], S]
) -> tuple[frozenset[str], S]:
    """The indexes that a name stands for, and what each of their mappings is parsed to."""
    check_index(index, pattern=True)
    try:
        mappings = engine.mappings(index)
    except NotFoundError as error:
        raise NotFoundError(f"index {index!r} does not exist; see: meta4 index list") from error
    if not mappings:
        raise NotFoundError(f"no index matches {index!r}; see: meta4 index list")
    specs = [parse(mapping, name) for name, mapping in mappings.items()]
    if any(spec != specs[0] for spec in specs):
        raise ConflictError(f"{index!r} names indexes with different specs; search them one by one")
    return frozenset(mappings), specs[0]


def read_directory(
    engine: Engine, index: str, spec: IndexSpec, query: dict[str, Any] | None
) -> Directory:
    """Bucket counts of the documents that have a vector and match `query`."""
    fields = spec.fields
    has_vector: dict[str, Any] = {"exists": {"field": spec.field}}
    conditions = [has_vector] if query is None else [has_vector, query]
    n_pages = -(-spec.n_buckets // _PAGE)
    buckets: list[int] = []
    counts: list[int] = []
    n_documents = n_strays = 0
    for page in range(n_pages):
        terms: dict[str, Any] = {"field": fields.bucket, "size": spec.n_buckets}
        if n_pages > 1:
            terms["include"] = {"partition": page, "num_partitions": n_pages}
        aggregations: dict[str, Any] = {"buckets": {"terms": terms}}
        if page == 0:
            own = {"term": {fields.model: str(spec.model)}}
            aggregations["hashed"] = {"filter": own}
        answer = engine.search(
            index,
            {
                "size": 0,
                "track_total_hits": True,
                "query": {"bool": {"filter": conditions}},
                "aggs": aggregations,
            },
        )
        if page == 0:
            n_documents = answer["hits"]["total"]["value"]
            n_strays = n_documents - answer["aggregations"]["hashed"]["doc_count"]
        for entry in answer["aggregations"]["buckets"]["buckets"]:
            bucket = int(entry["key"], 16)
            # A document of another model may name a bucket that this one does not have.
            if bucket < spec.n_buckets:
                buckets.append(bucket)
                counts.append(entry["doc_count"])
    ids = np.asarray(buckets, dtype=np.int64)
    order = np.argsort(ids)
    return Directory(ids[order], np.asarray(counts, dtype=np.int64)[order], n_documents, n_strays)
