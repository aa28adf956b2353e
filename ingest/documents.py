"""A document on its way in, one that was refused, and where a dotted field stands in it.

To an engine `{"a": {"b": 1}}`, `{"a.b": 1}` and `{"a": [{"b": 1}]}` all have the field `a.b`, and
a document that has it in several places has several values of it. The server's pipeline looks in
the same places (`painless.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from ..errors import InputError

_Place = tuple[dict[str, Any], str]


@dataclass
class Document:
    """One document.

    Attributes:
        id: its `_id`; None where the source gives none.
        source: its `_source`.
        origin: file and line or row, for messages.
        only_if: write it only while the index has it as it was then (sequence number, primary
            term), or has it not; None in any case.
        routing: what it lies by, where that is not its id.
        given: its source as somebody gave it, where `source` is a changed copy; never changed.
    """

    id: str | None
    source: dict[str, Any]
    origin: str = ""
    only_if: tuple[int, int] | Literal["absent"] | None = None
    routing: str | None = None
    given: dict[str, Any] | None = None

    @classmethod
    def of(
        cls,
        hit: dict[str, Any],
        origin: str = "",
        only_if: tuple[int, int] | Literal["absent"] | None = None,
    ) -> "Document":
        """A search's hit, to be written again."""
        return cls(hit["_id"], hit.get("_source", {}), origin, only_if, hit.get("_routing"))

    def copied(self, *paths: str) -> "Document":
        """The same, with a source of its own that may be changed at these dotted fields."""
        source = self.source
        for path in paths:
            source = _copied_along(source, path)
        return replace(self, source=source, given=self.source if self.given is None else self.given)


@dataclass(frozen=True)
class Refusal:
    """One document that was not indexed, and why.

    Attributes:
        id: its `_id`, if it had one.
        origin: file and line or row.
        reason: why, in words.
        source: the document as it was given, where it could be read.
        text: what stands there, where it could not.
        routing: what it lies by, where that is not its id.
        is_new: whether it is to be written only where the index has it not.
    """

    id: str | None
    origin: str
    reason: str
    source: dict[str, Any] | None = None
    text: str | None = None
    routing: str | None = None
    is_new: bool = False

    @classmethod
    def of(cls, document: Document, reason: str) -> "Refusal":
        """The refusal of a document."""
        return cls(
            document.id,
            document.origin,
            reason,
            document.source if document.given is None else document.given,
            routing=document.routing,
            is_new=document.only_if == "absent",
        )


def check_several(values: Any, name: str) -> None:
    """Refuse what is not several things.

    Raises:
        InputError: one thing, or none.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InputError(f"{name}: expected several, got {type(values).__name__}")


def checked(documents: Any) -> Iterator[Document]:
    """The same documents.

    Raises:
        InputError: they are none, at once; or one of them is something else, when it comes.
    """
    check_several(documents, "documents")

    def each() -> Iterator[Document]:
        for i, document in enumerate(documents):
            if not isinstance(document, Document):
                raise InputError(
                    f"documents: expected meta4.Document(id, source), got "
                    f"{type(document).__name__} at {i}"
                )
            yield document

    return each()


class Several(list[Any]):
    """The values of a field that stands in several places of a document."""

    @property
    def fault(self) -> str:
        """Why they cannot be hashed."""
        return f"expected one value, got {len(self)}, in several places of the document"


def value_at(source: dict[str, Any], path: str) -> Any:
    """The value of a dotted field, None where it has none, `Several` where it has several."""
    if not _splits(path):  # as most fields are
        return source.get(path)
    found = [holder[key] for holder, key in _places(source, path)]
    values = [value for value in found if value is not None]
    return Several(values) if len(values) > 1 else values[0] if values else None


def put_at(source: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted field where it stands, or else in objects that are made around it."""
    if not _splits(path):  # as most fields are
        source[path] = value
        return
    found = list(_places(source, path))
    if found:
        for holder, key in found[1:]:
            holder.pop(key, None)
        holder, key = found[0]
        holder[key] = value
    else:
        _make(source, path, value)


def put_anew(source: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted field, and nothing that a document had there or below stays."""
    remove_at(source, path)
    _make(source, path, value)


def _make(source: dict[str, Any], path: str, value: Any) -> None:
    """Set a field that is not there, and objects around it."""
    *parts, last = path.split(".")
    inner = source
    for part in parts:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[last] = value


def remove_at(source: dict[str, Any], path: str) -> None:
    """Delete a dotted field and all below it, wherever it stands."""
    head = path.partition(".")[0]
    for key in source:  # which is soon done, where a document has nothing of that name
        if isinstance(key, str) and key.startswith(head):
            break
    else:
        return
    for holder, key in [*_places(source, path), *_places_below(source, path)]:
        holder.pop(key, None)


def _copied_along(source: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy of an object and of those in which a dotted field may stand; all else is shared."""
    copied = dict(source)
    for head, rest in _splits(path):
        if head in copied:
            copied[head] = _copied_inside(copied[head], rest)
    return copied


def _copied_inside(inner: Any, path: str) -> Any:
    """The same of an object, or of those of a list, of whatever depth."""
    outermost = [inner]
    waiting = [outermost]
    while waiting:
        holder = waiting.pop()
        for i, one in enumerate(holder):
            if isinstance(one, dict):
                holder[i] = _copied_along(one, path)
            elif isinstance(one, list | tuple):
                holder[i] = list(one)
                waiting.append(holder[i])
    return outermost[0]


def without(source: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy without a dotted field, and without objects that held nothing else."""
    below = f"{path}."
    copied = {
        key: value
        for key, value in source.items()
        if key != path and not (isinstance(key, str) and key.startswith(below))
    }
    for head, rest in _splits(path):
        if head in copied:
            left = _without(copied.pop(head), rest)
            if left is not None:
                copied[head] = left
    return copied


def _without(inner: Any, path: str) -> Any:
    """The same of what an object holds; None where nothing is left."""
    if isinstance(inner, dict):
        return without(inner, path) or None
    if isinstance(inner, list):
        left = [_without(item, path) for item in inner]
        return [item for item in left if item is not None] or None
    return inner


@cache
def _splits(path: str) -> tuple[tuple[str, str], ...]:
    """Each way to cut a path in two at a dot."""
    dots = [i for i, letter in enumerate(path) if letter == "."]
    return tuple((path[:i], path[i + 1 :]) for i in dots)


def _objects(inner: Any) -> Iterator[dict[str, Any]]:
    """An object, or those of a list, of whatever depth."""
    waiting = [inner]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
        elif isinstance(one, list | tuple):
            waiting += reversed(one)


def _places(inner: Any, path: str) -> Iterator[_Place]:
    """The objects that have the field, each with the key that is its name there."""
    for one in _objects(inner):
        if path in one:
            yield one, path
        for head, rest in _splits(path):
            if head in one:
                yield from _places(one[head], rest)


def _places_below(inner: Any, path: str) -> Iterator[_Place]:
    """The same of names that go on after the path, as in `{"a.b.c": 1}` that of `a.b`."""
    below = f"{path}."
    for one in _objects(inner):
        for key in one:
            if isinstance(key, str) and key.startswith(below):
                yield one, key
        for head, rest in _splits(path):
            if head in one:
                yield from _places_below(one[head], rest)
