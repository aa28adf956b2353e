"""What an index body and a scoring query are, with the parts that engines write differently."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..models.embeddings import unit
from .code_storage import CodeKind
from .fields import ENCODER, sketch_name
from .spec import IndexSpec

Body = dict[str, Any]
Vector = NDArray[np.float32]

#: Keeps 3CosMul's denominator from zero: ε of Levy & Goldberg, section 6.
EPSILON = 0.001


@dataclass(frozen=True)
class GraphSearch:
    """A search of an engine's own graph.

    Attributes:
        field: the vector field.
        vector: (dims,) the query.
        size: results wanted.
        candidates: how many the walk keeps; `size` where that is more.
        option: what the number of candidates is called, one of `Dialect.candidate_options`.
        within: a filter.
    """

    field: str
    vector: Vector
    size: int
    candidates: int
    option: str
    within: Body | None = None


class Dialect(ABC):
    """How one engine writes mappings, settings and exact vector queries.

    Every scoring query gives (1 + cosine) / 2, in [0, 1].

    Attributes:
        normalises: whether the engine itself compares the vectors of cosine fields as vectors of
            length 1. Where it does not, who writes them makes them so.
        script_field: what `cosineSimilarity` takes as its second argument, where `params.field`
            is the field's name.
        script_length: Painless, statements that set `double length` to that of the vector in the
            field `params.field`.
        graphs: the engine's own indexes of vectors, its plain HNSW first.
        codes: what codes are stored as.
        candidate_options: what a graph's search calls the number of candidates that it keeps.
        own_settings: what settings begin with, under `index.`, that no other engine has.
    """

    normalises: ClassVar[bool]
    script_field: ClassVar[str]
    script_length: ClassVar[str]
    codes: ClassVar[CodeKind]
    graphs: ClassVar[tuple[str, ...]]
    candidate_options: ClassVar[tuple[str, ...]]
    own_settings: ClassVar[tuple[str, ...]]

    @abstractmethod
    def settings(self) -> Body:
        """The index's settings that vectors and their search need."""

    @abstractmethod
    def vector(self, spec: IndexSpec) -> Body:
        """The vector field's mapping: no graph, ever."""

    @abstractmethod
    def knn(self, spec: IndexSpec, vector: Vector, k: int, within: Body | None) -> Body:
        """The k nearest inside `within`, exactly, by the engine's own vector query.

        Where `spec.is_unit`, what is in `within` has vectors of length 1.

        Args:
            spec: of the field.
            vector: (dims,) float32.
            k: how many.
            within: a filter; None for all documents.
        """

    @abstractmethod
    def sketch(self, n_directions: int) -> Body:
        """The mapping of sketches: bytes that are compared by their products, without a graph."""

    @abstractmethod
    def best_sketches(
        self, spec: IndexSpec, sketch: NDArray[np.int8], n: int, within: Body
    ) -> Body:
        """The documents of each segment, or of each shard, with the n best sketches.

        Args:
            spec: of the field.
            sketch: (n_directions,) int8 of the query.
            n: how many.
            within: a filter that keeps documents with a sketch alone.
        """

    def knn_of_any(self, spec: IndexSpec, vector: Vector, k: int, within: Body | None) -> Body:
        """The same where documents may be in `within` that the model did not hash.

        Where it is for us to scale vectors, theirs may have any length: they are all scored by
        their cosines.
        """
        if not spec.is_unit:
            return self.knn(spec, vector, k, within)
        beside = [] if within is None else [within]
        scaled = self.knn(spec, vector, k, {"bool": {"filter": [spec.hashed, *beside]}})
        not_hashed: Body = {"bool": {"must_not": [spec.hashed], "filter": beside}}
        return {"bool": {"should": [scaled, self.script(spec, vector, not_hashed)]}}

    @abstractmethod
    def graph_index_body(self, field: str, dims: int, graph: str) -> Body:
        """An index as one makes it without meta4, with the engine's own defaults."""

    @abstractmethod
    def graph_body(self, search: GraphSearch) -> Body:
        """A search of the graph that `graph_index_body` makes."""

    def parts_now(self, *, has_home: bool) -> dict[str, Any]:
        """What a spec has of how documents of an index are written that is made now.

        Args:
            has_home: whether the model gives a document several buckets.
        """
        return {"codes": self.codes, "has_home": has_home, "is_unit": not self.normalises}

    def exact_body(self, field: str, vector: Vector, size: int, within: Body | None) -> Body:
        """Exact search as the engines' documentation has it: a script over all documents."""
        params = {"field": field, "query": vector}
        query = _script_score(within, field, f"return {self._similarity('query')};", params)
        return {"size": size, "_source": False, "query": query}

    def index_body(
        self, spec: IndexSpec, *, shards: int, replicas: int, pipeline: str | None
    ) -> Body:
        """Settings and mapping of `PUT /index`; the index is sorted by its home bucket."""
        fields = spec.fields
        settings: Body = {
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            **self.settings(),
            "sort.field": [spec.sorted_by],
            "sort.order": ["asc"],
        }
        if pipeline is not None:
            settings["default_pipeline"] = pipeline
        hashes = {
            # What another model's code has more is no reason to refuse a document.
            "dynamic": False,
            "properties": {
                "bucket": {"type": "keyword"},
                **({"home": {"type": "keyword"}} if spec.has_home else {}),
                "model": {"type": "keyword"},
                **({ENCODER: {"type": "keyword"}} if spec.encoder is not None else {}),
                "norm": {"type": "float", "index": False},
                **spec.code_storage.mapping(spec.n_bits),
                **({sketch_name(spec.sketch): self.sketch(spec.sketch)} if spec.sketch else {}),
            },
        }
        properties = merged(nested(spec.field, self.vector(spec)), nested(fields.root, hashes))
        return {
            "settings": {"index": settings},
            "mappings": {"_meta": spec.to_meta(), "properties": properties},
        }

    def script(self, spec: IndexSpec, vector: Vector, within: Body | None) -> Body:
        """All documents of `within` that have a vector, scored by a script."""
        params = {"field": spec.field, "query": direction(vector), **self.script_params(spec)}
        return _script_score(within, spec.field, self.scored(["query"], "query"), params)

    def hamming(self, spec: IndexSpec, code: NDArray[np.uint8], within: Body | None) -> Body:
        """All documents of `within` that have a code, scored by bits in common, in [0, 1]."""
        root, storage = spec.fields.root, spec.code_storage
        differing, params = storage.differing(root, code, spec.n_bits)
        source = f"1.0 - {differing} / (double) params.n_bits"
        needs = storage.field(root, spec.n_bits)
        return _script_score(within, needs, source, {**params, "n_bits": spec.n_bits})

    def three_cos_mul(
        self, spec: IndexSpec, a: Vector, b: Vector, c: Vector, within: Body | None
    ) -> Body:
        """Scored by 3CosMul of three vectors (Levy & Goldberg, CoNLL 2014, equation 4)."""
        source = self.scored(["a", "b", "c"], "b * c / (a + params.epsilon)")
        operands = {"a": direction(a), "b": direction(b), "c": direction(c)}
        rest = {"epsilon": EPSILON, **self.script_params(spec)}
        return _script_score(within, spec.field, source, {"field": spec.field, **operands, **rest})

    def scored(self, names: Sequence[str], score: str) -> str:
        """A script that gives a score of cosines, each moved to [0, 1]; 0 where none is defined.

        An engine refuses a whole search for the sake of one score that is no number.

        Args:
            names: of the parameters with vectors of length 1, and of their cosines.
            score: an expression of these.
        """
        cosines = " ".join(f"double {name} = {self._similarity(name)};" for name in names)
        return f"{cosines} double score = {score}; return Double.isNaN(score) ? 0.0 : score;"

    def script_params(self, _spec: IndexSpec) -> Body:
        """What such a script takes besides."""
        return {}

    def _similarity(self, name: str) -> str:
        """A cosine moved to [0, 1], of the vector in the script's parameter `name`."""
        return f"(1.0 + cosineSimilarity(params.{name}, {self.script_field})) / 2.0"


def direction(vector: Vector) -> Vector:
    """A query as engines get it: of length 1, as they square in float32 and go by cosines."""
    scaled: Vector = unit(vector).astype(np.float32)
    return scaled


def _script_score(within: Body | None, needs: str, source: str, params: dict[str, Any]) -> Body:
    """Score by a script what is in `within` and has the field that the script reads."""
    conditions: list[Body] = [{"exists": {"field": needs}}]
    if within is not None:
        conditions.insert(0, within)
    return {
        "script_score": {
            "query": {"bool": {"filter": conditions}},
            "script": {"lang": "painless", "source": source, "params": params},
        }
    }


def nested(path: str, leaf: Body) -> Body:
    """Mapping properties for a dotted path."""
    head, _, rest = path.partition(".")
    return {head: {"properties": nested(rest, leaf)}} if rest else {head: leaf}


def merged(one: Body, other: Body) -> Body:
    """Two trees in one; where both have a leaf, the first one's."""
    both = {**other, **one}
    for key in set(one) & set(other):
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = merged(one[key], other[key])
    return both
