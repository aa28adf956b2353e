"""What a browser is answered, below `/_meta4/`."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined

from ...._version import __version__
from ....errors import EngineError, InputError, Meta4Error, NotFoundError
from ...engines.elasticsearch import ElasticsearchCalls
from ...fields.texts.field import TextField
from ..answers import Answer, Headers, status_of
from ..callers import Callers
from ..request import Request
from ..upstream import Upstream
from . import overview
from .completion import completed
from .forms import AnalogyForm, F, SimilarForm
from .map import cell, index_map
from .results import Results, results
from .snippets import readable, snippets

Json = dict[str, Any]
#: Nothing of any other place is asked for, nothing written into the page is run.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STATIC = Path(__file__).parent / "static"
_KINDS = {
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_PAGES = ("search", "analogies", "index", "map")
_METHODS = ("3cosadd", "3cosmul")
_NO_CODE: Mapping[str, str] = {}


class Page:
    """See the module.

    Args:
        upstream: the engine.
        callers: in whose name it is asked.
    """

    def __init__(self, upstream: Upstream, callers: Callers) -> None:
        self._upstream = upstream
        self._callers = callers
        self._templates = Environment(
            loader=PackageLoader(__package__ or ""),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"q": _quoted, "readable": readable}

    @staticmethod
    def has(parts: list[str]) -> bool:
        """Whether a path below `/_meta4/` is one of a page's."""
        return not parts or parts[0] in (*_PAGES, "static", "complete", "cell")

    async def answer(self, request: Request, parts: list[str]) -> Answer:
        """What is asked for; faults are pages, too.

        Raises:
            NotFoundError: there is no such file.
        """
        if parts and parts[0] == "static":
            return _file("/".join(parts[1:]))
        try:
            if parts and parts[0] in ("complete", "cell"):
                return await self._told(request, parts)
            return await self._page(request, parts)
        except Meta4Error as error:
            return self._fault(request, error)

    async def _page(self, request: Request, parts: list[str]) -> Answer:
        if not parts:
            return await self._all(request)
        what, index = (*parts, "", "")[:2]
        if len(parts) != 2 or not index:
            raise NotFoundError(f"there is no page {request.path!r}; see the indexes")
        if request.method == "POST" and what != "index":
            raise InputError(f"{request.path}: expected GET")
        if what == "search":
            return await self._search(request, index)
        if what == "analogies":
            return await self._analogies(request, index)
        if what == "map":
            return await self._map(request, index)
        return await self._index(request, index)

    async def _all(self, request: Request) -> Answer:
        engine, _ = self._callers.core(request.headers)
        return self._html("overview", entries=await engine.run(overview.indexes()))

    async def _index(self, request: Request, index: str) -> Answer:
        engine, _ = self._callers.core(request.headers)
        found = None
        if request.method == "POST":
            if request.by_name.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
                raise InputError("another site asks for this; ask on the page itself")
            found = await engine.run(overview.findings(index))
        fields = await engine.run(overview.shown(index))
        return self._html("index", index=index, fields=fields, findings=found)

    async def _search(self, request: Request, index: str) -> Answer:
        engine, core = self._callers.core(request.headers)
        form, fault = _read(SimilarForm, request)
        known = await engine.run(core.catalog.get(index))
        found, code = None, _NO_CODE
        if form.is_asked and fault is None:
            try:
                found = await engine.run(results(core, index, form))
                code = self._code(request, found)
            except Meta4Error as error:
                fault = _of_the_form(error)
        name = form.field or next(iter(known.fields))
        has_texts = isinstance(known.fields.get(name), TextField)
        return self._html(
            "search", index=index, form=form, fields=list(known.fields), found=found,
            code=code, fault=fault, has_texts=has_texts,
        )  # fmt: skip

    async def _analogies(self, request: Request, index: str) -> Answer:
        engine, core = self._callers.core(request.headers)
        form, fault = _read(AnalogyForm, request)
        known = await engine.run(core.catalog.get(index))
        found: list[tuple[str, Results]] = []
        if form.is_asked and fault is None:
            try:
                for method in _METHODS:
                    own = form.model_copy(update={"method": method})
                    found.append((method, await engine.run(results(core, index, own))))
            except Meta4Error as error:
                fault, found = _of_the_form(error), []
        code = self._code(request, found[0][1]) if found else _NO_CODE
        return self._html(
            "analogies", index=index, form=form, fields=list(known.fields), found=found,
            code=code, fault=fault,
        )  # fmt: skip

    async def _map(self, request: Request, index: str) -> Answer:
        engine, core = self._callers.core(request.headers)
        form, fault = _read(SimilarForm, request)
        form = form.model_copy(update={"without_exact": True})
        known = await engine.run(core.catalog.get(index))
        try:
            drawn = await engine.run(index_map(core, engine.calls, index, form))
        except Meta4Error as error:
            fault = _of_the_form(error)
            bare = SimilarForm(field=form.field)
            drawn = await engine.run(index_map(core, engine.calls, index, bare))
        return self._html(
            "map", index=index, form=form, fields=list(known.fields), map=drawn,
            fault=fault,
        )  # fmt: skip

    async def _told(self, request: Request, parts: list[str]) -> Answer:
        """What the page's script asks for."""
        engine, core = self._callers.core(request.headers)
        params, index = request.params, "/".join(parts[1:])
        if parts[0] == "complete":
            steps = completed(core, engine.calls, index, params.get("typed", ""))
        else:
            field = params.get("field") or None
            steps = cell(core, engine.calls, index, field, params.get("bucket", ""))  # type: ignore[assignment]
        return _made(200, orjson.dumps(await engine.run(steps)), b"application/json")

    def _code(self, request: Request, found: Results) -> Mapping[str, str]:
        is_elastic = isinstance(self._upstream.calls, ElasticsearchCalls)
        host = request.by_name.get(b"host", b"localhost").decode("latin-1")
        return snippets(
            f"{request.scheme}://{host}", found.index, found.asked, is_elastic=is_elastic
        )

    def _fault(self, request: Request, error: Meta4Error) -> Answer:
        status = status_of(error)
        if request.path.split("/")[2:3] in (["complete"], ["cell"]):
            return _made(status, orjson.dumps({"error": str(error)}), b"application/json")
        made = self._html("fault", status, error=error)
        if status == 401 and isinstance(error, EngineError):  # the browser asks who it is
            made.headers.append((b"www-authenticate", b'Basic realm="the cluster"'))
        return made

    def _html(self, name: str, status: int = 200, **values: Any) -> Answer:
        template = self._templates.get_template(f"{name}.html")
        always = {"page": name, "version": __version__, "cluster": self._upstream.url}
        text = template.render({"index": None, "status": status, **always, **values})
        made = _made(status, text.encode("utf-8", "replace"), b"text/html; charset=utf-8")
        made.headers.append((b"content-security-policy", _POLICY.encode()))
        made.headers.append((b"referrer-policy", b"same-origin"))
        return made


def _read(kind: type[F], request: Request) -> tuple[F, Meta4Error | None]:
    """A form as it was sent; one that cannot be read is empty, and says why."""
    try:
        return kind.read(request.params), None
    except InputError as error:
        return kind(), error


def _of_the_form(error: Meta4Error) -> Meta4Error:
    """An error that what was asked for is the reason of; any other is raised."""
    if status_of(error) not in (400, 404):
        raise error
    return error


def _made(status: int, body: bytes, kind: bytes) -> Answer:
    headers: Headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    return Answer(status, body, headers)


def _file(name: str) -> Answer:
    """One of the page's own files; a browser keeps it for this version."""
    found = _files().get(name)
    if found is None:
        raise NotFoundError(f"there is no file {name[:80]!r}")
    body, kind = found
    made = _made(200, body, kind)
    made.headers[-1] = (b"cache-control", b"public, max-age=3600")
    return made


@lru_cache(1)
def _files() -> Mapping[str, tuple[bytes, bytes]]:
    return {
        path.relative_to(_STATIC).as_posix(): (path.read_bytes(), _KINDS[path.suffix])
        for path in _STATIC.rglob("*")
        if path.suffix in _KINDS
    }


def _quoted(value: Any, **params: Any) -> str:
    """A part of a path, with a query string behind it where there are parameters."""
    said = {name: str(one) for name, one in params.items() if one is not None}
    return quote(str(value), safe="") + (f"?{urlencode(said)}" if said else "")
