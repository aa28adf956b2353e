"""The first phase: sketches of how many directions, and how many of the best by them are scored."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import InputError
from ....mappings.spec import FirstPhase, IndexSpec, Strategy
from ....models.model import HashModel
from ....models.probing.calibration import TARGETS
from ....models.sketch import HELD, NEAREST, SketchWindows
from ...engines.engine import Engine
from .exact import draw_queries, exact_neighbours

#: Directions are enough whose window, among the training data, is no wider.
_WIDEST = 32
#: Fewer training vectors say nothing of how many directions an index needs.
_FEWEST = 2_000
#: Fewer dimensions leave nothing to save: what any document costs is more than its vector.
_FEWEST_DIMS = 64
#: How many are to be found, where windows are measured; and how far sketches are looked through.
_KS, _DEPTH = (1, 10, 25, 100), 2_000
_QUERIES = 200
#: Of what may be missing the part that a window may leave out.
LEFT_OUT = 0.1
#: Beyond the last of the ranks that were seen.
_BEYOND = 1.5


def directions_for(model: HashModel, strategy: Strategy, wanted: FirstPhase) -> int:
    """Directions of the sketches of a new index; 0 for none.

    Args:
        model: the index's.
        strategy: of the index; scripts have no first phase by sketches.
        wanted: "none", "projection", or "auto" where directions are found that narrow enough.

    Raises:
        InputError: "projection" where there can be none.
    """
    windows = model.manifest.sketch_windows
    if wanted == "none":
        return 0
    if wanted == "projection":
        if not windows:
            raise InputError(
                "--first-phase projection: the model is from before there were sketches, or was "
                "trained on one vector; train it again"
            )
        if strategy != "native":
            raise InputError(
                f"--first-phase projection: strategy {strategy} scores by scripts, which have no "
                f"first phase by sketches; take --strategy native"
            )
    elif _obstacle(model, strategy) is not None:
        return 0
    return next((n for n, window in windows if window <= _WIDEST), windows[-1][0])


def _obstacle(model: HashModel, strategy: Strategy) -> str | None:
    """Why an index is to have no first phase unless it is asked for; None where it is."""
    windows, n = model.manifest.sketch_windows, model.manifest.training.n
    if not windows:
        return "its model has no sketches"
    if strategy != "native":
        return f"strategy {strategy} scores by scripts"
    if n < _FEWEST:
        return f"the model was trained on {n:,} vectors, which say too little"
    if model.dims < _FEWEST_DIMS:
        return f"{model.dims} dimensions are few"
    if all(window > _WIDEST for _, window in windows):
        return f"of {windows[-1][0]} directions the best {windows[-1][1]:,} hold the nearest"
    return None


def first_phase_in_words(spec: IndexSpec, model: HashModel) -> str:
    """Whether there is one, and why."""
    if spec.sketch:
        window = dict(model.manifest.sketch_windows)[spec.sketch]
        return (
            f"first phase by {spec.sketch} directions (of its training data the best {window} by "
            f"them hold {HELD:.1%} of the {NEAREST} nearest)"
        )
    return f"no first phase ({_obstacle(model, spec.strategy) or 'none was asked for'})"


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
