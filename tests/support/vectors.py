"""Vectors by chance, and of length one."""

import numpy as np


def mixture(n=1200, n_classes=6, dims=24, noise=0.25, seed=0):
    """Well separated classes on the sphere."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n_classes, dims))
    classes = rng.integers(0, n_classes, n)
    x = centres[classes] + noise * rng.standard_normal((n, dims))
    return x.astype(np.float32), classes


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)
