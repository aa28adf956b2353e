"""Requests whose queries may have our clauses."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from ...errors import ClauseError, InputError, Meta4Error
from ..engines.calls import to_json
from ..search.clauses import NAMES, contains_clause
from ..search.sites import find_sites
from .answers import Answer, Json, answer_of, error_body
from .callers import Callers, Within, spelled
from .endpoints import Kind
from .request import Request, can_decode, decoded

#: In any clause's name; a JSON text may spell any letter as a number.
_MARK, _ESCAPE = b"meta4_", b"\\u"
#: What a query string may say of a search that we answer whole ourselves.
_OURS = frozenset({"pretty", "human", "error_trace", "typed_keys"})
#: Of a search, what says where and in what of an index it looks: what a clause means depends on it.
_WHERE = ("routing", "preference", "ignore_unavailable", "allow_no_indices", "expand_wildcards")
#: Searches of one `_msearch` that are planned at once.
_AT_ONCE = 16
#: Points in time that are remembered.
_PITS = 10_000
#: Bytes of a body that is looked through for clauses where none can be served.
LOOKED_THROUGH = 1 << 20


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Passed:
    """A request that goes on to the engine.

    Attributes:
        read: the body as it came, as far as it was read; the rest follows.
        instead: a plain one in its place.
        target: path and query string, where they are others.
        edit: what becomes of the whole answer; None where it goes back as it is.
        edits_if: asked when the request was sent, whether `edit` is needed.
        headers: of the answer, beside its own.
    """

    read: bytes = b""
    instead: bytes | AsyncIterator[bytes] | None = None
    target: str | None = None
    edit: Callable[[Json], Json] | None = None
    edits_if: Callable[[], bool] = _always
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


class Searches:
    """Searches and whatever else has a query.

    Args:
        callers: in whose name they are made.
    """

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._pits: OrderedDict[str, str] = OrderedDict()

    async def search(self, request: Request) -> Answer | Passed:
        """One search."""
        raw, body = await _asked(request)
        if body is None:
            return Passed(raw)
        params = request.params
        if "q" in params:
            raise ClauseError(
                "the query string has 'q', which would replace the clause; leave it out"
            )
        index, within = await self._where(request, params, body)
        engine, core = self._callers.core(request.headers, within)
        is_ours = params.keys() <= _OURS and within is None
        if is_ours and not (
            "typed_keys" in params and body.keys() & {"aggs", "aggregations", "suggest"}
        ):
            answer = await engine.run(core.search(index, body))
            return answer_of(answer, request.by_name, request.query)
        found = await engine.run(core.documents(index, body))
        edit = None if within is None or within.pit is None else partial(self.opened, index)
        return _instead(request, _ordered(found, body, params), edit)

    async def query(self, request: Request) -> Answer | Passed:
        """What has a query and is no search of its own: a count, say."""
        raw, body = await _asked(request)
        if body is None:
            return Passed(raw)
        params = request.params
        if "_explain" in request.path.split("/"):
            params.pop("routing", None)  # which only says where the document lies
        index, within = await self._where(request, params, body)
        engine, core = self._callers.core(request.headers, within)
        found = await engine.run(core.documents(index, body))
        if "_async_search" in request.path.split("/"):
            return _instead(request, _ordered(found, body, request.params))
        return _instead(request, {**body, "query": found["query"]})

    async def msearch(self, request: Request) -> Answer | Passed:
        """Several searches, each of which fails by itself."""
        raw = await request.whole()
        if not can_decode(request.coding):
            return Passed(raw)
        lines = _lines(decoded(raw, request.coding))
        if not _mentions(raw) and not any(map(_mentions, lines)):
            return Passed(raw)
        if len(lines) % 2:
            return Passed(raw)  # the engine says what is wrong with it
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        limit = asyncio.Semaphore(_AT_ONCE)

        async def planned(head: bytes, line: bytes) -> bytes | Meta4Error:
            """A search's line as it is sent on."""
            if not _mentions(line):
                return line
            try:
                header, body = orjson.loads(head or b"{}"), orjson.loads(line)
                if not isinstance(header, dict) or not _asks(body):
                    return line
                async with limit:
                    asked = {**request.params, **header}
                    index, within = await self._where(request, asked, body, header)
                    engine, core = self._callers.core(request.headers, within)
                    found = await engine.run(core.documents(index, body))
                    return to_json(_ordered(found, body, {}))
            except orjson.JSONDecodeError:
                return line
            except Meta4Error as error:
                return error

        made = await asyncio.gather(*(planned(*pair) for pair in pairs))
        failed = {i: one for i, one in enumerate(made) if isinstance(one, Meta4Error)}
        if failed and not request.wants_json:  # where nothing can be told of one by itself
            raise next(iter(failed.values()))
        sent = b"".join(
            b"%b\n%b\n" % (head, line)
            for (head, _), line in zip(pairs, made, strict=True)
            if not isinstance(line, Meta4Error)
        )

        def with_failures(answer: Json) -> Json:
            responses = answer.get("responses", [])
            for i, error in sorted(failed.items()):
                responses.insert(i, error_body(error))
            return {**answer, "responses": responses}

        if not sent:
            return answer_of(
                with_failures({"took": 0, "responses": []}), request.by_name, request.query
            )
        return _instead(request, sent, with_failures if failed else None)

    async def refuse(self, request: Request) -> Passed:
        """What has no place for a clause is passed on, unless it has one.

        Raises:
            ClauseError: it has.
        """
        raw = await request.whole(LOOKED_THROUGH) if request.has_body else b""
        if len(raw) > LOOKED_THROUGH or not can_decode(request.coding):
            return Passed(raw)
        try:
            plain = decoded(raw, request.coding, LOOKED_THROUGH)
        except InputError:  # larger than that, or the engine says what is wrong with it
            return Passed(raw)
        if _mentions(plain) and _has_clause(plain, request.endpoint.kind is Kind.TEMPLATE):
            where = request.path.rstrip("/").rpartition("/")[2]
            raise ClauseError(
                f"a meta4 clause cannot be served in {where}; it stands in the query of _search, "
                f"_msearch, _count, _async_search, _validate/query or _explain. Search first, and "
                f"name the documents that were found"
            )
        return Passed(raw)

    def opened(self, index: str, answer: Json) -> Json:
        """Remember of which index a point in time is, out of the answer that opens or renews it."""
        name = answer.get("id") or answer.get("pit_id")
        if isinstance(name, str):
            self._pits[name] = index
            while len(self._pits) > _PITS:
                self._pits.popitem(last=False)
        return answer

    async def _where(
        self, request: Request, params: Mapping[str, Any], body: Json, header: Json | None = None
    ) -> tuple[str, Within | None]:
        """The index, and what says in what of it a search looks; None where nothing does."""
        named = (header or {}).get("index") or (header or {}).get("indices")
        index = ",".join(named) if isinstance(named, list) else named or request.index
        pit = body.get("pit")
        if isinstance(pit, dict):
            index = self._pits.get(str(pit.get("id")))
            if index is None:
                raise ClauseError(
                    "a clause is served in a point in time that was opened here, and this one "
                    "was not, or long ago; open one through this gateway"
                )
            return index, Within(index, {}, pit)
        if index in (None, "", "_all", "*"):
            engine, core = self._callers.core(request.headers)
            fields = {site.field for site in find_sites(body)}
            index = await engine.run(core.catalog.having(fields))
        given = {name: spelled(params[name]) for name in _WHERE if name in params}
        if not given.get("preference", "_").startswith("_"):
            del given["preference"]  # one of equal copies, for whoever asks again
        return index, Within(index, given, None) if given else None


async def _asked(request: Request) -> tuple[bytes, Json | None]:
    """The body as it came, and what it says; None where it has no clause.

    Raises:
        InputError: it has one, in a language that we do not read.
        ClauseError: one that cannot be read, or stands where it cannot be served.
    """
    raw = await request.whole() if request.has_body else b""
    if not can_decode(request.coding):
        return raw, None
    plain = decoded(raw, request.coding)
    if not plain:
        plain = request.params.get("source", "").encode()
    if not _mentions(plain):
        return raw, None
    try:
        body = orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        if request.is_json:
            return raw, None  # the engine says what is wrong with it
        raise InputError("a meta4 clause is read in JSON; send the body as JSON") from error
    return raw, body if _asks(body) else None


def _asks(body: Any) -> bool:
    """Whether a search body has a clause, wherever: who plans it says what is wrong with it."""
    return isinstance(body, dict) and any(map(contains_clause, body.values()))


def _mentions(body: bytes) -> bool:
    return _MARK in body or _ESCAPE in body


def _has_clause(body: bytes, is_template: bool) -> bool:
    if is_template:
        return any(name.encode() in body for name in NAMES)
    try:
        return contains_clause(orjson.loads(body))
    except (orjson.JSONDecodeError, ClauseError):
        return False


def _lines(body: bytes) -> Sequence[bytes]:
    lines = body.split(b"\n")
    return lines[:-1] if lines and not lines[-1] else lines


def _ordered(found: Json, body: Json, params: Mapping[str, Any]) -> Json:
    """A search with documents in the place of its clauses, in the order that was asked for.

    Without one the largest score is in the answer, as there is where nothing is sorted.
    """
    if "sort" in body or "sort" not in found:
        return found
    if "sort" in params:  # which the engine would put behind ours
        return {name: value for name, value in found.items() if name != "sort"}
    return {"track_scores": True, **found}


def _instead(
    request: Request, body: Json | bytes, edit: Callable[[Json], Json] | None = None
) -> Passed:
    """The request with another body."""
    whole = body if isinstance(body, bytes) else to_json(body)
    target = request.target_without("source", "source_content_type")
    return Passed(instead=whole, target=target, edit=edit)
