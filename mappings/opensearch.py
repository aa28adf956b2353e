"""OpenSearch 2.19 and later, with the k-NN plugin."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .dialect import Body, Dialect, GraphSearch, Vector, direction
from .spec import IndexSpec

#: Below every number of documents: no segment ever gets a graph. Vectors lie in Lucene's flat
#: format and every search is exact. A faiss index that does build one needs native libraries,
#: and without them kills the node.
_NEVER_BUILD_GRAPH = -1
#: Back from k-NN's score of an inner product ip, which is 1 + ip, or 1 / (1 - ip) where ip is
#: negative: https://docs.opensearch.org/latest/mappings/supported-field-types/knn-spaces/
#: A vector that was replaced past the hash may have any length, and no score may be negative; and
#: asked to explain a document that it did not find, the engine has a score of 0.
_OF_PRODUCT = "Math.max(0.0, Math.min(1.0, _score >= 1 ? _score / 2 : (2 - 1 / _score) / 2))"
#: `cosineSimilarity` squares in float32, which takes lengths beyond these for 0 or infinite: what
#: lies in an index past the hash may have any, and one score that is no number fails a search. A
#: zero vector has no cosine, and is near nothing.
_SMALLEST, _LARGEST = "1e-15", "1e15"
_OF_ANY_LENGTH = """
double largest = lInfNorm(params.zero, doc[params.field]);
if (largest == 0) {{ return 0.0; }}
{declared}
if (largest > {smallest} && largest < {largest}) {{
  {cosines}
}} else {{
  double square = 0.0; def x = doc[params.field].value;
  for (int i = 0; i < x.length; i++) {{
    double part = x[i] / largest; square += part * part;
    {added}
  }}
  double length = Math.sqrt(square);
  {scaled}
}}
return {score};"""
#: Lucene's own defaults for the graph.
_M, _EF_CONSTRUCTION = 16, 100


class OpenSearchDialect(Dialect):
    """`knn_vector` of the k-NN plugin."""

    normalises = False
    script_field = "doc[params.field]"
    script_length = """
double square = 0.0;
for (def x : doc[params.field].value) { square += (double) x * (double) x; }
double length = Math.sqrt(square);"""
    codes = "longs"
    graphs = ("hnsw",)
    candidate_options = ("k", "ef_search")
    own_settings = (
        "knn",
        "replication.",
        "remote_store.",
        "search.concurrent",
        "number_of_search_only_replicas",
        "derived_source.",
        "composite_index",
        "append_only.",
        "merge_on_flush.",
        "optimize_doc_id_lookup.",
        "plugins.",
        "opendistro.",
    )

    def settings(self) -> Body:
        """See `Dialect`."""
        return {
            "knn": True,
            "knn.advanced.approximate_threshold": _NEVER_BUILD_GRAPH,
            # One thread a shard: handing segments to others costs more than it saves (3-7% of
            # a request, measured).
            "search.concurrent_segment_search.mode": "none",
        }

    def vector(self, spec: IndexSpec) -> Body:
        """See `Dialect`. A cosine is the product and both lengths: three times the work."""
        space = "innerproduct" if spec.is_unit else "cosinesimil"
        return {
            "type": "knn_vector",
            "dimension": spec.dims,
            "method": {"name": "hnsw", "engine": "faiss", "space_type": space},
        }

    def sketch(self, n_directions: int) -> Body:
        """See `Dialect`."""
        return {
            "type": "knn_vector",
            "dimension": n_directions,
            "data_type": "byte",
            "method": {"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"},
        }

    def best_sketches(
        self, spec: IndexSpec, sketch: NDArray[np.int8], n: int, within: Body
    ) -> Body:
        """See `Dialect`. Each segment answers with n."""
        inner = {"vector": sketch, "k": n, "filter": within}
        return {"knn": {spec.fields.sketch(spec.sketch): inner}}

    def knn(self, spec: IndexSpec, vector: Vector, k: int, within: Body | None) -> Body:
        """`knn`; with no graph it scores every document of the filter.

        Without one, deleted documents count among the k, and fewer are found.
        """
        everything: Body = {"exists": {"field": spec.field}}
        inner = {"vector": direction(vector), "k": k, "filter": within or everything}
        knn = {"knn": {spec.field: inner}}
        if not spec.is_unit:
            return knn
        # Only what was found is scored again.
        script = {"lang": "painless", "source": _OF_PRODUCT}
        return {"script_score": {"query": knn, "script": script}}

    def scored(self, names: Sequence[str], score: str) -> str:
        """See `Dialect`."""
        each = {
            "declared": "double {0} = 0.0;",
            "cosines": "{0} = " + self._similarity("{0}") + ";",
            "added": "{0} += part * params.{0}[i];",
            "scaled": "{0} = Math.max(0.0, (1.0 + {0} / length) / 2.0);",
        }
        parts = {what: " ".join(map(line.format, names)) for what, line in each.items()}
        limits = {"smallest": _SMALLEST, "largest": _LARGEST}
        return _OF_ANY_LENGTH.format(**parts, **limits, score=score)

    def script_params(self, spec: IndexSpec) -> Body:
        """See `Dialect`."""
        return {"zero": [0.0] * spec.dims}

    def graph_index_body(self, field: str, dims: int, graph: str) -> Body:
        """See `Dialect`."""
        method = {
            "name": "hnsw",
            "engine": "lucene",
            "space_type": "cosinesimil",
            "parameters": {"m": _M, "ef_construction": _EF_CONSTRUCTION},
        }
        vector = {"type": "knn_vector", "dimension": dims, "method": method}
        return {
            "settings": {"index": {"number_of_shards": 1, "number_of_replicas": 0, "knn": True}},
            "mappings": {"properties": {field: vector}},
        }

    def graph_body(self, search: GraphSearch) -> Body:
        """See `Dialect`. `k` is the same walk as `ef_search`, but of no fewer than 100."""
        candidates = max(search.candidates, search.size)
        inner: Body = {"vector": search.vector, "k": candidates}
        if search.option == "ef_search":
            inner |= {"k": search.size, "method_parameters": {"ef_search": candidates}}
        if search.within is not None:
            inner["filter"] = search.within
        return {"size": search.size, "_source": False, "query": {"knn": {search.field: inner}}}
