"""Making, showing and dropping hashed indexes."""

from dataclasses import dataclass
from typing import Any

from ...errors import ConflictError, NotFoundError, RefusedError
from ...ingest.documents import without
from ...ingest.pipeline import check_pipeline_fits, pipeline_body
from ...mappings.dialect import merged
from ...mappings.fields import ROOT, HashedField
from ...mappings.spec import Hashing, IndexSpec, ModelRef, Strategy
from ...mappings.texts import TextSpec
from ...models.model import HashModel
from ...models.probing.ranking import Plan, check_plan, default_plan
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place
from ..search.catalog import read_directory, read_spec, read_text_spec
from ..search.near_duplicates import show_text_index

Json = dict[str, Any]


def pipeline_name(index: str) -> str:
    """The ingest pipeline of an index."""
    return f"meta4-{index}"


@dataclass(frozen=True)
class Others:
    """What an index has beside the hashed field.

    Attributes:
        properties: of the mapping.
        mapping: what else the mapping says.
        analysis: analysers that the properties name.
        meta: beside our own entry in the mapping's `_meta`.
    """

    properties: Json
    mapping: Json
    analysis: Json
    meta: Json

    def add_to(self, body: Json) -> None:
        """Put it into the body of an index."""
        mappings = body["mappings"]
        mappings |= self.mapping
        mappings["_meta"] |= self.meta
        mappings["properties"] = merged(mappings["properties"], self.properties)
        if self.analysis:
            body["settings"]["index"]["analysis"] = self.analysis


def needs_scripts(strategy: Strategy, hashing: Hashing) -> bool:
    """Whether an index asks its server to run scripts."""
    return strategy != "native" or hashing == "server"


def others_of(place: Place, field: str, settings: Json, meta: Json) -> Others:
    """What another index of the same documents takes over beside the hashed field.

    Args:
        place: an index.
        field: its vector field.
        settings: its settings, under `index.`.
        meta: for the mapping's `_meta`.
    """
    (mapping,) = place.engine.mappings(place.index).values()
    path = field.replace(".", ".properties.")
    properties = without(without(mapping.get("properties", {}), path), ROOT)
    rest = {k: v for k, v in mapping.items() if k not in ("_meta", "_source", "properties")}
    return Others(properties, rest, settings.get("analysis", {}), meta)


def create_index(
    engine: Engine,
    index: str,
    *,
    field: str,
    ref: ModelRef,
    model: HashModel,
    strategy: Strategy = "native",
    plan: Plan | None = None,
    hashing: Hashing = "server",
    shards: int = 1,
    replicas: int = 0,
) -> IndexSpec:
    """Create an index with a hashed field, and the pipeline that hashes on the server.

    Everything is checked before anything is written; the same call again changes nothing.

    Args:
        engine: where.
        index: the index's name.
        field: the vector field; may be dotted.
        ref: the model's name and version in the cluster's store.
        model: the model itself.
        strategy: how the rerank runs.
        plan: order of the buckets; None is the best that the model has.
        hashing: "server" sets a default pipeline, "client" leaves hashing to whoever writes.
        shards: primary shards.
        replicas: copies of each.

    Raises:
        ConflictError: the index exists with another model or spec.
        InputError: a field name, plan or model size that cannot be.
        RefusedError: the server cannot hold such an index, or said no.
    """
    spec = new_spec(engine, field, ref, model, strategy=strategy, plan=plan, hashing=hashing)
    return make_index(engine, index, spec, model, shards=shards, replicas=replicas)


def new_spec(
    engine: Engine,
    field: str,
    ref: ModelRef,
    model: HashModel,
    *,
    strategy: Strategy,
    plan: Plan | None,
    hashing: Hashing,
) -> IndexSpec:
    """The spec of an index that is to be made there.

    Raises:
        InputError: a field name, plan or model size that cannot be.
    """
    HashedField(field)
    spec = IndexSpec(
        field=field,
        dims=model.dims,
        n_bits=model.manifest.n_bits,
        n_buckets=model.n_buckets,
        model=ref,
        strategy=strategy,
        plan=plan or default_plan(model.bucket_kind),
        hashing=hashing,
        codes=engine.dialect.codes,
    )
    check_model_does(spec, model)
    return spec


def check_model_does(spec: IndexSpec, model: HashModel) -> None:
    """Refuse a plan or a server's hashing that the model cannot do.

    Raises:
        InputError: what it lacks.
    """
    check_plan(spec.plan, model.bucket_kind)
    if spec.hashing == "server":
        check_pipeline_fits(model)


def make_index(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    model: HashModel,
    *,
    shards: int,
    replicas: int,
    others: Others | None = None,
) -> IndexSpec:
    """Create an index from its spec; see `create_index` for what is raised."""
    check_index(index)
    engine.check_usable(scripts=needs_scripts(spec.strategy, spec.hashing))
    if engine.index_exists(index):
        _check_same(engine, index, spec)
        return spec
    pipeline = pipeline_name(index) if spec.hashing == "server" else None
    if pipeline is not None:
        engine.put_pipeline(pipeline, pipeline_body(spec, model))
    body = engine.dialect.index_body(spec, shards=shards, replicas=replicas, pipeline=pipeline)
    if others is not None:
        others.add_to(body)
    try:
        engine.create_index(index, body)
    except RefusedError:
        if pipeline is not None:
            engine.delete_pipeline(pipeline)
        raise
    return spec


def drop_index(engine: Engine, index: str) -> None:
    """Delete an index of ours and its pipeline; models stay in the store.

    Raises:
        NotFoundError: no such index, or not one of ours.
    """
    is_of_texts = read_text_spec(engine, check_index(index)) is not None
    if not is_of_texts:
        read_spec(engine, index)
    engine.delete_index(index)
    if not is_of_texts:
        engine.delete_pipeline(pipeline_name(index))


def list_indexes(engine: Engine) -> list[Json]:
    """One entry for every hashed index: name, spec and number of documents."""
    entries = []
    for name, mapping in sorted(engine.mappings("*").items()):
        if ROOT in mapping.get("_meta", {}):
            texts = TextSpec.from_mapping(mapping, name)
            summary = (
                _summary(name, IndexSpec.from_mapping(mapping, name))
                if texts is None
                else _text_summary(name, texts)
            )
            entries.append(summary | {"documents": engine.count(name)})
    return entries


def show_index(engine: Engine, index: str) -> Json:
    """All that is known of an index, counted now.

    Raises:
        NotFoundError: no such index, or not one of ours.
    """
    texts = read_text_spec(engine, index)
    if texts is not None:
        return show_text_index(engine, index, texts)
    spec = read_spec(engine, index)
    directory = read_directory(engine, index, spec, None)
    total = engine.count(index)
    store = engine.request("GET", f"/{index}/_stats/store,segments")["_all"]["primaries"]
    counts = directory.counts
    return _summary(index, spec) | {
        "documents": total,
        "without_vector": total - directory.n_documents,
        "strays": directory.n_strays,
        "buckets_filled": len(directory.buckets),
        "bucket_mean": float(counts.mean()) if len(counts) else 0.0,
        "bucket_max": int(counts.max()) if len(counts) else 0,
        "size_in_bytes": store["store"]["size_in_bytes"],
        "segments": store["segments"]["count"],
        "calibration": None
        if spec.calibration is None
        else spec.calibration.model_dump(mode="json"),
    }


def _summary(name: str, spec: IndexSpec) -> Json:
    return {
        "index": name,
        "field": spec.field,
        "dims": spec.dims,
        "model": str(spec.model),
        "n_bits": spec.n_bits,
        "n_buckets": spec.n_buckets,
        "strategy": spec.strategy,
        "plan": spec.plan,
        "hashing": spec.hashing,
        "tuned": spec.calibration is not None,
    }


def _text_summary(name: str, spec: TextSpec) -> Json:
    """The columns of `meta4 index list` for an index of texts."""
    return {
        "index": name,
        "field": spec.field,
        "model": str(spec.minhash),
        "strategy": "jaccard",
        "plan": None,
        "tuned": None,
    }


def _check_same(engine: Engine, index: str, spec: IndexSpec) -> None:
    try:
        found = read_spec(engine, index)
    except NotFoundError as error:
        raise ConflictError(
            f"index {index!r} exists already and is not one of meta4's; choose another name"
        ) from error
    bare = {"calibration", "window"}
    if found.model_dump(exclude=bare) != spec.model_dump(exclude=bare):
        differing = ", ".join(
            f"{key} {value!r} (asked for {getattr(spec, key)!r})"
            for key, value in found
            if key not in bare and value != getattr(spec, key)
        )
        raise ConflictError(
            f"index {index!r} exists already with {differing}; choose another name, or drop it "
            f"first with: meta4 index drop {index}"
        )
