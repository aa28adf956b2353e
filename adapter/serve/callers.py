"""Whoever asks: the cluster in their name, and what is remembered for them alone."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from ..client.core import Core
from ..engines.asynchronous.engine import AsyncEngine, OnLoop
from ..engines.calls import Json, to_json
from ..engines.engine import TIMEOUT
from ..engines.faults import cut_off, foreign, refusal, unreachable, whole
from ..fields.shelf import FRESH_FOR
from ..search.planned import PlannedClause
from ..searches import SearchKeeper
from .answers import Headers
from .upstream import ENGINE, Upstream, forwarded

#: Headers that say nothing of who asks. Any other may: an engine behind a proxy takes names and
#: roles out of headers that its administrator chose.
_OF_NOBODY = frozenset(
    {
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
        b"b3",
        b"baggage",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"date",
        b"dnt",
        b"if-match",
        b"if-none-match",
        b"origin",
        b"pragma",
        b"priority",
        b"referer",
        b"sec-ch-ua",
        b"sec-ch-ua-mobile",
        b"sec-ch-ua-platform",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-user",
        b"sec-gpc",
        b"traceparent",
        b"tracestate",
        b"upgrade-insecure-requests",
        b"user-agent",
        b"via",
        b"x-amzn-trace-id",
        b"x-b3-flags",
        b"x-b3-parentspanid",
        b"x-b3-sampled",
        b"x-b3-spanid",
        b"x-b3-traceid",
        b"x-cloud-trace-context",
        b"x-correlation-id",
        b"x-elastic-client-meta",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-opaque-id",
        b"x-request-id",
    }
)
#: What is sent on with requests made for somebody, though it is no matter of who they are.
_CONTEXT = frozenset({b"traceparent", b"tracestate", b"x-opaque-id"})
#: Which indexes a name stands for.
_WHICH = ("ignore_unavailable", "allow_no_indices", "expand_wildcards")
#: Callers of whom something is remembered: each keeps counts of its indexes by bucket.
_REMEMBERED = 64
#: Characters of a path that are sent as they are.
_PLAIN = "/,*-_.~!$&'()+;=:@<>{}|"


@dataclass(frozen=True)
class Within:
    """In what of an index searches look.

    Attributes:
        index: as it is named.
        params: of the request: by which routing, say.
        pit: a point in time, as a body has it.
    """

    index: str
    params: Mapping[str, str]
    pit: Json | None

    @property
    def key(self) -> bytes:
        """Equal where what is remembered may be."""
        return orjson.dumps([self.index, sorted(self.params.items()), (self.pit or {}).get("id")])

    def moved(self, path: str, body: Any, params: Json | None) -> tuple[str, Any, Json | None]:
        """A request as it looks there, if it is a search of the index."""
        if path == f"/{self.index}/_search":
            if self.pit is not None:
                return "/_search", {**(body or {}), "pit": self.pit}, params
            return path, body, {**(params or {}), **self.params}
        if path in (f"/{self.index}/_mapping", f"/{self.index}/_alias"):
            which = {name: self.params[name] for name in _WHICH if name in self.params}
            return path, body, {**(params or {}), **which}
        if path == "/_msearch":
            lines = [orjson.loads(line) for line in body.splitlines()]
            for header, search in zip(lines[::2], lines[1::2], strict=True):
                if self.pit is not None and header.pop("index", None) == self.index:
                    search["pit"] = self.pit
                header |= self.params
            return path, b"".join(orjson.dumps(line) + b"\n" for line in lines), params
        return path, body, params


class CallerEngine(AsyncEngine):
    """The cluster, asked with a caller's own credentials.

    Args:
        upstream: where.
        headers: who asks, and in which context.
        within: in what of an index searches look; in all of it by default.
    """

    def __init__(self, upstream: Upstream, headers: Headers, within: Within | None = None) -> None:
        self.calls = upstream.calls
        self._upstream = upstream
        self._headers = headers
        self._within = within

    async def request(
        self, method: str, path: str, body: Any = None, params: Json | None = None
    ) -> Any:
        """See `AsyncEngine`."""
        if self._within is not None:
            path, body, params = self._within.moved(path, body, params)
        target = quote(path, safe=_PLAIN + "%?")
        if params:
            said = {name: spelled(value) for name, value in params.items()}
            target += ("&" if "?" in target else "?") + urlencode(said)
        kind = b"application/x-ndjson" if isinstance(body, bytes) else b"application/json"
        headers = [*self._headers, (b"accept", b"application/json")]
        if body is not None:
            headers.append((b"content-type", kind))
            body = body if isinstance(body, bytes) else to_json(body)
        answer = await self._upstream.send(method, target, headers, body, timeout=TIMEOUT)
        try:
            content = await answer.read()
        except TimeoutError as error:
            raise unreachable(ENGINE, timed_out=True) from error
        except aiohttp.ClientError as error:
            raise cut_off(ENGINE) from error
        told = _read(content, answer.content_type)
        if answer.status >= 400:
            raise refusal(ENGINE, answer.status, told)
        return whole(told, ENGINE)

    def waiting(self, loop: asyncio.AbstractEventLoop) -> OnLoop:
        """See `AsyncEngine`. Only the engine's own module is loaded: each is large."""
        if self.calls.is_elastic:
            from ..engines.asynchronous.elasticsearch import ElasticsearchOnLoop

            return ElasticsearchOnLoop(self, loop)
        from ..engines.asynchronous.opensearch import OpenSearchOnLoop

        return OpenSearchOnLoop(self, loop)

    async def close(self) -> None:
        """Nothing: the connections are the gateway's."""


class Callers:
    """What is remembered of each caller, of those who asked last.

    Nothing that depends on rights is shared between two of them: neither mappings nor counts, nor
    that something is there.

    Args:
        upstream: where they ask.
        told: see `Core`.
        fresh_for: see `Core`.
    """

    def __init__(
        self,
        upstream: Upstream,
        told: Callable[[PlannedClause], None],
        fresh_for: float = FRESH_FOR,
    ) -> None:
        self._upstream = upstream
        self._told = told
        self._fresh_for = fresh_for
        self._cores: OrderedDict[Any, Core] = OrderedDict()

    def core(
        self, headers: Iterable[tuple[bytes, bytes]], within: Within | None = None
    ) -> tuple[CallerEngine, Core]:
        """The cluster in the name of whoever asks by these headers, and what is remembered.

        Args:
            headers: of a request, in small letters.
            within: in what of an index searches look: what is counted there is counted apart.
        """
        given = forwarded(headers)
        who = tuple(sorted((name, value) for name, value in given if name not in _OF_NOBODY))
        key = (who, None if within is None else within.key)
        core = self._cores.get(key)
        if core is None:
            core = Core(self._upstream.calls, self._fresh_for, SearchKeeper(0.0), self._told)
            self._cores[key] = core
            while len(self._cores) > _REMEMBERED:
                self._cores.popitem(last=False)
        self._cores.move_to_end(key)
        context = [(name, value) for name, value in given if name in _CONTEXT]
        return CallerEngine(self._upstream, [*who, *context], within), core


def _read(content: bytes, kind: str) -> Any:
    if "json" not in kind:
        return content.decode(errors="replace")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise (cut_off(ENGINE) if content else foreign(ENGINE)) from error


def spelled(value: Any) -> str:
    """A value as a query string has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(spelled, value))
    return str(value)
