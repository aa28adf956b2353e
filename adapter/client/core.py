"""What a search takes, in steps: clauses are planned, sent, and the answer seen to.

`Meta4` and `AsyncMeta4` run these steps, each with a client of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...errors import ClauseError, EmbeddingError, EngineError, InputError, NotFoundError
from ...ingest.documents import Document
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


class _MovedError(EngineError):
    """An alias names another index than the one that a request was planned for."""


class Core:
    """Requests to one cluster.

    Args:
        calls: what is asked of it.
        fresh_for: seconds until an index's bucket counts are read again.
    """

    def __init__(self, calls: Calls, fresh_for: float) -> None:
        self._calls = calls
        self.catalog = Catalog(calls, fresh_for=fresh_for)

    def search(self, index: str, body: Mapping[str, Any]) -> Steps[Body]:
        """Rewrite a body and send it; a body without clauses is sent as it is."""
        return (yield from self._searched(index, body, _sites(index, body)))

    def _searched(self, index: str, body: Mapping[str, Any], sites: Sequence[Site]) -> Steps[Body]:
        if not sites:
            return (yield from self._calls.search(index, dict(body)))
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
        found = [_sites(index, body) for body in bodies]
        if any(found):  # what all of them need is read once
            known = yield from self.catalog.get(index)
            for name in {_hashed(known, site) for sites in found for site in sites}:
                yield from known.fields[name].get_ready(index)
        runs = [
            self._searched(index, body, sites) for body, sites in zip(bodies, found, strict=True)
        ]
        return all_well((yield from joined(self._calls.url, runs)))

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
        return (yield from self._plan(index, body, sites, exact=exact))

    def _plan(
        self, index: str, body: Mapping[str, Any], sites: Sequence[Site], *, exact: bool = False
    ) -> Steps[tuple[Body, list[PlannedClause]]]:
        known = yield from self.catalog.get(index)
        asked: dict[str, list[int]] = {}
        for i, site in enumerate(sites):
            asked.setdefault(_hashed(known, site), []).append(i)
        planned: dict[int, PlannedClause] = {}
        for name, rows in asked.items():
            own = [sites[i] for i in rows]
            plans = yield from known.fields[name].plan(index, own, exact=exact)
            planned |= zip(rows, plans, strict=True)
        in_order = [planned[i] for i in range(len(sites))]
        return rewrite_body(body, in_order), in_order

    def _search(self, index: str, body: Mapping[str, Any], sites: Sequence[Site]) -> Steps[Body]:
        rewritten, planned = yield from self._plan(index, body, sites)
        if AGGREGATIONS & set(body) and is_sole_scorer(body["query"], planned):
            return (yield from self._search_aggregated(index, body, sites, rewritten, planned[0]))
        answer = yield from self._ask(index, rewritten)
        if _may_widen(planned) and _is_short(answer, rewritten):
            yield from self._check_unmoved(index)
            rewritten, _ = yield from self._plan(index, body, sites, exact=True)
            answer = yield from self._ask(index, rewritten)
        return _without_our_sort(answer, body)

    def _ask(self, index: str, rewritten: Body) -> Steps[Body]:
        """Send it, and see that the answer is of the index that it was planned for."""
        answer = yield from self._calls.search(index, rewritten)
        concrete = (yield from self.catalog.get(index)).concrete
        if any(hit["_index"] not in concrete for hit in answer["hits"]["hits"]):
            raise _MovedError(f"{index!r} has been moved; ask again")
        return answer

    def _check_unmoved(self, index: str) -> Steps[None]:
        if (yield from self.catalog.has_moved(index)):
            raise _MovedError(f"{index!r} has been moved; ask again")

    def _search_aggregated(
        self,
        index: str,
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
            hits: list[Body] = (yield from self._ask(index, only_scores))["hits"]["hits"]
            return hits

        hits = yield from nearest()
        if one.may_widen and len(hits) < k:
            yield from self._check_unmoved(index)
            rewritten, _ = yield from self._plan(index, body, sites, exact=True)
            hits = yield from nearest()
        kth_score = float(hits[-1]["_score"]) if hits else 0.0
        rewritten["min_score"] = max(kth_score, number_in(body, "min_score", 0.0))
        return _without_our_sort((yield from self._calls.search(index, rewritten)), body)

    def hasher(self, index: str) -> Steps[Hasher]:
        """What hashes documents for an index; who writes may not be allowed to search."""
        return (yield from hasher_of((yield from self.catalog.get(index))))

    def load(self, index: str, documents: Iterable[Document]) -> Steps[LoadReport]:
        """Hash documents and index them in bulk."""
        hasher = yield from self.hasher(index)

        def work(engine: Engine) -> LoadReport:
            return load_documents(engine, index, documents, hasher)

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
