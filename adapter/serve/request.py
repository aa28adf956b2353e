"""A request as ASGI delivers it: read whole or in pieces, and given up when its client goes."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ...errors import InputError
from ...ingest.bulk import MOST_BYTES
from .answers import Headers
from .endpoints import Endpoint, endpoint_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
#: By the name of a coding, what `zlib` calls it: any header for deflate, as engines take it.
_CODINGS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 47}
#: Bytes of a piece, decoded.
_PIECE = 1 << 20
#: In the names of what engines read and write beside JSON.
_OTHER_KINDS = (b"yaml", b"cbor", b"smile")


class Request:
    """One request, made in the task that serves it: that is cancelled when its client goes.

    Args:
        scope: see the ASGI specification, HTTP, 2.3.
        receive: its messages.

    Attributes:
        method: in capitals.
        path: encoded, as it came.
        query: the query string, as it came.
        headers: in small letters, in order.
        endpoint: what it is.
        is_gone: whether its client has closed the connection.
        is_read: whether the body's end was reached.
    """

    def __init__(self, scope: Message, receive: Receive) -> None:
        self.method: str = scope["method"].upper()
        self.scheme: str = scope.get("scheme", "http")
        self.path: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        self.query: bytes = scope.get("query_string", b"")
        self.headers: Headers = [(name.lower(), value) for name, value in scope["headers"]]
        self.endpoint: Endpoint = endpoint_of(self.method, self.path)
        self.is_gone = False
        self.is_read = False
        self._receive = receive
        task = asyncio.current_task()
        assert task is not None
        self._serving = task
        self._waiting: asyncio.Future[None] | None = None
        if not self.has_body:
            self._read_whole()

    @property
    def by_name(self) -> dict[bytes, bytes]:
        """The headers; of one that came twice the last."""
        return dict(self.headers)

    @property
    def coding(self) -> bytes | None:
        """Of the body, in small letters; None for a plain one."""
        named = self.by_name.get(b"content-encoding", b"").strip().lower()
        return None if named in (b"", b"identity") else named

    @property
    def is_json(self) -> bool:
        """Whether the body is said to be JSON, or nothing is said of it."""
        kind = self.by_name.get(b"content-type", b"").lower()
        return not any(other in kind for other in _OTHER_KINDS)

    @property
    def wants_json(self) -> bool:
        """Whether the answer is to be JSON."""
        wanted = self.by_name.get(b"accept", b"").lower()
        if any(other in wanted for other in _OTHER_KINDS):
            return False
        return self.params.get("format", "json") == "json"

    @property
    def index(self) -> str | None:
        """As the path names it, or the query string where that does not."""
        return self.endpoint.index or self.params.get("index")

    @property
    def target(self) -> str:
        """Path and query string."""
        return self.path + (f"?{_in_ascii(self.query)}" if self.query else "")

    @property
    def params(self) -> dict[str, str]:
        """Of the query string, decoded; of one that came twice the last."""
        return dict(self.pairs)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All parameters of the query string, decoded, in order."""
        return parse_qsl(_in_ascii(self.query), keep_blank_values=True)

    def target_without(self, *names: str) -> str:
        """Path and query string but for some parameters."""
        kept = urlencode([(name, value) for name, value in self.pairs if name not in names])
        return self.path + (f"?{kept}" if kept else "")

    @property
    def has_body(self) -> bool:
        """Whether its head says that there is one."""
        names = self.by_name
        return b"transfer-encoding" in names or names.get(b"content-length", b"0") != b"0"

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it came, piece by piece."""
        while not self.is_read:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone()
                await asyncio.Future()  # whoever reads is cancelled: this is no end of a body
            if not message.get("more_body", False):
                self._read_whole()
            if piece := message.get("body", b""):
                yield piece

    async def whole(self, most: int | None = None) -> bytes:
        """The body as it came, or its beginning.

        Args:
            most: bytes after which no more is read; `pieces` gives the rest.

        Raises:
            InputError: it is to be whole, and larger than engines take.
        """
        read, size = [], 0
        async for piece in self.pieces():
            read.append(piece)
            size += len(piece)
            if most is not None and size > most:
                break
            if size > MOST_BYTES:
                raise InputError(f"a body of more than the {MOST_BYTES:,} bytes that engines take")
        return b"".join(read)

    def end(self) -> None:
        """Wait no more for its client to go."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _read_whole(self) -> None:
        """The body's end was reached: from now on its client can only go."""
        self.is_read = True
        self._waiting = asyncio.ensure_future(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone()

    def _gone(self) -> None:
        self.is_gone = True
        self._serving.cancel()


def can_decode(coding: bytes | None) -> bool:
    """Whether we read a coding; engines may know more."""
    return coding is None or coding in _CODINGS


def decoded(body: bytes, coding: bytes | None, most: int = MOST_BYTES) -> bytes:
    """A whole body in plain bytes.

    Raises:
        InputError: no such bytes, or more than `most`.
    """
    if coding is None:
        return body
    found, size = [], 0
    for piece in _Decoder(coding).decoded(body, end=True):
        found.append(piece)
        size += len(piece)
        if size > most:
            raise InputError(f"a body of more than {most:,} bytes when it is decoded")
    return b"".join(found)


async def decoding(pieces: AsyncIterator[bytes], coding: bytes | None) -> AsyncIterator[bytes]:
    """The same, piece by piece, of any length."""
    if coding is None:
        async for piece in pieces:
            yield piece
        return
    decoder = _Decoder(coding)
    async for piece in pieces:
        for plain in decoder.decoded(piece):
            yield plain
    for plain in decoder.decoded(b"", end=True):
        yield plain


class _Decoder:
    def __init__(self, coding: bytes) -> None:
        self._coding = coding.decode("latin-1")
        self._state = zlib.decompressobj(_CODINGS[coding])

    def decoded(self, piece: bytes, *, end: bool = False) -> Iterator[bytes]:
        """What a piece holds, some of it at a time: a small one may hold very much."""
        try:
            while piece:
                yield self._state.decompress(piece, _PIECE)
                piece = self._state.unconsumed_tail
            if end:
                yield self._state.flush()
        except zlib.error as error:
            raise InputError(f"content-encoding: this is no {self._coding} ({error})") from error
        if end and not self._state.eof:
            raise InputError(f"content-encoding: this {self._coding} has no end")


def _in_ascii(query: bytes) -> str:
    """With what is no ASCII as engines read it: its bytes, percent-encoded."""
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in query)
