"""`Meta4`: what a program uses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ClauseError, EmbeddingError, EngineError, NotFoundError
from ..ingest.documents import Document, value_at
from ..ingest.hashing import DocumentHasher, Hasher
from ..ingest.shingling import TextHasher
from ..mappings.texts import TextSpec
from ..models.embeddings import as_embedding
from .engines.access import Access
from .engines.connection import Client, connect, engine_of
from .engines.engine import Engine
from .load.loader import LoadReport, load_documents
from .search.catalog import FRESH_FOR, Catalog, HashedIndex
from .search.clauses import AnalogyClause, Operand, Site, contains_clause, find_sites, number_in
from .search.explanation import explain_body
from .search.near_duplicates import explain_texts, rewrite_texts
from .search.plan import RequestPlan, plan_request
from .search.rewriter import AGGREGATIONS, PlannedSite, is_sole_scorer, query_vector, rewrite_body

Body = dict[str, Any]
#: Documents hashed at once by `actions`.
_BATCH = 1000


class _MovedError(EngineError):
    """An alias names another index than the one that a request was planned for."""


class Meta4:
    """Search with `meta4_similar` and `meta4_analogy` clauses.

    >>> meta4 = Meta4("http://localhost:9200")
    >>> meta4.search(index="words", body={"query": {"meta4_similar":
    ...     {"embedding": {"id": "berlin", "k": 5}}}})

    Args:
        client: a URL, whose engine is asked for at once, or one's own `opensearchpy.OpenSearch`
            or `elasticsearch.Elasticsearch`.
        access: for a URL: who we are to the cluster, and whose certificates we trust.
        fresh_for: seconds until an index's bucket counts are read again.
    """

    def __init__(
        self,
        client: "str | Client | Engine",
        *,
        access: Access | None = None,
        fresh_for: float = FRESH_FOR,
    ) -> None:
        if isinstance(client, Engine):
            self.engine = client
        elif isinstance(client, str):
            self.engine = connect(client, access)
        else:
            self.engine = engine_of(client)
        self.catalog = Catalog(self.engine, fresh_for=fresh_for)

    def search(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """Rewrite a body and send it; a body without clauses is sent as it is.

        A page that comes back short although the plan did not look everywhere is asked for
        again, exactly.

        Raises:
            ClauseError: a clause that cannot be read, or stands where it cannot be rewritten.
            NotFoundError: an index or document that is not there.
            EmbeddingError: a vector that cannot be searched for.
            EngineError: the server failed or refused.
        """
        try:
            return self._search(index, body)
        except _MovedError:
            self.catalog.forget(index)
        except (EngineError, NotFoundError, EmbeddingError):
            # An alias may have been moved to an index of other dimensions, say.
            if not self.catalog.has_moved(index):
                raise
        return self._search(index, body)

    def _search(self, index: str, body: Mapping[str, Any]) -> Body:
        texts = self._texts(index, body)
        if texts is not None:
            return self._search_texts(index, body, texts)
        rewritten, planned = self.plan(index=index, body=body)
        if AGGREGATIONS & set(body) and is_sole_scorer(body["query"], planned):
            return self._search_aggregated(index, body, rewritten, planned[0])
        answer = self._ask(index, rewritten, planned)
        if _may_widen(planned) and _is_short(answer, rewritten):
            self._check_unmoved(index)
            rewritten, _ = self.plan(index=index, body=body, exact=True)
            answer = self._ask(index, rewritten, planned)
        return _without_our_sort(answer, body) if planned else answer

    def _texts(self, index: str, body: Mapping[str, Any]) -> TextSpec | None:
        """The spec of an index of texts that a clause is to be asked of."""
        return self.catalog.texts(index) if contains_clause(body.get("query")) else None

    def _search_texts(self, index: str, body: Mapping[str, Any], texts: TextSpec) -> Body:
        rewritten, _ = rewrite_texts(self.engine, index, texts, body)
        return _without_our_sort(self.engine.search(index, rewritten), body)

    def _ask(self, index: str, rewritten: Body, planned: Sequence[PlannedSite]) -> Body:
        """Send it, and see that the answer is of the index that it was planned for."""
        answer = self.engine.search(index, rewritten)
        if planned:
            concrete = self.catalog.get(index).concrete
            if any(hit["_index"] not in concrete for hit in answer["hits"]["hits"]):
                raise _MovedError(f"{index!r} has been moved; ask again")
        return answer

    def _check_unmoved(self, index: str) -> None:
        if self.catalog.has_moved(index):
            raise _MovedError(f"{index!r} has been moved; ask again")

    def _search_aggregated(
        self, index: str, body: Mapping[str, Any], rewritten: Body, one: PlannedSite
    ) -> Body:
        """Ask for the k-th score first, so that aggregations see the k nearest.

        An engine counts over all that a query matches: k of every segment, or with a script
        all that was looked into.
        """
        k = one.site.clause.k

        def nearest() -> list[Body]:
            only_scores: Body = {"query": rewritten["query"], "size": k, "_source": False}
            hits: list[Body] = self._ask(index, only_scores, [one])["hits"]["hits"]
            return hits

        hits = nearest()
        if _may_widen([one]) and len(hits) < k:
            self._check_unmoved(index)
            rewritten, _ = self.plan(index=index, body=body, exact=True)
            hits = nearest()
        kth_score = float(hits[-1]["_score"]) if hits else 0.0
        rewritten["min_score"] = max(kth_score, number_in(body, "min_score", 0.0))
        return _without_our_sort(self.engine.search(index, rewritten), body)

    def rewrite(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """The body that `search` would send, for those who send it themselves.

        What takes more than one request is left to them: a short page is not widened, and
        aggregations see what the engine's query matches (k documents of every segment).
        """
        texts = self._texts(index, body)
        if texts is not None:
            return rewrite_texts(self.engine, index, texts, body)[0]
        return self.plan(index=index, body=body)[0]

    def load(self, *, index: str, documents: Iterable[Document]) -> LoadReport:
        """Hash documents here and index them in bulk, with back-off.

        Refused documents are in the report, with reasons; see `adapter.loading.load_documents`.
        """
        return load_documents(self.engine, index, documents, self._hasher(index))

    def actions(self, *, index: str, documents: Iterable[Document]) -> Iterator[Body]:
        """Hashed documents as actions for the client's own `helpers.bulk`.

        Send them with `pipeline="_none"`: they are hashed already.

        Raises:
            EmbeddingError: a document whose vector cannot be hashed.
        """
        hasher = self._hasher(index)
        stream = iter(documents)
        while batch := list(islice(stream, _BATCH)):
            hashed = hasher.hash(batch)
            if hashed.refusals:
                first = hashed.refusals[0]
                raise EmbeddingError(f"document {first.id!r}: {first.reason}")
            for document in hashed.documents:
                action: Body = {"_index": index, "_source": document.source}
                yield action if document.id is None else action | {"_id": document.id}

    def _hasher(self, index: str) -> Hasher:
        texts = self.catalog.texts(index)
        if texts is not None:
            return TextHasher(texts)
        spec, model = self.catalog.hashing(index)
        return DocumentHasher(model, spec)

    def explain(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """What `search` would do and why: see `adapter.explanation.explain_body`."""
        texts = self._texts(index, body)
        if texts is not None:
            return explain_texts(self.engine, index, texts, body)
        rewritten, planned = self.plan(index=index, body=body)
        if not planned:
            raise ClauseError("nothing to explain: the query has no meta4 clause")
        return explain_body(self.engine, self.catalog.get(index), rewritten, planned)

    def plan(
        self, *, index: str, body: Mapping[str, Any], exact: bool = False
    ) -> tuple[Body, list[PlannedSite]]:
        """The rewritten body and the plan of each clause; `exact` looks everywhere."""
        if not contains_clause(body.get("query")):
            return dict(body), []
        sites = find_sites(body["query"])
        known = self.catalog.get(index)
        for site in sites:
            if site.field != known.spec.field:
                raise ClauseError(
                    f"field {site.field!r} is not hashed in index {index!r}; "
                    f"its hashed field is {known.spec.field!r}"
                )
        vectors = self._vectors(known, sites)
        planned = [
            self._plan(known, site, rows, exact) for site, rows in zip(sites, vectors, strict=True)
        ]
        dialect = self.engine.dialect
        return rewrite_body(body, planned, known.spec, known.model, dialect), planned

    def _plan(
        self, known: HashedIndex, site: Site, vectors: NDArray[np.float32], exact: bool
    ) -> PlannedSite:
        clause = site.clause
        filtered = known.directory
        # Documents left out by id are few: not worth an aggregation of their own.
        exclusions = [query for query in site.exclusions if set(query) != {"ids"}]
        if site.filters or exclusions:
            condition = {"filter": list(site.filters), "must_not": exclusions}
            filtered = self.catalog.filtered(known, {"bool": condition})
        plan: RequestPlan = plan_request(
            query_vector(site, vectors),
            clause.k,
            1.0 if exact else clause.recall,
            known.spec,
            known.model,
            known.directory,
            filtered,
        )
        ids = [operand.id for operand in _operands(site) if operand.id is not None]
        return PlannedSite(site, vectors, plan, ids, known.directory.n_strays)

    def _vectors(self, known: HashedIndex, sites: Sequence[Site]) -> list[NDArray[np.float32]]:
        """The operands' vectors; those given by id are fetched, all in one round trip."""
        spec = known.spec
        wanted = [o.id for site in sites for o in _operands(site) if o.id is not None]
        ids = list(dict.fromkeys(wanted))
        found: dict[str, Any] = {}
        if ids:
            found = dict(zip(ids, self.engine.sources(known.name, ids, spec.field), strict=True))

        def vector(operand: Operand) -> NDArray[np.float32]:
            if operand.text is not None:
                raise ClauseError(
                    f"field {spec.field!r} of index {known.name!r} holds vectors; ask with 'id' or "
                    f"'vector'"
                )
            if operand.id is None:
                # Validated to be floats already: an array is checked without a loop over them.
                numbers = np.asarray(operand.vector, dtype=np.float64)
                return as_embedding(numbers, spec.dims, what="query vector")
            source = found[operand.id]
            if source is None:
                raise NotFoundError(f"document {operand.id!r} is not in index {known.name!r}")
            values = value_at(source, spec.field)
            if values is None:
                raise NotFoundError(
                    f"document {operand.id!r} of index {known.name!r} has no {spec.field!r}"
                )
            return as_embedding(values, spec.dims, what=f"document {operand.id!r}")

        def rows(site: Site) -> NDArray[np.float32]:
            first, *others = (vector(operand) for operand in _operands(site))
            return np.stack([first, *others]) if others else first[None]

        return [rows(site) for site in sites]


def _operands(site: Site) -> tuple[Operand, ...]:
    clause = site.clause
    return clause.operands if isinstance(clause, AnalogyClause) else (clause,)


def _may_widen(planned: Sequence[PlannedSite]) -> bool:
    return any(one.plan.probes is not None for one in planned)


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
