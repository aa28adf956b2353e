"""What the gateway answers itself at /_meta4: health, named queries, what becomes of searches."""

from typing import Any
from urllib.parse import unquote

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from ..._version import __version__
from ...errors import InputError, Meta4Error, NotFoundError
from ..client.named import run_named
from ..definitions.parameters import OF_THE_ANSWER
from .answers import Answer, Json, answer_of
from .callers import Callers
from .page.page import Page
from .request import Request, can_decode, decoded
from .upstream import Upstream
from .watch import Watch

OWN = "/_meta4"


class Own:
    """See the module.

    Args:
        upstream: the engine.
        callers: in whose name it is asked.
        watch: what it tells of itself.
    """

    def __init__(self, upstream: Upstream, callers: Callers, watch: Watch) -> None:
        self._upstream = upstream
        self._callers = callers
        self._watch = watch
        self._page = Page(upstream, callers, watch.refused)

    async def answer(self, request: Request) -> Answer:
        """A request whose path begins with `OWN`.

        Raises:
            NotFoundError: there is no such page.
        """
        parts = [unquote(part) for part in request.path.split("/") if part][1:]
        if request.method in ("GET", "HEAD") and parts == ["health"]:
            return await self._health(request)
        if request.method in ("GET", "HEAD") and parts == ["metrics"]:
            figures = self._watch.figures()
            length = str(len(figures)).encode()
            kind = [(b"content-type", CONTENT_TYPE_LATEST.encode()), (b"content-length", length)]
            return Answer(200, figures, kind)
        if (
            len(parts) == 2
            and parts[0] in ("explain", "rewrite")
            and request.method in ("GET", "POST")
        ):
            return await self._told(request, *parts)
        if len(parts) == 2 and parts[0] == "query" and request.method in ("GET", "POST"):
            return await self._named(request, parts[1])
        if request.method in ("GET", "HEAD", "POST") and Page.has(parts):
            return await self._page.answer(request, parts)
        raise NotFoundError(
            f"{request.method} {request.path}: expected GET {OWN}/, GET {OWN}/health, "
            f"GET {OWN}/metrics, GET {OWN}/query/NAME, POST {OWN}/explain/INDEX or "
            f"POST {OWN}/rewrite/INDEX"
        )

    async def _health(self, request: Request) -> Answer:
        """Whether the engine answers, whatever it says to who we are."""
        said: Json = {"status": "ok", "version": __version__}
        status = 200
        try:
            (await self._upstream.send("GET", "/", [], None, timeout=5.0)).close()
        except Meta4Error as error:
            said |= {"status": "engine unreachable", "reason": str(error)}
            status = 503
        return answer_of(said, request.by_name, request.query, status)

    async def _told(self, request: Request, what: str, index: str) -> Answer:
        """What a search body becomes, and why."""
        body = await _json(request, "a search body")
        engine, core = self._callers.core(request.headers)
        steps = core.explain(index, body) if what == "explain" else core.rewrite(index, body)
        return answer_of(await engine.run(steps), request.by_name, request.query)

    async def _named(self, request: Request, reference: str) -> Answer:
        """A named query's answer, to who may read it and search what it searches."""
        texts: dict[str, str] = {}
        for name, text in request.pairs:
            if name in texts:
                raise InputError(f"parameter {name!r} is given twice; an array is one JSON array")
            if name not in OF_THE_ANSWER:
                texts[name] = text
        values = await _json(request, "an object of parameters")
        if not isinstance(values, dict):
            raise InputError(f"expected an object of parameters, got {type(values).__name__}")
        engine, core = self._callers.core(request.headers)
        steps = run_named(engine.calls, core, reference, values, texts)
        return answer_of(await engine.run(steps), request.by_name, request.query)


async def _json(request: Request, what: str) -> Any:
    """What a body says; an empty object where there is none."""
    if not can_decode(request.coding):
        raise InputError(f"expected {what} in JSON, plain or by gzip or deflate")
    raw = decoded(await request.whole(), request.coding)
    try:
        return orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise InputError(f"expected {what} in JSON ({error})") from error
