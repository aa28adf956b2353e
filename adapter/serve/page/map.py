"""The cells of an index in two dimensions, and what a search looks into of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import InputError, NotFoundError
from ....ingest.documents import value_at
from ....mappings.fields import Keyword
from ....models.embeddings import embedding_fault, unit, unpacked
from ....models.model import HashModel
from ....models.probing.directory import bucket_id
from ...catalog import HashedIndex
from ...client.core import Core
from ...engines.calls import Calls, Steps, Work
from ...fields.vectors.field import VectorField
from ...search.clauses import SIMILAR
from . import plots
from .forms import SimilarForm
from .results import Results, hidden, label, results

Json = dict[str, Any]
#: Models whose maps are kept.
_KEPT = 8
#: Documents that say what a cell is of.
_TYPICAL = 5
#: Cells of a table under the map.
_LARGEST = 12


@dataclass(frozen=True)
class Plane:
    """The two directions along which a model's cells lie farthest apart (PCA).

    Attributes:
        middle: (dims,) float32, mean of the cells' directions.
        axes: (2, dims) float32, of length 1.
        places: (n_buckets, 2) float32 of the cells.
        is_placed: (n_buckets,) bool, whether a cell has a direction.
        share: of the variance of the cells, that the two have.
    """

    middle: NDArray[np.float32]
    axes: NDArray[np.float32]
    places: NDArray[np.float32]
    is_placed: NDArray[np.bool_]
    share: float

    def place(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 2) float32, where vectors (n, dims) lie."""
        return np.asarray((unit(vectors) - self.middle) @ self.axes.T, dtype=np.float32)


@dataclass(frozen=True)
class Map:
    """What the page shows.

    Attributes:
        field: that it is of.
        plot: see `plots.cells`.
        share: see `Plane`.
        largest: cells to be told of in words: those looked into, or the largest.
        n_cells: that hold documents.
        found: what was searched for; None where nothing was.
        everywhere: whether that looked into all.
        keyword: by which documents are counted: that by which the search looked for them.
        n_unplaced: of what was found, without a vector that can be read.
    """

    field: str
    plot: Json
    share: float
    largest: tuple[Json, ...]
    n_cells: int
    found: Results | None
    everywhere: bool
    n_unplaced: int
    keyword: Keyword


def index_map(core: Core, calls: Calls, index: str, form: SimilarForm) -> Steps[Map]:
    """The map of an index, with a search on it where one is asked for.

    Raises:
        InputError: a field whose buckets lie nowhere.
        NotFoundError, ClauseError, EmbeddingError, EngineError: see `Core.search`.
    """
    known = yield from core.catalog.get(index)
    field, model = yield from _placed(known, form.field)
    directories = yield from field.directories(index)
    plane: Plane = yield Work(lambda _: _plane(model))
    found, marks = None, []
    keyword: Keyword = "bucket"
    probed, everywhere = frozenset[str](), False
    if form.is_asked:
        found = yield from results(core, index, form, field.spec.field)
        (clause,) = found.told["clauses"]
        keyword = clause["looked_for_by"] or keyword
        probed = frozenset(clause["buckets"])
        everywhere = not probed and clause["docs_looked_into"] > 0
        marks = yield from _marks(calls, plane, form.operand(), found)
    directory = directories[keyword]
    points = [
        {
            "x": round(x, 4),
            "y": round(y, 4),
            "bucket": model.terms[bucket],
            "documents": count,
            "is_probed": everywhere or model.terms[bucket] in probed,
        }
        for bucket, count, (x, y) in zip(
            directory.buckets.tolist(),
            directory.counts.tolist(),
            plane.places[directory.buckets].tolist(),
            strict=True,
        )
        if plane.is_placed[bucket]
    ]
    told = sorted(points, key=lambda one: (not one["is_probed"], -one["documents"]))[:_LARGEST]
    plot = plots.cells(points, marks)
    n_hits = 0 if found is None else len(found.hits)
    n_placed = sum(mark["what"] == "hit" for mark in marks)
    return Map(
        field.spec.field, plot, plane.share, tuple(told), len(points), found, everywhere,
        n_hits - n_placed, keyword,
    )  # fmt: skip


def cell(
    core: Core, calls: Calls, index: str, name: str | None, by: str | None, term: str
) -> Steps[Json]:
    """What is typical of a cell: the documents in it that are nearest to its middle.

    Args:
        core: of whoever asks.
        calls: of the cluster.
        index: where.
        name: of the field; None for the first.
        by: the keyword by which documents are in it; None for any of their buckets.
        term: of the bucket.

    Raises:
        NotFoundError: no such cell.
        InputError: see `index_map`.
    """
    known = yield from core.catalog.get(index)
    field, model = yield from _placed(known, name)
    bucket = bucket_id(term, model.n_buckets)
    if bucket is None:
        raise NotFoundError(f"index {index!r} has no bucket {term[:40]!r}")
    spec = field.spec
    keywords: dict[str, str] = {one: spec.fields.keyword(one) for one in spec.all_keywords}
    within = {"term": {keywords.get(by or "", spec.fields.bucket): term}}
    query: Json = {"bool": {"filter": [within]}}
    if model.centroids[bucket].any():
        clause = {"vector": model.centroids[bucket].tolist(), "k": _TYPICAL, "recall": 1.0}
        query["bool"]["must"] = [{SIMILAR: {spec.field: clause}}]
    body = {"size": _TYPICAL, "_source": {"excludes": hidden(known)}, "query": query}
    answer = yield from core.search(index, body)
    documents = yield from calls.count(index, within)
    typical = [
        {"id": hit["_id"], "label": label(hit.get("_source") or {})}
        for hit in answer["hits"]["hits"]
    ]
    return {"bucket": term, "documents": documents, "typical": typical}


def _placed(known: HashedIndex, name: str | None) -> Steps[tuple[VectorField, HashModel]]:
    """A field whose buckets have a place, the first one by default; and its model."""
    fields = [known.field(name)] if name is not None else list(known.fields.values())
    placed = [field for field in fields if isinstance(field, VectorField)]
    if not placed:
        raise InputError(
            f"index {known.name!r} has texts in {fields[0].spec.field!r}, whose buckets have no "
            f"place; there is a map of fields of vectors only"
        )
    model = yield from placed[0].model()
    if model.bucket_kind == "classes":
        raise InputError(
            f"field {placed[0].spec.field!r} of index {known.name!r} is hashed by classes, which "
            f"have no middle to be put in a map by"
        )
    return placed[0], model


def _marks(
    calls: Calls, plane: Plane, asked: Json, found: Results
) -> Steps[list[Mapping[str, Any]]]:
    """The query and its hits, as far as their vectors can be read."""
    params = yield from calls.vectors_in_source()
    names = [hit.id for hit in found.hits]
    wanted = [*names, *([asked["id"]] if "id" in asked else [])]
    body = {"size": len(wanted), "_source": [found.field], "query": {"ids": {"values": wanted}}}
    answer = yield from calls.search(found.index, body, params)
    vectors = {
        hit["_id"]: unpacked(value_at(hit.get("_source") or {}, found.field))
        for hit in answer["hits"]["hits"]
    }
    placed = [("query", "", asked.get("vector", vectors.get(asked.get("id"))))]
    placed += [("hit", name, vectors.get(name)) for name in names]
    there = [(what, name, vector) for what, name, vector in placed if _is_vector(vector, plane)]
    if not there:
        return []
    rows = np.asarray([vector for *_, vector in there], dtype=np.float32)
    return [
        {"x": x, "y": y, "what": what, "id": name}
        for (x, y), (what, name, _) in zip(plane.place(rows).tolist(), there, strict=True)
    ]


def _is_vector(value: Any, plane: Plane) -> bool:
    return embedding_fault(value, len(plane.middle)) is None


@lru_cache(_KEPT)
def _plane(model: HashModel) -> Plane:
    """Principal axes of the cells' directions."""
    is_placed = np.asarray(model.centroids.any(axis=1))
    known = model.centroids[is_placed]
    middle = known.mean(axis=0)
    spread = (known - middle).T @ (known - middle)
    values, vectors = np.linalg.eigh(spread)
    axes = np.ascontiguousarray(vectors[:, ::-1][:, :2].T, dtype=np.float32)
    places = (model.centroids - middle) @ axes.T
    share = float(values[-2:].sum() / max(float(values.sum()), 1e-12))
    return Plane(middle.astype(np.float32), axes, places.astype(np.float32), is_placed, share)
