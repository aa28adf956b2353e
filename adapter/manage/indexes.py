"""Making, showing and dropping hashed indexes."""

from dataclasses import dataclass
from typing import Any

from ...errors import (
    ConflictError,
    EngineError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from ...ingest.documents import without
from ...mappings.dialect import merged
from ...mappings.fields import ROOT
from ...mappings.spec import FieldSpec, Hashing, Strategy
from ...models.probing.ranking import Plan
from ..catalog import read_field, read_index
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place
from ..fields.field import Field, Options
from ..fields.kinds import fields_in, new_field
from ..fields.shelf import Shelf

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
    ref: Any,
    model: Any,
    field: str | None = None,
    strategy: Strategy = "native",
    plan: Plan | None = None,
    hashing: Hashing | None = None,
    shards: int = 1,
    replicas: int = 0,
) -> FieldSpec:
    """Create an index with a hashed field, and the pipeline that hashes on the server.

    Everything is checked before anything is written; the same call again changes nothing.

    Args:
        engine: where.
        index: the index's name.
        ref: the model's name and version in the cluster's store.
        model: the model itself; its kind says what the field holds.
        field: the hashed field; may be dotted. None is what its kind is usually called.
        strategy: how the rerank runs.
        plan: order of the buckets; None is the best that the model has.
        hashing: "server" sets a default pipeline, "client" leaves hashing to whoever writes; None
            is the server where it can.
        shards: primary shards.
        replicas: copies of each.

    Raises:
        ConflictError: the index exists with another model or spec.
        InputError: a field name, plan or model size that cannot be.
        RefusedError: the server cannot hold such an index, or said no.
    """
    made = new_field(engine, field, ref, model, Options(strategy, plan, hashing))
    return make_index(engine, index, made, shards=shards, replicas=replicas)


def make_index(
    engine: Engine,
    index: str,
    field: Field,
    *,
    shards: int,
    replicas: int,
    others: Others | None = None,
) -> FieldSpec:
    """Create an index with a field; see `create_index` for what is raised."""
    check_index(index)
    engine.check_usable(scripts=field.needs_scripts(field.options()))
    if engine.index_exists(index):
        _check_same(engine, index, field)
        return field.spec
    pipeline = field.pipeline(engine)
    name = None if pipeline is None else pipeline_name(index)
    if name is not None:
        engine.put_pipeline(name, pipeline or {})
    body = field.index_body(shards=shards, replicas=replicas, pipeline=name)
    if others is not None:
        others.add_to(body)
    try:
        engine.create_index(index, body)
    except RefusedError:
        if name is not None:
            engine.delete_pipeline(name)
        raise
    return field.spec


def drop_index(engine: Engine, index: str) -> None:
    """Delete an index of ours and its pipeline; models stay in the store.

    Raises:
        NotFoundError: no such index, or not one of ours.
    """
    known = read_index(engine, check_index(index))
    engine.delete_index(index)
    if any(field.hashing == "server" for field in known.fields.values()):
        engine.delete_pipeline(pipeline_name(index))


def list_indexes(engine: Engine) -> list[Json]:
    """One entry for every hashed field: the index's name, its spec and number of documents.

    Of an index that cannot be read, or was written by another version, there is one with its name
    and `fault`, which says why.
    """
    entries: list[Json] = []
    for name, mapping in sorted(engine.mappings("*").items()):
        if mapping.get("_meta", {}).get(ROOT) is not None:
            entries += _entries(engine, name, mapping)
    return entries


def _entries(engine: Engine, index: str, mapping: Json) -> list[Json]:
    known: Json = {"index": index}
    try:
        known["documents"] = engine.count(index)
        fields = fields_in(mapping, index, engine.calls, Shelf())
    except UnreachableError:
        raise
    except NotFoundError:
        return []  # dropped meanwhile
    except (ConflictError, EngineError) as error:
        return [known | {"fault": str(error)}]
    return [{**known, **field.summary()} for field in fields.values()]


def show_index(engine: Engine, index: str, field: str | None = None) -> Json:
    """All that is known of an index and a hashed field, its only one by default; counted now.

    Raises:
        NotFoundError: no such index, or not one of ours, or no such field.
        ConflictError: several fields, of which none is named.
    """
    return {"index": index, **read_field(engine, index, field).show(engine, index)}


def _check_same(engine: Engine, index: str, field: Field) -> None:
    try:
        fields = read_index(engine, index).fields
    except NotFoundError as error:
        raise ConflictError(
            f"index {index!r} exists already and is not one of meta4's; choose another name"
        ) from error
    spec = field.spec
    found = fields.get(spec.field) or next(iter(fields.values()))
    if field.same_but_measured(found.spec):
        return
    asked = field.summary()
    differing = ", ".join(
        f"{key} {value!r} (asked for {asked.get(key)!r})"
        for key, value in found.summary().items()
        if key != "tuned" and value != asked.get(key)
    )
    raise ConflictError(
        f"index {index!r} exists already with {differing or 'another spec'}; choose another name, "
        f"or drop it first with: meta4 index drop {index}"
    )
