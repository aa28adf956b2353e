"""Nearest neighbours in memory: candidates from a method, an exact rerank, and yardsticks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Answers of a request: mAP is of so many, precision of the first 25 (the DAsH paper, section 4.2).
K, K_PRECISION = 1000, 25
Vectors = NDArray[np.float32]
Rows = NDArray[np.intp] | slice
Candidates = Callable[[Vectors, int], Rows]


@dataclass(frozen=True)
class Method:
    """A way to candidates.

    Attributes:
        name: for tables.
        candidates: rows for a (dims,) query of length 1 and an effort.
        efforts: ascending; a single one where there is nothing to choose.
    """

    name: str
    candidates: Candidates
    efforts: Sequence[int] = (0,)


@dataclass(frozen=True)
class Measured:
    """Means over queries: average precision of the first 1,000 answers, precision of 25."""

    ms: float
    average_precision: float
    precision: float
    candidates: float


class Arena:
    """One set of documents, and the queries asked of every method.

    Args:
        base: (n, dims) float32 of length 1.
        labels: (n,) their classes: an answer of the query's class is right.
        queries: (m, dims) float32 of length 1.
        query_labels: (m,).
    """

    def __init__(
        self,
        base: Vectors,
        labels: NDArray[np.int64],
        queries: Vectors,
        query_labels: NDArray[np.int64],
    ) -> None:
        self._base, self._labels = base, labels
        self._queries, self._query_labels = queries, query_labels

    def answer(self, method: Method, effort: int, query: Vectors) -> tuple[NDArray[np.intp], int]:
        """The nearest K of the candidates by cosine, best first, and how many candidates."""
        rows = method.candidates(query, effort)
        cosines = self._base[rows] @ query
        k = min(K, len(cosines))
        best = np.argpartition(-cosines, k - 1)[:k] if k else np.empty(0, dtype=np.intp)
        best = best[np.argsort(-cosines[best], kind="stable")]
        return (best if isinstance(rows, slice) else rows[best]), len(cosines)

    def effort_within(self, method: Method, ms: float, n: int) -> int:
        """The greatest effort that takes no longer by query than allowed, or the least of all."""
        chosen = method.efforts[0]
        for effort in method.efforts:
            if self.measure([(method, effort)], n)[0].ms > ms:
                break
            chosen = effort
        return chosen

    def measure(self, sides: Sequence[tuple[Method, int]], n: int) -> list[Measured]:
        """Ask the first n queries of each side in turn, query by query."""
        spent = np.zeros(len(sides))
        scores = np.zeros((len(sides), 3))
        for side, (method, effort) in enumerate(sides):  # caches and lazy loading
            self.answer(method, effort, self._queries[side])
        for query, label in zip(self._queries[:n], self._query_labels[:n], strict=True):
            for side, (method, effort) in enumerate(sides):
                clock = time.perf_counter()
                rows, n_candidates = self.answer(method, effort, query)
                spent[side] += time.perf_counter() - clock
                right = self._labels[rows] == label
                scores[side] += *precisions(right), n_candidates
        return [
            Measured(1000.0 * seconds / n, *(row / n).tolist())
            for seconds, row in zip(spent.tolist(), scores, strict=True)
        ]


def precisions(right: NDArray[np.bool_]) -> tuple[float, float]:
    """Average precision at 1,000, and precision at 25, of answers that are right or not.

    Every class has more than 1,000 documents, so the average is over 1,000: an answer that is
    missing counts as one that is wrong.
    """
    hits = np.cumsum(right)
    at_hits = (hits / np.arange(1, len(right) + 1))[right]
    return float(at_hits.sum()) / K, float(np.count_nonzero(right[:K_PRECISION])) / K_PRECISION
