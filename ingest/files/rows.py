"""Rows of a file, as the documents that they mean.

A row is a document, with its `_id` and `_routing` beside its fields if it has some; a hit, as a
search gives it and elasticdump keeps it, with the document in `_source`; or, of NDJSON, a line of
the engines' own `_bulk`, which is about the document in the next line.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ..documents import Document, Refusal, value_at
from ..json_values import read_json
from .ids import MetadataError, id_of

_ACTIONS = frozenset({"index", "create", "update", "delete"})
#: What a line of `_bulk` says of its document; an object with other members is a document.
_OF_AN_ACTION = frozenset(
    {"_id", "_index", "_type", "routing", "_routing", "op_type", "pipeline", "version", "_version"}
    | {"version_type", "_version_type", "if_seq_no", "if_primary_term", "retry_on_conflict"}
    | {"_retry_on_conflict", "require_alias", "require_data_stream", "dynamic_templates"}
    | {"list_executed_pipelines", "_source", "parent", "_parent"}
)
#: What stands beside `_source` in a hit, or in an action of the clients' helpers.
_OF_A_HIT = frozenset(
    {"_id", "_index", "_type", "_routing", "routing", "_op_type", "_source", "_score", "_version"}
    | {"_seq_no", "_primary_term", "_shard", "_node", "_explanation", "_ignored", "found"}
    | {"ignored_field_values", "sort", "fields", "highlight", "inner_hits", "matched_queries"}
)
#: What stands beside the fields of a document and is none of them.
_OF_A_DOCUMENT = ("_id", "_routing", "_index", "_op_type", "_type")
#: What is kept of all this.
_KEPT = frozenset({"_id", "_index", "_type", "_routing", "_op_type"})
_ALONE = "{!r} of a bulk request without the document in the next line"


@dataclass(frozen=True)
class Reading:
    """How rows are read.

    Attributes:
        field: the hashed field.
        id_field: the field that is the document's id in place of `_id`.
        indexes: what the index is called that they go to; None where they go to none.
    """

    field: str | None = None
    id_field: str | None = None
    indexes: Collection[str] | None = None


@dataclass(frozen=True)
class _Action:
    """A line of `_bulk` that waits for its document."""

    origin: str
    text: str
    kind: str
    said: dict[str, Any]

    def refused(self, reason: str, text: str | None = None) -> Refusal:
        """With the line of its document, if there is one."""
        whole = self.text if text is None else f"{self.text}\n{text}"
        return Refusal(None, self.origin, reason, text=whole)


def read_rows(
    lines: Iterable[tuple[str, bytes] | Refusal], reading: Reading
) -> Iterator[Document | Refusal]:
    """The documents of NDJSON, out of where each line stands and what it says."""
    action: _Action | None = None
    for line in lines:
        row = line if isinstance(line, Refusal) else _parsed(*line, reading)
        if isinstance(row, Refusal):
            yield row if action is None else action.refused(row.reason, row.text)
            action = None
            continue
        origin, content = line  # type: ignore[misc]  # of a row that was read
        if _is_action(row):
            if action is not None:
                yield action.refused(_ALONE.format(action.kind))
            ((kind, said),) = row.items()
            action = _Action(origin, text_of(content), kind, said)
            if kind == "delete":
                yield action.refused("a deletion; documents are only written here")
                action = None
        elif action is not None:
            yield _document_of_action(action, row, content, reading)
            action = None
        else:
            yield document_of(row, origin, reading)
    if action is not None:
        yield action.refused(_ALONE.format(action.kind))


def document_of(
    row: dict[str, Any], origin: str, reading: Reading, about: Mapping[str, Any] | None = None
) -> Document | Refusal:
    """The document that a row means.

    Args:
        row: see the module.
        origin: where it stands.
        reading: how it is read.
        about: `_id`, `_routing` and so on, where they are said elsewhere.
    """
    source, own = _taken_apart(row)
    said = own if about is None else dict(own)
    try:
        for name, value in (about or {}).items():
            if said.setdefault(name, value) != value:
                raise MetadataError(
                    f"{name} is both {value!r:.40} and {said[name]!r:.40}; leave out one"
                )
        identity, routing = id_of(said.get("_id")), id_of(said.get("_routing"), "routing")
        if reading.id_field is not None:
            identity = id_of(value_at(source, reading.id_field))
            if identity is None:
                raise MetadataError(f"no {reading.id_field!r}, which is to be its id (--id-field)")
        index = said.get("_index")
        if index is not None and index not in list(reading.indexes or [index]):
            raise MetadataError(f"for another index, {index!r:.80}; leave out _index")
        how = said.get("_op_type", "index")
        if how not in ("index", "create"):
            raise MetadataError(f"expected 'index' or 'create', got {how!r:.40}")
    except MetadataError as fault:
        whole = {**(about or {}), **row, **(own if source is row else {})}
        return Refusal(None, origin, str(fault), whole)
    only_if = "absent" if how == "create" else None
    return Document(identity, source, origin, only_if, routing)  # type: ignore[arg-type]


def text_of(line: bytes) -> str:
    """A line as text, whatever it is."""
    return line.decode(errors="backslashreplace").rstrip("\r\n")


def _taken_apart(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row's fields, and what it says of them; that is taken out of the row."""
    inner = row.get("_source")
    if isinstance(inner, dict) and row.keys() <= _OF_A_HIT:
        said = {name: row[name] for name in _KEPT & row.keys() if row[name] is not None}
        if row.get("routing") is not None:
            said["_routing"] = row["routing"]
        if "_op_type" not in row:  # a hit: that is where it comes from
            said.pop("_index", None)
        return inner, said
    said = {}
    for name in _OF_A_DOCUMENT:
        if name in row:
            value = row.pop(name)
            if value is not None:
                said[name] = value
    return row, said


def _is_action(row: dict[str, Any]) -> bool:
    if len(row) != 1:
        return False
    ((kind, said),) = row.items()
    return kind in _ACTIONS and isinstance(said, dict) and said.keys() <= _OF_AN_ACTION


def _document_of_action(
    action: _Action, row: dict[str, Any], line: bytes, reading: Reading
) -> Document | Refusal:
    if action.kind == "update":
        reason = "an update; expected whole documents: make it 'index', with the document"
        return action.refused(reason, text_of(line))
    about = {name: value for name, value in action.said.items() if value not in (None, False)}
    for name in ("routing", "op_type"):
        if name in about:
            about[f"_{name}"] = about.pop(name)
    if action.kind == "create":
        about["_op_type"] = "create"
    others = about.keys() - _KEPT
    if others:
        reason = f"{min(others)!r} of a bulk request cannot be kept here; leave it out"
        return action.refused(reason, text_of(line))
    document = document_of(row, action.origin, reading, about)
    if isinstance(document, Refusal):
        return action.refused(document.reason, text_of(line))
    return document


def _parsed(origin: str, line: bytes, reading: Reading) -> dict[str, Any] | Refusal:
    try:
        row = read_json(line, reading.field)
    except orjson.JSONDecodeError as error:
        return Refusal(None, origin, f"not JSON ({error})", text=text_of(line))
    if not isinstance(row, dict):
        reason = f"expected a JSON object, got {type(row).__name__}"
        return Refusal(None, origin, reason, text=text_of(line))
    return row
