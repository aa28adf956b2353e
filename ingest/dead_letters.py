"""Refused documents in a file, to be corrected and sent again.

One JSON object a line: `_id`, `origin` and `reason`, and the `document`, or the `text` that could
not be read as one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ..errors import InputError
from ..mappings.fields import ROOT
from .documents import Document, Refusal
from .sources import parse_line


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
        if refusal.source is not None:
            letter["document"] = {k: v for k, v in refusal.source.items() if k != ROOT}
        if refusal.text is not None:
            letter["text"] = refusal.text
        line = orjson.dumps(letter, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
        try:
            with self.path.open("ab") as letters:
                letters.write(line)
        except OSError as error:
            raise InputError(
                f"{self.path}: refused documents cannot be written there ({error}); name another "
                f"file with --dead-letters"
            ) from error
        self.n += 1


def read_dead_letters(path: Path) -> Iterator[Document | Refusal]:
    """The documents of such a file, as they stand there now.

    Raises:
        InputError: no such file, or a line that is no letter.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            origin = f"{path.name} line {number}"
            try:
                letter = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise InputError(f"{origin}: not JSON ({error})") from error
            if not isinstance(letter, dict) or not {"document", "text"} & set(letter):
                raise InputError(
                    f"{origin}: expected a refused document as 'meta4 ingest' writes it, an "
                    f"object with a 'document' or a 'text'"
                )
            yield _read(letter, origin)


def _read(letter: dict[str, Any], origin: str) -> Document | Refusal:
    source = letter.get("document")
    if source is None:
        return parse_line(str(letter.get("text")).encode(), origin)
    if not isinstance(source, dict):
        reason = f"expected a JSON object, got {type(source).__name__}"
        return Refusal(None, origin, reason, text=orjson.dumps(source).decode())
    identity = letter.get("_id")
    return Document(None if identity is None else str(identity), source, origin)
