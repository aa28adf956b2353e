"""A hashed index in another cluster or under another name, whichever engines are on both sides.

A copy that was cut off goes on where it was, and the same command again brings what was written
since. What was deleted since leaves no trace in the source: the count tells.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...errors import ConflictError, InputError
from ...ingest.documents import Document
from ...mappings.spec import Hashing
from ..catalog import read_field
from ..engines.place import Place, settings_of
from ..fields.field import Field
from ..fields.queries import sample_documents
from ..load.loader import LoadReport, load_documents
from ..manage.indexes import make_index
from ..manage.move_state import COPY
from ..manage.others import Others, others_of
from ..manage.whole import check_source
from .changes import count_after, pages_after
from .copy_report import CopyReport, verify
from .write_hold import AT_ONCE

Json = dict[str, Any]
#: Seconds between two notes of how far it is.
_NOTED_EVERY = 10.0
#: Documents that are looked at before a field is taken for what it is said to be.
_TRIED = 20
#: How settings begin that let nothing be written.
_BLOCKS = "index.blocks."


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
        changes: to the index's spec: `strategy`, `plan`, `hashing` or `first_phase`.
        shards: of the target; the source's number by default.
        replicas: of the target.
        advance: called with the number of documents finished since the last call.

    Raises:
        NotFoundError: the source is no hashed index.
        ConflictError: the target exists and is no copy of the source.
        InputError: a plan or a server's hashing that the model cannot do; an index that cannot be
            copied whole. Nothing is written then.
        EngineError: a server failed or refused.
    """
    field = read_field(source.engine, source.index)
    hashing = (changes or {}).get("hashing", field.hashing)
    keeps = field.succession.keeps_mapping
    others = check_copy(source, target, field.spec.field, hashing, shards, keeps_mapping=keeps)
    made = field.succession.copied_to(source.engine, target.engine, changes or {})
    return _fill(source, target, made, field, others, shards, replicas, advance)


def adopt_index(
    source: Place,
    target: Place,
    field: Field,
    *,
    shards: int | None = None,
    replicas: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> CopyReport:
    """Make a hashed index out of any index with vectors, which is only read.

    Args:
        source: an index that has such a field.
        target: see `copy_index`.
        field: of the index that is made; its model is in the target's store.
        shards: see `copy_index`.
        replicas: see `copy_index`.
        advance: see `copy_index`.

    Raises:
        InputError: the source has no document with such a field, or cannot be copied whole.
            Nothing is written then.
        ConflictError: the target exists and is no copy of the source.
        EngineError: a server failed or refused.
    """
    name, keeps = field.spec.field, field.succession.keeps_mapping
    if not source.engine.count(source.index, {"exists": {"field": name}}):
        raise InputError(
            f"{source} has no document with a {name!r}; name the field that holds the "
            f"{field.value_name}s with --field"
        )
    others = check_copy(source, target, name, field.hashing, shards, keeps_mapping=keeps)
    drawn = sample_documents(source.engine, source.index, field.spec.field, _TRIED, 0)
    faults = [field.fault(value) for _, value in drawn]
    if all(faults):  # one that is spoiled is refused by itself
        raise InputError(
            f"{source}: document {drawn[0][0]!r}: {field.spec.field}: {faults[0]}; name another "
            f"field, or a model of its kind"
        )
    return _fill(source, target, field, None, others, shards, replicas, advance)


def check_copy(
    source: Place,
    target: Place,
    field: str,
    hashing: Hashing,
    shards: int | None,
    *,
    keeps_mapping: bool = False,
) -> Others:
    """See, before anything is written, that a copy can be whole; gives what it takes over.

    Args:
        source: an index.
        target: where its copy is to be.
        field: the hashed field.
        hashing: who hashes the copy's documents.
        shards: of the target; None is the source's number.
        keeps_mapping: whether the field's own mapping is as it was.

    Raises:
        InputError: something would be lost.
        ConflictError: the target exists and is no copy of the source.
    """
    check_source(source)
    _check_free(source, target)
    same = shards in (None, int(settings_of(source)["number_of_shards"]))
    return others_of(
        source,
        target.engine,
        field,
        hashing=hashing,
        keeps_mapping=keeps_mapping,
        same_shards=same,
    )


def _fill(
    source: Place,
    target: Place,
    field: Field,
    before: Field | None,
    others: Others,
    shards: int | None,
    replicas: int,
    advance: Callable[[int], None],
) -> CopyReport:
    settings = settings_of(source)
    noted = _noted(target)
    reached: dict[str, int] = noted.get("reached", {})
    in_the_end: Json = noted.get("in_the_end", others.in_the_end)

    def state() -> Json:
        entry = {"source": settings["uuid"], "reached": reached, "in_the_end": in_the_end}
        return {COPY: entry}

    def note() -> None:
        target.engine.put_meta(target.index, state())

    if noted:
        _set(target, dict.fromkeys(in_the_end))
    else:
        n = shards or int(settings["number_of_shards"])
        others = replace(others, meta={**others.meta, **state()})
        make_index(target.engine, target.index, field, shards=n, replicas=replicas, others=others)
    hasher = field.succession.copying_hasher(source.engine, before)
    report = CopyReport(LoadReport())
    started = noted_at = time.monotonic()
    held = field.spec.field if before is None else before.scored
    for shard, hits in pages_after(source, reached, field=held):
        documents = [Document.of(hit, str(source)) for hit in hits]
        report.loaded.add(
            load_documents(
                target.engine, target.index, documents, hasher, params=AT_ONCE, advance=advance
            )
        )
        reached[shard] = hits[-1]["sort"][0]
        if time.monotonic() - noted_at > _NOTED_EVERY:
            note()
            noted_at = time.monotonic()
    note()
    report.loaded.seconds = time.monotonic() - started  # reading takes time too
    report.n_hashed = hasher.n_hashed
    verify(source, target, field, report)
    _set(target, in_the_end)
    return report


def _set(place: Place, settings: Json) -> None:
    """Set these; None takes one away. Where nothing may be written, blocks go first, come last."""
    blocks = {name: value for name, value in settings.items() if name.startswith(_BLOCKS)}
    rest = {name: value for name, value in settings.items() if name not in blocks}
    parts = [rest, blocks] if any(blocks.values()) else [blocks, rest]
    for part in parts:
        if part:
            place.engine.request("PUT", f"/{place.index}/_settings", part)


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
    noted: Json = mapping.get("_meta", {}).get(COPY, {})
    return noted
