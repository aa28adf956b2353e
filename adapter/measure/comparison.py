"""Timing searches beside each other, and a graph of equal recall."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fields.recall import recall_by_score

Body = dict[str, Any]
#: (n, dims) queries in, one answer's hits out.
Search = Callable[[NDArray[np.float32]], list[Body]]
#: The scores of a query's hits, which are not always those that the engine says.
Scores = Callable[[NDArray[np.float32], list[Body]], NDArray[np.float64]]


@dataclass(frozen=True)
class Timing:
    """One side of a comparison: latency of the whole request in ms, and mean recall."""

    p50_ms: float
    p95_ms: float
    recall: float


def said_scores(_query: NDArray[np.float32], hits: list[Body]) -> NDArray[np.float64]:
    """`_score`, which is exact unless the engine scored quantised vectors."""
    return np.asarray([hit["_score"] for hit in hits])


def interleaved(
    sides: dict[str, Search],
    queries: NDArray[np.float32],
    truth: NDArray[np.float64],
    k: int,
    *,
    rounds: int = 1,
    warm_up: int = 0,
    scores_of: Scores = said_scores,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Timing]:
    """Time several sides on the same queries, in turn, so that a slow moment hits them all.

    Args:
        sides: name to search.
        queries: (n, dims) float32.
        truth: (n, >= k) float64 scores of the nearest documents, best first.
        k: results wanted.
        rounds: how often all queries are timed.
        warm_up: queries that each side answers before the clock counts.
        scores_of: what recall is counted by; outside the clock.
        progress: called after every query.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    recalls: dict[str, list[float]] = {name: [] for name in sides}
    for query in islice(cycle(queries), warm_up):
        for search in sides.values():
            search(query)
    for _ in range(rounds):
        for row, query in enumerate(queries):
            for name, search in _rotated(sides, row):
                started = time.perf_counter()
                hits = search(query)
                seconds[name].append(time.perf_counter() - started)
                recalls[name].append(recall_by_score(scores_of(query, hits), truth[row], k))
            progress(1)
    return {
        name: Timing(
            float(np.percentile(seconds[name], 50) * 1000),
            float(np.percentile(seconds[name], 95) * 1000),
            float(np.mean(recalls[name])),
        )
        for name in sides
    }


def _rotated(sides: dict[str, Search], row: int) -> Iterator[tuple[str, Search]]:
    """Another side goes first at each query: the first finds the caches coldest."""
    names = list(sides)
    for i in range(len(names)):
        name = names[(row + i) % len(names)]
        yield name, sides[name]


def fewest_candidates(
    search_with: Callable[[int], Search],
    queries: NDArray[np.float32],
    truth: NDArray[np.float64],
    size: int,
    recall: float,
    choices: Sequence[int],
    scores_of: Scores = said_scores,
) -> tuple[int, float]:
    """The smallest of ascending `choices` whose mean recall reaches `recall`, and its recall.

    The last one is taken if none does.
    """
    reached: dict[int, float] = {}

    def measure(ef: int) -> float:
        if ef not in reached:
            search = search_with(ef)
            scores = [scores_of(query, search(query)) for query in queries]
            reached[ef] = float(
                np.mean([recall_by_score(s, t, size) for s, t in zip(scores, truth, strict=True)])
            )
        return reached[ef]

    low, high = 0, len(choices) - 1
    while low < high:
        middle = (low + high) // 2
        if measure(choices[middle]) >= recall:
            high = middle
        else:
            low = middle + 1
    return choices[low], measure(choices[low])


def exact_truth(
    base: NDArray[np.float32], queries: NDArray[np.float32], depth: int
) -> NDArray[np.float64]:
    """Scores (1 + cosine) / 2 of the nearest base vectors, computed here, not by an engine.

    Args:
        base: (n, dims) float32.
        queries: (m, dims) float32.
        depth: at most n.

    Returns:
        (m, depth) float64, best first.
    """
    base_unit = base / np.linalg.norm(base, axis=1, keepdims=True)
    query_unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    rows = []
    for start in range(0, len(queries), 100):
        cosines = query_unit[start : start + 100] @ base_unit.T
        best = -np.partition(-cosines, depth - 1, axis=1)[:, :depth]
        rows.append((1.0 + np.sort(best.astype(np.float64), axis=1)[:, ::-1]) / 2.0)
    return np.vstack(rows)
