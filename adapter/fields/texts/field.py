"""Fields of texts. What each method is for stands in `meta4.adapter.fields.field`.

What shares no bucket is not looked at, so that fewer than k may be found: the others are hardly
duplicates. Recall 1 scores all documents.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

from ....errors import ClauseError, InputError, NotFoundError
from ....ingest.documents import value_at
from ....ingest.text_hasher import TextHasher
from ....mappings.fields import HashedField
from ....mappings.spec import FieldSpec
from ....mappings.texts import TextSpec, text_index_body
from ....models.kinds.minhash import MinHasher, MinHashSpec, as_longs, load_minhash
from ...engines.calls import Json, Steps
from ...engines.engine import Engine
from ...search.clauses import Clause, SimilarClause
from ...search.planned import Body, PlannedClause
from ...search.sites import Site
from ..field import Field, Finding, Options
from ..scope import Scope, named_values
from ..shelf import Shelf
from .promise import SHOWN, TextPromise
from .request import PlannedText
from .succession import TextSuccession

#: Documents fetched and compared at a time.
_COMPARED = 1000
#: A bucket with this share of the documents is of a phrase that says nothing.
_GIANT_SHARE, _GIANT = 0.05, 1_000


class TextField(Field):
    """See `Field`."""

    kind = TextSpec.kind
    spec_type = TextSpec
    model_type = MinHashSpec
    default_name = "text"
    value_name = "text"
    stale_costs = "no request finds them"
    spec: TextSpec

    def plan(self, scope: Scope, sites: Sequence[Site], *, exact: bool) -> Steps[list[PlannedText]]:
        """See `Field`."""
        hasher = MinHasher(self.spec.minhash)
        planned = []
        texts = yield from self._texts(scope, sites)
        for site, text in zip(sites, texts, strict=True):
            shingles = hasher.shingles(text)
            everywhere = exact or site.clause.recall == 1.0
            buckets = None if everywhere else hasher.buckets(shingles)
            planned.append(PlannedText(site, as_longs(shingles), buckets, self.spec, scope.hides))
        return planned

    def _texts(self, scope: Scope, sites: Sequence[Site]) -> Steps[list[str]]:
        """What each clause asks about; texts of documents are fetched in one round trip."""
        field, index = self.spec.field, scope.name
        for site in sites:
            if not _is_of_one_text(site.clause):
                raise ClauseError(
                    f"field {field!r} of index {index!r} holds texts, which have no direction "
                    f"and no mean; ask with meta4_similar and 'id' or 'text'"
                )
        named = yield from named_values(self.calls, scope, field, sites)

        def text(clause: SimilarClause) -> str:
            if clause.text is not None:
                return clause.text
            value = named[str(clause.id)]
            if not isinstance(value, str):
                raise NotFoundError(f"document {clause.id!r} of index {index!r} has no {field!r}")
            return value

        return [text(_similar(site)) for site in sites]

    def about(self, index: str) -> Steps[Json]:
        """See `Field`."""
        documents = yield from self.calls.count(index, self._hashed())
        return {"model": self.mark, "documents": documents}

    def explain(self, index: str, one: PlannedClause) -> Steps[Json]:
        """See `Field`."""
        assert isinstance(one, PlannedText)
        everywhere, buckets = one.buckets is None, one.buckets or []
        total = yield from self.calls.count(index, self._hashed())
        looked_into = yield from self.count_searched(index, one)
        chances = {f"{s:g}": 1.0 if everywhere else self.spec.minhash.found(s) for s in SHOWN}
        return {
            "field": one.site.field,
            "k": one.site.clause.k,
            "recall_by_similarity": chances,
            "n_probes": len(buckets),
            "buckets": buckets,
            "docs_looked_into": looked_into,
            "share_looked_into": looked_into / max(1, total),
        }

    @property
    def scored(self) -> str:
        """See `Field`."""
        return self.spec.fields.shingle

    def _hashed(self) -> Body:
        return {"exists": {"field": self.scored}}

    @property
    def mark(self) -> str:
        """See `Field`."""
        return str(self.spec.minhash)

    @property
    def takes_texts(self) -> bool:
        """See `Field`."""
        return True

    def hasher(self, *, written_before: bool = False) -> Steps[TextHasher]:
        """See `Field`."""
        yield from ()
        return TextHasher(self.spec)

    def fault(self, value: Any) -> str | None:
        """See `Field`."""
        return None if isinstance(value, str) else f"expected a text, got {type(value).__name__}"

    @classmethod
    def takes(cls, reference: str) -> bool:
        """See `Field`."""
        return load_minhash(Path(reference)) is not None

    @classmethod
    def resolve(cls, engine: Engine, reference: str) -> tuple[MinHashSpec, MinHashSpec]:
        """See `Field`: nothing of it lies in the store."""
        minhash = load_minhash(Path(reference))
        assert minhash is not None
        return minhash, minhash

    @classmethod
    def needs_scripts(cls, options: Options) -> bool:
        """See `Field`: the rerank is one."""
        return True

    @classmethod
    def new(
        cls, engine: Engine, name: str, ref: MinHashSpec, model: MinHashSpec, options: Options
    ) -> Self:
        """See `Field`."""
        if options.encoder is not None:
            raise InputError(
                "--embedder: a minhash model hashes texts as they are; leave it out, or give "
                "--model a model of the encoder's vectors"
            )
        if options.hashing == "server":
            raise InputError("no server's pipeline makes shingles; leave --hashing server out")
        if options.plan is not None or options.strategy != "native":
            raise InputError(
                "an index of texts is reranked by Jaccard similarity, and its buckets have no "
                "order; leave --strategy and --plan out"
            )
        HashedField(name)
        return cls(TextSpec(field=name, minhash=model), engine.calls, Shelf())

    def options(self) -> Options:
        """See `Field`."""
        return Options()

    def index_body(self, *, shards: int, replicas: int, pipeline: str | None) -> Body:
        """See `Field`."""
        return text_index_body(self.spec, shards=shards, replicas=replicas)

    def same_but_measured(self, other: FieldSpec) -> bool:
        """See `Field`."""
        return self.spec == other

    def together(self, others: Sequence[Field]) -> Self | None:
        """See `Field`: nothing was measured that could differ."""
        return self if all(self.same_but_measured(one.spec) for one in others) else None

    def line(self, _model: Any) -> str:
        """See `Field`."""
        return f"texts of field {self.spec.field}, {self.spec.minhash}, hashing by client"

    def summary(self) -> Json:
        """See `Field`."""
        return {
            "field": self.spec.field,
            "model": self.mark,
            "strategy": "jaccard",
            "plan": None,
            "tuned": None,
        }

    def show(self, engine: Engine, index: str) -> Json:
        """See `Field`."""
        hashed = {"term": {self.spec.fields.model: self.mark}}
        documents, n_hashed = engine.count(index), engine.count(index, hashed)
        return {
            "field": self.spec.field,
            "model": self.mark,
            "documents": documents,
            "without_hash": documents - n_hashed,
        } | {f"found_at_{s:g}": round(self.spec.minhash.found(s), 3) for s in SHOWN}

    def stale(self, engine: Engine, index: str) -> Iterator[Json]:
        """See `Field`: compared here, as no script makes shingles."""
        hasher = MinHasher(self.spec.minhash)
        body = {"query": {"exists": {"field": self.spec.field}}, "seq_no_primary_term": True}
        hits = engine.scan(index, body)
        while batch := list(islice(hits, _COMPARED)):
            for hit in batch:
                text = value_at(hit["_source"], self.spec.field)
                stored = value_at(hit["_source"], self.spec.fields.root)
                if isinstance(text, str) and not self._is_hash_of(stored, text, hasher):
                    yield hit

    def _is_hash_of(self, stored: Any, text: str, hasher: MinHasher) -> bool:
        if not isinstance(stored, dict) or stored.get("model") != self.mark:
            return False
        try:
            shingles = hasher.shingles(text)
        except InputError:
            return False  # written past whoever hashes; healing says why
        same = stored.get("shingle") == as_longs(shingles).tolist()
        return same and stored.get("bucket") == hasher.buckets(shingles)

    def findings(self, engine: Engine, index: str) -> list[Finding]:
        """See `Field`: buckets that so many share that a request scores them all."""
        terms = {"terms": {"field": self.spec.fields.bucket, "size": 1}}
        body = {"size": 0, "query": self._hashed(), "aggs": {"largest": terms}}
        answer = engine.search(index, {**body, "track_total_hits": True})
        total = answer["hits"]["total"]["value"]
        if not total:
            todo = f"load some: meta4 ingest FILE --index {index}"
            return [Finding("buckets", "act", "no hashed document", todo, {"largest": 0})]
        largest = answer["aggregations"]["largest"]["buckets"][0]["doc_count"]
        figures = {"largest": largest, "share": largest / total}
        found = f"{largest:,} of {total:,} documents in the largest"
        if largest < _GIANT or largest < _GIANT_SHARE * total:
            return [Finding("buckets", "fine", found, "", figures)]
        todo = (
            "texts share a long phrase that says nothing: leave it out of the field, or train with "
            "a higher --similarity, then: meta4 index rehash ALIAS --model NEW"
        )
        return [Finding("buckets", "act", found, todo, figures)]

    @property
    def promise(self) -> TextPromise:
        """See `Field`."""
        return TextPromise(self.spec)

    @property
    def succession(self) -> TextSuccession:
        """See `Field`."""
        return TextSuccession(self)


def _is_of_one_text(clause: Clause) -> bool:
    """Whether a clause asks for what is like a text, its own or a document's."""
    return isinstance(clause, SimilarClause) and clause.vector is None and clause.like is None


def _similar(site: Site) -> SimilarClause:
    assert isinstance(site.clause, SimilarClause)
    return site.clause
