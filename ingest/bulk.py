"""Bulk payloads: documents to NDJSON, of a size that a server takes gladly."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import uuid4

import orjson

from .documents import Document

#: Servers answer 429 or 413 long after this; Elastic's and OpenSearch's guides advise 5 to 15 MB.
MAX_BYTES = 5_000_000


class Action(NamedTuple):
    """One document of a bulk request, as it goes over the wire."""

    document: Document
    line: bytes


def to_action(document: Document) -> Action:
    """Serialise a document; one without an id gets one, so that a repetition is harmless."""
    if document.id is None:
        document.id = uuid4().hex
    header = orjson.dumps({"index": {"_id": document.id}})
    body = orjson.dumps(document.source, option=orjson.OPT_SERIALIZE_NUMPY)
    return Action(document, b"%b\n%b\n" % (header, body))


def chunks(documents: Iterable[Document]) -> Iterator[list[Action]]:
    """Serialised documents in groups of at most `MAX_BYTES` (a larger one goes alone)."""
    group: list[Action] = []
    size = 0
    for document in documents:
        action = to_action(document)
        if group and size + len(action.line) > MAX_BYTES:
            yield group
            group, size = [], 0
        group.append(action)
        size += len(action.line)
    if group:
        yield group
