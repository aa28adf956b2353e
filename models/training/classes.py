"""Classes to learn from: labels that are given, or clusters that are found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.neighbors import NearestNeighbors

from ...errors import InputError
from ..specs import DtshSpec

#: Class of a document that is in none; it is not learned from.
NOISE = -1
#: Documents that clusters are looked for among: the methods need all pairs of them.
_MOST = 20_000
_MIN_SAMPLES = 5


def classes_of_labels(labels: Any, n: int) -> NDArray[np.int64]:
    """Labels as numbers from 0.

    Raises:
        InputError: another length than the data's, or a single class.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) != n:
        raise InputError(
            f"labels: expected one for each of the {n} vectors, got shape {array.shape}"
        )
    names, classes = np.unique(array.astype(str), return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"labels: all {n} vectors are of class {str(names[0])!r}; there must be two or more"
        )
    return classes.astype(np.int64)


def classes_of_clusters(x: NDArray[np.float32], spec: DtshSpec) -> NDArray[np.int64]:
    """Clusters as classes (section 4.1.2 of the Meta4 paper, which takes DBSCAN).

    Args:
        x: (n, dims) directions of length 1.
        spec: which method.

    Returns:
        (n,) classes from 0; `NOISE` for what is in none, and beyond the first 20,000 drawn.

    Raises:
        InputError: fewer than two clusters.
    """
    rows = np.random.default_rng(spec.seed).permutation(len(x))[:_MOST]
    sample = x[rows]
    if spec.clusters == "kmeans":
        found = KMeans(min(spec.n_clusters, len(sample)), n_init=3, random_state=spec.seed)
    elif spec.clusters == "hdbscan":
        found = HDBSCAN(min_cluster_size=_MIN_SAMPLES, copy=True)
    else:
        eps = spec.eps or _knee(sample)
        found = DBSCAN(eps=eps, min_samples=_MIN_SAMPLES, metric="cosine")
    clusters = found.fit_predict(sample)
    n_found = len(np.unique(clusters[clusters >= 0]))
    if n_found < 2:
        raise InputError(
            f"{spec.clusters} found {n_found} clusters in {len(sample)} vectors, and triplets "
            f"need two or more; try --clusters kmeans, another --eps, or give --labels"
        )
    classes = np.full(len(x), NOISE, dtype=np.int64)
    classes[rows] = clusters
    return classes


def _knee(x: NDArray[np.float32]) -> float:
    """Where the sorted distances to the 5th neighbour bend upwards (Ester et al., KDD 1996, 4.2).

    Taken as the point farthest below the line from the first distance to the last.
    """
    neighbours = NearestNeighbors(n_neighbors=min(_MIN_SAMPLES, len(x)), metric="cosine").fit(x)
    distances = np.sort(neighbours.kneighbors(x)[0][:, -1])
    line = np.linspace(distances[0], distances[-1], len(distances))
    return max(float(distances[np.argmax(line - distances)]), 1e-6)
