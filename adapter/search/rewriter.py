"""Clauses to the engine's own query DSL. Pure: values in, a request body out.

A clause means documents: the k nearest of those that everything around it lets through. Where it
alone makes the score and nothing in the body looks at more than a page of it, one request asks for
them. Everywhere else they are asked for first, and then stand in the clause's place by their ids,
scored as before: whatever else the body says is then about these documents.

What a clause becomes is known to the kind of field that it asks of (`meta4.adapter.fields`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .clauses import MAX_K
from .planned import Body, Hit, Planned, PlannedClause, documents
from .sites import DEFINITIONS, Path, Site, number_in

#: Documents fetched beyond k where it costs nothing, so that documents of equal score at the
#: edge of the k are ordered by the sort below and not by where a segment keeps them.
TIE_MARGIN = 16
#: `_seq_no` is the same on a primary and its replicas and outlives merges.
SORT: list[Any] = ["_score", {"_seq_no": "asc"}]

#: What a body may say beside its query and still be answered in one request: it is about the hits
#: of the page and not about all that the query matches, their order or the query itself.
_OF_THE_PAGE = frozenset(
    {
        "query",
        "size",
        "from",
        "_source",
        "fields",
        "docvalue_fields",
        "stored_fields",
        "script_fields",
        *DEFINITIONS,
        "track_total_hits",
        "version",
        "seq_no_primary_term",
        "explain",
        "profile",
        "timeout",
        "stats",
        "ext",
    }
)
#: What queries beside the clause may say that comes back with the hits.
_TOLD = ("_name", "inner_hits")
#: Of a score that others are added to, which are then too small for a digit of float32. A power
#: of two: what is divided by it again has the digits that it had.
_WEIGHT = 2.0**40
#: Documents that a clause names and leaves out, of which none is told apart: those of an analogy.
_TUNED_FOR = 3
#: What of a body takes two requests where nothing else does.
FUSED = "two searches that are fused"
#: A query of OpenSearch's that takes no `sort`.
_UNSORTED = "hybrid"


def in_two(body: Mapping[str, Any], planned: Sequence[Planned]) -> str | None:
    """What about a body takes a request for the nearest first, in words; None where one will do."""
    if len(planned) != 1:
        return "several clauses"
    site, query = planned[0].site, body["query"]
    if not _is_sole_scorer(query, site.path):
        return "where the clause stands"
    if site.clause.boost != 1.0 or site.clause.name is not None:
        return "the clause's boost or _name"
    if "from" in body and number_in(body, "from", 0) >= site.clause.k:
        return "from"
    if _says([*site.filters, *site.exclusions], _TOLD):
        return " or ".join(_TOLD)
    others = body.keys() - _OF_THE_PAGE
    if others:
        return ", ".join(sorted(map(str, others)))
    return None if len(planned[0].legs) == 1 else FUSED


def page_size(body: Mapping[str, Any], k: int) -> int:
    """How many hits a body asks for of the k documents of its only clause.

    Raises:
        ClauseError: `from` or `size` is no number.
    """
    return max(0, min(number_in(body, "size", k), k - number_in(body, "from", 0)))


def one_request(body: Mapping[str, Any], one: PlannedClause) -> Body:
    """The body that asks for the nearest and for all else at once.

    `size` becomes k where the body has none, and a page never reaches beyond k; equal scores are
    ordered by `_seq_no`.

    Raises:
        ClauseError: `from` or `size` is no number, or an analogy has no direction.
    """
    rest = {key: value for key, value in body.items() if key != "query"}
    rest["size"] = page_size(body, one.site.clause.k)
    return rest | _scored(one, TIE_MARGIN)


def nearest_request(one: PlannedClause, margin: int) -> Body:
    """The body that asks for the ids of the nearest, and of so many beyond the k."""
    n = min(one.n_found + margin, MAX_K) if one.is_cut else one.n_found
    return {**_ids_only(n), **one.site.defined, **_scored(one, margin)}


def scores_request(one: PlannedClause, hits: Sequence[Hit]) -> Body:
    """The body that asks how a clause scores documents that others found, of which some may not."""
    query = _by_itself(one, one.query(conditions([documents(hits), *one.scorable], []), len(hits)))
    return {**_ids_only(len(hits)), **one.site.defined, "query": query}


def _ids_only(size: int) -> Body:
    """What is asked of each document beside its score: `_seq_no`, which puts equals in order."""
    page = {"size": size, "_source": False, "track_total_hits": False}
    return {**page, "seq_no_primary_term": True}


def with_documents(
    body: Mapping[str, Any], planned: Sequence[Planned], found: Sequence[Sequence[Hit]]
) -> Body:
    """The body with documents in the place of each clause.

    `size` becomes the largest k where the body has none; equal scores are ordered by `_seq_no`
    where it has no order of its own.

    Args:
        body: a search body; not changed.
        planned: its clauses.
        found: for each the hits that it means.
    """
    query = body["query"]
    for one, hits in zip(planned, found, strict=True):
        query = _replace(query, one.site.path, _as_named(one, one.of(hits)))
    sized = {"size": max(one.site.clause.k for one in planned), **body, "query": query}
    return sized if is_ordered(body) else sized | {"sort": SORT}


def is_ordered(body: Mapping[str, Any]) -> bool:
    """Whether a body has an order of its own, or none that a sort may stand beside."""
    return bool({"sort", "rescore"} & set(body)) or _UNSORTED in body["query"]


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


def excluded(site: Site) -> list[Body]:
    """What no answer may match: what stands beside the clause, and the documents that it names."""
    own: list[Body] = [{"ids": {"values": site.ids}}] if site.ids else []
    return [*site.exclusions, *own]


def ids_in(query: Body) -> list[Any]:
    """Of a query that names documents and says nothing else, their ids."""
    named = query.get("ids")
    values = named.get("values") if isinstance(named, dict) and len(query) == 1 else None
    return values if isinstance(values, list) else []


def n_left_out(site: Site) -> int:
    """How many documents are left out by their ids, more than tuning leaves out.

    They may all be nearer than any answer, such as those that were shown before, or many that the
    answers are to be like: no count of what is kept tells that.
    """
    named = max(0, len(set(site.ids)) - _TUNED_FOR)
    return named + sum(len(ids_in(query)) for query in site.exclusions)


def _scored(one: PlannedClause, margin: int) -> Body:
    """The query by itself, in the order that belongs to it."""
    phases = one.phases()
    if phases is not None:
        return phases
    n = min(one.n_found + margin, MAX_K)
    return {"query": _by_itself(one, one.nearest(n)), "sort": SORT}


def _by_itself(one: PlannedClause, query: Body) -> Body:
    return heavy(query) if one.hides else query


def heavy(query: Body) -> Body:
    """So heavy that what the engine adds to the scores does not matter."""
    return {"bool": {"must": [query], "boost": _WEIGHT}}


def lightened(score: float) -> float:
    """A score of `heavy` as the engine would have told it: float32 in its shortest digits."""
    return float(str(np.float32(score) / np.float32(_WEIGHT)))


def _as_named(one: Planned, query: Body) -> Body:
    """With the clause's own `boost` and `_name`, as any query has them."""
    clause = one.site.clause
    own: Body = {} if clause.boost == 1.0 else {"boost": clause.boost}
    if clause.name is not None:
        own["_name"] = clause.name
    return {"bool": {"must": [query], **own}} if own else query


def _replace(query: Any, path: Path, new: Body) -> Any:
    """A copy with `new` at `path`; only what lies on the path is copied."""
    if not path:
        return new
    copied = query.copy()
    copied[path[0]] = _replace(query[path[0]], path[1:], new)
    return copied


def _is_sole_scorer(query: Body, path: Path) -> bool:
    """Whether a clause alone makes the score, beside filters at most."""
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


def _says(value: Any, names: Sequence[str]) -> bool:
    """Whether one of the names is a key anywhere inside."""
    if isinstance(value, dict):
        return any(key in names or _says(inner, names) for key, inner in value.items())
    return isinstance(value, list) and any(_says(inner, names) for inner in value)
