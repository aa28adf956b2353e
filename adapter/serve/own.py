"""What the gateway answers itself, below /_meta4: how it is, and what it makes of a search."""

from urllib.parse import unquote

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from ..._version import __version__
from ...errors import InputError, Meta4Error, NotFoundError
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
        if request.method in ("GET", "HEAD", "POST") and Page.has(parts):
            return await self._page.answer(request, parts)
        raise NotFoundError(
            f"{request.method} {request.path}: expected GET {OWN}/, GET {OWN}/health, "
            f"GET {OWN}/metrics, POST {OWN}/explain/INDEX or POST {OWN}/rewrite/INDEX"
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
        if not can_decode(request.coding):
            raise InputError("expected a search body in JSON, plain or by gzip or deflate")
        raw = decoded(await request.whole(), request.coding)
        try:
            body = orjson.loads(raw or b"{}")
        except orjson.JSONDecodeError as error:
            raise InputError(f"expected a search body in JSON ({error})") from error
        engine, core = self._callers.core(request.headers)
        steps = core.explain(index, body) if what == "explain" else core.rewrite(index, body)
        return answer_of(await engine.run(steps), request.by_name, request.query)
