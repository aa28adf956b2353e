"""Fields of texts: near-duplicates by MinHash buckets, with an exact rerank by Jaccard similarity.

What shares no bucket is not looked at, so that fewer than k may be found: the others are hardly
duplicates. Recall 1 scores all documents. What each method is for stands in
`meta4.adapter.fields.field`, `promise` and `succession`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import ClauseError, InputError, NotFoundError
from ...ingest.documents import Document, value_at
from ...ingest.hashing import HashedBatch
from ...ingest.new_embeddings import NewEmbeddings
from ...ingest.shingling import TextHasher
from ...ingest.sources import read_texts
from ...mappings.fields import HashedField
from ...mappings.spec import FieldSpec
from ...mappings.texts import TextSpec, jaccard_query, text_index_body
from ...models.kinds.minhash import MinHasher, MinHashSpec, as_longs, load_minhash
from ...models.probing.ranking import Plan
from ..engines.calls import Json, Steps
from ..engines.engine import Engine
from ..search.clauses import SimilarClause, Site
from ..search.rewriter import Body, PlannedClause, conditions, excluded
from .field import Field, Finding, Options
from .promise import Basis, Judge, Judged, Promise, Question, Table
from .queries import sample_documents
from .recall import SCORE_TOLERANCE
from .shelf import Shelf
from .succession import Succession

#: Similarities that the chance of being found is said for.
_SHOWN = (0.3, 0.5, 0.7, 0.8, 0.9)
#: Documents fetched and compared at a time.
_COMPARED = 1000
#: A bucket with this share of the documents is of a phrase that says nothing.
_GIANT_SHARE, _GIANT = 0.05, 1_000
#: Any recall below 1 asks the buckets.
_BY_BUCKETS = 0.95


@dataclass(frozen=True)
class PlannedText(PlannedClause):
    """See `PlannedClause`.

    Attributes:
        site: the clause where it stands.
        shingles: (m,) int64 of its text, ascending.
        buckets: what is looked into; None for all documents.
        exclude_ids: documents that may not be among the answers.
        spec: of the field.
    """

    site: Site
    shingles: NDArray[np.int64]
    buckets: list[str] | None
    exclude_ids: Sequence[str]
    spec: TextSpec

    @property
    def may_widen(self) -> bool:
        """See `PlannedClause`: what is not found is hardly a duplicate."""
        return False

    def within(self) -> Body | None:
        """See `PlannedClause`."""
        own: list[Body] = []
        if self.buckets is not None:
            own.append({"terms": {self.spec.fields.bucket: self.buckets}})
        return conditions([*own, *self.site.filters], excluded(self.site, self.exclude_ids))

    def query(self, margin: int) -> Body:
        """See `PlannedClause`."""
        within = self.within()
        return jaccard_query(self.spec, self.shingles, [] if within is None else [within])


class TextField(Field):
    """See `Field`."""

    kind = TextSpec.kind
    spec_type = TextSpec
    model_type = MinHashSpec
    default_name = "text"
    value_name = "text"
    stale_costs = "no request finds them"
    spec: TextSpec

    def plan(self, index: str, sites: Sequence[Site], *, exact: bool) -> Steps[list[PlannedText]]:
        """See `Field`."""
        hasher = MinHasher(self.spec.minhash)
        planned = []
        texts = yield from self._texts(index, sites)
        for site, text in zip(sites, texts, strict=True):
            shingles, clause = hasher.shingles(text), _similar(site)
            everywhere = exact or clause.recall == 1.0
            buckets = None if everywhere else hasher.buckets(shingles)
            ids = [] if clause.id is None else [clause.id]
            planned.append(PlannedText(site, as_longs(shingles), buckets, ids, self.spec))
        return planned

    def _texts(self, index: str, sites: Sequence[Site]) -> Steps[list[str]]:
        """What each clause asks about; texts of documents are fetched in one round trip."""
        field = self.spec.field
        for site in sites:
            if not isinstance(site.clause, SimilarClause) or site.clause.vector is not None:
                raise ClauseError(
                    f"field {field!r} of index {index!r} holds texts, which have no direction; "
                    f"ask with meta4_similar and 'id' or 'text'"
                )
        named = (_similar(site).id for site in sites)
        ids = list(dict.fromkeys(identity for identity in named if identity is not None))
        found: dict[str, Any] = {}
        if ids:
            found = dict(zip(ids, (yield from self.calls.sources(index, ids, field)), strict=True))

        def text(clause: SimilarClause) -> str:
            if clause.text is not None:
                return clause.text
            source = found[str(clause.id)]
            if source is None:
                raise NotFoundError(f"document {clause.id!r} is not in index {index!r}")
            value = value_at(source, field)
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
        looked_into = yield from self.calls.count(index, self.searched(one))
        chances = {f"{s:g}": 1.0 if everywhere else self.spec.minhash.found(s) for s in _SHOWN}
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

    def hasher(self, *, written_before: bool = False) -> Steps[TextHasher]:
        """See `Field`."""
        yield from ()
        return TextHasher(self.spec)

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

    def line(self) -> str:
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
        } | {f"found_at_{s:g}": round(self.spec.minhash.found(s), 3) for s in _SHOWN}

    def stale(self, engine: Engine, index: str) -> Iterator[Json]:
        """See `Field`: compared here, as no script makes shingles."""
        hasher = MinHasher(self.spec.minhash)
        body = {"query": {"exists": {"field": self.spec.field}}, "seq_no_primary_term": True}
        hits = engine.scan(index, body)
        while batch := list(islice(hits, _COMPARED)):
            for hit in batch:
                text = value_at(hit["_source"], self.spec.field)
                stored = value_at(hit["_source"], self.spec.fields.root) or {}
                if isinstance(text, str) and not self._is_hash_of(stored, text, hasher):
                    yield hit

    def _is_hash_of(self, stored: Json, text: str, hasher: MinHasher) -> bool:
        if stored.get("model") != self.mark:
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
    def promise(self) -> "TextPromise":
        """See `Field`."""
        return TextPromise(self.spec)

    @property
    def succession(self) -> "TextSuccession":
        """See `Field`."""
        return TextSuccession(self)


def _similar(site: Site) -> SimilarClause:
    assert isinstance(site.clause, SimilarClause)
    return site.clause


class TextPromise(Promise):
    """A document of some similarity is found as often as the bands' formula says."""

    recalls = (None,)
    verb = "promised"

    def __init__(self, spec: TextSpec) -> None:
        self._spec = spec

    def tune(
        self,
        engine: Engine,
        index: str,
        *,
        plan: Plan | None = None,
        n_queries: int | None = None,
        given: Any = None,
        seed: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> MinHashSpec:
        """See `Promise`: nothing is measured, as a formula says it."""
        if any(option is not None for option in (plan, n_queries, given, seed)):
            raise InputError(
                "what is found of texts is said by a formula, and nothing is to be measured; leave "
                "--plan, --queries, --query-file and --seed out, or measure with: meta4 eval"
            )
        return self._spec.minhash

    def table(self, tuned: MinHashSpec | None = None) -> Table | None:
        """See `Promise`."""
        minhash = tuned or self._spec.minhash
        return Table(
            title=f"how often {minhash} finds a document, by its similarity",
            headers=["Jaccard similarity", "found"],
            rows=[[f"{s:g}", f"{minhash.found(s):.2%}"] for s in _SHOWN],
        )

    def read_queries(self, path: Path) -> list[str]:
        """See `Promise`."""
        return [text for _, text in read_texts(path, self._spec.field)]

    def questions(
        self, engine: Engine, index: str, n: int, seed: int, given: Sequence[str] | None
    ) -> list[Question]:
        """See `Promise`."""
        if given is None:
            drawn = sample_documents(engine, index, self._spec.field, n, seed)
            texts = [(identity, value) for identity, value in drawn if isinstance(value, str)]
            return [Question(identity, {"text": text}) for identity, text in texts if text.strip()]
        rows = np.random.default_rng(seed).permutation(len(given))[:n]
        return [Question(None, {"text": given[row]}) for row in np.sort(rows)]

    def judge(self, k: int, recall: float | None) -> "TextJudge":
        """See `Promise`."""
        if recall is not None:
            raise InputError(
                "an index of texts has one recall, by its bands and the similarity; leave --recall "
                "out"
            )
        return TextJudge(self._spec.minhash)

    def missing(self) -> str | None:
        """See `Promise`."""
        return None

    def basis(self, n_documents: int) -> Basis:
        """See `Promise`."""
        return Basis(f"by the formula of {self._spec.minhash}")

    def remedy(self, index: str) -> str:
        """See `Promise`."""
        return "train with a lower --similarity, then: meta4 index rehash ALIAS --model NEW"


class TextJudge(Judge):
    """Of the near-duplicates, as many are to be found as the formula says."""

    asks = _BY_BUCKETS

    def __init__(self, minhash: MinHashSpec) -> None:
        self._minhash = minhash
        self._pairs: list[tuple[float, bool]] = []

    def add(self, found: Sequence[Json], truth: Sequence[Json]) -> None:
        """See `Judge`."""
        ids = {hit["_id"] for hit in found}
        near = [hit for hit in truth if hit["_score"] >= _SHOWN[0] - SCORE_TOLERANCE]
        self._pairs += [(float(hit["_score"]), hit["_id"] in ids) for hit in near]

    def judged(self) -> Judged:
        """See `Judge`; details by similarity, from each that is shown up to the next."""
        ends = [*_SHOWN[1:], np.inf]
        details = [
            self._of([p for p in self._pairs if low <= p[0] < high]) | {"similarity_from": low}
            for low, high in zip(_SHOWN, ends, strict=True)
        ]
        whole = self._of(self._pairs)
        n = max(1, whole["pairs"])
        error = float(np.sqrt(whole["promised"] * (1.0 - whole["promised"]) / n))
        return Judged(whole["found"], error, whole["promised"], details)

    def _of(self, pairs: Sequence[tuple[float, bool]]) -> Json:
        """Of pairs of documents: how many, the share found, and that promised."""
        if not pairs:
            return {"pairs": 0, "found": 1.0, "promised": 1.0}
        return {
            "pairs": len(pairs),
            "found": float(np.mean([found for _, found in pairs])),
            "promised": float(np.mean([self._minhash.found(min(1.0, s)) for s, _ in pairs])),
        }


class TextSuccession(Succession):
    """Texts are hashed anew wherever their hash is another's."""

    def __init__(self, field: TextField) -> None:
        self._field = field

    def rehashed(
        self, engine: Engine, ref: MinHashSpec, model: MinHashSpec, new_dims: int | None
    ) -> TextField:
        """See `Succession`."""
        if new_dims is not None:
            raise InputError("a field of texts has no embeddings; leave --vectors out")
        return self._field.new(engine, self._field.spec.field, ref, model, Options())

    def change(self, before: Field, embeddings: NewEmbeddings | None) -> "Unchanged":
        """See `Succession`."""
        return Unchanged()

    def following(self, former: Field) -> TextField:
        """See `Succession`: what is hashed otherwise is found once it is healed."""
        return self._field

    def copied_to(self, source: Engine, target: Engine, options: Json) -> TextField:
        """See `Succession`."""
        target.check_usable(scripts=True)
        spec = self._field.spec
        return self._field.new(target, spec.field, spec.minhash, spec.minhash, Options(**options))

    def copying_hasher(self, engine: Engine, before: Field | None) -> "KeptShingles":
        """See `Succession`."""
        return KeptShingles(self._field.spec)

    def is_same_value(self, original: Any, copy: Any) -> bool:
        """See `Succession`."""
        return bool(original == copy)


class Unchanged:
    """Documents keep their texts."""

    n_without = 0

    def __call__(self, documents: list[Document]) -> None:
        """Nothing."""


class KeptShingles(TextHasher):
    """Counts the texts that another spec had hashed, or none."""

    def __init__(self, spec: TextSpec) -> None:
        super().__init__(spec)
        self._root, self._mark = spec.fields.root, str(spec.minhash)
        self.n_hashed = 0

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """See `TextHasher.hash`."""
        whole = list(documents)
        marks = [(value_at(one.source, self._root) or {}).get("model") for one in whole]
        kept = [one for one, mark in zip(whole, marks, strict=True) if mark == self._mark]
        hashed = super().hash(o for o, mark in zip(whole, marks, strict=True) if mark != self._mark)
        self.n_hashed += len(hashed.documents) - hashed.n_without_vector
        return hashed._replace(documents=kept + hashed.documents)
