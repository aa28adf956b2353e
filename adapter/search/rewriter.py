"""Clauses to the engine's own query DSL. Pure: values in, a request body out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ClauseError
from ...mappings.dialect import Dialect
from ...mappings.spec import IndexSpec
from ...models.embeddings import unit
from ...models.model import HashModel
from .clauses import AnalogyClause, Path, Site, number_in
from .plan import RequestPlan

#: Documents fetched beyond k where it costs nothing, so that documents of equal score at the
#: edge of the k are ordered by the sort below and not by where a segment keeps them.
TIE_MARGIN = 16
#: `_seq_no` is the same on a primary and its replicas and outlives merges.
SORT: list[Any] = ["_score", {"_seq_no": "asc"}]

#: The two names of what counts over all hits.
AGGREGATIONS = frozenset({"aggs", "aggregations"})
#: What an engine does not do together with a second phase.
_ONE_PHASE = frozenset({"sort", "rescore", "min_score"}) | AGGREGATIONS
#: The first phase's window is a multiple of k, but of no smaller k than this.
SMALLEST_K = 25

Body = dict[str, Any]


@dataclass(frozen=True)
class PlannedSite:
    """A clause with all that its rewriting takes.

    Attributes:
        site: the clause where it stands.
        vectors: (1, dims) the query, or (3, dims) a, b and c; float32.
        plan: the buckets.
        exclude_ids: documents that may not be among the answers.
        n_strays: documents that the index's model did not hash.
    """

    site: Site
    vectors: NDArray[np.float32]
    plan: RequestPlan
    exclude_ids: Sequence[str]
    n_strays: int


def query_vector(site: Site, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The direction that is searched: the query itself, or unit(b) - unit(a) + unit(c).

    Raises:
        ClauseError: a, b and c cancel out.
    """
    target: NDArray[np.float32] = vectors[0]
    if not isinstance(site.clause, AnalogyClause):
        return target
    a, b, c = unit(vectors)
    target = (b - a + c).astype(np.float32)
    if float(np.linalg.norm(target)) < 1e-6:
        raise ClauseError("meta4_analogy: b - a + c is a zero vector, which has no direction")
    return target


def rewrite_body(
    body: Mapping[str, Any],
    planned: Sequence[PlannedSite],
    spec: IndexSpec,
    model: HashModel,
    dialect: Dialect,
) -> Body:
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
    if alone and spec.strategy == "hamming" and not _ONE_PHASE & set(rewritten):
        phases = hamming_phases(planned[0], spec, model, dialect)
        if phases is not None:
            return rewritten | phases
    margin = 0 if AGGREGATIONS & set(rewritten) else TIE_MARGIN
    for one in planned:
        query = _replace(query, one.site.path, _scored(one, spec, model, dialect, margin))
    if alone:
        query = _lift(query, planned[0].site.path)
    return _sorted(rewritten | {"query": query})


def with_queries(body: Mapping[str, Any], sites: Sequence[Site], queries: Sequence[Body]) -> Body:
    """Put a query in the place of each clause; pages and order as `rewrite_body` has them."""
    query = body["query"]
    for site, new in zip(sites, queries, strict=True):
        query = _replace(query, site.path, new)
    return _sorted(_paged(body, sites) | {"query": query})


def _paged(body: Mapping[str, Any], sites: Sequence[Site]) -> Body:
    """The body without its query, and with a page that ends at k."""
    rest = {key: value for key, value in body.items() if key != "query"}
    k = max(site.clause.k for site in sites)
    start = number_in(body, "from", 0)
    return rest | {"size": max(0, min(number_in(body, "size", k), k - start))}


def _sorted(body: Body) -> Body:
    """With equal scores in the order of `_seq_no`, where the body has no order of its own."""
    return body if {"sort", "rescore"} & set(body) else body | {"sort": SORT}


def searched_within(one: PlannedSite, spec: IndexSpec, model: HashModel) -> Body | None:
    """What a clause looks into: the probed buckets, within all that stands beside it."""
    filters: list[Body] = []
    if one.plan.probes is not None:
        terms = [model.terms[bucket] for bucket in one.plan.probes.buckets.tolist()]
        buckets: Body = {"terms": {spec.fields.bucket: terms}}
        strays: list[Body] = []
        if one.n_strays:
            strays = [{"bool": {"must_not": [{"term": {spec.fields.model: str(spec.model)}}]}}]
        elif spec.former_models:  # written since they were counted
            strays = [{"terms": {spec.fields.model: list(spec.former_models)}}]
        if strays:
            buckets = {"bool": {"should": [buckets, *strays], "minimum_should_match": 1}}
        filters.append(buckets)
    filters += one.site.filters
    exclusions = list(one.site.exclusions)
    if one.exclude_ids:
        exclusions.append({"ids": {"values": list(one.exclude_ids)}})
    if len(filters) == 1 and not exclusions:
        return filters[0]
    if not filters and not exclusions:
        return None
    conditions: Body = {}
    if filters:
        conditions["filter"] = filters
    if exclusions:
        conditions["must_not"] = exclusions
    return {"bool": conditions}


def _scored(
    one: PlannedSite, spec: IndexSpec, model: HashModel, dialect: Dialect, margin: int
) -> Body:
    within = searched_within(one, spec, model)
    clause = one.site.clause
    if isinstance(clause, AnalogyClause) and clause.method == "3cosmul":
        a, b, c = one.vectors.tolist()
        return dialect.three_cos_mul(spec, a, b, c, within)
    vector = query_vector(one.site, one.vectors).tolist()
    if spec.strategy == "native":
        return dialect.knn(spec, vector, clause.k + margin, within)
    return dialect.script(spec, vector, within)


def hamming_phases(
    one: PlannedSite, spec: IndexSpec, model: HashModel, dialect: Dialect
) -> Body | None:
    """First by bits in common, then the best of them by cosine.

    None where one exact phase does better: the window would hold all documents, or recall 1
    was asked for, which a first phase by bits cannot promise.
    """
    clause = one.site.clause
    window = max(clause.k, SMALLEST_K) * spec.window
    if clause.recall == 1.0 or window >= one.plan.n_documents:
        return None
    exact = _scored(one, spec, model, dialect, 0)
    query = query_vector(one.site, one.vectors)
    (code,) = model.encode(query[None])
    return {
        "query": dialect.hamming(spec, code, searched_within(one, spec, model)),
        "rescore": {
            "window_size": window,
            "query": {
                "rescore_query": exact,
                "query_weight": 0.0,
                "rescore_query_weight": 1.0,
            },
        },
    }


def _replace(query: Any, path: Path, new: Body) -> Any:
    """A copy with `new` at `path`; only what lies on the path is copied."""
    if not path:
        return new
    copied = query.copy()
    copied[path[0]] = _replace(query[path[0]], path[1:], new)
    return copied


def is_sole_scorer(query: Body, planned: Sequence[PlannedSite]) -> bool:
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
