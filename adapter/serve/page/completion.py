"""Documents whose id or words begin as somebody types."""

from typing import Any

from ...catalog import HashedIndex
from ...client.core import Core
from ...engines.calls import Calls, Steps
from .results import hidden, label

Json = dict[str, Any]
#: Of a list that opens while one types, and fields that are looked in.
_ROWS, _FIELDS = 12, 20
#: What is typed of an id at most.
_LONGEST = 512
#: A score above that of any words.
_FIRST = 1e6
_READABLE = ("keyword", "text")


def completed(core: Core, calls: Calls, index: str, typed: str) -> Steps[list[Json]]:
    """At most a dozen documents, each an `id` and a `label`.

    An engine cannot look for the beginnings of ids; so the whole id is looked for, and the
    beginning in what can be read of a document.

    Raises:
        NotFoundError: no such index, or not one of ours.
    """
    known = yield from core.catalog.get(index)
    typed = typed[:_LONGEST]
    if not typed.strip():
        return []
    fields = yield from _readable(calls, known)
    itself = {"filter": {"ids": {"values": [typed]}}, "boost": _FIRST}
    asked: list[Json] = [{"constant_score": itself}]
    if fields:
        words = {"query": typed, "type": "bool_prefix", "fields": fields, "lenient": True}
        asked.append({"multi_match": words})
    body = {
        "size": _ROWS,
        "_source": {"excludes": hidden(known)},
        "query": {"bool": {"should": asked, "minimum_should_match": 1}},
    }
    answer = yield from calls.search(index, body)
    return [
        {"id": hit["_id"], "label": label(hit.get("_source") or {})}
        for hit in answer["hits"]["hits"]
    ]


def _readable(calls: Calls, known: HashedIndex) -> Steps[list[str]]:
    mappings = yield from calls.mappings(known.name)
    found: dict[str, None] = {}
    for mapping in mappings.values():
        for name, field in mapping.get("properties", {}).items():
            if field.get("type") in _READABLE and field.get("index", True):
                found[name] = None
    return list(found)[:_FIELDS]
