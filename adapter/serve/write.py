"""Documents on their way through: hashed where their index leaves that to whoever writes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from weakref import WeakKeyDictionary

from ...errors import InputError, NotFoundError, RefusedError
from ..catalog import hasher_of
from ..client.core import Core
from ..engines.names import check_index
from .answers import Answer, Json, answer_of, error_of
from .callers import CallerEngine, Callers
from .endpoints import Kind
from .hashing import Made, Ours
from .lines import BATCH_BYTES, Line, batches
from .request import Request, can_decode, decoded, decoding
from .search import Passed

#: Seconds for which an index that we do not hash for is not looked at again.
_NOT_OURS_FOR = 5.0
#: Of HTTP, of an answer to who may not read a mapping.
_NOT_ALLOWED = frozenset({401, 403})
_PASSED_ON = "documents were passed on as they came, whether they are to be hashed or not: "
_UNSEEN = f"{_PASSED_ON}whoever writes may not read what their index says of that"
_UNNAMED = f"{_PASSED_ON}the index is named by a date or in some other way that is not looked up"
_UNREAD = f"{_PASSED_ON}only JSON is read here, plain or by gzip or deflate"


class Writes:
    """Requests that write documents.

    Args:
        callers: in whose name they are made.
    """

    def __init__(self, callers: Callers) -> None:
        self.callers = callers
        self._not_ours: WeakKeyDictionary[Core, dict[str, float]] = WeakKeyDictionary()

    async def document(self, request: Request) -> Answer | Passed:
        """A whole one, or a part of one that changes another."""
        return await _Writing(self, request).document()

    async def bulk(self, request: Request) -> Answer | Passed:
        """Many. Those that cannot be hashed get an error of their own, and the others go on."""
        return await _Writing(self, request).bulk()

    async def ours(self, engine: CallerEngine, core: Core, index: str) -> Ours | None:
        """What hashes for an index; None where nothing of ours does.

        Raises:
            ConflictError: the index is of a version that this one cannot read.
            RefusedError: whoever asks may not read its mapping.
        """
        not_ours = self._not_ours.setdefault(core, {})
        if time.monotonic() < not_ours.get(index, 0.0):
            return None
        try:
            entry = await engine.run(core.catalog.written_to(index))
        except NotFoundError:
            not_ours[index] = time.monotonic() + _NOT_OURS_FOR
            return None
        fields = [one for one in entry.fields.values() if one.hashing != "server"]
        if not fields:
            return None
        return Ours(await engine.run(hasher_of(fields)), fields)


class _Writing:
    """One request."""

    def __init__(self, writes: Writes, request: Request) -> None:
        self._writes = writes
        self._request = request
        self._engine, self._core = writes.callers.core(request.headers)
        #: Operations that were read; of those refused, where each stood among them.
        self._n_read = 0
        self._refused: list[tuple[int, Json]] = []
        self._warnings: dict[bytes, bytes] = {}

    @property
    def _is_read(self) -> bool:
        """Whether we can read what is written."""
        return self._request.is_json and can_decode(self._request.coding)

    async def document(self) -> Answer | Passed:
        """See `Writes.document`."""
        request, index = self._request, self._request.index
        assert index is not None
        ours = await self._ours(index)
        if ours is None:
            return Passed(headers=self._warnings)
        if not self._is_read:
            raise InputError(
                f"index {index!r} is hashed by whoever writes; send JSON, plain or by gzip"
            )
        raw = await request.whole()
        text, is_part = decoded(raw, request.coding), request.endpoint.kind is Kind.UPDATE
        (made,) = await self._made(index, ours, [(text, is_part)])
        if made.fault is not None:
            raise InputError(made.fault)
        if made.json is None:
            return Passed(raw, headers=self._warnings)
        return Passed(instead=made.json, headers=self._warnings)

    async def bulk(self) -> Answer | Passed:
        """See `Writes.bulk`."""
        request = self._request
        if not self._is_read:
            self._warn(_UNREAD)
            return Passed(headers=self._warnings)
        written = self._written(decoding(request.pieces(), request.coding))
        beginning: list[bytes] = []
        async for piece in written:
            beginning.append(piece)
            if sum(map(len, beginning)) > BATCH_BYTES:
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
            headers=self._warnings,
        )

    async def _written(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for batch in batches(pieces):
            if piece := await self._batch(batch):
                yield piece

    async def _batch(self, batch: Sequence[Line]) -> bytes:
        """A batch as it is sent on."""
        made: dict[int, Made] = {}
        by_index: dict[str, list[int]] = {}
        for i, line in enumerate(batch):
            index = line.index(self._request.index)
            if line.source is not None and index is not None:
                by_index.setdefault(index, []).append(i)
        for index, rows in by_index.items():
            given = [(batch[i].source or b"", batch[i].operation == "update") for i in rows]
            try:
                ours = await self._ours(index)
                if ours is not None:
                    of_index = await self._made(index, ours, given)
                    made |= zip(rows, of_index, strict=True)
            except InputError as error:
                made |= dict.fromkeys(rows, Made(fault=str(error)))
        out = []
        for i, line in enumerate(batch):
            one = made.get(i, Made())
            if one.fault is not None:
                self._refuse(line, one.fault)
            else:
                end = b"\n" if line.source is not None and line.source.endswith(b"\n") else b""
                source = line.source or b"" if one.json is None else one.json + end
                out += [line.header, source]
            self._n_read += not line.is_blank
        return b"".join(out)

    async def _ours(self, index: str) -> Ours | None:
        try:
            check_index(index)
        except InputError:
            self._warn(_UNNAMED)
            return None
        try:
            return await self._writes.ours(self._engine, self._core, index)
        except RefusedError as error:
            if error.status not in _NOT_ALLOWED:
                raise
            self._warn(_UNSEEN)
            return None

    async def _made(
        self, index: str, ours: Ours, given: Sequence[tuple[bytes, bool]]
    ) -> Sequence[Made]:
        """Documents with their hashes; if some have none, by what the index says of itself now."""
        made = await asyncio.to_thread(ours.made, given)
        if any(one.fault is not None for one in made):
            self._core.catalog.forget(index)
            now = await self._ours(index)
            if now is None:
                return [Made()] * len(given)
            if now.specs != ours.specs:
                made = await asyncio.to_thread(now.made, given)
        for warning in {one.warning: None for one in made if one.warning}:
            self._warn(warning)
        return made

    def _refuse(self, line: Line, reason: str) -> None:
        """Leave a document out, and tell of it where it stood.

        Raises:
            InputError: the answer is to be no JSON, so that nothing can be told there.
        """
        if not self._request.wants_json:
            raise InputError(
                f"operation {self._n_read}: {reason}; ask for JSON to have each one's error"
            )
        where = {"_index": line.index(self._request.index), "_id": line.about.get("_id")}
        error = error_of("illegal_argument_exception", reason, 400)["error"]
        del error["root_cause"]
        item = {line.operation or "index": {**where, "status": 400, "error": error}}
        self._refused.append((self._n_read, item))

    def _warn(self, reason: str) -> None:
        self._warnings[b"warning"] = f'299 meta4 "{reason}"'.encode()

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
