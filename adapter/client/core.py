"""What a search takes, in steps: clauses are planned, sent, and the answer seen to.

`Meta4` and `AsyncMeta4` run these steps, each with a client of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
from ..engines.calls import Calls, Steps, Work
from ..engines.engine import Engine
from ..engines.joint import all_well, joined
from ..engines.names import check_type
from ..load.loader import LoadReport, load_documents
from ..search.clauses import Site, contains_clause, find_sites, number_in
from ..search.rewriter import AGGREGATIONS, PlannedClause, is_sole_scorer, rewrite_body

Body = dict[str, Any]
#: Moves of an alias that one request follows.
_TRIES = 3


class _MovedError(EngineError):
    """An alias names another index than the one that a request was planned for."""


class Core:
    """Requests to one cluster.

    Args:
        calls: what is asked of it.
        fresh_for: seconds until an index's bucket counts are read again.
    """

    def __init__(self, calls: Calls, fresh_for: float) -> None:
        if isinstance(fresh_for, bool) or not isinstance(fresh_for, int | float):
            raise InputError(f"fresh_for: expected seconds, got {fresh_for!r}")
        self._calls = calls
        self.catalog = Catalog(calls, fresh_for=fresh_for)

    def search(self, index: str, body: Mapping[str, Any]) -> Steps[Body]:
        """Rewrite a body and send it; a body without clauses is sent as it is."""
        return (yield from self._searched(index, body, _sites(index, body)))

    def _searched(self, index: str, body: Mapping[str, Any], sites: Sequence[Site]) -> Steps[Body]:
        if not sites:
            return (yield from self._calls.search(index, dict(body)))
        for _ in range(_TRIES):
            try:
                return (yield from self._search(index, body, sites))
            except _MovedError:
                self.catalog.forget(index)
            except (EngineError, NotFoundError, EmbeddingError):
                # An alias may have been moved to an index of other dimensions, say.
                if not (yield from self.catalog.has_moved(index)):
                    raise
        return (yield from self._search(index, body, sites))

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
        """The body that `search` would send."""
        return (yield from self.plan(index, body))[0]

    def explain(self, index: str, body: Mapping[str, Any]) -> Steps[Body]:
        """What a search would do and why, for people and for machines."""
        rewritten, planned = yield from self.plan(index, body)
        if not planned:
            raise ClauseError("nothing to explain: the query has no meta4 clause")
        known = yield from self.catalog.get(index)
        about = yield from known.field(planned[0].site.field).about(index)
        clauses = []
        for one in planned:
            clauses.append((yield from known.field(one.site.field).explain(index, one)))
        return {"index": index, **about, "clauses": clauses, "body": rewritten}

    def plan(
        self, index: str, body: Mapping[str, Any], *, exact: bool = False
    ) -> Steps[tuple[Body, list[PlannedClause]]]:
        """The rewritten body and the plan of each clause; `exact` looks everywhere."""
        sites = _sites(index, body)
        if not sites:
            return dict(body), []
        known = yield from self.catalog.get(index)
        return (yield from self._plan(known, body, sites, exact=exact))

    def _plan(
        self,
        known: HashedIndex,
        body: Mapping[str, Any],
        sites: Sequence[Site],
        *,
        exact: bool = False,
    ) -> Steps[tuple[Body, list[PlannedClause]]]:
        asked: dict[str, list[int]] = {}
        for i, site in enumerate(sites):
            asked.setdefault(_hashed(known, site), []).append(i)
        planned: dict[int, PlannedClause] = {}
        for name, rows in asked.items():
            own = [sites[i] for i in rows]
            plans = yield from known.fields[name].plan(known.name, own, exact=exact)
            planned |= zip(rows, plans, strict=True)
        in_order = [planned[i] for i in range(len(sites))]
        return rewrite_body(body, in_order), in_order

    def _search(self, index: str, body: Mapping[str, Any], sites: Sequence[Site]) -> Steps[Body]:
        known = yield from self.catalog.get(index)
        rewritten, planned = yield from self._plan(known, body, sites)
        if AGGREGATIONS & set(body) and is_sole_scorer(body["query"], planned):
            return (yield from self._search_aggregated(known, body, sites, rewritten, planned[0]))
        answer = yield from self._ask(known, rewritten)
        if _may_widen(planned) and _is_short(answer, rewritten):
            yield from self._check_unmoved(known)
            rewritten, _ = yield from self._plan(known, body, sites, exact=True)
            answer = yield from self._ask(known, rewritten)
        return _without_our_sort(answer, body)

    def _ask(self, known: HashedIndex, rewritten: Body) -> Steps[Body]:
        """Send it, and see that the answer is of the index that it was planned for."""
        answer = yield from self._calls.search(known.name, rewritten)
        if any(hit["_index"] not in known.concrete for hit in answer["hits"]["hits"]):
            raise _moved(known)
        return answer

    def _check_unmoved(self, known: HashedIndex) -> Steps[None]:
        if (yield from self.catalog.has_moved(known.name)):
            raise _moved(known)

    def _search_aggregated(
        self,
        known: HashedIndex,
        body: Mapping[str, Any],
        sites: Sequence[Site],
        rewritten: Body,
        one: PlannedClause,
    ) -> Steps[Body]:
        """Ask for the k-th score first, so that aggregations see the k nearest.

        An engine counts over all that a query matches: k of every segment, or with a script
        all that was looked into.
        """
        k = one.site.clause.k

        def nearest() -> Steps[list[Body]]:
            only_scores: Body = {"query": rewritten["query"], "size": k, "_source": False}
            hits: list[Body] = (yield from self._ask(known, only_scores))["hits"]["hits"]
            return hits

        hits = yield from nearest()
        if one.may_widen and len(hits) < k:
            yield from self._check_unmoved(known)
            rewritten, _ = yield from self._plan(known, body, sites, exact=True)
            hits = yield from nearest()
        kth_score = float(hits[-1]["_score"]) if hits else 0.0
        rewritten["min_score"] = max(kth_score, number_in(body, "min_score", 0.0))
        return _without_our_sort((yield from self._ask(known, rewritten)), body)

    def hasher(self, index: str) -> Steps[Hasher]:
        """What hashes documents for an index; who writes may not be allowed to search."""
        return (yield from hasher_of((yield from self.catalog.get(index))))

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
    query = body.get("query")
    return find_sites(query) if contains_clause(query) else []


def _sites_or_error(index: str, body: Any) -> tuple[Mapping[str, Any], list[Site]] | Meta4Error:
    """A body with its clauses, or why it cannot be read."""
    try:
        return body, _sites(index, body)
    except Meta4Error as error:
        return error


def _moved(known: HashedIndex) -> _MovedError:
    return _MovedError(f"{known.name!r} has been moved; ask again")


def _hashed(known: HashedIndex, site: Site) -> str:
    try:
        known.field(site.field)
    except NotFoundError as error:
        raise ClauseError(str(error)) from error
    return site.field


def _may_widen(planned: Sequence[PlannedClause]) -> bool:
    return any(one.may_widen for one in planned)


def _without_our_sort(answer: Body, body: Mapping[str, Any]) -> Body:
    """The hits without the sort values that only our own sort put there."""
    if "sort" not in body:
        for hit in answer["hits"]["hits"]:
            hit.pop("sort", None)
    return answer


def _is_short(answer: Body, rewritten: Body) -> bool:
    """Whether a page ends before its size although nothing else would have ended it."""
    shortened = {"post_filter", "min_score", "collapse"} & set(rewritten)
    return not shortened and len(answer["hits"]["hits"]) < rewritten["size"]
