"""What a request to the engine is, by its method and path."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote


class Kind(StrEnum):
    """What the gateway does with a request."""

    #: A search: clauses in its body are answered.
    SEARCH = "search"
    #: Several searches, by lines.
    MSEARCH = "msearch"
    #: Anything else whose `query` may have a clause: the documents that it means stand in for it.
    QUERY = "query"
    #: A point in time is opened: its index is remembered.
    OPENING = "opening"
    #: Documents by lines.
    BULK = "bulk"
    #: One whole document.
    DOCUMENT = "document"
    #: A part of one.
    UPDATE = "update"
    #: A search that is written in another language, in which nobody could see a clause.
    TEMPLATE = "template"
    #: Passed on; refused where it has a clause.
    OTHER = "other"


@dataclass(frozen=True)
class Endpoint:
    """A request's kind, and what its path names.

    Attributes:
        kind: what is done with it.
        index: as in the path, decoded; None where it names none.
        id: of a document.
    """

    kind: Kind
    index: str | None = None
    id: str | None = None


#: By what a path ends with behind an index, or without one.
_BY_END: dict[tuple[str, ...], tuple[Kind, frozenset[str]]] = {
    ("_search",): (Kind.SEARCH, frozenset({"GET", "POST"})),
    ("_msearch",): (Kind.MSEARCH, frozenset({"GET", "POST"})),
    ("_count",): (Kind.QUERY, frozenset({"GET", "POST"})),
    ("_async_search",): (Kind.QUERY, frozenset({"POST"})),
    ("_validate", "query"): (Kind.QUERY, frozenset({"GET", "POST"})),
    ("_pit",): (Kind.OPENING, frozenset({"POST"})),
    ("_search", "point_in_time"): (Kind.OPENING, frozenset({"POST"})),
    ("_bulk",): (Kind.BULK, frozenset({"POST", "PUT"})),
    ("_doc",): (Kind.DOCUMENT, frozenset({"POST"})),
    ("_create",): (Kind.DOCUMENT, frozenset({"POST", "PUT"})),
    ("_search", "template"): (Kind.TEMPLATE, frozenset({"GET", "POST"})),
    ("_msearch", "template"): (Kind.TEMPLATE, frozenset({"GET", "POST"})),
    ("_render", "template"): (Kind.TEMPLATE, frozenset({"GET", "POST"})),
}
#: By what stands between an index and an id.
_BY_MIDDLE: dict[str, tuple[Kind, frozenset[str]]] = {
    "_doc": (Kind.DOCUMENT, frozenset({"POST", "PUT"})),
    "_create": (Kind.DOCUMENT, frozenset({"POST", "PUT"})),
    "_update": (Kind.UPDATE, frozenset({"POST"})),
    "_explain": (Kind.QUERY, frozenset({"GET", "POST"})),
}
_OTHER = Endpoint(Kind.OTHER)


def endpoint_of(method: str, path: str) -> Endpoint:
    """What a request is.

    Args:
        method: in capitals.
        path: as it came, percent-encoded, without the query string.
    """
    parts = [unquote(part) for part in path.split("/") if part]
    index = None
    if (parts and not parts[0].startswith("_")) or (len(parts) > 1 and parts[0] == "_all"):
        index, *parts = parts
    found = _BY_END.get(tuple(parts))
    if found is not None and method in found[1]:
        return Endpoint(found[0], index)
    if index is not None and len(parts) == 2:
        found = _BY_MIDDLE.get(parts[0])
        if found is not None and method in found[1]:
            return Endpoint(found[0], index, parts[1])
    return _OTHER
