"""Random hyperplanes (Charikar, "Similarity estimation techniques from rounding", STOC 2002)."""

import numpy as np

from ..embeddings import Embeddings, Progress
from ..graphs.grid import GridWeights, hyperplanes_to_grid
from ..specs import LshSpec
from ..statistics import table_centroids


def fit_lsh(embeddings: Embeddings, spec: LshSpec, progress: Progress) -> GridWeights:
    """Draw the hyperplanes; the data gives only the buckets' mean vectors.

    The bucket's hyperplanes are the code's first ones where it has enough of them, so that a
    bucket is a prefix of the code as in the classical hash table.
    """
    rng = np.random.default_rng(spec.seed)
    dims = embeddings.shape[1]
    n_bucket_rows = spec.n_tables * spec.bits_per_table
    planes = rng.standard_normal((max(spec.n_bits, n_bucket_rows), dims))
    rows, offsets = hyperplanes_to_grid(planes, np.zeros(len(planes)))
    bucket_rows, bucket_offsets = rows[:n_bucket_rows], offsets[:n_bucket_rows]
    progress("bucket means", 0, 1)
    centroids = table_centroids(embeddings, bucket_rows, bucket_offsets, spec.n_tables)
    progress("bucket means", 1, 1)
    return GridWeights(
        bucket_kind="bits",
        bucket_rows=bucket_rows,
        bucket_offsets=bucket_offsets,
        code_rows=rows[: spec.n_bits],
        code_offsets=offsets[: spec.n_bits],
        centroids=centroids,
        scale=1.0,
        n_tables=spec.n_tables,
        soar_lambda=0.0,
    )
