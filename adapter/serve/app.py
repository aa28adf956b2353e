"""The gateway as an ASGI application."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import orjson

from ...errors import EngineError, Meta4Error, UnreachableError
from ..engines.access import Access
from ..engines.connection import connect
from ..engines.faults import cut_off
from .answers import (
    COMPATIBLE,
    JSON,
    Answer,
    Headers,
    answer_of,
    error_body,
    error_of,
    status_of,
)
from .callers import Callers
from .endpoints import Kind
from .origins import Origins
from .own import OWN, Own
from .request import Message, Receive, Request, can_decode, decoded
from .search import Passed, Searches
from .spans import span
from .upstream import ENGINE, Upstream, forwarded
from .watch import Seen, Watch, failure, log
from .write import Writes

Send = Callable[[Message], Awaitable[None]]
#: Elasticsearch's clients take answers from no server that does not say it is one.
_PRODUCT = (b"x-elastic-product", b"Elasticsearch")
#: Of a body as it came.
_OF_ANOTHER_BODY = frozenset({b"content-length", b"content-encoding"})
#: Headers of an answer that its own body has others of.
_OF_THE_BODY = frozenset({b"content-length", b"content-encoding", b"content-type"})


def app(engine: str, access: Access | None = None) -> "Gateway":
    """The gateway before a cluster, for an ASGI server.

    Args:
        engine: the cluster's URL, or of several of its nodes with commas between.
        access: whom we trust, and who asks once what engine it is.

    Raises:
        UnreachableError: nothing answers there.
        RefusedError: what answers is neither OpenSearch nor Elasticsearch.
    """
    access = access or Access()
    found = connect(engine, access)
    try:
        return Gateway(Upstream(engine, access, found.calls))
    finally:
        found.close()


class Gateway:
    """See `app`. What has no clause and no document of ours goes to the engine as it came.

    Args:
        upstream: the engine.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._watch = Watch()
        self._callers = Callers(upstream, self._watch.searched)
        self._searches = Searches(self._callers)
        self._writes = Writes(self._callers)
        self._origins = Origins(upstream)
        self._own = Own(upstream, self._callers, self._watch)
        self._is_elastic = upstream.calls.is_elastic

    @property
    def engine_url(self) -> str:
        """Of the cluster, without a password."""
        return self._upstream.url

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request(scope, receive), send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._upstream:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, request: Request, send: Send) -> None:
        """Answer, unless whoever asked goes away before."""
        with span(request) as told, self._watch.request(request) as seen:
            try:
                await self._answer(request, seen, seen.sending(send))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not request.is_gone or task is None:
                    raise
                task.uncancel()
                seen.gone()
            finally:
                told(seen.status)
                request.end()

    async def _answer(self, request: Request, seen: Seen, send: Send) -> None:
        try:
            made = await self._outcome(request)
            if isinstance(made, Passed):
                await self._passed(request, made, send)
                return
        except Meta4Error as error:
            self._watch.refused(error)
            made = answer_of(error_body(error), request.by_name, request.query, status_of(error))
        except Exception as error:
            if seen.status:  # the answer has begun: who reads it sees that it has no end
                raise
            log.error(failure(seen.id))
            reason = f"the gateway failed ({type(error).__name__}); its log tells more by {seen.id}"
            failed = error_of("meta4_exception", reason, 500)
            made = answer_of(failed, request.by_name, request.query, 500)
        own = [_PRODUCT] if self._is_elastic else []
        await _send_whole(send, request, Answer(made.status, made.body, [*made.headers, *own]))

    async def _outcome(self, request: Request) -> Answer | Passed:
        await self._origins.check(request)
        if request.path == OWN or request.path.startswith(f"{OWN}/"):
            return await self._own.answer(request)
        kind = request.endpoint.kind
        if kind is Kind.SEARCH:
            return await self._searches.search(request)
        if kind is Kind.MSEARCH:
            return await self._searches.msearch(request)
        if kind is Kind.QUERY:
            return await self._searches.query(request)
        if kind is Kind.BULK:
            return await self._writes.bulk(request)
        if kind in (Kind.DOCUMENT, Kind.UPDATE):
            return await self._writes.document(request)
        if kind is Kind.OPENING:
            index = request.endpoint.index or "*"
            return Passed(edit=lambda answer: self._searches.opened(index, answer))
        return await self._searches.refuse(request)

    async def _passed(self, request: Request, passed: Passed, send: Send) -> None:
        """Send it on, and the answer back."""
        headers = request.headers
        body: bytes | AsyncIterator[bytes] | None = passed.instead
        if body is not None:
            headers = _of_another_body(request)
        elif request.is_read:
            body = passed.read or None
        elif request.has_body:
            body = _as_it_came(passed.read, request)
        target = passed.target or request.target
        if passed.edit is not None:  # in a coding that can be read here
            headers = [_read_here(*one) for one in headers]
        failures: list[Meta4Error] = []
        if body is not None and not isinstance(body, bytes):
            body = _guarded(body, failures)
        begun = time.perf_counter()
        try:
            answer = await self._upstream.send(request.method, target, headers, body)
        except UnreachableError as error:
            raise failures[0] if failures else error from None
        try:
            self._watch.asked_engine(time.perf_counter() - begun)
            if passed.edit is not None and passed.edits_if():
                await _send_whole(send, request, await _edited(answer, passed, request))
                return
            kept = [
                *forwarded((k.lower(), v) for k, v in answer.raw_headers),
                *passed.headers.items(),
            ]
            await _start(send, answer.status, kept)
            async for piece in answer.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            answer.release() if answer.content.is_eof() else answer.close()


async def _as_it_came(read: bytes, request: Request) -> AsyncIterator[bytes]:
    """What was read of a body, and then the rest."""
    if read:
        yield read
    async for piece in request.pieces():
        yield piece


async def _guarded(body: AsyncIterator[bytes], failures: list[Meta4Error]) -> AsyncIterator[bytes]:
    """A body whose own failure is kept: who sends it only knows that it was not sent."""
    try:
        async for piece in body:
            yield piece
    except Meta4Error as error:
        failures.append(error)
        raise


def _read_here(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name != b"accept-encoding":
        return name, value
    return name, b"gzip" if b"gzip" in value else b"identity"


def _of_another_body(request: Request) -> Headers:
    """The request's headers where its body is a plain one of ours."""
    kept = [one for one in request.headers if one[0] not in _OF_ANOTHER_BODY]
    names = request.by_name
    if b"content-type" not in names:
        wanted = names.get(b"accept", b"")
        kept.append((b"content-type", wanted if wanted.startswith(COMPATIBLE) else JSON))
    return kept


async def _edited(answer: aiohttp.ClientResponse, passed: Passed, request: Request) -> Answer:
    """A whole answer with what becomes of it; as it is where nothing does.

    Raises:
        EngineError: it cannot be read, so that what is to be told in it cannot be.
    """
    assert passed.edit is not None
    try:
        raw = await answer.read()
    except aiohttp.ClientError as error:
        raise cut_off(ENGINE) from error
    given = [(name.lower(), value) for name, value in forwarded(answer.raw_headers)]
    kept: Headers = [*given, *passed.headers.items()]
    coding = dict(given).get(b"content-encoding")
    if not can_decode(coding):
        words = coding.decode("latin-1") if coding else ""
        raise EngineError(
            f"{ENGINE} answered {answer.status} in the coding {words!r}, which it was not asked "
            f"for: whatever it did was done, and what it said of that cannot be told here"
        )
    try:
        value: Any = orjson.loads(decoded(raw, coding, most=sys.maxsize))
    except orjson.JSONDecodeError:
        return Answer(answer.status, raw, kept)
    changed = passed.edit(value) if answer.status < 400 else value
    if changed is value:
        return Answer(answer.status, raw, kept)
    made = answer_of(changed, request.by_name, request.query, answer.status)
    return Answer(
        made.status, made.body, [one for one in kept if one[0] not in _OF_THE_BODY] + made.headers
    )


async def _send_whole(send: Send, request: Request, answer: Answer) -> None:
    await _start(send, answer.status, answer.headers)
    body = b"" if request.method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
