"""How many of the best by their sketches have to be scored by their vectors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....mappings.spec import IndexSpec
from .....models.model import HashModel
from .....models.probing.calibration import TARGETS
from .....models.sketch import SketchWindows
from ....engines.engine import Engine
from ..first_phase import LEFT_OUT
from .exact import draw_queries, exact_neighbours

#: How many are to be found; and how far sketches are looked through.
_KS, _DEPTH = (1, 10, 25, 100), 2_000
_QUERIES = 200
#: Beyond the last of the ranks that were seen.
_BEYOND = 1.5


def measure_windows(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    model: HashModel,
    *,
    given: NDArray[Any] | None,
    n_queries: int,
    seed: int,
) -> SketchWindows:
    """How wide windows have to be, by where the nearest stand in the order of the sketches.

    Over all hashed documents: among fewer, as a request looks into, they stand no farther down.

    Args:
        engine: where.
        index: which index.
        spec: of the field, with sketches.
        model: the field's.
        given: (n, dims) vectors that people search for; documents are drawn as well.
        n_queries: at most, of each.
        seed: which are drawn.
    """
    n = min(n_queries, _QUERIES)
    queries = draw_queries(engine, index, spec, n, seed, None, spec.hashed)
    if given is not None:
        queries += draw_queries(engine, index, spec, n, seed, given)
    truth = exact_neighbours(engine, index, spec, queries, _KS[-1], lambda _: None, spec.hashed)
    sketches = model.sketch(spec.sketch)
    ranks = np.full((len(queries), _KS[-1]), _DEPTH, dtype=np.int64)
    counts = np.zeros(len(queries), dtype=np.int64)
    for row, (query, nearest) in enumerate(zip(queries, truth, strict=True)):
        best = engine.dialect.best_sketches(
            spec, sketches.of_query(query.vector), _DEPTH, spec.hashed
        )
        body = {"size": _DEPTH, "_source": False, "query": best, "track_total_hits": False}
        hits = engine.search(index, body)["hits"]["hits"]
        order = [hit["_id"] for hit in hits if hit["_id"] != query.id]
        places = {identity: place for place, identity in enumerate(order, start=1)}
        counts[row] = len(nearest.ids)
        ranks[row, : counts[row]] = [places.get(one, _DEPTH) for one in nearest.ids]
    rows = {
        f"{recall:g}": tuple(_window(ranks, counts, k, (1.0 - recall) * LEFT_OUT) for k in _KS)
        for recall in TARGETS
    }
    return SketchWindows(ks=_KS, windows=rows)


def _window(ranks: NDArray[np.int64], counts: NDArray[np.int64], k: int, left_out: float) -> int:
    """The smallest that leaves out a share of the k nearest, on average over queries."""
    found = [row[: min(k, n)] for row, n in zip(ranks, counts, strict=True) if n]
    if not found:
        return k
    weights = np.concatenate([np.full(len(row), 1.0 / len(row)) for row in found]) / len(found)
    flat = np.concatenate(found)
    order = np.argsort(flat, kind="stable")
    beyond = 1.0 - np.cumsum(weights[order])
    enough = np.flatnonzero(beyond <= left_out + 1e-12)[0]
    window = int(flat[order][enough])
    if left_out * len(flat) < 1.0:  # finer than so many can tell
        window = int(np.ceil(window * _BEYOND))
    return max(window, k)
