"""What a browser is answered, below `/_meta4/`."""

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined

from ...._version import __version__
from ....errors import InputError, Meta4Error, NotFoundError, PushedBackError, RefusedError
from ...fields.texts.field import TextField
from ..answers import JSON, Answer, Headers, status_of
from ..callers import Callers
from ..request import Request
from ..upstream import Upstream
from . import overview
from .completion import completed
from .forms import AnalogyForm, F, FormError, SimilarForm
from .map import cell, index_map
from .results import Results, results
from .snippets import readable, snippets

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
#: Of HTTP: who asks is not known; is known, and may not.
_UNKNOWN, _FORBIDDEN = 401, 403


class Page:
    """See the module.

    Args:
        upstream: the engine.
        callers: in whose name it is asked.
        refused: called with each error that is shown.
    """

    def __init__(
        self, upstream: Upstream, callers: Callers, refused: Callable[[Meta4Error], None]
    ) -> None:
        self._upstream = upstream
        self._callers = callers
        self._refused = refused
        self._examining = asyncio.Lock()
        self._templates = Environment(
            loader=PackageLoader(__package__ or ""),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(q=_quoted, readable=readable)

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
            self._refused(error)
            return self._fault(request, error)

    async def _page(self, request: Request, parts: list[str]) -> Answer:
        if not parts:
            return await self._all(request)
        what, index = (*parts, request.params.get("index", ""))[:2]
        if len(parts) > 2 or not index:
            raise NotFoundError(f"there is no page {request.path!r}; see the indexes")
        if len(parts) == 1:  # by the box for those who may not list them
            return Answer(303, b"", [(b"location", f"{what}/{_quoted(index)}".encode())])
        if request.method == "POST" and what == "analogies":
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
        try:
            entries = await engine.run(overview.indexes())
        except RefusedError as error:
            if error.status != _FORBIDDEN:
                raise
            self._refused(error)
            return self._html("overview", entries=None, fault=error)
        return self._html("overview", entries=entries, fault=None)

    async def _index(self, request: Request, index: str) -> Answer:
        engine, _ = self._callers.core(request.headers)
        found = None
        if request.method == "POST":
            if self._examining.locked():
                raise PushedBackError("the doctor looks at an index for somebody; ask again soon")
            async with self._examining:
                found = await engine.run(overview.findings(index))
        fields = await engine.run(overview.shown(index))
        return self._html("index", index=index, fields=fields, findings=found)

    async def _search(self, request: Request, index: str) -> Answer:
        engine, core = self._callers.core(request.headers)
        form, fault = self._read(SimilarForm, await _sent(request))
        known = await engine.run(core.catalog.get(index))
        name = form.field or next(iter(known.fields))
        found = None
        if form.is_asked and fault is None:
            try:
                found = await engine.run(results(core, index, form, name))
            except Meta4Error as error:
                fault = self._of_the_form(error)
        field = known.fields.get(name)
        is_asked_by_text = field is not None and field.takes_texts
        return self._html(
            "search", index=index, form=form, fields=list(known.fields), field=name, found=found,
            code=self._code(request, found), fault=fault,
            has_texts=isinstance(field, TextField), takes_texts=is_asked_by_text,
        )  # fmt: skip

    async def _analogies(self, request: Request, index: str) -> Answer:
        engine, core = self._callers.core(request.headers)
        form, fault = self._read(AnalogyForm, request.params)
        known = await engine.run(core.catalog.get(index))
        name = form.field or next(iter(known.fields))
        found: list[tuple[str, Results, Mapping[str, str]]] = []
        if form.is_asked and fault is None:
            try:
                for method in _METHODS:
                    own = form.model_copy(update={"method": method})
                    one = await engine.run(results(core, index, own, name))
                    found.append((method, one, self._code(request, one)))
            except Meta4Error as error:
                fault, found = self._of_the_form(error), []
        return self._html(
            "analogies", index=index, form=form, fields=list(known.fields), field=name,
            found=found, fault=fault,
        )  # fmt: skip

    async def _map(self, request: Request, index: str) -> Answer:
        engine, core = self._callers.core(request.headers)
        form, fault = self._read(SimilarForm, await _sent(request))
        form = form.model_copy(update={"without_exact": True})
        known = await engine.run(core.catalog.get(index))
        try:
            drawn = await engine.run(index_map(core, engine.calls, index, form))
        except Meta4Error as error:
            fault = self._of_the_form(error)
            bare = SimilarForm()
            drawn = await engine.run(index_map(core, engine.calls, index, bare))
        return self._html(
            "map", index=index, form=form, fields=list(known.fields), field=drawn.field,
            map=drawn, fault=fault,
        )  # fmt: skip

    async def _told(self, request: Request, parts: list[str]) -> Answer:
        """What the page's script asks for."""
        engine, core = self._callers.core(request.headers)
        params, index = request.params, "/".join(parts[1:])
        told: Any
        if parts[0] == "complete":
            typed = params.get("typed", "")
            told = await engine.run(completed(core, engine.calls, index, typed))
        else:
            field, bucket = params.get("field") or None, params.get("bucket", "")
            steps = cell(core, engine.calls, index, field, params.get("by"), bucket)
            told = await engine.run(steps)
        return _made(200, orjson.dumps(told), JSON)

    def _read(self, kind: type[F], params: dict[str, str]) -> tuple[F, Meta4Error | None]:
        """A form as it was sent, without what cannot be, and why that cannot."""
        first = None
        while True:
            try:
                return kind.read(params), first
            except FormError as error:
                self._refused(error)
                first = first or error
                del params[error.place]

    def _of_the_form(self, error: Meta4Error) -> Meta4Error:
        """An error that what was asked for is the reason of; any other is raised."""
        if status_of(error) not in (400, 404):
            raise error
        self._refused(error)
        return error

    def _code(self, request: Request, found: Results | None) -> Mapping[str, str]:
        if found is None:
            return {}
        host = request.by_name.get(b"host", b"localhost").decode("latin-1")
        url, is_elastic = f"{request.scheme}://{host}", self._upstream.calls.is_elastic
        return snippets(url, found.index, found.asked, is_elastic=is_elastic)

    def _fault(self, request: Request, error: Meta4Error) -> Answer:
        status = status_of(error)
        if request.path.split("/")[2:3] in (["complete"], ["cell"]):
            return _made(status, orjson.dumps({"fault": str(error)}), JSON)
        made = self._html("fault", status, error=error)
        if status == _UNKNOWN:  # the browser asks who it is
            made.headers.append((b"www-authenticate", b'Basic realm="the cluster"'))
        return made

    def _html(self, name: str, status: int = 200, **values: Any) -> Answer:
        template = self._templates.get_template(f"{name}.html")
        always = {"page": name, "version": __version__, "status": status}
        text = template.render({"index": None, "field": None, **always, **values})
        made = _made(status, text.encode("utf-8", "replace"), b"text/html; charset=utf-8")
        made.headers.append((b"content-security-policy", _POLICY.encode()))
        made.headers.append((b"referrer-policy", b"same-origin"))
        return made


async def _sent(request: Request) -> dict[str, str]:
    """What a form has, in the query string or, where that would be too long, in the body."""
    if request.method != "POST":
        return request.params
    body = (await request.whole()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True))


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
