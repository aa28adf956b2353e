"""Elasticsearch 8.15 and later."""

import numpy as np
from numpy.typing import NDArray

from .dialect import Body, Dialect, GraphSearch, Vector, direction
from .spec import IndexSpec

_MOST_CANDIDATES = 10_000


class ElasticsearchDialect(Dialect):
    """`dense_vector` without a graph."""

    normalises = True
    script_field = "params.field"
    script_length = "double length = doc[params.field].magnitude;"
    codes = "bits"
    graphs = ("hnsw", "int8_hnsw", "bbq_hnsw")
    candidate_options = ("num_candidates",)
    own_settings = (
        "mode",
        "lifecycle.",
        "dense_vector.",
        "mapping.source.",
        "mapping.exclude_source_vectors",
        "mapping.synthetic_source_keep",
        "mapping.use_doc_values_skipper",
        "mapping.semantic_text.",
        "fast_refresh",
        "recovery.use_synthetic_source",
    )

    def settings(self) -> Body:
        """See `Dialect`."""
        return {}

    def vector(self, spec: IndexSpec) -> Body:
        """See `Dialect`."""
        return {
            "type": "dense_vector",
            "dims": spec.dims,
            "index": True,
            "similarity": "cosine",
            "index_options": {"type": "flat"},
        }

    def sketch(self, n_directions: int) -> Body:
        """See `Dialect`."""
        return {
            "type": "dense_vector",
            "element_type": "byte",
            "dims": n_directions,
            "index": True,
            "similarity": "max_inner_product",
            "index_options": {"type": "flat"},
        }

    def best_sketches(
        self, spec: IndexSpec, sketch: NDArray[np.int8], n: int, within: Body
    ) -> Body:
        """See `Dialect`. Each shard answers with n."""
        field = spec.fields.sketch(spec.sketch)
        inner = {"field": field, "query_vector": sketch, "k": n, "num_candidates": n}
        return {"knn": {**inner, "filter": within}}

    def knn(self, spec: IndexSpec, vector: Vector, k: int, within: Body | None) -> Body:
        """`knn`; flat vectors are all scored, so that k candidates a shard are enough."""
        inner: Body = {
            "field": spec.field,
            "query_vector": direction(vector),
            "k": k,
            "num_candidates": k,
        }
        if within is not None:
            inner["filter"] = within
        return {"knn": inner}

    def graph_index_body(self, field: str, dims: int, graph: str) -> Body:
        """See `Dialect`."""
        vector = {
            "type": "dense_vector",
            "dims": dims,
            "similarity": "cosine",
            "index_options": {"type": graph},
        }
        return {
            "settings": {"index": {"number_of_shards": 1, "number_of_replicas": 0}},
            "mappings": {"properties": {field: vector}},
        }

    def graph_body(self, search: GraphSearch) -> Body:
        """See `Dialect`. The engine takes at most 10,000 candidates."""
        knn: Body = {
            "field": search.field,
            "query_vector": search.vector,
            "k": search.size,
            search.option: min(max(search.candidates, search.size), _MOST_CANDIDATES),
        }
        if search.within is not None:
            knn["filter"] = search.within
        return {"size": search.size, "_source": False, "knn": knn}
