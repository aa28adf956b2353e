"""Refused documents in a file, to be corrected and sent again.

One JSON object a line: `_id`, `origin` and `reason`, and the `document`, or the `text` that could
not be read as one; `_routing` and `_op_type` where the document has them.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from ...errors import InputError
from ..documents import Document, Refusal
from ..json_values import read_json, to_json_somehow
from .rows import Reading, document_of, read_rows
from .text_files import opened_text

#: What a letter says of its document as a row does.
_ABOUT = ("_id", "_routing", "_op_type")


class DeadLetters:
    """Adds to a file, which is made with the first refusal.

    Args:
        path: the file; what is in it stays.
        size: bytes after which an interrupted run's letters stand, which are written again.
    """

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path = path
        self.n = 0
        if size is not None and self.size > size:
            with path.open("rb+") as letters:
                letters.truncate(size)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, refusal: Refusal) -> None:
        """Write one.

        Raises:
            InputError: the file cannot be written.
        """
        letter: dict[str, Any] = {
            "_id": refusal.id,
            "origin": refusal.origin,
            "reason": refusal.reason,
        }
        if refusal.routing is not None:
            letter["_routing"] = refusal.routing
        if refusal.is_new:
            letter["_op_type"] = "create"
        if refusal.source is not None:
            letter["document"] = refusal.source
        if refusal.text is not None:
            letter["text"] = refusal.text
        line = to_json_somehow(letter) + b"\n"
        try:
            with self.path.open("ab") as letters:
                letters.write(line)
        except OSError as error:
            raise InputError(
                f"{self.path}: refused documents cannot be written there ({error}); name another "
                f"file with --dead-letters"
            ) from error
        self.n += 1


def read_dead_letters(
    path: Path, indexes: Collection[str] | None = None
) -> Iterator[Document | Refusal]:
    """The documents of such a file, as they stand there now.

    Args:
        path: the file.
        indexes: what the index is called that they go to, where they go to one.

    Raises:
        InputError: no such file, another encoding than UTF-8, or a line that is no letter.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reading = Reading(indexes=indexes)
    with opened_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            origin = f"{path.name} line {number}"
            try:
                letter = read_json(line)
            except orjson.JSONDecodeError as error:
                raise InputError(f"{origin}: not JSON ({error})") from error
            if not isinstance(letter, dict) or not {"document", "text"} & set(letter):
                raise InputError(
                    f"{origin}: expected a refused document as 'meta4 ingest' writes it, an "
                    f"object with a 'document' or a 'text'"
                )
            yield _read(letter, origin, reading)


def _read(letter: dict[str, Any], origin: str, reading: Reading) -> Document | Refusal:
    source = letter.get("document")
    if source is None:
        return _read_text(str(letter.get("text")), origin, reading)
    if not isinstance(source, dict):
        reason = f"expected a JSON object, got {type(source).__name__}"
        return Refusal(None, origin, reason, text=to_json_somehow(source).decode())
    about = {name: letter[name] for name in _ABOUT if letter.get(name) is not None}
    document = document_of(source, origin, reading, about)
    if isinstance(document, Document) and document.id is None:
        # What was refused for want of an id is not to get any other.
        document = Refusal.of(document, "no id; write it into _id")
    if isinstance(document, Refusal) and document.id is None and isinstance(about.get("_id"), str):
        return replace(document, id=about["_id"])
    return document


def _read_text(text: str, origin: str, reading: Reading) -> Document | Refusal:
    """The document in a line, or in the two of a bulk request."""
    lines = text.encode(errors="backslashreplace").split(b"\n")
    read = list(read_rows(((origin, line) for line in lines if line.strip()), reading))
    if len(read) != 1:
        return Refusal(None, origin, f"expected one document, got {len(read)}", text=text)
    (one,) = read
    return replace(one, text=text) if isinstance(one, Refusal) and one.text is None else one
