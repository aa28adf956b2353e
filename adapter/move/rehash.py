"""A new hash, or new embeddings, for an index behind an alias, without downtime; and back again."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ConflictError, EngineError, InputError, NotFoundError
from ...ingest.files.new_embeddings import NewEmbeddings
from ...mappings.spec import BoundEncoder
from ...models.embeddings import Progress
from ..catalog import read_field, read_index
from ..client.meta4 import Meta4
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place, settings_of
from ..fields.field import Field
from ..fields.kinds import model_for
from ..fields.meta import write_spec
from ..fields.succession import Change
from ..load.loader import LoadReport
from ..manage.heal import heal_index
from ..manage.indexes import make_index
from ..manage.move_state import state_in, state_of
from ..manage.others import Others, check_nothing_in_the_way, others_of
from ..manage.whole import check_source
from ..measure.evaluation import Evaluation, evaluate_index
from ..measure.tune import tune_index
from ..searches import forget_searches
from .alias_move import Move, behind
from .new_embeddings import check_covered, check_dims, check_goes_on

#: Fewer documents than this are searched whole: nothing is to be measured there.
_MEASURED_FROM = 1_000
#: By which a recall measured with a few hundred queries may fall short of the promise.
_SPREAD = 0.02
_NUMBERED = re.compile(r"(?P<base>.+?)-(?P<number>\d+)")


@dataclass(frozen=True)
class RehashReport:
    """What a move did.

    Attributes:
        alias: what clients use.
        source: the index that it named, kept for a way back.
        target: the index that it names.
        loaded: documents brought, and those refused.
        n_deleted: documents deleted after them.
        n_without_embedding: documents that came while the alias moved, and have no embedding of
            the new kind.
        evaluation: of the target before the alias came; None where it is too small.
        aliases: all that moved, it among them; none where an earlier call had moved them.
    """

    alias: str
    source: str
    target: str
    loaded: LoadReport
    n_deleted: int
    n_without_embedding: int
    evaluation: Evaluation | None
    aliases: Sequence[str] = ()


def make_alias(engine: Engine, alias: str, index: str) -> None:
    """A name for an index that can be moved to another.

    Raises:
        NotFoundError: no such index, or not one of ours.
        ConflictError: an index of that name, or an alias of another.
    """
    read_index(engine, check_index(index))
    check_index(alias)
    if engine.index_exists(alias) and behind(engine, alias) != index:
        raise ConflictError(
            f"{alias!r} names {behind(engine, alias)!r}; move it with: meta4 index rehash {alias}"
        )
    engine.request("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": alias}}]})


def rehash_index(
    engine: Engine,
    alias: str,
    ref: Any,
    model: Any,
    *,
    embeddings: NewEmbeddings | None = None,
    encoder: BoundEncoder | None = None,
    n_queries: int = 200,
    filling: Callable[[int, int], None] = lambda _done, _left: None,
) -> RehashReport:
    """Move an alias to a new index of the same documents with another hash.

    Built beside the live index, which is searched and written all the while; what is written
    there meanwhile, deleted too, is followed. The old index is kept. Called again after an end at
    any moment it goes on.

    Args:
        engine: where.
        alias: what clients use.
        ref: the new model in the store.
        model: the model itself.
        embeddings: new ones, by id; the index's own by default. Every document with a vector has
            to have one, but those that come while the alias moves.
        encoder: what makes new ones of documents' texts, now and from then on, in place of
            `embeddings`.
        n_queries: documents that the recall is measured with.
        filling: called with documents brought since the last call, and how many are left.

    Raises:
        NotFoundError: no such alias, or its index is not one of ours.
        ConflictError: an index in place of an alias; documents without a new embedding; another
            way of going on than it was begun.
        InputError: a model of other dimensions than the vectors; an index that cannot be written
            again whole. Nothing is written then.
        EngineError: the recall measured is not the one promised, or the new index lacks something;
            the alias stays where it is.
    """
    target = _under_way(engine, alias, str(ref))
    if target is None:
        source = behind(engine, alias)
    else:
        state = state_of(engine, target)
        assert state is not None
        source = state.source
    before = read_field(engine, source)
    new_dims = None if embeddings is None else embeddings.dims
    after = before.succession.rehashed(engine, ref, model, new_dims, encoder)
    re_embedded = embeddings is not None or encoder is not None
    change = after.succession.change(before, embeddings)
    place = Place(engine, source)
    check_source(place)
    check_nothing_in_the_way(place)
    if target is None:
        others = _others(place, after)
        check_covered(place, {}, before, change)
        hasher = engine.run(after.hasher(written_before=not re_embedded))  # if it can be had
        target = _next_name(engine, source)
        _make(place, target, after, others)
    else:
        check_goes_on(engine, target, after, embeddings, re_embedded=re_embedded)
        hasher = engine.run(after.hasher(written_before=not re_embedded))
    fields = (before, after)
    move = Move(
        engine, alias, source, target, fields, hasher, change=change, re_embedded=re_embedded
    )
    move.check_covered()
    move.fill(filling)
    evaluation = None
    if move.state.phase == "filling":
        evaluation = _measure(engine, target, n_queries)
    _end(engine, target, move, before)
    return _report(move, source, target, change, evaluation)


def retrained(engine: Engine, alias: str, progress: Progress) -> tuple[Any, Any]:
    """A model trained on what an alias's index has now; that of a move that was begun, if any.

    Args:
        engine: where.
        alias: what clients use.
        progress: see `Succession.retrained`.

    Raises:
        NotFoundError, ConflictError: as `rehash_index`.
        InputError: see `Succession.retrained`; an index that cannot be written again whole.
    """
    source = behind(engine, alias)
    field = read_field(engine, source)
    begun = _begun(engine, alias)
    if begun is not None:
        return model_for(engine, field, read_field(engine, begun).mark)
    check_source(Place(engine, source))
    check_nothing_in_the_way(Place(engine, source))
    return field.succession.retrained(engine, source, progress)


def check_embeddings(engine: Engine, alias: str, embeddings: NewEmbeddings) -> None:
    """See, before a model is stored, that all documents behind an alias have a new embedding.

    Raises:
        NotFoundError, ConflictError: as `rehash_index`.
    """
    source = behind(engine, alias)
    moved = state_of(engine, source)
    if moved is not None and moved.is_under_way:
        return  # it has them
    field = read_field(engine, source)
    change = field.succession.change(field, embeddings)
    check_covered(Place(engine, source), {}, field, change)


def check_encoder(engine: Engine, alias: str, encoder: BoundEncoder) -> None:
    """See, before a model is stored, that all documents behind an alias have a text to embed.

    Raises:
        InputError: a field that has no embeddings.
        NotFoundError, ConflictError: as `rehash_index`.
    """
    source = behind(engine, alias)
    if _begun(engine, alias) is None:
        read_field(engine, source).succession.check_can_embed(engine, source, encoder)


def roll_back(
    engine: Engine,
    alias: str,
    filling: Callable[[int, int], None] = lambda _done, _left: None,
    *,
    embeddings: NewEmbeddings | None = None,
) -> RehashReport:
    """Move an alias back to the index that it named before, with what was written since.

    Args:
        engine: where.
        alias: what clients use.
        filling: as in `rehash_index`.
        embeddings: where the move brought new ones: those of the kind before, of documents that
            were written since, by id.

    Raises:
        NotFoundError: no such alias, or the index before is gone.
        ConflictError: the alias has not been moved, or not to the end; documents written since
            that have no embedding of the kind before.
        InputError: an index that cannot be written again whole. Nothing is written then.
    """
    now = behind(engine, alias)
    moved = state_of(engine, now)
    if moved is None or moved.alias != alias:
        raise ConflictError(f"{alias!r} has not been moved, so there is no way back")
    if moved.is_under_way and not moved.back:
        raise ConflictError(
            f"{alias!r} is being moved to {now!r}; finish that first, with the same "
            f"'meta4 index rehash'"
        )
    source, target = (moved.source, now) if moved.is_under_way else (now, moved.source)
    if not engine.index_exists(target):
        raise NotFoundError(f"index {target!r}, which {alias!r} named before, is gone")
    for index in (source, target):
        check_source(Place(engine, index))
        check_nothing_in_the_way(Place(engine, index))
    present = read_field(engine, source)
    after = read_field(engine, target).succession.following(present)
    if embeddings is not None:
        after.succession.check_takes_embeddings()
        check_dims(after, embeddings)
    re_embedded = moved.re_embedded
    encoder = after.options().encoder
    if encoder is not None and encoder != present.options().encoder:
        if embeddings is not None:
            raise InputError(
                f"--vectors: {target!r} has its vectors made by the encoder {encoder.name}; leave "
                f"it out"
            )
        if not moved.is_under_way:
            present.succession.check_can_embed(engine, source, encoder)
    change = after.succession.change(present, embeddings, re_embedded=re_embedded)
    hasher = engine.run(after.hasher(written_before=embeddings is None))
    move = Move(
        engine,
        alias,
        source,
        target,
        (present, after),
        hasher,
        change=change,
        reached=moved.since,
        back=True,
        re_embedded=re_embedded,
    )
    move.check_covered()
    write_spec(engine, target, after.spec)
    move.fill(filling)
    _end(engine, target, move, present)
    return _report(move, source, target, change, None)


def _end(engine: Engine, target: str, move: Move, before: Field) -> None:
    """The alias moves; what clients wrote and searched with the model before is seen to."""
    move.switch()
    heal_index(engine, target)
    if move.state.re_embedded:
        forget_searches(engine, move.state.alias, before.spec.field)


def _report(
    move: Move, source: str, target: str, change: Change, evaluation: Evaluation | None
) -> RehashReport:
    return RehashReport(
        move.state.alias,
        source,
        target,
        move.report,
        move.n_deleted,
        change.n_without,
        evaluation,
        move.aliases,
    )


def _others(source: Place, field: Field) -> Others:
    return others_of(
        source,
        source.engine,
        field.spec.field,
        hashing=field.hashing,
        keeps_mapping=field.succession.keeps_mapping,
        same_shards=True,
    )


def _make(source: Place, target: str, field: Field, others: Others) -> None:
    settings = settings_of(source)
    shards, replicas = int(settings["number_of_shards"]), int(settings["number_of_replicas"])
    make_index(source.engine, target, field, shards=shards, replicas=replicas, others=others)


def _measure(engine: Engine, index: str, n_queries: int) -> Evaluation | None:
    """Calibrate the new index, and see that what it promises holds."""
    engine.refresh(index)
    field = read_field(engine, index)
    if engine.count(index, {"exists": {"field": field.scored}}) < _MEASURED_FROM:
        return None
    tune_index(engine, index)
    evaluation = evaluate_index(Meta4(engine), index, n_queries=n_queries)
    if evaluation.recall_at_k < evaluation.recall_asked - _SPREAD:
        raise EngineError(
            f"{index} finds {evaluation.recall_at_k:.3f} of the nearest where "
            f"{evaluation.recall_asked:.3g} is promised; the alias stays where it is. See: "
            f"meta4 eval {index}"
        )
    return evaluation


def _under_way(engine: Engine, alias: str, mark: str) -> str | None:
    """The target of a move to a model that was begun and not finished."""
    name = _begun(engine, alias)
    if name is None:
        return None
    model = read_field(engine, name).mark
    if model != mark:
        raise ConflictError(
            f"{alias!r} is being moved to {name!r} with model {model}; finish that with the "
            f"same --model, or drop it with: meta4 index drop {name}"
        )
    return name


def _begun(engine: Engine, alias: str) -> str | None:
    """The target of a move that was begun and not finished."""
    for name, mapping in sorted(engine.mappings(f"{_base(behind(engine, alias))[0]}-*").items()):
        state = state_in(mapping)
        if state is not None and state.alias == alias and state.is_under_way and not state.back:
            return name
    return None


def _base(index: str) -> tuple[str, int]:
    """What the names of an alias's indexes have in common, and the number of this one."""
    match = _NUMBERED.fullmatch(index)
    return (match["base"], int(match["number"])) if match else (index, 1)


def _next_name(engine: Engine, source: str) -> str:
    base, number = _base(source)
    while engine.index_exists(f"{base}-{number + 1}"):
        number += 1
    return f"{base}-{number + 1}"
