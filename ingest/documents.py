"""A document on its way in, and one that was refused."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InputError


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
    """

    id: str | None
    source: dict[str, Any]
    origin: str = ""
    only_if: tuple[int, int] | Literal["absent"] | None = None
    routing: str | None = None

    @classmethod
    def of(
        cls,
        hit: dict[str, Any],
        origin: str = "",
        only_if: tuple[int, int] | Literal["absent"] | None = None,
    ) -> "Document":
        """A search's hit, to be written again."""
        return cls(hit["_id"], hit.get("_source", {}), origin, only_if, hit.get("_routing"))


@dataclass(frozen=True)
class Refusal:
    """One document that was not indexed, and why.

    Attributes:
        id: its `_id`, if it had one.
        origin: file and line or row.
        reason: why, in words.
        source: the document, where it could be read.
        text: what stands there, where it could not.
    """

    id: str | None
    origin: str
    reason: str
    source: dict[str, Any] | None = None
    text: str | None = None

    @classmethod
    def of(cls, document: Document, reason: str) -> "Refusal":
        """The refusal of a document."""
        return cls(document.id, document.origin, reason, document.source)


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


def value_at(source: dict[str, Any], path: str) -> Any:
    """The value of a dotted field, or None where a part is missing."""
    value: Any = source
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def put_at(source: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted field, making the objects around it."""
    *parts, last = path.split(".")
    inner = source
    for part in parts:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[last] = value


def remove_at(source: dict[str, Any], path: str) -> None:
    """Delete a dotted field, if it is there."""
    head, _, last = path.rpartition(".")
    inner = value_at(source, head) if head else source
    if isinstance(inner, dict):
        inner.pop(last, None)


def without(source: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy without a dotted field, and without objects that held nothing else."""
    head, _, rest = path.partition(".")
    copied = {key: value for key, value in source.items() if key != head}
    inner = source.get(head)
    if rest and isinstance(inner, dict):
        left = without(inner, rest)
        if left:
            copied[head] = left
    return copied
