"""The directory of an index: one small aggregation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....mappings.fields import Keyword
from ....mappings.spec import IndexSpec
from ....models.probing.directory import Directory, bucket_id
from ...engines.calls import Calls, Json, Steps

#: Buckets asked for at once: an engine answers at most 65,535 by default.
_PAGE = 32_768

Directories = Mapping[Keyword, Directory]


def read_directories(
    calls: Calls,
    index: str,
    spec: IndexSpec,
    keywords: Sequence[Keyword],
    query: Json | None = None,
    defined: Mapping[str, Any] | None = None,
) -> Steps[Directories]:
    """Bucket counts of the documents that have a vector and match `query`, by some keywords.

    Args:
        calls: of the cluster.
        index: where.
        spec: of the field.
        keywords: which.
        query: a filter; None for all documents.
        defined: fields that it may speak of, as a search body defines them.
    """
    has_vector: Json = {"exists": {"field": spec.field}}
    conditions = [has_vector] if query is None else [has_vector, query]
    n_pages = -(-spec.n_buckets // _PAGE)
    counts: dict[Keyword, dict[int, int]] = {keyword: {} for keyword in keywords}
    n_documents = n_strays = 0
    for page in range(n_pages):
        # Buckets of another model's documents are none of ours, and would take their places.
        answer = yield from calls.search(
            index,
            {
                "size": 0,
                "track_total_hits": True,
                "query": {"bool": {"filter": conditions}},
                "aggs": {
                    "hashed": {
                        "filter": spec.hashed,
                        "aggs": {one: _terms(spec, one, page, n_pages) for one in keywords},
                    }
                },
                **(defined or {}),
            },
        )
        hashed = answer["aggregations"]["hashed"]
        if page == 0:
            n_documents = answer["hits"]["total"]["value"]
            n_strays = n_documents - hashed["doc_count"]
        for keyword in keywords:
            counts[keyword] |= counts_in(hashed[keyword], spec.n_buckets)
    return {
        keyword: _directory(found, spec.n_buckets, n_documents, n_strays)
        for keyword, found in counts.items()
    }


def counts_in(aggregation: Json, n_buckets: int) -> dict[int, int]:
    """By bucket, the documents that an aggregation by its keyword found."""
    found = {}
    for entry in aggregation["buckets"]:
        bucket = bucket_id(entry["key"], n_buckets)
        if bucket is not None:
            found[bucket] = entry["doc_count"]
    return found


def _terms(spec: IndexSpec, keyword: Keyword, page: int, n_pages: int) -> Json:
    terms: Json = {"field": spec.fields.keyword(keyword), "size": spec.n_buckets}
    if n_pages > 1:
        terms["include"] = {"partition": page, "num_partitions": n_pages}
    return {"terms": terms}


def _directory(
    found: Mapping[int, int], n_buckets: int, n_documents: int, n_strays: int
) -> Directory:
    ids = np.fromiter(found.keys(), np.int64, len(found))
    counts = np.fromiter(found.values(), np.int64, len(found))
    order = np.argsort(ids)
    return Directory(ids[order], counts[order], n_buckets, n_documents, n_strays)
