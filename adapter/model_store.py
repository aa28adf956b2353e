"""The cluster's own model store: hidden index `meta4-models`, chunked, immutable versions."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import orjson
from platformdirs import user_cache_path
from pydantic import ValidationError

from ..errors import ArtifactError, ConflictError, NotFoundError, RefusedError
from ..mappings.spec import ModelRef, check_own_name, model_name
from ..models.artifact import Manifest, read_manifest, verify_model
from ..models.faults import first_fault
from ..models.model import HashModel
from .engines.calls import make_own_index
from .engines.engine import Engine

STORE_INDEX = "meta4-models"
#: Bytes of a model in one document; far below the 100 MB that a request may have.
_CHUNK = 4_000_000
#: Models in use in this process, each once for all who asked for it: none is ever changed.
_LOADED: WeakValueDictionary[str, HashModel] = WeakValueDictionary()
_MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "name": {"type": "keyword"},
        "version": {"type": "integer"},
        "sha256": {"type": "keyword"},
        "size": {"type": "long"},
        "n_chunks": {"type": "integer"},
        "manifest": {"type": "keyword", "index": False, "doc_values": False},
        "chunk": {"type": "binary"},
    },
}


class ModelStore:
    """Models by `name@version`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def push(self, name: str, model: HashModel) -> ModelRef:
        """Store a model as the next version of `name`; the same bytes again change nothing.

        Raises:
            InputError: a name that cannot be one.
            ConflictError: somebody else stored a version of that name meanwhile, three times.
        """
        check_own_name("model", name)
        self._ensure_index()
        sha256 = model.manifest.sha256
        for _ in range(3):
            versions = self._versions(name)
            for entry in versions:
                if entry["sha256"] == sha256:
                    return ModelRef(name=name, version=entry["version"], sha256=sha256)
            version = max((entry["version"] for entry in versions), default=0) + 1
            ref = ModelRef(name=name, version=version, sha256=sha256)
            if self._write(ref, model):
                return ref
        raise ConflictError(f"model {name!r} is being stored by others; push it again")

    def pull(self, reference: str) -> tuple[ModelRef, HashModel]:
        """Read a model, checked against its checksum; kept in the user's cache afterwards.

        Args:
            reference: `name@version`, or `name` for its newest.

        Raises:
            NotFoundError: no such model.
            ArtifactError: what is stored is incomplete or altered.
        """
        ref, manifest = self._entry(reference)
        # The same weights may come with another manifest.
        name = f"{ref.sha256}-{hashlib.sha256(manifest.encode()).hexdigest()[:16]}"
        if (loaded := _LOADED.get(name)) is not None:
            return ref, loaded
        cached = user_cache_path("meta4") / "models" / name
        try:
            model = _LOADED[name] = HashModel.load(cached)
            return ref, model
        except ArtifactError:
            model = _LOADED[name] = self._read(ref)
        try:
            model.save(cached)
        except (OSError, ConflictError, ArtifactError):
            return ref, model  # a cache that cannot be written is no reason to fail
        return ref, model

    def find(self, reference: str) -> ModelRef:
        """Resolve `name` or `name@version`.

        Raises:
            NotFoundError: no such model.
        """
        return self._entry(reference)[0]

    def _entry(self, reference: str) -> tuple[ModelRef, str]:
        name, _, wanted = reference.partition("@")
        found = [entry for entry in self._versions(name) if wanted in ("", str(entry["version"]))]
        if not found:
            raise NotFoundError(
                f"model {reference!r} is not in the store of {self._engine.url}; "
                f"see: meta4 model list, or store one with: meta4 model push DIR"
            )
        entry = max(found, key=lambda entry: int(entry["version"]))
        ref = ModelRef(name=name, version=entry["version"], sha256=entry["sha256"])
        return ref, orjson.dumps(entry["manifest"]).decode()

    def list(self) -> list[dict[str, Any]]:
        """Manifests' headers: name, version, sha256, size, and the manifest as a dict.

        Of what this version cannot read there is what can be told, and `fault`, which says why.
        """
        body = {
            "size": 10_000,
            "query": {"exists": {"field": "version"}},
            "sort": ["name", "version"],
            "_source": {"excludes": ["chunk"]},
        }
        try:
            hits = self._engine.search(STORE_INDEX, body)["hits"]["hits"]
        except NotFoundError:
            return []
        return [_header(hit) for hit in hits]

    def _versions(self, name: str) -> Sequence[dict[str, Any]]:
        """Those headers of a name."""
        return [
            entry for entry in self.list() if entry["name"] == name and entry["version"] is not None
        ]

    def manifest(self, ref: ModelRef) -> Manifest:
        """A stored model's manifest."""
        source = self._document(str(ref))
        return read_manifest(source["manifest"].encode(), f"model {ref} in the store")

    def _ensure_index(self) -> None:
        if not self._engine.index_exists(STORE_INDEX):
            self._engine.run(make_own_index(STORE_INDEX, _MAPPINGS))

    def _write(self, ref: ModelRef, model: HashModel) -> bool:
        """Chunks first, the header last and only if it is new; False if it is not."""
        data = model.onnx_bytes
        starts = range(0, len(data), _CHUNK)
        for i, start in enumerate(starts):
            chunk = base64.b64encode(data[start : start + _CHUNK]).decode()
            # The checksum in the id: writers of one version cannot mix their chunks.
            self._put(_chunk_id(ref, i), {"chunk": chunk})
        header = {
            "name": ref.name,
            "version": ref.version,
            "sha256": ref.sha256,
            "size": len(data),
            "n_chunks": len(starts),
            "manifest": model.manifest.model_dump_json(),
        }
        try:
            self._put(str(ref), header, op_type="create")
        except RefusedError as error:
            if "version conflict" in str(error):
                return False
            raise
        return True

    def _read(self, ref: ModelRef) -> HashModel:
        source = self._document(str(ref))
        where = f"model {ref} in the store"
        manifest = read_manifest(source["manifest"].encode(), where)
        try:
            chunks = [
                base64.b64decode(self._document(_chunk_id(ref, i))["chunk"])
                for i in range(source["n_chunks"])
            ]
        except NotFoundError as error:
            raise ArtifactError(f"{where}: a chunk is missing; push the model again") from error
        data = b"".join(chunks)
        verify_model(manifest, data, where)
        return HashModel(manifest, data)

    def _document(self, identity: str) -> dict[str, Any]:
        (document,) = self._engine.mget(STORE_INDEX, {identity: None})
        if not document["found"]:
            raise NotFoundError(f"{identity} is not in the model store of {self._engine.url}")
        source: dict[str, Any] = document["_source"]
        return source

    def _put(self, identity: str, body: dict[str, Any], **params: str) -> None:
        self._engine.request(
            "PUT",
            f"/{STORE_INDEX}/_doc/{identity}",
            body=body,
            params={"refresh": "true", **params},
        )


def _header(hit: dict[str, Any]) -> dict[str, Any]:
    """What `ModelStore.list` has of a document, whoever wrote it."""
    source = hit["_source"]
    named = {key: source.get(key) for key in ModelRef.model_fields}
    header = {**dict.fromkeys(("size", "n_chunks")), **source, **named, "manifest": None}
    where = f"model {hit['_id']!r} in the store"
    try:
        ref = ModelRef.model_validate(named)
    except ValidationError as error:
        fault = first_fault(error)
        why = f"{where}: {fault.place}: {fault.message}; another version of meta4 may read it"
        return header | {"name": hit["_id"], "version": None, "fault": why}
    header |= ref.model_dump()
    try:
        read_manifest(str(source.get("manifest")).encode(), where)
    except ArtifactError as error:
        return header | {"fault": str(error)}
    return header | {"manifest": orjson.loads(source["manifest"])}


def _chunk_id(ref: ModelRef, i: int) -> str:
    digest = hashlib.sha256(f"{ref}:{ref.sha256}:{i}".encode()).hexdigest()
    return f"chunk-{digest[:40]}"


def resolve_reference(store: ModelStore, reference: str) -> tuple[ModelRef, HashModel]:
    """A model by folder (stored under the folder's name) or by `name[@version]`.

    Raises:
        NotFoundError: neither.
        ArtifactError: a folder that holds no intact model.
    """
    folder = Path(reference)
    if folder.is_dir():
        model = HashModel.load(folder)
        return store.push(store_name(folder), model), model
    return store.pull(reference)


def store_name(folder: Path) -> str:
    """The name under which a folder's model is stored."""
    return model_name(folder.resolve().name)
