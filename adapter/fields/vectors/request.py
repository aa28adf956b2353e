"""A clause that asks a field of vectors: what it looks into, and how that is scored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ClauseError
from ....mappings.dialect import Dialect
from ....mappings.spec import IndexSpec
from ....models.embeddings import unit
from ....models.model import HashModel
from ....models.stopping.record import AtLeast
from ...search.clauses import AnalogyClause, SimilarClause
from ...search.plan import RequestPlan
from ...search.planned import Looked, PlannedClause
from ...search.rewriter import TIE_MARGIN, conditions, excluded
from ...search.sites import Site
from .counting import Counting

Body = dict[str, Any]
#: The first phase's window is a multiple of k, but of no smaller k than this.
SMALLEST_K = 25
#: The engines' `index.max_rescore_window` unless an index has another.
MOST_RESCORED = 10_000
#: Of what is not liked, beside 1 of what is: Manning, Raghavan & Schütze, "Introduction to
#: information retrieval", 2008, 9.1.1 (0.15 to 0.75).
_UNLIKE = 0.2
#: Documents are scored by their sketches first where these spare reading most vectors.
_NARROWED = 4


@dataclass(frozen=True)
class PlannedVectors(PlannedClause):
    """See `PlannedClause`.

    Attributes:
        site: the clause where it stands.
        vectors: (1, dims) the query, (3, dims) a, b and c, or (n, dims) examples; float32.
        plan: the buckets.
        n_strays: documents that the index's model did not hash.
        spec: of the field.
        model: the field's.
        dialect: of the engine.
        kept: how what the filter keeps is counted; None where all is known.
        hides: see `PlannedClause`; the engine's own query would count what is hidden.
    """

    site: Site
    vectors: NDArray[np.float32]
    plan: RequestPlan
    n_strays: int
    spec: IndexSpec
    model: HashModel
    dialect: Dialect
    kept: Counting | None = None
    hides: bool = False

    @property
    def is_cut(self) -> bool:
        """See `PlannedClause`: scripts score all that they are given."""
        return self.spec.strategy == "native" and not (self.hides or self._is_multiplied)

    @property
    def _is_multiplied(self) -> bool:
        clause = self.site.clause
        return isinstance(clause, AnalogyClause) and clause.method == "3cosmul"

    @property
    def asked_with(self) -> NDArray[np.float32]:
        """See `PlannedClause`: (dims,)."""
        return query_vector(self.site, self.vectors)

    @property
    def looked(self) -> Looked:
        """See `PlannedClause`."""
        plan = self.plan
        known = plan.n_documents if plan.probes is None else plan.probes.n_postings + self.n_strays
        return Looked(known, self.promised_recall, plan.n_rounds)

    @property
    def judges(self) -> bool:
        """See `PlannedClause`: 3CosMul's scores are no cosines."""
        return self.plan.looking is not None and not self._is_multiplied

    def further(self, scores: Sequence[float], wanted: int) -> "PlannedVectors | None":
        """See `PlannedClause`."""
        if len(scores) >= wanted and not self.judges:
            return None
        plan = self.plan.further([2.0 * score - 1.0 for score in scores], wanted)
        return None if plan is None else replace(self, plan=plan)

    def counting(self) -> Body | None:
        """See `PlannedClause`."""
        uncounted = self._uncounted
        return self.kept.body(uncounted) if self.kept is not None and len(uncounted) else None

    @property
    def _uncounted(self) -> NDArray[np.int64]:
        """Buckets whose documents under the filter are to be counted."""
        looking = self.plan.looking
        if self.kept is None or looking is None:
            return np.zeros(0, dtype=np.int64)
        return self.kept.kept.to_count(looking.prospect.counted)

    def counted(self, answer: Body | None) -> "PlannedVectors":
        """See `PlannedClause`."""
        kept, looking = self.kept, self.plan.looking
        if kept is None or looking is None:
            return self
        if answer is not None:
            kept = kept.counted(self._uncounted, answer)
        return replace(
            self, kept=kept, plan=self.plan.counted(*kept.after(looking.prospect.counted))
        )

    def within(self) -> Body | None:
        """See `PlannedClause`: the probed buckets.

        Elasticsearch's `knn` answers with documents without a vector too, if its filter keeps them.
        """
        filters: list[Body] = []
        if self.plan.probes is not None:
            filters = [_any_of([self._buckets, *self._strays])]
        elif self.site.filters or excluded(self.site):
            filters = self.scorable
        return self._beside(filters)

    @property
    def scorable(self) -> list[Body]:
        """See `PlannedClause`."""
        return [{"exists": {"field": self.spec.field}}]

    @property
    def _buckets(self) -> Body:
        """What lies in the probed buckets."""
        assert self.plan.probes is not None
        terms = list(map(self.model.terms.__getitem__, self.plan.probes.buckets.tolist()))
        return {"terms": {self.spec.fields.keyword(self.plan.keyword): terms}}

    @property
    def _strays(self) -> list[Body]:
        """What no bucket tells anything of; empty where there is nothing."""
        spec = self.spec
        strays: Body | None = None
        if self.n_strays:
            vector: Body = {"exists": {"field": spec.field}}
            strays = conditions([vector], [spec.hashed, *self._of_another_encoder])
        elif spec.former_models:  # written since they were counted
            former: Body = {"terms": {spec.fields.model: list(spec.former_models)}}
            strays = conditions([former], self._of_another_encoder)
        return [] if strays is None else [strays]

    @property
    def _of_another_encoder(self) -> list[Body]:
        """Vectors that cannot be compared with the query's, until they are made anew."""
        bound = self.spec.encoder
        if bound is None:
            return []
        mark = self.spec.fields.encoder
        made = conditions([{"exists": {"field": mark}}], [{"term": {mark: bound.mark}}])
        return [] if made is None else [made]

    def _beside(self, filters: list[Body]) -> Body | None:
        """With all that stands beside the clause."""
        return conditions([*filters, *self.site.filters], excluded(self.site))

    @property
    def window(self) -> int | None:
        """How many of the best by their sketches are scored by their vectors.

        None where all are that are looked into: few, or where the search is to be exact, or more so
        than was measured.
        """
        spec, plan = self.spec, self.plan
        if not spec.sketch or spec.windows is None or not self.is_cut:
            return None
        if plan.probes is None and plan.promised_recall == 1.0:
            return None
        clause = self.site.clause
        measured = spec.windows.window(clause.k, _mean(clause.recall))
        if measured is None:
            return None
        window = measured + TIE_MARGIN
        n = plan.n_documents if plan.probes is None else plan.probes.n_postings
        is_worth = window * _NARROWED <= n and window <= MOST_RESCORED
        return window if is_worth else None

    @property
    def promised_recall(self) -> float | None:
        """See `RequestPlan`: where no first phase leaves anything out either."""
        is_exact = self.plan.probes is None and self.window is None and self.phases() is None
        return 1.0 if is_exact else self.plan.promised_recall

    def nearest(self, n: int) -> Body:
        """See `PlannedClause`: by their sketches at first, where that spares anything."""
        window = self.window
        if window is None:
            return self.query(self.within(), n)
        inside = self.spec.hashed if self.plan.probes is None else self._buckets
        within = self._beside([inside])
        assert within is not None
        direction = query_vector(self.site, self.vectors)
        sketch = self.model.sketch(self.spec.sketch).of_query(direction)
        best = self.dialect.best_sketches(self.spec, sketch, window, within)
        strays = [self._beside([one]) for one in self._strays]
        return self.query(_any_of([best, *(one for one in strays if one is not None)]), n)

    @property
    def _may_find_others(self) -> bool:
        """Whether documents are among those looked into that the model did not hash."""
        everything = self.plan.probes is None and self.window is None
        return bool(self.n_strays or self.spec.former_models or everything)

    def query(self, within: Body | None, n: int) -> Body:
        """See `PlannedClause`."""
        if self._is_multiplied:
            a, b, c = self.vectors
            return self.dialect.three_cos_mul(self.spec, a, b, c, within)
        vector = query_vector(self.site, self.vectors)
        if not self.is_cut:
            return self.dialect.script(self.spec, vector, within)
        knn = self.dialect.knn_of_any if self._may_find_others else self.dialect.knn
        return knn(self.spec, vector, n, within)

    def phases(self) -> Body | None:
        """First by bits in common, then the best of them by cosine.

        None where one exact phase does better: the window would hold all documents, or more than
        engines take, or recall 1 was asked for, which a first phase by bits cannot promise; where
        documents may have other bits or none; where the score is another's, and where others are
        added to it.
        """
        clause = self.site.clause
        window = max(clause.k, SMALLEST_K) * self.spec.window
        if self.spec.strategy != "hamming" or clause.recall == 1.0:
            return None
        if self.n_strays or self._is_multiplied or self.hides:
            return None
        if window >= self.plan.n_documents or window > MOST_RESCORED:
            return None
        within = self.within()
        (code,) = self.model.encode(query_vector(self.site, self.vectors)[None])
        return {
            "query": self.dialect.hamming(self.spec, code, within),
            "rescore": {
                "window_size": window,
                "query": {
                    "rescore_query": self.query(within, clause.k),
                    "query_weight": 0.0,
                    "rescore_query_weight": 1.0,
                },
            },
        }


def _any_of(queries: list[Body]) -> Body:
    if len(queries) == 1:
        return queries[0]
    return {"bool": {"should": queries, "minimum_should_match": 1}}


def _mean(recall: float | AtLeast) -> float:
    """The recall on average that takes as many documents as another promise."""
    if isinstance(recall, AtLeast):
        return 1.0 - (1.0 - recall.at_least) * (1.0 - recall.share)
    return recall


def query_vector(site: Site, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The direction that is searched: the query itself, or made of several.

    unit(b) - unit(a) + unit(c) of an analogy; of examples the mean of what is liked less a part of
    the mean of what is not, each of length 1 (Rocchio, "Relevance feedback in information
    retrieval", 1971).

    Raises:
        ClauseError: they cancel out.
    """
    clause = site.clause
    if isinstance(clause, AnalogyClause):
        a, b, c = unit(vectors)
        target, what = b - a + c, "meta4_analogy: b - a + c"
    elif isinstance(clause, SimilarClause) and clause.like is not None:
        liked, unliked = np.split(unit(vectors), [len(clause.like)])
        target, what = liked.mean(axis=0), "meta4_similar: 'like' less 'unlike'"
        if len(unliked):
            target = target - _UNLIKE * unliked.mean(axis=0)
    else:
        query: NDArray[np.float32] = vectors[0]
        return query
    if float(np.linalg.norm(target)) < 1e-6:
        raise ClauseError(f"{what} is a zero vector, which has no direction")
    direction: NDArray[np.float32] = target.astype(np.float32)
    return direction
