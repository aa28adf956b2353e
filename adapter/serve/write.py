"""Documents on their way through: hashed where their index leaves that to whoever writes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import orjson

from ...errors import InputError, NotFoundError, RefusedError
from ...ingest.bulk import MOST_BYTES
from ...ingest.documents import Document, put_anew, value_at
from ...ingest.hashers import Hasher, HasherChain
from ...ingest.json_values import JsonError, read_json, to_json
from ..client.core import Core
from ..fields.field import Field
from .answers import Answer, Json, answer_of, error_of
from .callers import CallerEngine, Callers
from .request import Request, decoded, decoding
from .search import Passed

#: Documents, and bytes of them, that are hashed at once.
_BATCH, _BATCH_BYTES = 500, 4 << 20
#: Seconds for which an index that we do not hash for is not looked at again.
_NOT_OURS_FOR = 5.0
#: Of HTTP, of an answer to who may not read a mapping.
_NOT_ALLOWED = frozenset({401, 403})
#: Operations that a document follows.
_WHOLE = ("index", "create")
_UNSEEN = (
    b'299 meta4 "documents were passed on as they came: whoever writes may not read the mapping of '
    b'their index, which says whether they are to be hashed"'
)


@dataclass(frozen=True)
class _Ours:
    """What hashes documents for an index, and which fields they have hashes of."""

    hasher: Hasher
    fields: Sequence[Field]


@dataclass(frozen=True)
class _Line:
    """One operation of a `_bulk`.

    Attributes:
        header: as it came, with its end.
        source: the line after it, the same; None where there is none.
        operation: what it does; None where it cannot be read.
        about: what the header says of it.
    """

    header: bytes
    source: bytes | None
    operation: str | None
    about: Json


class Writes:
    """Requests that write documents.

    Args:
        callers: in whose name they are made.
    """

    def __init__(self, callers: Callers) -> None:
        self.callers = callers
        self._known: WeakKeyDictionary[Core, dict[str, float]] = WeakKeyDictionary()

    async def document(self, request: Request) -> Answer | Passed:
        """A whole one, or a part of one that changes another."""
        index = request.endpoint.index
        assert index is not None
        writing = _Writing(self, request)
        ours = await writing.ours(index)
        if ours is None:
            return Passed(headers=writing.warnings)
        raw = await request.whole()
        try:
            source = read_json(decoded(raw, request.by_name.get(b"content-encoding")))
        except orjson.JSONDecodeError:
            return Passed(raw)  # the engine says what is wrong with it
        if not isinstance(source, dict):
            return Passed(raw)
        is_part = "_update" in request.path.split("/")
        (written,) = await asyncio.to_thread(_hashed, ours, [(source, is_part)])
        if isinstance(written, str):
            raise InputError(written)
        return Passed(raw) if written is None else Passed(instead=written)

    async def bulk(self, request: Request) -> Answer | Passed:
        """Many. Those that cannot be hashed get an error of their own, and the others go on."""
        return await _Writing(self, request).bulk()

    async def ours(self, engine: CallerEngine, core: Core, index: str) -> _Ours | None:
        """What hashes for an index; None where nothing of ours does.

        Raises:
            ConflictError: the index is of a version that this one cannot read.
            RefusedError: whoever asks may not read its mapping.
        """
        known = self._known.setdefault(core, {})
        if time.monotonic() < known.get(index, 0.0):
            return None
        try:
            entry = await engine.run(core.catalog.get(index))
        except NotFoundError:
            known[index] = time.monotonic() + _NOT_OURS_FOR
            return None
        fields = [one for one in entry.fields.values() if one.hashing != "server"]
        if not fields:
            return None
        hashers = [await engine.run(one.hasher()) for one in fields]
        return _Ours(hashers[0] if len(hashers) == 1 else HasherChain(hashers), fields)


class _Writing:
    """One request."""

    def __init__(self, writes: Writes, request: Request) -> None:
        self._writes = writes
        self._request = request
        self._engine, self._core = writes.callers.core(request.headers)
        self._refused: list[tuple[int, Json]] = []
        self.warnings: dict[bytes, bytes] = {}

    async def ours(self, index: str) -> _Ours | None:
        try:
            return await self._writes.ours(self._engine, self._core, index)
        except RefusedError as error:
            if error.status not in _NOT_ALLOWED:
                raise
            self.warnings[b"warning"] = _UNSEEN
            return None

    async def bulk(self) -> Answer | Passed:
        """See `Writes.bulk`."""
        request = self._request
        plain = decoding(request.pieces(), request.by_name.get(b"content-encoding"))
        written = self._written(_lines(plain))
        beginning = []
        async for piece in written:
            beginning.append(piece)
            if sum(map(len, beginning)) > _BATCH_BYTES:
                body: bytes | AsyncIterator[bytes] = _then(beginning, written)
                break
        else:  # short ones are sent with their length, as clients send them
            body = b"".join(beginning)
            if not body and self._refused:
                answer = self._with_refusals({"took": 0, "errors": False, "items": []})
                return answer_of(answer, request.by_name, request.query)
        return Passed(
            instead=body,
            edit=self._with_refusals,
            edits_if=lambda: bool(self._refused),
            headers=self.warnings,
        )

    async def _written(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        position = 0
        async for batch in _batches(lines):
            piece = await self._batch(batch, position)
            position += len(batch)
            if piece:
                yield piece

    async def _batch(self, batch: Sequence[_Line], position: int) -> bytes:
        """A batch as it is sent on."""
        sources = [line.source or b"" for line in batch]
        refused: dict[int, str] = {}
        by_index: dict[str, list[int]] = {}
        for i, line in enumerate(batch):
            index = line.about.get("_index", self._request.endpoint.index)
            if line.source is not None and line.operation is not None and isinstance(index, str):
                by_index.setdefault(index, []).append(i)
        for index, rows in by_index.items():
            ours = await self.ours(index)
            if ours is None:
                continue
            given = [(row, _source(batch[row])) for row in rows]
            asked = [(row, one) for row, one in given if one is not None]
            parts = [(one, batch[row].operation == "update") for row, one in asked]
            for (row, _), one in zip(
                asked, await asyncio.to_thread(_hashed, ours, parts), strict=True
            ):
                if isinstance(one, str):
                    refused[row] = one
                elif one is not None:
                    sources[row] = one + (b"\n" if sources[row].endswith(b"\n") else b"")
        out = []
        for i, line in enumerate(batch):
            if i in refused:
                self._refused.append((position + i, _error_item(line, self._request, refused[i])))
            else:
                out += [line.header, sources[i]]
        return b"".join(out)

    def _with_refusals(self, answer: Json) -> Json:
        """The answer with an item for each that was refused, where it stood in the request."""
        if "error" in answer:
            return answer
        items = list(answer.get("items") or [])  # a `filter_path` may have left none
        for position, item in self._refused:
            items.insert(position, item)
        return {**answer, "errors": True, "items": items}


async def _then(beginning: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"".join(beginning)
    async for piece in rest:
        yield piece


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


async def _batches(lines: AsyncIterator[bytes]) -> AsyncIterator[list[_Line]]:
    batch: list[_Line] = []
    size = 0
    async for header in lines:
        operation, about = _read(header)
        source = None if operation in (None, "delete") else await anext(lines, None)
        batch.append(_Line(header, source, operation, about))
        size += len(header) + len(source or b"")
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read(header: bytes) -> tuple[str | None, Json]:
    """What a line does; None where the engine is to say what is wrong with it."""
    try:
        ((operation, about),) = orjson.loads(header).items()
    except (orjson.JSONDecodeError, AttributeError, ValueError):
        return None, {}
    return operation, about if isinstance(about, dict) else {}


def _source(line: _Line) -> Json | None:
    """The document of a line; None where the engine is to say what is wrong with it."""
    assert line.source is not None
    try:
        source = read_json(line.source)
    except orjson.JSONDecodeError:
        return None
    return source if isinstance(source, dict) else None


def _hashed(ours: _Ours, given: Sequence[tuple[Json, bool]]) -> list[bytes | str | None]:
    """Documents with their hashes, as JSON, or why one cannot be hashed; None for one as it came.

    Args:
        ours: what hashes them.
        given: each with whether it changes a part of another, as `_update` does.
    """
    wholes: list[Document] = []
    parts: list[tuple[int, str]] = []
    for i, (source, is_part) in enumerate(given):
        named = ("doc", "upsert") if is_part else ("",)
        for name in named:
            inner = source.get(name) if name else source
            if isinstance(inner, dict) and (not name or name == "upsert" or _touches(ours, inner)):
                wholes.append(Document(None, inner, origin=str(len(parts))))
                parts.append((i, name))
    batch = ours.hasher.hash(wholes)
    written: list[Json] = [dict(source) for source, _ in given]
    reasons: dict[int, str] = {parts[int(one.origin)][0]: one.reason for one in batch.refusals}
    for document in batch.documents:
        i, name = parts[int(document.origin)]
        if name:
            written[i][name] = _emptied(ours, document.source) if name == "doc" else document.source
        else:
            written[i] = document.source
    return [
        reasons[i] if i in reasons else None if source == given[i][0] else _as_json(source)
        for i, source in enumerate(written)
    ]


def _as_json(source: Json) -> bytes | str:
    try:
        return to_json(source)
    except JsonError as error:
        return f"cannot be written as JSON ({error})"


def _touches(ours: _Ours, part: Json) -> bool:
    """Whether a part says something of a hashed field: of others what is there stays."""
    return any(_says(part, one.spec.field) for one in ours.fields)


def _says(part: Json, path: str) -> bool:
    if path in part:
        return True
    head, _, rest = path.partition(".")
    inner = part.get(head)
    return bool(rest) and isinstance(inner, dict) and _says(inner, rest)


def _emptied(ours: _Ours, part: Json) -> Json:
    """A part that takes a vector away takes its hashes away with it."""
    for one in ours.fields:
        if _says(part, one.spec.field) and value_at(part, one.spec.field) is None:
            put_anew(part, one.spec.fields.root, None)
    return part


def _error_item(line: _Line, request: Request, reason: str) -> Json:
    about = line.about
    where = {
        "_index": about.get("_index", request.endpoint.index),
        "_id": about.get("_id"),
        "status": 400,
    }
    error = error_of("illegal_argument_exception", reason, 400)["error"]
    del error["root_cause"]
    return {line.operation or "index": {**where, "error": error}}
