"""What the mapping of an index keeps of its fields, written."""

from ...mappings.spec import FieldSpec, entries_in, meta_of
from ..engines.engine import Engine


def write_spec(engine: Engine, index: str, spec: FieldSpec) -> None:
    """Keep a field's spec; what else stands in `_meta` stays, other fields' specs too."""
    for name, mapping in engine.mappings(index).items():
        entries = {**entries_in(mapping, name), spec.field: spec.entry()}
        engine.put_meta(name, meta_of(entries))
