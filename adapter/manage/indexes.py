"""Making, showing and dropping hashed indexes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import (
    ConflictError,
    EngineError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from ...mappings.fields import ROOT
from ...mappings.spec import BoundEncoder, FieldSpec, FirstPhase, Hashing, Strategy
from ...models.probing.ranking import Plan
from ..catalog import read_field, read_index
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place, settings_of
from ..fields.field import Field, Options
from ..fields.kinds import fields_in, new_field
from ..fields.shelf import Shelf
from ..searches import forget_searches
from .others import Others
from .pipelines import is_ours, pipeline_name, users_of

Json = dict[str, Any]


@dataclass(frozen=True)
class Dropped:
    """What became of a dropped index's pipeline.

    Attributes:
        pipeline: its name; None where it had none.
        kept_for: who uses it, in words, so that it is kept; empty where it is gone too.
    """

    pipeline: str | None
    kept_for: Sequence[str] = ()


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
    first_phase: FirstPhase = "auto",
    encoder: BoundEncoder | None = None,
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
        first_phase: by what documents are scored before the best are scored by their vectors.
        encoder: what makes vectors of texts (`bound_encoder`); None where vectors are given.
        shards: primary shards.
        replicas: copies of each.

    Raises:
        ConflictError: the index exists with another model or spec.
        InputError: a field name, plan or model size that cannot be.
        RefusedError: the server cannot hold such an index, or said no.
    """
    options = Options(strategy, plan, hashing, first_phase, encoder)
    made = new_field(engine, field, ref, model, options)
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
        return _same(engine, index, field)
    pipeline = field.pipeline(engine)
    name = None if pipeline is None else pipeline_name(index)
    if name is not None:
        engine.put_pipeline(name, pipeline or {})
    body = field.index_body(shards=shards, replicas=replicas, pipeline=name)
    if others is not None:
        others.add_to(body)
    try:
        engine.create_index(index, body)
    except RefusedError as error:
        if name is not None:
            engine.delete_pipeline(name)
        if others is None:
            raise
        raise RefusedError(
            f"{error}; so {index!r} was not made, which was to have settings and mapping of the "
            f"index that its documents come from. Change there what is refused, or load the "
            f"documents anew, into an index without it: meta4 index create; meta4 ingest",
            error.status,
        ) from error
    if others is not None:
        _check_own(engine, index, name)
    return field.spec


def _check_own(engine: Engine, index: str, pipeline: str | None) -> None:
    """Undo an index to which a template has given what its documents' index does not have.

    Raises:
        ConflictError: it has.
    """
    (made,) = engine.request("GET", f"/{index}").values()
    given = [f"the alias {alias!r}" for alias in sorted(made["aliases"])]
    final = made["settings"]["index"].get("final_pipeline")
    given += [f"the final_pipeline {final!r}"] if final is not None else []
    if given:
        engine.delete_index(index)
        if pipeline is not None:
            engine.delete_pipeline(pipeline)
        raise ConflictError(
            f"an index template gives new indexes of the name {index!r} {', '.join(given)}, before "
            f"they have their documents; take that out of the template, and run the same again"
        )


def drop_index(engine: Engine, index: str) -> Dropped:
    """Delete an index of ours, and its pipeline where nobody else uses it; models stay.

    Raises:
        NotFoundError: no such index, or not one of ours.
        ConflictError: an alias in place of an index.
    """
    known = read_index(engine, check_index(index))
    if known.concrete != {index}:
        (name, *_) = sorted(known.concrete)
        raise ConflictError(
            f"{index!r} is an alias of {name!r}; drop the index by its own name: "
            f"meta4 index drop {name}"
        )
    for name in known.fields:  # another index of that name may have other embeddings
        forget_searches(engine, index, name)
    if not any(field.hashing == "server" for field in known.fields.values()):
        engine.delete_index(index)
        return Dropped(None)
    pipeline: str = settings_of(Place(engine, index)).get("default_pipeline", "")
    if not is_ours(pipeline):  # somebody has put another in its place, or none
        pipeline = pipeline_name(index)
    try:
        users = users_of(engine, pipeline, but=index)
    except RefusedError as error:
        users = [f"somebody, perhaps: {error}"]
    engine.delete_index(index)
    if not users:
        try:
            engine.delete_pipeline(pipeline)
        except RefusedError as error:
            users = [str(error)]
    return Dropped(pipeline, users)


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


def _same(engine: Engine, index: str, field: Field) -> FieldSpec:
    """The spec of an index that there is, which has such a field.

    Raises:
        ConflictError: it has another.
    """
    try:
        fields = read_index(engine, index).fields
    except NotFoundError as error:
        raise ConflictError(
            f"index {index!r} exists already and is not one of meta4's; choose another name"
        ) from error
    spec = field.spec
    found = fields.get(spec.field) or next(iter(fields.values()))
    if field.same_but_measured(found.spec):
        return found.spec
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
