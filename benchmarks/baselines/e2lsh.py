"""E2LSH (Andoni & Indyk, "E2LSH 0.1 user manual", 2005) and the tuning of its parameters.

A table's key is a pair of half-length functions u_i, u_j of k / 2 projections each: m of them make
L = m (m - 1) / 2 tables. A projection is floor((a x + b) / w), w being 4 radii.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .tables import HashTables

_WIDTH = 4.0
#: More tables than any data here wants; E2LSH bounds them by memory.
_MOST_TABLES = 500
_MOST_FUNCTIONS = 40
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Parameters:
    """What is tuned.

    Attributes:
        k: projections of a table's key, even.
        m: half-length functions.
    """

    k: int
    m: int

    @property
    def n_tables(self) -> int:
        """L."""
        return self.m * (self.m - 1) // 2


#: What costs are timed with: documents, and tables of which few documents share a bucket.
_TIMED_ON, _TIMED = 1_200, Parameters(k=20, m=10)


class E2Lsh:
    """Built for one radius and one pair of parameters."""

    def __init__(self, base: Vectors, radius: float, parameters: Parameters) -> None:
        rng = np.random.default_rng(0)
        half, m = parameters.k // 2, parameters.m
        self._projections = rng.standard_normal((m * half, base.shape[1])).astype(np.float32)
        self._projections /= _WIDTH * radius
        self._shifts = rng.random(m * half).astype(np.float32)
        self._multipliers = rng.integers(0, 1 << 62, (2, half), dtype=np.int64) * 2 + 1
        self._pairs = np.array(list(combinations(range(m), 2)))
        self._salts = rng.integers(0, 1 << 62, len(self._pairs), dtype=np.int64)
        self.tables = HashTables(self.keys(base))

    def candidates(self, query: Vectors) -> NDArray[np.intp]:
        """Rows that share a bucket with a (dims,) query."""
        return self.tables.documents(self.keys(query[None])[0])

    def keys(self, x: Vectors) -> NDArray[np.int64]:
        """(n, n_tables) int64 of (n, dims) vectors."""
        whole = np.floor(x @ self._projections.T + self._shifts).astype(np.int64)
        halves = whole.reshape(len(x), -1, self._multipliers.shape[1])
        left, right = (halves @ multipliers for multipliers in self._multipliers)
        keys: NDArray[np.int64] = left[:, self._pairs[:, 0]] + right[:, self._pairs[:, 1]]
        return keys + self._salts


def collision_probability(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of one projection, by distance in radii (Datar et al., SoCG 2004, section 3.2)."""
    ratio = _WIDTH / np.maximum(distances, 1e-9)
    inside = np.vectorize(math.erf)(ratio / math.sqrt(2.0))
    tail = (1.0 - np.exp(-np.square(ratio) / 2.0)) * 2.0 / (math.sqrt(2.0 * math.pi) * ratio)
    return np.asarray(inside - tail)


def choices(success: float) -> list[Parameters]:
    """For each k the smallest m that finds a neighbour at one radius with the probability asked."""
    found = []
    for k in range(2, _MOST_FUNCTIONS + 1, 2):
        half = float(collision_probability(np.ones(1))[0]) ** (k / 2)
        m = 2
        while 1.0 - (1.0 - half) ** m - m * half * (1.0 - half) ** (m - 1) < success:
            m += 1
        if m * (m - 1) // 2 > _MOST_TABLES:
            break
        found.append(Parameters(k, m))
    return found


def tuned_by_trying(
    base: Vectors, queries: Vectors, radius: float, success: float
) -> tuple[Parameters, float]:
    """Build each choice and take the one whose queries are quickest: parameters and seconds spent.

    The paper's "exhaustive E2LSH".
    """

    def cost(parameters: Parameters) -> float:
        index = E2Lsh(base, radius, parameters)
        clock = time.perf_counter()
        for query in queries:
            base[index.candidates(query)] @ query
        return time.perf_counter() - clock

    return _quickest(success, cost)


def tuned_by_estimate(
    base: Vectors, queries: Vectors, radius: float, success: float
) -> tuple[Parameters, float]:
    """As the manual has it: time for hashing, tables and distances, from expected collisions.

    Distances of the queries to all documents are computed once; what a table and a document
    cost is timed on a small index. Gives parameters and seconds spent.
    """
    clock = time.perf_counter()
    squares = np.square(queries).sum(axis=1)[:, None] + np.square(base).sum(axis=1)
    distances = np.sqrt(np.maximum(squares - 2.0 * queries @ base.T, 0.0)).ravel()
    edges = np.linspace(0.0, float(distances.max()), 1000)
    counts = np.histogram(distances, edges)[0] / len(queries)
    single = collision_probability((edges[1:] + edges[:-1]) / 2.0 / radius)
    a_table, a_document = _unit_costs(base, queries, radius)

    def cost(parameters: Parameters) -> float:
        half = single ** (parameters.k / 2)
        m = parameters.m
        met = 1.0 - (1.0 - half) ** m - m * half * (1.0 - half) ** (m - 1)
        return float((counts * met).sum()) * a_document + parameters.n_tables * a_table

    parameters, _ = _quickest(success, cost)
    return parameters, time.perf_counter() - clock


def _unit_costs(base: Vectors, queries: Vectors, radius: float) -> tuple[float, float]:
    """Seconds for a table, its hashing included, and for a document's distance."""
    index = E2Lsh(base[:: len(base) // _TIMED_ON], radius, _TIMED)
    clock = time.perf_counter()
    for query in queries:
        index.candidates(query)
    a_table = (time.perf_counter() - clock) / len(queries) / _TIMED.n_tables
    rows = np.random.default_rng(0).permutation(len(base))[:_TIMED_ON]
    clock = time.perf_counter()
    for query in queries:
        base[rows] @ query
    return a_table, (time.perf_counter() - clock) / len(queries) / len(rows)


def _quickest(success: float, cost: Callable[[Parameters], float]) -> tuple[Parameters, float]:
    clock = time.perf_counter()
    best = min(choices(success), key=cost)
    return best, time.perf_counter() - clock
