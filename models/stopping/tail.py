"""How likely a document of a bucket scores so far above the bucket's mean."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
#: Where the tail is kept, in spreads above the mean, and steps between.
LOW, HIGH, STEPS = -3.0, 12.0, 16
N_STEPS = int((HIGH - LOW) * STEPS) + 1
#: The step of z = 0, and a half: a step is what is cut off to a whole number.
ORIGIN = 0.5 - LOW * STEPS
#: Of a query: see `measure_tail`.
Measured = tuple[Floats, NDArray[np.float64], NDArray[np.float64]]
#: Bins that it is measured in.
_EDGES = np.arange(-2.0, 10.01, 0.25)
_LEAST = 1e-8


class Tail:
    """P(score of a document >= s) as a function of z = (s - mean) / spread.

    Attributes:
        logs: (N_STEPS,) float32 its logarithm from LOW to HIGH, falling.
        table: (N_STEPS,) float32: of z at place `ORIGIN` + z * `STEPS`, cut off to a whole number.
    """

    def __init__(self, logs: Floats) -> None:
        self.logs = logs
        self.table = np.exp(logs)


def measure_tail(measured: Iterable[Measured]) -> Tail:
    """Pool what was met.

    Args:
        measured: of queries: (n_buckets,) z at a score, documents of each bucket that reach it, and
            documents of each bucket; both may be weighted.
    """
    found, there = np.zeros((2, len(_EDGES) + 1))
    for z, reaching, counts in measured:
        bins = np.digitize(z, _EDGES)
        found += np.bincount(bins, reaching, len(there))
        there += np.bincount(bins, counts, len(there))
    centres = np.concatenate(
        [[_EDGES[0] - 0.125], (_EDGES[1:] + _EDGES[:-1]) / 2, [_EDGES[-1] + 0.5]]
    )
    met = there > 0
    falling = falling_fit(found[met] / there[met], there[met])
    logs = np.log(np.maximum(falling, _LEAST))
    at = LOW + np.arange(N_STEPS) / STEPS
    return Tail(np.interp(at, centres[met], logs).astype(np.float32))


def falling_fit(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest sequence that never rises, by pooling adjacent violators (Ayer et al., 1955)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, n = value, weight, 1
        while pools and pools[-1][0] < mean:
            before, more, m = pools.pop()
            mean = (mean * total + before * more) / (total + more)
            total, n = total + more, n + m
        pools.append((mean, total, n))
    return np.repeat([mean for mean, _, _ in pools], [n for _, _, n in pools])
