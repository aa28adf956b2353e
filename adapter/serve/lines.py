"""The lines of a `_bulk`, as they come."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from ...errors import InputError
from ...ingest.bulk import MOST_BYTES
from .answers import Json

#: Documents, and bytes of them, that are hashed at once.
BATCH, BATCH_BYTES = 500, 4 << 20


@dataclass(frozen=True)
class Line:
    """One operation.

    Attributes:
        header: as it came, with its end.
        source: the line after it, the same; None where there is none.
        operation: what it does; None where it cannot be read, or the line is blank.
        about: what the header says of it.
    """

    header: bytes
    source: bytes | None
    operation: str | None
    about: Json

    @property
    def is_blank(self) -> bool:
        """Whether an engine passes it over."""
        return not self.header.strip()

    def index(self, otherwise: str | None) -> str | None:
        """Where it is written.

        Args:
            otherwise: the request's own.
        """
        named = self.about.get("_index")
        return otherwise if named is None else str(named)


async def batches(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
    """Operations, some at a time.

    Raises:
        InputError: a line is longer than engines take.
    """
    lines = _lines(pieces)
    batch: list[Line] = []
    size = 0
    async for header in lines:
        operation, about = _read(header)
        source = None if operation in (None, "delete") else await anext(lines, None)
        batch.append(Line(header, source, operation, about))
        size += len(header) + len(source or b"")
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines with their ends; the last one may lack its own, which engines refuse."""
    rest: list[bytes] = []
    size = 0
    async for piece in pieces:
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield b"".join((*rest, line, b"\n"))
            rest, size = [], 0
        if last:
            rest.append(last)
            size += len(last)
        if size > MOST_BYTES:
            raise InputError(f"a line has more than the {MOST_BYTES:,} bytes that engines take")
    if rest:
        yield b"".join(rest)


def _read(header: bytes) -> tuple[str | None, Json]:
    """What a line does; None where the engine is to say what is wrong with it."""
    try:
        ((operation, about),) = orjson.loads(header).items()
    except (orjson.JSONDecodeError, AttributeError, ValueError):
        return None, {}
    return operation, about if isinstance(about, dict) else {}
