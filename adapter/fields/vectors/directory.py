"""The directory of an index: one small aggregation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ....mappings.spec import IndexSpec
from ....models.probing.directory import Directory, bucket_id
from ...engines.calls import Calls, Json, Steps

#: Buckets asked for at once: an engine answers at most 65,535 by default.
_PAGE = 32_768


def read_directory(
    calls: Calls,
    index: str,
    spec: IndexSpec,
    query: Json | None = None,
    defined: Mapping[str, Any] | None = None,
) -> Steps[Directory]:
    """Bucket counts of the documents that have a vector and match `query`.

    Args:
        calls: of the cluster.
        index: where.
        spec: of the field.
        query: a filter; None for all documents.
        defined: fields that it may speak of, as a search body defines them.
    """
    fields = spec.fields
    has_vector: Json = {"exists": {"field": spec.field}}
    conditions = [has_vector] if query is None else [has_vector, query]
    n_pages = -(-spec.n_buckets // _PAGE)
    buckets: list[int] = []
    counts: list[int] = []
    n_documents = n_strays = 0
    for page in range(n_pages):
        terms: Json = {"field": fields.bucket, "size": spec.n_buckets}
        if n_pages > 1:
            terms["include"] = {"partition": page, "num_partitions": n_pages}
        # Buckets of another model's documents are none of ours, and would take their places.
        own = {"term": {fields.model: str(spec.model)}}
        aggregations = {"hashed": {"filter": own, "aggs": {"buckets": {"terms": terms}}}}
        answer = yield from calls.search(
            index,
            {
                "size": 0,
                "track_total_hits": True,
                "query": {"bool": {"filter": conditions}},
                "aggs": aggregations,
                **(defined or {}),
            },
        )
        hashed = answer["aggregations"]["hashed"]
        if page == 0:
            n_documents = answer["hits"]["total"]["value"]
            n_strays = n_documents - hashed["doc_count"]
        for entry in hashed["buckets"]["buckets"]:
            bucket = bucket_id(entry["key"], spec.n_buckets)
            if bucket is not None:
                buckets.append(bucket)
                counts.append(entry["doc_count"])
    ids = np.asarray(buckets, dtype=np.int64)
    order = np.argsort(ids)
    return Directory(ids[order], np.asarray(counts, dtype=np.int64)[order], n_documents, n_strays)
