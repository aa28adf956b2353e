"""OpenSearch 2.19 and later, with the k-NN plugin."""

from typing import Any

from .dialect import EPSILON, Body
from .spec import IndexSpec

#: Below every number of documents: no segment ever gets a graph. Vectors lie in Lucene's flat
#: format and every search is exact. A faiss index that does build one needs native libraries,
#: and without them kills the node.
_NEVER_BUILD_GRAPH = -1


class OpenSearchDialect:
    """See `meta4.mappings.dialect.Dialect`."""

    def index_body(
        self, spec: IndexSpec, *, shards: int, replicas: int, pipeline: str | None
    ) -> Body:
        """Settings and mapping; the index is sorted by its first bucket."""
        fields = spec.fields
        settings: dict[str, Any] = {
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            "knn": True,
            "knn.advanced.approximate_threshold": _NEVER_BUILD_GRAPH,
            # One thread a shard: handing segments to others costs more than it saves (3-7% of
            # a request, measured).
            "search.concurrent_segment_search.mode": "none",
            "sort.field": [fields.bucket],
            "sort.order": ["asc"],
        }
        if pipeline is not None:
            settings["default_pipeline"] = pipeline
        vector = {
            "type": "knn_vector",
            "dimension": spec.dims,
            "method": {"name": "hnsw", "engine": "faiss", "space_type": "cosinesimil"},
        }
        hashes = {
            "dynamic": "strict",
            "properties": {
                "bucket": {"type": "keyword"},
                "model": {"type": "keyword"},
                "norm": {"type": "float", "index": False},
                **{name: {"type": "long", "index": False} for name in fields.code_names},
            },
        }
        return {
            "settings": {"index": settings},
            "mappings": {
                "_meta": spec.to_meta(),
                "properties": _merge(_nest(spec.field, vector), _nest(fields.root, hashes)),
            },
        }

    def knn(self, spec: IndexSpec, vector: list[float], k: int, within: Body | None) -> Body:
        """`knn`; with no graph it scores every document of the filter."""
        inner: Body = {"vector": vector, "k": k}
        if within is not None:
            inner["filter"] = within
        return {"knn": {spec.field: inner}}

    def script(self, spec: IndexSpec, vector: list[float], within: Body | None) -> Body:
        """`script_score` with the plugin's `cosineSimilarity`."""
        source = "(1.0 + cosineSimilarity(params.query, doc[params.field])) / 2.0"
        return _script_score(
            spec, within, spec.field, source, {"field": spec.field, "query": vector}
        )

    def hamming(self, spec: IndexSpec, code: list[int], within: Body | None) -> Body:
        """`script_score` over `Long.bitCount`."""
        fields = spec.fields
        differing = " + ".join(
            f"Long.bitCount(doc[params.fields[{i}]].value ^ "
            f"((Number) params.code[{i}]).longValue())"
            for i in range(len(code))
        )
        source = f"1.0 - ({differing}) / (double) params.n_bits"
        params = {"fields": fields.codes, "code": code, "n_bits": spec.n_bits}
        return _script_score(spec, within, fields.codes[0], source, params)

    def three_cos_mul(
        self, spec: IndexSpec, a: list[float], b: list[float], c: list[float], within: Body | None
    ) -> Body:
        """`script_score` with three cosines, each moved to [0, 1]."""
        cosines = [
            f"(1.0 + cosineSimilarity(params.{name}, doc[params.field])) / 2.0" for name in "abc"
        ]
        source = (
            f"double a = {cosines[0]}; double b = {cosines[1]}; double c = {cosines[2]}; "
            f"return b * c / (a + params.epsilon);"
        )
        params = {"field": spec.field, "a": a, "b": b, "c": c, "epsilon": EPSILON}
        return _script_score(spec, within, spec.field, source, params)


def _script_score(
    spec: IndexSpec, within: Body | None, needs: str, source: str, params: dict[str, Any]
) -> Body:
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


def _nest(path: str, leaf: Body) -> Body:
    """Mapping properties for a dotted path."""
    head, _, rest = path.partition(".")
    return {head: {"properties": _nest(rest, leaf)}} if rest else {head: leaf}


def _merge(one: Body, other: Body) -> Body:
    """Two disjoint property trees in one: the field's first part is never ours."""
    return {**one, **other}
