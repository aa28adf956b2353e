"""The cells of an index in two dimensions, and what a search looks into of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import InputError, NotFoundError
from ....ingest.documents import value_at
from ....models.embeddings import unit
from ....models.model import HashModel
from ....models.probing.directory import bucket_id
from ...catalog import HashedIndex
from ...client.core import Core
from ...engines.calls import Calls, Steps, Work
from ...fields.vectors.field import VectorField
from ...search.clauses import SIMILAR
from . import plots
from .forms import SimilarForm
from .results import Results, label, results

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
        share: of the variance of the cells, that the two have.
    """

    middle: NDArray[np.float32]
    axes: NDArray[np.float32]
    places: NDArray[np.float32]
    share: float

    def place(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 2) float32, where vectors (n, dims) lie."""
        return np.asarray((unit(vectors) - self.middle) @ self.axes.T, dtype=np.float32)


@dataclass(frozen=True)
class Map:
    """What the page shows.

    Attributes:
        plot: see `plots.cells`.
        share: see `Plane`.
        largest: cells to be told of in words: those looked into, or the largest.
        n_cells: that hold documents.
        found: what was searched for; None where nothing was.
    """

    plot: Json
    share: float
    largest: tuple[Json, ...]
    n_cells: int
    found: Results | None


def index_map(core: Core, calls: Calls, index: str, form: SimilarForm) -> Steps[Map]:
    """The map of an index, with a search on it where one is asked for.

    Raises:
        InputError: a field of texts, whose buckets lie nowhere.
        NotFoundError, ClauseError, EmbeddingError, EngineError: see `Core.search`.
    """
    known = yield from core.catalog.get(index)
    field = _vectors(known, form.field)
    model = yield from field.model()
    directory = yield from field.directory(index)
    plane: Plane = yield Work(lambda _: _plane(model))
    found, marks = None, []
    probed: frozenset[str] = frozenset()
    if form.is_asked:
        found = yield from results(core, index, form)
        probed = frozenset(found.told["clauses"][0]["buckets"])
        marks = yield from _marks(core, calls, plane, field.spec.field, found)
    points = [
        {
            "x": round(float(plane.places[bucket][0]), 4),
            "y": round(float(plane.places[bucket][1]), 4),
            "bucket": model.terms[bucket],
            "documents": count,
            "is_probed": model.terms[bucket] in probed,
        }
        for bucket, count in zip(directory.buckets.tolist(), directory.counts.tolist(), strict=True)
    ]
    told = sorted(points, key=lambda one: (not one["is_probed"], -one["documents"]))[:_LARGEST]
    return Map(plots.cells(points, marks), plane.share, tuple(told), len(points), found)


def cell(core: Core, calls: Calls, index: str, field: str | None, term: str) -> Steps[Json]:
    """What is typical of a cell: the documents in it that are nearest to its middle.

    Raises:
        NotFoundError: no such cell.
        InputError: see `index_map`.
    """
    known = yield from core.catalog.get(index)
    hashed = _vectors(known, field)
    model = yield from hashed.model()
    bucket = bucket_id(term, model.n_buckets)
    if bucket is None:
        raise NotFoundError(f"index {index!r} has no bucket {term[:40]!r}")
    spec = hashed.spec
    within = {"term": {spec.fields.bucket: term}}
    clause = {"vector": model.centroids[bucket].tolist(), "k": _TYPICAL, "recall": 1.0}
    query: Json = {"bool": {"filter": [within]}}
    if model.centroids[bucket].any():
        query["bool"]["must"] = [{SIMILAR: {spec.field: clause}}]
    source = {"excludes": [spec.field, spec.fields.root]}
    body = {"size": _TYPICAL, "_source": source, "query": query}
    answer = yield from core.search(index, body)
    documents = yield from calls.count(index, within)
    typical = [
        {"id": hit["_id"], "label": label(hit.get("_source") or {})}
        for hit in answer["hits"]["hits"]
    ]
    return {"bucket": term, "documents": documents, "typical": typical}


def _vectors(known: HashedIndex, name: str | None) -> VectorField:
    field = known.field(name)
    if not isinstance(field, VectorField):
        raise InputError(
            f"field {field.spec.field!r} of index {known.name!r} holds texts, whose buckets "
            f"have no place; there is a map of fields of vectors only"
        )
    return field


def _marks(
    core: Core, calls: Calls, plane: Plane, field: str, found: Results
) -> Steps[list[Mapping[str, Any]]]:
    """The query and its hits."""
    _, (planned,) = yield from core.plan(found.index, found.asked)
    names = [hit.id for hit in found.hits]
    sources = yield from calls.sources(found.index, names, field)
    vectors = [value_at(source or {}, field) for source in sources]
    placed = [("query", "", planned.asked_with)]
    placed += [("hit", *one) for one in zip(names, vectors, strict=True)]
    there = [(what, name, vector) for what, name, vector in placed if vector is not None]
    rows = np.asarray([vector for *_, vector in there], dtype=np.float32)
    return [
        {"x": x, "y": y, "what": what, "id": name}
        for (x, y), (what, name, _) in zip(plane.place(rows).tolist(), there, strict=True)
    ]


@lru_cache(_KEPT)
def _plane(model: HashModel) -> Plane:
    """Principal axes of the cells' directions."""
    known = model.centroids[model.centroids.any(axis=1)]
    middle = known.mean(axis=0)
    spread = (known - middle).T @ (known - middle)
    values, vectors = np.linalg.eigh(spread)
    axes = np.ascontiguousarray(vectors[:, ::-1][:, :2].T, dtype=np.float32)
    places = (model.centroids - middle) @ axes.T
    share = float(values[-2:].sum() / max(float(values.sum()), 1e-12))
    return Plane(middle.astype(np.float32), axes, places.astype(np.float32), share)
