"""A document on its way in, and one that was refused."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Document:
    """One document.

    Attributes:
        id: its `_id`; None where the source gives none.
        source: its `_source`.
        origin: file and line or row, for messages.
    """

    id: str | None
    source: dict[str, Any]
    origin: str = ""


@dataclass(frozen=True)
class Refusal:
    """One document that was not indexed, and why."""

    id: str | None
    origin: str
    reason: str


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
