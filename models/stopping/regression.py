"""A network of two small layers that says what share is missing."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled

Floats = NDArray[np.float32]
_HIDDEN = 24
_BATCH, _RATE = 2048, 3e-3
#: Steps: one for so many rows, within these.
_ROWS_A_STEP, _FEWEST_STEPS, _STEPS = 20, 500, 3000
#: Adam's (Kingma & Ba, ICLR 2015), and steps until the rate is whole.
_BETA1, _BETA2, _TINY, _WARM = 0.9, 0.999, 1e-8, 100


@dataclass(frozen=True)
class Regression:
    """Features in, the logit of a share out.

    Attributes:
        weights: of the layers, a matrix and a vector in turn; the first takes the features as they
            are.
    """

    weights: tuple[Floats, ...]

    def __call__(self, features: Floats) -> Floats:
        """(n,) float32 logits of (n, n_features) float32."""
        return np.asarray([_logit(row, *self.weights) for row in features], dtype=np.float32)

    def takes(self, n_features: int) -> bool:
        """Whether its layers are of one another's widths, for so many features."""
        a, b, c, d, e, f = (weight.shape for weight in self.weights)
        inner = a == (n_features, *b) and c == (*b, *d) and len(b) == len(d) == 1
        return inner and e == (*d, 1) and f == (1,)

    def first_below(self, features: Floats, share: float) -> tuple[int, float]:
        """The first row of features of no larger share than one, and its share; -1 for none.

        Args:
            features: (n, n_features) float32.
            share: in (0, 1).
        """
        row, found = _first_below(features, logit(share), *self.weights)
        return row, share_of(found)


@compiled
def _logit(row: Floats, a: Floats, b: Floats, c: Floats, d: Floats, e: Floats, f: Floats) -> float:
    """See `Regression`."""
    one, two = b.copy(), d.copy()
    for i in range(len(row)):
        for j in range(len(one)):
            one[j] += row[i] * a[i, j]
    for i in range(len(one)):
        above = np.float32(math.tanh(one[i]))
        for j in range(len(two)):
            two[j] += above * c[i, j]
    logit = float(f[0])
    for i in range(len(two)):
        logit += math.tanh(two[i]) * e[i, 0]
    return logit


@compiled
def _first_below(
    features: Floats,
    most: float,
    a: Floats,
    b: Floats,
    c: Floats,
    d: Floats,
    e: Floats,
    f: Floats,
) -> tuple[int, float]:
    """See `Regression.first_below`: most requests end at one of the first rows."""
    for row in range(len(features)):
        logit = _logit(features[row], a, b, c, d, e, f)
        if logit <= most:
            return row, logit
    return -1, 0.0


def logit(share: float) -> float:
    """Of a share in (0, 1)."""
    return math.log(share / (1.0 - share))


def share_of(logit: float) -> float:
    """The share in (0, 1) of a logit."""
    return 1.0 / (1.0 + math.exp(-logit))


def fit_regression(features: Floats, shares: Floats, seed: int = 0) -> Regression:
    """Fit by the cross-entropy of the shares.

    Args:
        features: (n, n_features) float32.
        shares: (n,) float32 in [0, 1].
        seed: of the first weights and the order of the rows.
    """
    rng = np.random.default_rng(seed)
    means, deviations = features.mean(axis=0), features.std(axis=0) + 1e-6
    scaled = (features - means) / deviations
    sizes = [features.shape[1], _HIDDEN, _HIDDEN, 1]
    weights: list[Any] = []
    for below, above in pairwise(sizes):
        drawn = rng.normal(size=(below, above)) / np.sqrt(below)
        weights += [drawn.astype(np.float32), np.zeros(above, dtype=np.float32)]
    steps = min(max(len(scaled) // _ROWS_A_STEP, _FEWEST_STEPS), _STEPS)
    first = [np.zeros_like(weight) for weight in weights]
    second = [np.zeros_like(weight) for weight in weights]
    for step in range(1, steps + 1):
        rows = rng.integers(len(scaled), size=_BATCH)
        slopes = _slopes(weights, scaled[rows], shares[rows, None])
        rate = _RATE * min(1.0, step / _WARM) * (1.0 + np.cos(np.pi * step / steps)) / 2.0
        for weight, slope, m, v in zip(weights, slopes, first, second, strict=True):
            m += (1.0 - _BETA1) * (slope - m)
            v += (1.0 - _BETA2) * (np.square(slope) - v)
            m_unbiased, v_unbiased = m / (1.0 - _BETA1**step), v / (1.0 - _BETA2**step)
            weight -= rate * m_unbiased / (np.sqrt(v_unbiased) + _TINY)
    weights[0] = weights[0] / deviations[:, None]
    weights[1] = weights[1] - means @ weights[0]
    return Regression(tuple(weights))


def _slopes(weights: list[Any], x: Floats, shares: Floats) -> list[Floats]:
    a, b, c, d, e, f = weights
    one = np.tanh(x @ a + b)
    two = np.tanh(one @ c + d)
    out = (1.0 / (1.0 + np.exp(-(two @ e + f))) - shares) / len(x)
    at_two = (out @ e.T) * (1.0 - two * two)
    at_one = (at_two @ c.T) * (1.0 - one * one)
    return [
        x.T @ at_one, at_one.sum(axis=0), one.T @ at_two, at_two.sum(axis=0),
        two.T @ out, out.sum(axis=0),
    ]  # fmt: skip
