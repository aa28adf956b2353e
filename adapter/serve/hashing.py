"""Documents as they go on into an index that is hashed by whoever writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from ...ingest.documents import Document, put_anew, put_at, value_at
from ...ingest.embedding import text_in
from ...ingest.hashers import Hasher
from ...ingest.json_values import JsonError, read_json, to_json
from ..fields.field import Field
from .answers import Json

_BY_SCRIPT = (
    "a script changed documents that are hashed; where it changed what is hashed, run: "
    "meta4 index heal"
)
_TEXT_GONE = (
    "a text was taken away, and the vector that may be made of it stays until this is run: "
    "meta4 index heal"
)


class Made(NamedTuple):
    """What became of a document.

    Attributes:
        json: as it goes on; None as it came.
        fault: why it cannot be hashed; then it does not go on.
        warning: what nobody can see to here, in words; empty where there is nothing.
    """

    json: bytes | None = None
    fault: str | None = None
    warning: str = ""


@dataclass(frozen=True)
class Ours:
    """What hashes documents for an index, and the fields that they have hashes of."""

    hasher: Hasher
    fields: Sequence[Field]

    @property
    def specs(self) -> list[object]:
        """By which two of them hash alike."""
        return [one.spec for one in self.fields]

    def made(self, given: Sequence[tuple[bytes, bool]]) -> list[Made]:
        """Documents with their hashes.

        What is no JSON object goes on as it came: the engine says what is wrong with it.

        Args:
            given: each with whether it changes a part of another, as `_update` does.
        """
        sources = [_object(text) for text, _ in given]
        wholes: list[Document] = []
        parts: list[tuple[int, str]] = []
        for i, (source, (_, is_part)) in enumerate(zip(sources, given, strict=True)):
            if source is None:
                continue
            for name in ("doc", "upsert") if is_part else ("",):
                inner = source.get(name) if name else source
                if isinstance(inner, dict) and (name != "doc" or self._touched(inner)):
                    wholes.append(Document(None, inner, origin=str(len(parts))))
                    parts.append((i, name))
        batch = self.hasher.hash(wholes)
        faults = {parts[int(one.origin)][0]: one.reason for one in batch.refusals}
        written: dict[int, Json] = {}
        for document in batch.documents:
            i, name = parts[int(document.origin)]
            whole = written.setdefault(i, dict(sources[i] or {}))
            if name == "doc":
                whole[name] = self._emptied(document.source)
            elif name:
                whole[name] = document.source
            else:
                written[i] = document.source
        return [
            Made(fault=faults[i])
            if i in faults
            else _made(source, written.get(i), self._warning(source) if is_part else "")
            for i, (source, (_, is_part)) in enumerate(zip(sources, given, strict=True))
        ]

    def _warning(self, source: Json | None) -> str:
        """What is left undone of an update."""
        part = {} if source is None else source.get("doc")
        if source is not None and "script" in source:
            return _BY_SCRIPT
        if isinstance(part, dict) and any(_takes_text(part, one.hashed_by) for one in self.fields):
            return _TEXT_GONE
        return ""

    def _touched(self, part: Json) -> bool:
        """Whether a part says something of a hashed field: of others what is there stays."""
        return any(_says(part, path) for one in self.fields for path in one.hashed_by)

    def _emptied(self, part: Json) -> Json:
        """A part that takes a vector away takes its hashes away with it, and all that was told.

        What an engine merges into an object leaves there what the object had more.
        """
        for one in self.fields:
            root = one.spec.fields.root
            if _says(part, one.spec.field) and value_at(part, one.spec.field) is None:
                put_anew(part, root, None)
            hashes = value_at(part, root)
            if isinstance(hashes, dict):
                put_at(part, root, {**dict.fromkeys(one.at_times), **hashes})
        return part


def _object(text: bytes) -> Json | None:
    try:
        source = read_json(text)
    except orjson.JSONDecodeError:
        return None
    return source if isinstance(source, dict) else None


def _takes_text(part: Json, hashed_by: Sequence[str]) -> bool:
    """Whether a part takes away a text, and leaves the vector that may be made of it."""
    vector, *texts = hashed_by
    return not _says(part, vector) and any(
        _says(part, text) and text_in(part, text) is None for text in texts
    )


def _made(source: Json | None, written: Json | None, warning: str) -> Made:
    if written is None or written == source:
        return Made(warning=warning)
    try:
        return Made(to_json(written), warning=warning)
    except JsonError as error:
        return Made(fault=f"cannot be written as JSON ({error})")


def _says(part: Json, path: str) -> bool:
    """Whether a part sets a field, or puts something else in the place of what is around it.

    An engine merges objects, and replaces all else: a list, a null.
    """
    if path in part:
        return True
    end = path.find(".")
    while end != -1:
        head, rest = path[:end], path[end + 1 :]
        if head in part:
            inner = part[head]
            if not isinstance(inner, dict) or _says(inner, rest):
                return True
        end = path.find(".", end + 1)
    return False
