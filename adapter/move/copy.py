"""A hashed index in another cluster or under another name, whichever engines are on both sides.

A copy that was cut off goes on where it was, and the same command again brings what was written
since. What was deleted since leaves no trace in the source: the count tells.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import ConflictError, InputError
from ...ingest.documents import Document, value_at, without
from ...ingest.hashing import DocumentHasher, HashedBatch
from ...mappings.fields import ROOT
from ...mappings.spec import IndexSpec
from ...models.embeddings import as_embedding, unit
from ...models.model import HashModel
from ..engines.place import Place, settings_of
from ..load.loader import LoadReport, load_documents
from ..manage.indexes import check_model_does, make_index, others_of
from ..model_store import ModelStore
from ..search.catalog import read_spec
from .changes import count_after, pages_after

Json = dict[str, Any]
#: The entry of the target's `_meta` that says where a copy is from and how far it is.
_PROGRESS = "meta4_copy"
#: Seconds between two notes of how far it is.
_NOTED_EVERY = 10.0
#: Documents that are compared with their copies in the end.
_COMPARED = 200
#: Of a vector with its copy: engines keep float32, OpenSearch directions only.
_SAME_COSINE = 1.0 - 1e-5


@dataclass
class CopyReport:
    """What a copy did.

    Attributes:
        loaded: documents written in this run, and those refused.
        n_hashed: of those written, how many were hashed anew for want of the model's hash.
        n_source: documents in the source, afterwards.
        n_target: documents in the target, afterwards.
        n_compared: documents compared with their copies.
        differing: ids of those that are not the same.
    """

    loaded: LoadReport
    n_hashed: int = 0
    n_source: int = 0
    n_target: int = 0
    n_compared: int = 0
    differing: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all is there and the same."""
        return not (self.differing or self.loaded.n_refused) and self.n_source == self.n_target


class _KeptHashes(DocumentHasher):
    """Leaves the hashes of documents that the model hashed before; hashes all others.

    Args:
        model: the model.
        spec: of the copy.
        before: of the source; None where it has no hashes.
    """

    def __init__(self, model: HashModel, spec: IndexSpec, before: IndexSpec | None) -> None:
        super().__init__(model, spec)
        self._now = spec
        self._before = before
        self.n_hashed = 0

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """See `DocumentHasher.hash`."""
        kept: list[Document] = []
        others: list[Document] = []
        for document in documents:
            hashes = value_at(document.source, self._now.fields.root) or {}
            (kept if self._keep(hashes) else others).append(document)
        hashed = super().hash(others)
        self.n_hashed += len(hashed.documents) - hashed.n_without_vector
        return hashed._replace(documents=kept + hashed.documents)

    def _keep(self, hashes: Json) -> bool:
        """Write the model's hashes as the target has them; False where they are not its."""
        before, now = self._before, self._now
        if before is None or hashes.get("model") != str(before.model):
            return False
        code = before.code_storage.code(hashes, before.n_bits)
        if code is None:
            return False
        for name in before.code_storage.mapping(before.n_bits):
            del hashes[name]
        hashes["model"] = str(now.model)  # the same model under the target store's version
        hashes |= now.code_storage.parts(code[None], now.n_bits)[0]
        return True


def count_left(source: Place, target: Place) -> int:
    """How many documents a copy has before it."""
    return count_after(source, _noted(target).get("reached", {}))


def copy_index(
    source: Place,
    target: Place,
    changes: Json | None = None,
    *,
    shards: int | None = None,
    replicas: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> CopyReport:
    """Copy a hashed index: ids, documents, codes, buckets, model, calibration.

    Args:
        source: from where; it is only read.
        target: where to; what a copy of the same source left there is taken up.
        changes: to the index's spec: `strategy`, `plan` or `hashing`.
        shards: of the target; the source's number by default.
        replicas: of the target.
        advance: called with the number of documents finished since the last call.

    Raises:
        NotFoundError: the source is no hashed index.
        ConflictError: the target exists and is no copy of the source.
        InputError: a plan or a server's hashing that the model cannot do.
        EngineError: a server failed or refused.
    """
    spec = read_spec(source.engine, source.index)
    _check_free(source, target)
    stored, model = ModelStore(source.engine).pull(str(spec.model))
    made = spec.model_copy(update={"codes": target.engine.dialect.codes, **(changes or {})})
    check_model_does(made, model)
    ref = ModelStore(target.engine).push(stored.name, model)
    made = made.model_copy(update={"model": ref})
    return _fill(source, target, made, model, spec, shards, replicas, advance)


def adopt_index(
    source: Place,
    target: Place,
    spec: IndexSpec,
    model: HashModel,
    *,
    shards: int | None = None,
    replicas: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> CopyReport:
    """Make a hashed index out of any index with vectors, which is only read.

    Args:
        source: an index with `spec.field`.
        target: see `copy_index`.
        spec: of the index that is made; its model is in the target's store.
        model: the model itself.
        shards: see `copy_index`.
        replicas: see `copy_index`.
        advance: see `copy_index`.

    Raises:
        InputError: the source has no document with such a field.
        ConflictError: the target exists and is no copy of the source.
        EngineError: a server failed or refused.
    """
    if not source.engine.count(source.index, {"exists": {"field": spec.field}}):
        raise InputError(
            f"{source} has no document with a {spec.field!r}; name the field that holds the "
            f"vectors with --field"
        )
    _check_free(source, target)
    return _fill(source, target, spec, model, None, shards, replicas, advance)


def _fill(
    source: Place,
    target: Place,
    spec: IndexSpec,
    model: HashModel,
    before: IndexSpec | None,
    shards: int | None,
    replicas: int,
    advance: Callable[[int], None],
) -> CopyReport:
    settings = settings_of(source)
    noted = _noted(target)
    reached: dict[str, int] = noted.get("reached", {})

    def state() -> Json:
        return {_PROGRESS: {"source": settings["uuid"], "reached": reached}}

    def note() -> None:
        target.engine.put_meta(target.index, state())

    if not noted:
        n = shards or int(settings["number_of_shards"])
        others = others_of(source, spec.field, settings, state())
        make_index(
            target.engine, target.index, spec, model, shards=n, replicas=replicas, others=others
        )
    hasher = _KeptHashes(model, spec, before)
    report = CopyReport(LoadReport())
    started = noted_at = time.monotonic()
    for shard, hits in pages_after(source, reached):
        documents = [Document.of(hit, str(source)) for hit in hits]
        report.loaded.add(
            load_documents(target.engine, target.index, documents, hasher, advance=advance)
        )
        reached[shard] = hits[-1]["sort"][0]
        if time.monotonic() - noted_at > _NOTED_EVERY:
            note()
            noted_at = time.monotonic()
    note()
    report.loaded.seconds = time.monotonic() - started  # reading takes time too
    report.n_hashed = hasher.n_hashed
    _verify(source, target, spec, report)
    return report


def _check_free(source: Place, target: Place) -> None:
    """Refuse a target that is something else than a copy of the source.

    Raises:
        ConflictError: it is.
    """
    noted = _noted(target)
    if noted and noted["source"] != settings_of(source)["uuid"]:
        raise ConflictError(f"{target} is a copy of another index; choose another name")
    if not noted and target.engine.index_exists(target.index):
        raise ConflictError(
            f"{target} exists already and is no copy of {source}; choose another name"
        )


def _noted(target: Place) -> Json:
    """What a copy left in the target; empty where there is none."""
    if not target.engine.index_exists(target.index):
        return {}
    (mapping,) = target.engine.mappings(target.index).values()
    noted: Json = mapping.get("_meta", {}).get(_PROGRESS, {})
    return noted


def _verify(source: Place, target: Place, spec: IndexSpec, report: CopyReport) -> None:
    """Count, and compare some documents drawn in the target with where they come from."""
    for place in (source, target):
        place.engine.refresh(place.index)
    report.n_source = source.engine.count(source.index)
    report.n_target = target.engine.count(target.index)
    drawn = {"function_score": {"random_score": {}, "boost_mode": "replace"}}
    body = {"size": _COMPARED, "query": drawn}
    parameters = target.engine.vectors_in_source()
    copies = target.engine.search(target.index, body, parameters)["hits"]["hits"]
    originals = source.engine.sources(
        source.index, {copy["_id"]: copy.get("_routing") for copy in copies}
    )
    report.n_compared = len(copies)
    report.differing = [
        copy["_id"]
        for copy, original in zip(copies, originals, strict=True)
        if original is None or not _same(original, copy["_source"], spec)
    ]


def _same(original: Json, copy: Json, spec: IndexSpec) -> bool:
    """Whether vectors have one direction and all that is not ours is equal."""
    vectors = [value_at(source, spec.field) for source in (original, copy)]
    if (vectors[0] is None) != (vectors[1] is None):
        return False
    if vectors[0] is not None:
        a, b = unit(np.stack([as_embedding(vector, spec.dims) for vector in vectors]))
        if float(a @ b) < _SAME_COSINE:
            return False
    rest = [without(without(source, spec.field), ROOT) for source in (original, copy)]
    return bool(rest[0] == rest[1])
