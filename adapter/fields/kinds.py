"""Which kinds of hashed field there are."""

from typing import Any

from ...errors import InputError
from ...mappings.spec import FieldSpec, entries_in, spec_of
from ..engines.calls import Calls, Json
from ..engines.engine import Engine
from .field import Field, Options
from .shelf import Shelf
from .texts.field import TextField
from .vectors.field import VectorField

#: The first that takes a model has it.
_KINDS: tuple[type[Field], ...] = (TextField, VectorField)
_SPECS: dict[str, type[FieldSpec]] = {kind.kind: kind.spec_type for kind in _KINDS}


def fields_in(mapping: Json, index: str, calls: Calls, shelf: Shelf) -> dict[str, Field]:
    """The hashed fields of an index, by their names.

    Raises:
        NotFoundError: the index is not one of ours.
        ConflictError: it was written by a version this one cannot read.
    """
    entries = entries_in(mapping, index)
    specs = {name: spec_of(name, entry, _SPECS, index) for name, entry in entries.items()}
    return {name: field_of(spec, calls, shelf) for name, spec in specs.items()}


def field_of(spec: FieldSpec, calls: Calls, shelf: Shelf) -> Field:
    """The field of a spec."""
    (kind,) = (kind for kind in _KINDS if kind.spec_type is type(spec))
    return kind(spec, calls, shelf)


def kind_taking(reference: str) -> type[Field]:
    """The kind of field that a model, by its folder or name, hashes."""
    return next(kind for kind in _KINDS if kind.takes(reference))


def model_for(engine: Engine, field: Field, reference: str) -> tuple[Any, Any]:
    """A model for a field that there is: what it is referred to by, and the model itself.

    Raises:
        InputError: it hashes another kind of field; nothing was stored then.
    """
    kind = kind_taking(reference)
    if not isinstance(field, kind):
        raise field.wrong_model(reference)
    return kind.resolve(engine, reference)


def new_field(engine: Engine, name: str | None, ref: Any, model: Any, options: Options) -> Field:
    """A field that is to be made; see `Field.new`."""
    for kind in _KINDS:
        if isinstance(model, kind.model_type):
            return kind.new(
                engine, kind.default_name if name is None else name, ref, model, options
            )
    raise InputError(f"no kind of field is hashed by a {type(model).__name__}")
