"""An outlook for a field: fitted on a sample of its documents, held against the engine's own scans.

What it then promises is about each request by itself; see `meta4.models.stopping`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....mappings.spec import IndexSpec
from .....models.embeddings import unit
from .....models.model import HashModel
from .....models.probing.directory import Directory, bucket_id
from .....models.stopping.adjusting import Answered, adjust
from .....models.stopping.fitting import ENOUGH, fit_outlook
from .....models.stopping.record import OutlookRecord, QuerySource, pack
from .....models.stopping.shapes import measure_shapes
from .....models.stopping.situations import N_KINDS, Sample, distinct_rows
from ....engines.engine import Engine
from .exact import Query, draw_queries, exact_neighbours
from .sample import sample_hashed

#: Documents that it is fitted on where an index has more, and numbers that these may have.
_SAMPLED, _NUMBERS = 60_000, 24_000_000
#: How far the exact answers reach.
_DEPTH = 1_000
#: Documents of each sort that it is held against; given queries, at most so many.
_HELD, _GIVEN = 200, 1_000
#: Queries of a tuning for each situation of a kind.
_QUERIES_A_SITUATION = 10
_FEWEST_SITUATIONS = 8

Progress = Callable[[int], None]


def tune_outlook(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    model: HashModel,
    directory: Directory,
    *,
    n_queries: int,
    given: NDArray[Any] | None,
    seed: int,
    progress: Progress,
) -> OutlookRecord:
    """Fit one, and find what it delivers.

    Args:
        engine: where.
        index: which index.
        spec: of the field.
        model: the field's.
        directory: of all documents, each in its first bucket alone.
        n_queries: how thoroughly; see `tune_vectors`.
        given: see `tune_vectors`.
        seed: which documents or rows are drawn.
        progress: called with the number of queries done since the last call.
    """
    # First of all: that says in words where no vector can be read.
    n_held = min(n_queries, _HELD)
    documents = _distinct(draw_queries(engine, index, spec, n_held, seed, None, spec.hashed))
    n_sampled = min(_SAMPLED, _NUMBERS // spec.dims)
    ids, embeddings, homes = sample_hashed(engine, index, spec, n_sampled, seed)
    shapes = measure_shapes(model.centroids, embeddings, homes)
    n_each = min(max(n_queries // _QUERIES_A_SITUATION, _FEWEST_SITUATIONS), ENOUGH)
    n_hashed = max(directory.n_documents - directory.n_strays, len(homes))
    shared = _Shared(progress, n_queries // 2, n_each * N_KINDS)
    outlook = fit_outlook(
        model.centroids, embeddings, homes, shapes, n_hashed / len(homes), n_each, shared
    )
    sample = Sample(embeddings, homes, outlook.shapes)
    asked = _asked(engine, index, spec, sample, ids, documents, n_queries, given, seed)
    answered = []
    shared = _Shared(progress, n_queries - n_queries // 2, sum(len(one) for _, one in asked))
    hashed = spec.hashed if directory.n_strays else None
    depth = min(_DEPTH, n_hashed - 1)
    for source, queries in asked:
        truth = exact_neighbours(engine, index, spec, queries, depth, shared, hashed)
        for query, found in zip(queries, truth, strict=True):
            terms = found.terms[spec.home_keyword]
            homes_found = [bucket_id(next(iter(term), None), model.n_buckets) for term in terms]
            known = np.asarray([one is not None for one in homes_found], dtype=bool)
            answered.append(
                Answered(
                    unit(query.vector).astype(np.float32),
                    (2.0 * found.scores[known] - 1.0).astype(np.float32),
                    np.asarray([one for one in homes_found if one is not None], dtype=np.int64),
                    source,
                )
            )
    answered = [one for one in answered if len(one.scores)]
    adjusted = adjust(outlook, directory.as_counts, answered, is_sampled=n_hashed > len(homes))
    queries_of: QuerySource = "documents" if given is None else "given"
    return OutlookRecord(
        n_documents=directory.n_documents,
        n_sampled=len(homes),
        queries=queries_of,
        depths=adjusted.depths,
        leeway=adjusted.leeway,
        clustering=adjusted.clustering,
        delivered=adjusted.delivered,
        packed=pack(shapes, outlook),
    )


class _Shared:
    """Progress of a part of the work, told in queries.

    Args:
        progress: called with queries.
        n_queries: what the part counts as.
        n_steps: of the part.
    """

    def __init__(self, progress: Progress, n_queries: int, n_steps: int) -> None:
        self._progress, self._queries, self._steps = progress, n_queries, max(1, n_steps)
        self._done = self._told = 0

    def __call__(self, steps: int) -> None:
        """So many steps more are done."""
        self._done += steps
        told = min(self._done, self._steps) * self._queries // self._steps
        self._progress(told - self._told)
        self._told = told


def _distinct(queries: list[Query]) -> list[Query]:
    """Equal ones once: a thousand copies of one document are one question."""
    return [queries[row] for row in distinct_rows(np.stack([one.vector for one in queries]))]


def _asked(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    sample: Sample,
    ids: Sequence[str],
    documents: list[Query],
    n_queries: int,
    given: NDArray[Any] | None,
    seed: int,
) -> list[tuple[str, list[Query]]]:
    """Queries that the outlook is held against, by their source."""
    rng = np.random.default_rng(seed)
    rows = [sample.even_row(rng) for _ in documents]
    evenly = [Query(ids[row], sample.embeddings[row]) for row in rows]
    asked = [("documents", documents), ("over buckets", evenly)]
    if given is not None:
        own = draw_queries(engine, index, spec, min(n_queries, _GIVEN), seed, given)
        asked.append(("given", own))
    return asked
