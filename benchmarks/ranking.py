"""Yardsticks for code ranking: all documents ordered by Hamming distance, no buckets."""

import numpy as np
from numpy.typing import NDArray

from meta4.models.codes import hamming_distance

#: Queries whose distances to all documents are held at once.
_AT_ONCE = 16


def nearest(base: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.intp]:
    """(m,) the row of each query's true nearest by L2 distance."""
    squares = np.square(base).sum(axis=1)
    return np.concatenate(
        [
            np.argmin(squares - 2.0 * queries[i : i + 100] @ base.T, axis=1)
            for i in range(0, len(queries), 100)
        ]
    )


def one_recall_at_10(
    base: NDArray[np.uint8], queries: NDArray[np.uint8], truth: NDArray[np.intp]
) -> float:
    """How often the true nearest is among the 10 nearest codes (NPHash, table 1).

    Among codes at equal distance the order is chance: each query counts with the probability.
    """
    found: list[float] = []
    for i in range(0, len(queries), _AT_ONCE):
        distances = hamming_distance(queries[i : i + _AT_ONCE], base)
        for of_query, row in zip(distances, truth[i : i + _AT_ONCE], strict=True):
            own = of_query[row]
            room = 10 - np.count_nonzero(of_query < own)
            found.append(min(1.0, max(0.0, room / np.count_nonzero(of_query == own))))
    return float(np.mean(found))


def mean_average_precision(
    base: NDArray[np.uint8],
    base_labels: NDArray[np.int64],
    queries: NDArray[np.uint8],
    query_labels: NDArray[np.int64],
) -> float:
    """Mean average precision over the whole ranking, relevant being what has the query's class.

    At equal distance the expectation over all orders (McSherry & Najork, ECIR 2008).
    """
    n_bits = base.shape[1] * 8
    by_code: dict[bytes, NDArray[np.int64]] = {}
    values = []
    for query, label in zip(queries, query_labels, strict=True):
        key = query.tobytes()
        if key not in by_code:
            by_code[key] = hamming_distance(query[None], base)[0]
        distances = by_code[key]
        of_level = np.bincount(distances, minlength=n_bits + 1)
        hits = np.bincount(distances[base_labels == label], minlength=n_bits + 1)
        values.append(_average_precision(of_level, hits))
    return float(np.mean(values))


def _average_precision(of_level: NDArray[np.int64], hits: NDArray[np.int64]) -> float:
    total, seen, seen_hits = 0.0, 0, 0
    for n, relevant in zip(of_level.tolist(), hits.tolist(), strict=True):
        if relevant:
            positions = np.arange(n)
            density = (relevant - 1) / (n - 1) if n > 1 else 0.0
            precision = (seen_hits + positions * density + 1) / (seen + positions + 1)
            total += relevant / n * float(precision.sum())
        seen, seen_hits = seen + n, seen_hits + relevant
    return total / seen_hits
