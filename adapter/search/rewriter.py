"""Clauses to the engine's own query DSL. Pure: values in, a request body out.

What a clause becomes is known to the kind of field that it asks of (`meta4.adapter.fields`); where
it stands, pages and order are the same for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from .clauses import Path, Site, number_in

#: Documents fetched beyond k where it costs nothing, so that documents of equal score at the
#: edge of the k are ordered by the sort below and not by where a segment keeps them.
TIE_MARGIN = 16
#: `_seq_no` is the same on a primary and its replicas and outlives merges.
SORT: list[Any] = ["_score", {"_seq_no": "asc"}]

#: The two names of what counts over all hits.
AGGREGATIONS = frozenset({"aggs", "aggregations"})
#: What an engine does not do together with a second phase.
_ONE_PHASE = frozenset({"sort", "rescore", "min_score"}) | AGGREGATIONS

Body = dict[str, Any]


class PlannedClause(ABC):
    """A clause with all that its rewriting takes.

    Attributes:
        site: the clause where it stands.
    """

    site: Site

    @property
    @abstractmethod
    def may_widen(self) -> bool:
        """Whether a short page is to be asked for again, everywhere."""

    @abstractmethod
    def within(self) -> Body | None:
        """What is looked into, within all that stands beside the clause; None for everything."""

    @abstractmethod
    def query(self, margin: int) -> Body:
        """What is in `within`, scored exactly.

        Args:
            margin: documents beyond k that may be found too.
        """

    def phases(self) -> Body | None:
        """A query with a second phase, where that is how a clause by itself is answered."""
        return None


def rewrite_body(body: Mapping[str, Any], planned: Sequence[PlannedClause]) -> Body:
    """Replace the clauses of a search body.

    `size` becomes k where the body has none, and a page never reaches beyond k; equal scores
    are ordered by `_seq_no` where the body has no `sort` of its own.

    Returns:
        A body of the engine's own DSL; `body` itself is not changed.

    Raises:
        ClauseError: `from` or `size` is no number, or an analogy has no direction.
    """
    rewritten = _paged(body, [one.site for one in planned])
    query = body["query"]
    alone = is_sole_scorer(query, planned)
    if alone and not _ONE_PHASE & set(rewritten):
        phases = planned[0].phases()
        if phases is not None:
            return rewritten | phases
    margin = 0 if AGGREGATIONS & set(rewritten) else TIE_MARGIN
    for one in planned:
        query = _replace(query, one.site.path, one.query(margin))
    if alone:
        query = _lift(query, planned[0].site.path)
    return _sorted(rewritten | {"query": query})


def conditions(filters: Sequence[Body], exclusions: Sequence[Body]) -> Body | None:
    """One query for several; None for none."""
    if len(filters) == 1 and not exclusions:
        return filters[0]
    if not filters and not exclusions:
        return None
    both: Body = {}
    if filters:
        both["filter"] = list(filters)
    if exclusions:
        both["must_not"] = list(exclusions)
    return {"bool": both}


def excluded(site: Site, ids: Sequence[str]) -> list[Body]:
    """What no answer may match: what stands beside the clause, and documents by id."""
    own: list[Body] = [{"ids": {"values": list(ids)}}] if ids else []
    return [*site.exclusions, *own]


def _paged(body: Mapping[str, Any], sites: Sequence[Site]) -> Body:
    """The body without its query, and with a page that ends at k."""
    rest = {key: value for key, value in body.items() if key != "query"}
    k = max(site.clause.k for site in sites)
    start = number_in(body, "from", 0)
    return rest | {"size": max(0, min(number_in(body, "size", k), k - start))}


def _sorted(body: Body) -> Body:
    """With equal scores in the order of `_seq_no`, where the body has no order of its own."""
    return body if {"sort", "rescore"} & set(body) else body | {"sort": SORT}


def _replace(query: Any, path: Path, new: Body) -> Any:
    """A copy with `new` at `path`; only what lies on the path is copied."""
    if not path:
        return new
    copied = query.copy()
    copied[path[0]] = _replace(query[path[0]], path[1:], new)
    return copied


def is_sole_scorer(query: Body, planned: Sequence[PlannedClause]) -> bool:
    """Whether one clause alone makes the score, beside filters at most."""
    if len(planned) != 1:
        return False
    path = planned[0].site.path
    while path:
        if path[0] != "bool" or not set(query["bool"]) <= {"must", "filter", "must_not"}:
            return False
        if path[1] != "must":
            return False
        must = query["bool"]["must"]
        if isinstance(must, list):
            if len(must) != 1:
                return False
            query, path = must[0], path[3:]
        else:
            query, path = must, path[2:]
    return True


def _lift(query: Body, path: Path) -> Body:
    """Drop the bools around a sole scorer: their filters are inside it already."""
    inner: Any = query
    for step in path:
        inner = inner[step]
    lifted: Body = inner
    return lifted
