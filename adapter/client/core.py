"""What a search takes, in steps: clauses are planned, sent, and the answer seen to.

`Meta4` and `AsyncMeta4` run these steps, each with a client of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ...errors import (
    ClauseError,
    EmbeddingError,
    EngineError,
    InputError,
    Meta4Error,
    NotFoundError,
)
from ...ingest.documents import Document, check_several, checked
from ...ingest.hashers import Hasher
from ..catalog import Catalog, HashedIndex, hasher_of
from ..engines.calls import Calls, Steps, Work, plain
from ..engines.engine import Engine
from ..engines.joint import all_well, joined
from ..engines.names import check_type
from ..load.loader import LoadReport, load_documents
from ..search.clauses import MAX_K
from ..search.hybrid import asked_of_field, planned_as
from ..search.planned import Planned, PlannedClause
from ..search.rewriter import (
    FUSED,
    heavy,
    in_two,
    is_ordered,
    lightened,
    one_request,
    page_size,
    with_documents,
)
from ..search.sites import Site, find_sites, number_in
from ..searches import SearchKeeper
from .finder import Finder, MovedError

Body = dict[str, Any]
T = TypeVar("T")
#: Moves of an alias that one request follows, and times that it asks for documents anew of which
#: some were deleted before they were asked for by their ids.
_TRIES = 3


class Core:
    """Requests to one cluster.

    Args:
        calls: what is asked of it.
        fresh_for: seconds until an index's bucket counts are read again.
        keeper: of some searches.
        told: of each clause as it was asked at last, when its search is answered.
    """

    def __init__(
        self,
        calls: Calls,
        fresh_for: float,
        keeper: SearchKeeper,
        told: Callable[[PlannedClause], None] = lambda _: None,
    ) -> None:
        if isinstance(fresh_for, bool) or not isinstance(fresh_for, int | float):
            raise InputError(f"fresh_for: expected seconds, got {fresh_for!r}")
        self._calls, self._keeper, self._told = calls, keeper, told
        self.catalog = Catalog(calls, fresh_for=fresh_for)
        self._finder = Finder(calls, self.catalog)

    def search(self, index: str, body: Mapping[str, Any]) -> Steps[Body]:
        """Rewrite a body and send it; a body without clauses is sent as it is."""
        return (yield from self._searched(index, body, _sites(index, body)))

    def _searched(self, index: str, body: Mapping[str, Any], sites: Sequence[Site]) -> Steps[Body]:
        if not sites:
            return (yield from self._calls.search(index, dict(body)))
        return (yield from self._followed(index, lambda: self._search(index, body, sites)))

    def _followed(self, index: str, ask: Callable[[], Steps[T]]) -> Steps[T]:
        """What is asked of an index, again where its alias moved meanwhile."""
        for _ in range(_TRIES):
            try:
                return (yield from ask())
            except MovedError:
                self.catalog.forget(index)
            except (EngineError, NotFoundError, EmbeddingError):
                # An alias may have been moved to an index of other dimensions, say.
                if not (yield from self.catalog.has_moved(index)):
                    raise
        return (yield from ask())

    def documents(self, index: str, body: Mapping[str, Any]) -> Steps[Body]:
        """The body with the documents that each clause means in its place.

        It may be sent wherever a search or its query goes, with any parameters.
        """
        sites = _sites(index, body)
        if not sites:
            return dict(body)

        def ask() -> Steps[Body]:
            known = yield from self.catalog.get(index)
            planned = yield from self._plan(known, sites)
            found = yield from self._finder.all_meant(known, planned)
            for _, last in found:
                self._told(last.legs[0])
            return with_documents(body, planned, [hits for hits, _ in found])

        return (yield from self._followed(index, ask))

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> Steps[list[Body]]:
        """Several searches side by side, whose requests share their round trips."""
        check_several(bodies, "bodies")
        found = [_sites_or_error(index, body) for body in bodies]
        named = {site.field for sites in found if isinstance(sites, tuple) for site in sites[1]}
        if named:  # what all of them need is read once
            known = yield from self.catalog.get(index)
            for name in named & set(known.fields):
                yield from known.fields[name].get_ready(index)
        runs = [self._searched(index, *one) for one in found if isinstance(one, tuple)]
        answers = iter((yield from joined(self._calls.url, runs)))
        return all_well([next(answers) if isinstance(one, tuple) else one for one in found])

    def rewrite(self, index: str, body: Mapping[str, Any]) -> Steps[Body]:
        """The body that `search` would send last."""
        return plain((yield from self.plan(index, body))[0])

    def explain(self, index: str, body: Mapping[str, Any]) -> Steps[Body]:
        """What a search would do and why, for people and for machines."""
        rewritten, planned = yield from self.plan(index, body)
        if not planned:
            raise ClauseError("nothing to explain: the query has no meta4 clause")
        known = yield from self.catalog.get(index)
        about = yield from known.field(planned[0].site.field).about(index)
        clauses = []
        for one in planned:
            field = known.field(one.site.field)
            clauses.append((yield from field.explain(index, one.legs[0])) | one.shown)
        two = in_two(body, planned)
        steps = {"requests": 1 if two is None else 2, "second_for": two}
        return {"index": index, **about, **steps, "clauses": clauses, "body": plain(rewritten)}

    def plan(
        self, index: str, body: Mapping[str, Any], *, exact: bool = False
    ) -> Steps[tuple[Body, list[Planned]]]:
        """The rewritten body and the plan of each clause; `exact` looks everywhere."""
        sites = _sites(index, body)
        if not sites:
            return dict(body), []
        known = yield from self.catalog.get(index)
        planned = yield from self._plan(known, sites, exact=exact)
        sole = planned[0].legs[0] if in_two(body, planned) is None else None
        if sole is not None and not sole.judges:
            return one_request(body, sole), planned
        found = yield from self._finder.all_meant(known, planned)
        last = [one for _, one in found]
        if sole is not None:
            return one_request(body, last[0].legs[0]), last
        return with_documents(body, last, [hits for hits, _ in found]), last

    def _plan(
        self, known: HashedIndex, sites: Sequence[Site], *, exact: bool = False
    ) -> Steps[list[Planned]]:
        scope = yield from self.catalog.scope(known)
        asked: dict[str, list[int]] = {}
        for i, site in enumerate(sites):
            asked.setdefault(_hashed(known, site), []).append(i)
        planned: dict[int, Planned] = {}
        for name, rows in asked.items():
            own = [scope.narrowed(sites[i]) for i in rows]
            asked_of_it = [asked_of_field(site) for site in own]
            plans = yield from known.fields[name].plan(scope, asked_of_it, exact=exact)
            planned |= zip(rows, map(planned_as, own, plans), strict=True)
        return [planned[i] for i in range(len(sites))]

    def _search(self, index: str, body: Mapping[str, Any], sites: Sequence[Site]) -> Steps[Body]:
        known = yield from self.catalog.get(index)
        planned = yield from self._plan(known, sites)
        page, why = 0, in_two(body, planned)
        if why is None:
            sole = planned[0].legs[0]
            last, at_once = yield from self._in_one(known, body, sole)
            if at_once is not None:
                yield from self._end(known, [last])
                return _without_our_sort(at_once, body)
            page = one_request(body, sole)["size"]
        for _ in range(_TRIES):
            found = yield from self._finder.all_meant(known, planned)
            rewritten = with_documents(body, planned, [hits for hits, _ in found])
            ends = [last for _, last in found]
            answer = yield from self._asked_at_last(known, body, rewritten, planned)
            if why == FUSED:
                ((meant, _),) = found
                page = page_size(body, len(meant))
            if len(answer["hits"]["hits"]) >= page:
                break  # none was deleted between the two
        if not known.is_itself:  # moved between the two, it has none of the documents
            yield from self._finder.check_unmoved(known)
        yield from self._end(known, ends)
        return _without_our_sort(answer, body)

    def _end(self, known: HashedIndex, planned: Sequence[Planned]) -> Steps[None]:
        """Tell of what was searched for, and perhaps keep it."""
        legs = [one.legs[0] for one in planned]
        for one in legs:
            self._told(one)
        if self._keeper.draws():
            for one in legs:
                if one.asked_with is not None:
                    yield from self._keeper.keep(known.name, one.site.field, one.asked_with)

    def _in_one(
        self, known: HashedIndex, body: Mapping[str, Any], one: PlannedClause
    ) -> Steps[tuple[PlannedClause, Body | None]]:
        """The answer to a body that one request can ask for; None where ties leave it open.

        And the clause as it was asked at last.

        One hit more than the page tells whether other documents are as near as its last: then all
        of these must be seen, of which the engine may have kept some only.
        """
        k = one.site.clause.k
        while True:
            request = one_request(body, one)
            page = request["size"]
            if one.is_cut and 0 < page < MAX_K - number_in(body, "from", 0):
                request["size"] += 1
            one, answer = yield from self._finder.ask_counting(known, one, request)
            hits = answer["hits"]["hits"]
            if len(hits) > page and hits[page]["_score"] == hits[page - 1]["_score"]:
                return one, None
            del hits[page:]
            if one.hides:
                for hit in hits:
                    hit["_score"] = lightened(hit["_score"])
                answer["hits"]["max_score"] = None
            is_short = _is_short(answer, page, k)
            further = None
            if is_short:
                further = one.further([], k)
                if further is not None or not known.is_itself:
                    yield from self._finder.check_unmoved(known)
            elif hits and one.judges:
                further = one.further(*_up_to(hits, number_in(body, "from", 0)))
            if further is None:
                break
            one = further
        total = answer["hits"].get("total")
        if total is not None and total["value"] >= k:  # what was looked into, else
            answer["hits"]["total"] = {"value": k, "relation": "eq"}
        return one, answer

    def _asked_at_last(
        self,
        known: HashedIndex,
        body: Mapping[str, Any],
        rewritten: Body,
        planned: Sequence[Planned],
    ) -> Steps[Body]:
        """The answer to a rewritten body; what an engine adds to scores does not change the order.

        Where the body has an order of its own, or a least score, its scores are the engine's.
        """
        hides = any(leg.hides for one in planned for leg in one.legs)
        if not hides or is_ordered(body) or "min_score" in body:
            return (yield from self._finder.ask(known, rewritten))
        weighed = {**rewritten, "query": heavy(rewritten["query"])}
        answer = yield from self._finder.ask(known, weighed)
        for hit in answer["hits"]["hits"]:
            if hit["_score"] is not None:
                hit["_score"] = lightened(hit["_score"])
        if answer["hits"].get("max_score") is not None:
            answer["hits"]["max_score"] = lightened(answer["hits"]["max_score"])
        return answer

    def hasher(self, index: str) -> Steps[Hasher]:
        """What hashes documents for an index; who writes may not be allowed to search."""
        known = yield from self.catalog.get(index)
        return (yield from hasher_of(known.fields.values()))

    def load(self, index: str, documents: Iterable[Document]) -> Steps[LoadReport]:
        """Hash documents and index them in bulk."""
        hasher = yield from self.hasher(index)
        stream = checked(documents)

        def work(engine: Engine) -> LoadReport:
            return load_documents(engine, index, stream, hasher)

        report: LoadReport = yield Work(work)
        return report


def _sites(index: str, body: Mapping[str, Any]) -> list[Site]:
    """The clauses of a body for one index, looked for once a request.

    Raises:
        InputError: the index or the body is of another type.
        ClauseError: a clause that cannot be read, or stands where it cannot be rewritten.
    """
    check_type(index)
    if not isinstance(body, Mapping):
        raise InputError(f"body: expected a search body, a dict, got {type(body).__name__}")
    return find_sites(body)


def _sites_or_error(index: str, body: Any) -> tuple[Mapping[str, Any], list[Site]] | Meta4Error:
    """A body with its clauses, or why it cannot be read."""
    try:
        return body, _sites(index, body)
    except Meta4Error as error:
        return error


def _hashed(known: HashedIndex, site: Site) -> str:
    try:
        known.field(site.field)
    except NotFoundError as error:
        raise ClauseError(str(error)) from error
    return site.field


def _without_our_sort(answer: Body, body: Mapping[str, Any]) -> Body:
    """The hits without what only our own sort put there, and with what it took away."""
    if "sort" not in body:
        hits = answer["hits"]["hits"]
        for hit in hits:
            hit.pop("sort", None)
        if hits and answer["hits"].get("max_score") is None and not number_in(body, "from", 0):
            answer["hits"]["max_score"] = hits[0]["_score"]
    return answer


def _is_short(answer: Body, page: int, k: int) -> bool:
    """Whether fewer were found than k."""
    hits = answer["hits"]
    total = hits.get("total")
    if total is None or total["relation"] != "eq":
        return len(hits["hits"]) < page
    return bool(total["value"] < k)


def _up_to(hits: Sequence[Body], start: int) -> tuple[list[float], int]:
    """Scores of the nearest up to the end of a page, those before it as near as its first."""
    scores = [hit["_score"] for hit in hits]
    return [scores[0]] * start + scores, start + len(scores)
