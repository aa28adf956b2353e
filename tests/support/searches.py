"""Rows of a matrix as documents, what is asked of them, and what the answer should be."""

import numpy as np

from meta4 import Document, Meta4
from meta4.adapter.search import plan as planning

from .vectors import unit
from .words import FIELD


def row_documents(x):
    for row, vector in enumerate(x):
        yield Document(str(row), {FIELD: vector.tolist(), "tenth": row % 10})


def best_of(x, query, k=25, rows=slice(None)):
    """Ids of the nearest by NumPy."""
    rows = np.arange(len(x))[rows]
    return [
        str(row) for row in rows[np.argsort(-(unit(x[rows]) @ query / np.linalg.norm(query)))[:k]]
    ]


def search(engine, index, query, within=(), **clause):
    """Ids of the answer, and how it was come by."""
    similar = {"meta4_similar": {FIELD: {"vector": query.tolist(), "k": 25, **clause}}}
    body = {"query": {"bool": {"must": [similar], "filter": list(within)}}}
    meta4 = Meta4(engine)
    (explained,) = meta4.explain(index=index, body=body)["clauses"]
    return [hit["_id"] for hit in meta4.search(index=index, body=body)["hits"]["hits"]], explained


def every_saving_counts(monkeypatch):
    """Otherwise so small an index is scanned under any filter."""
    for name in ("CHOSEN_FROM", "FILTER_WORTH", "BUCKET_WORTH"):
        monkeypatch.setattr(planning, name, 0)
