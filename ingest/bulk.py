"""Bulk payloads: documents to NDJSON, of a size that a server takes gladly."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from .documents import Document, Refusal
from .json_values import JsonError, to_json

#: Servers answer 429 or 413 long after this; Elastic's and OpenSearch's guides advise 5 to 15 MB.
MAX_BYTES = 5_000_000
#: The engines' `http.max_content_length` unless they are told otherwise.
MOST_BYTES = 100_000_000


class Action(NamedTuple):
    """One document of a bulk request, as it goes over the wire."""

    document: Document
    line: bytes


def give_id(document: Document) -> None:
    """Give a document without an id one, so that a repetition is harmless.

    What was read from a file gets the same at each reading, by where it stands and what it says.
    """
    if document.id is None and document.origin:
        try:
            said = to_json(document.source, sort=True)
        except JsonError:
            said = b""  # refused further on
        digest = hashlib.blake2b(document.origin.encode() + b"\0" + said, digest_size=16)
        document.id = digest.hexdigest()
    elif document.id is None:
        document.id = uuid4().hex


def to_action(document: Document) -> Action | Refusal:
    """Serialise a document that has an id; a `Refusal` where that cannot be."""
    try:
        header = to_json(_header(document))
        body = to_json(document.source)
    except JsonError as error:
        return Refusal.of(document, f"cannot be written as JSON ({error})")
    line = b"%b\n%b\n" % (header, body)
    if len(line) > MOST_BYTES:
        reason = f"{len(line):,} bytes of JSON; the engines take at most {MOST_BYTES:,}"
        return Refusal.of(document, reason)
    return Action(document, line)


def to_deletion(document: Document) -> Action:
    """The deletion of a document, under its condition."""
    return Action(document, orjson.dumps({"delete": _header(document)["index"]}) + b"\n")


def _header(document: Document) -> dict[str, Any]:
    where = {"_id": document.id}
    if document.routing is not None:
        where["routing"] = document.routing
    if document.only_if is None:
        return {"index": where}
    if document.only_if == "absent":
        return {"create": where}
    number, term = document.only_if
    return {"index": {**where, "if_seq_no": number, "if_primary_term": term}}


def in_groups(actions: Iterable[Action]) -> Iterator[list[Action]]:
    """Groups of at most `MAX_BYTES` (a larger one goes alone)."""
    group: list[Action] = []
    size = 0
    for action in actions:
        if group and size + len(action.line) > MAX_BYTES:
            yield group
            group, size = [], 0
        group.append(action)
        size += len(action.line)
    if group:
        yield group
