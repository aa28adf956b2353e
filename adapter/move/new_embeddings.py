"""Whether new embeddings are those that a move needs: for all documents, and of one kind."""

from ...errors import ConflictError, InputError
from ...ingest.files.new_embeddings import NewEmbeddings
from ..catalog import read_field
from ..engines.engine import Engine
from ..engines.place import Place
from ..fields.field import Field
from ..fields.queries import sample_documents
from ..fields.succession import Change
from ..manage.move_state import Reached, state_of
from .changes import ids_with

#: Documents that are compared before a move goes on.
_COMPARED = 200


def check_covered(source: Place, reached: Reached, field: Field, change: Change) -> None:
    """Refuse a change that takes its value from a document, before anything is written.

    Args:
        source: an index.
        reached: by shard, after which operation documents are looked at.
        field: its hashed field.
        change: what is to become of documents.

    Raises:
        ConflictError: it does; with the first of these documents.
    """
    n, first = 0, list[str]()
    if change.replaces:
        for ids in ids_with(source, reached, field.scored):
            lacking = change.lacking(ids)
            n += len(lacking)
            first = first or lacking
    if n:
        raise change.refusal(n, first)


def check_dims(field: Field, embeddings: NewEmbeddings) -> None:
    """Refuse embeddings that the index before did not have.

    Raises:
        InputError: another number of dimensions.
    """
    dims = field.summary().get("dims")
    if dims != embeddings.dims:
        raise InputError(
            f"the index before has vectors of {dims} dimensions, and --vectors has "
            f"{embeddings.dims}; give those of the kind before"
        )


def check_goes_on(
    engine: Engine,
    target: str,
    field: Field,
    embeddings: NewEmbeddings | None,
    *,
    re_embedded: bool,
) -> None:
    """Refuse to go on with other embeddings than those that the target has already.

    Raises:
        ConflictError: they are.
    """
    state = state_of(engine, target)
    assert state is not None
    begun = read_field(engine, target).options().encoder
    if state.re_embedded != re_embedded or begun != field.options().encoder:
        word = "with" if state.re_embedded else "without"
        by = "" if begun is None else f", by the encoder {begun}"
        raise ConflictError(
            f"{target} was begun {word} new embeddings{by}; go on {word} --vectors or --embedder, "
            f"as then, or drop it: meta4 index drop {target}"
        )
    engine.refresh(target)
    if embeddings is None or not engine.count(target, {"exists": {"field": field.spec.field}}):
        return
    drawn = sample_documents(engine, target, field.spec.field, _COMPARED, 0)
    new = embeddings.of([identity for identity, _ in drawn])
    for identity, value in drawn:
        if identity in new and not field.succession.is_same_value(value, new[identity]):
            raise ConflictError(
                f"{target} was begun with another embedding of {identity!r}; go on with the same "
                f"--vectors, or drop it and begin anew: meta4 index drop {target}"
            )
