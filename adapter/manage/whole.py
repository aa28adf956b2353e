"""Whether an index gives its documents back whole; only then they are written again."""

from typing import Any

from ...errors import InputError
from ...ingest.documents import value_at
from ..engines.place import Place

Json = dict[str, Any]
#: Ways of keeping `_source` that give no documents.
_NOT_KEPT = "disabled"


def source_fault(mapping: Json) -> str | None:
    """What in a mapping keeps fields of documents out of their `_source`, or None."""
    source = mapping.get("_source", {})
    if source.get("enabled") in (False, "false"):
        return "_source.enabled: false"
    if source.get("mode") == _NOT_KEPT:
        return f"_source.mode: {_NOT_KEPT}"
    for name in ("includes", "excludes"):
        if source.get(name):
            return f"_source.{name}: {source[name]}"
    return None


def check_source(place: Place) -> None:
    """Refuse an index whose `_source` lacks fields, before anything is written.

    Raises:
        InputError: documents that are written again would lose these fields.
    """
    for name, mapping in place.engine.mappings(place.index).items():
        fault = source_fault(mapping)
        if fault is not None:
            raise InputError(
                f"index {name!r} has {fault}, so that its documents do not come back whole: "
                f"written again they would lose those fields; load them anew, from where they "
                f"come, into an index without that, with: meta4 ingest"
            )


def check_value(place: Place, hit: Json, *fields: str) -> None:
    """Refuse a hit that has a field by query, and by `_source` none of these.

    Raises:
        InputError: it is so; written again, the document would lose it.
    """
    if all(value_at(hit.get("_source", {}), field) is None for field in fields):
        raise InputError(
            f"{place}: document {hit['_id']!r} has a {fields[0]!r} by which it is found, and its "
            f"_source has none: written again it would be lost; load the documents anew, from "
            f"where they come, with: meta4 ingest"
        )
