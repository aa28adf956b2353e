"""Data that no network can be trained with."""

import numpy as np

from ...errors import InputError
from ..embeddings import Embeddings
from ..kinds.cells import check_enough_for_cells
from ..specs import CellBucketsSpec, TrainedSpec


def check_trainable(embeddings: Embeddings, spec: TrainedSpec) -> None:
    """Refuse data that a network of this spec cannot be trained with.

    Raises:
        InputError: too few vectors, or dimensions that hold one number.
    """
    n, dims = embeddings.shape
    if isinstance(spec, CellBucketsSpec):
        check_enough_for_cells(n, spec)
    if n < spec.batch:
        raise InputError(
            f"a batch has {spec.batch} vectors, and the training data {n}; "
            f"give more vectors or a smaller --batch"
        )
    constant = np.flatnonzero(embeddings.min(axis=0) == embeddings.max(axis=0))
    if len(constant):
        raise InputError(
            f"{len(constant)} of {dims} dimensions hold one number in all {n} vectors (the "
            f"first is dimension {constant[0]}); leave them out, or give more varied data"
        )
