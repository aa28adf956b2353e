"""onnxruntime, which runs networks and holds all models' weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ...errors import ArtifactError
from ..embeddings import Embeddings

#: 64 rows by 4,096 cells in float64 are 2 MB, about a core's cache: 16 and 512 were 10% slower.
_BATCH = 64


def open_session(model: bytes | Path, way_out: str = "train it again") -> Any:
    """A session on the CPU.

    Args:
        model: as ONNX, or its file, beside which its weights may lie.
        way_out: what to do where it is none, for the message.

    Raises:
        ArtifactError: no model that onnxruntime can read.
    """
    try:
        # What falls back says so on standard output, which is for results.
        return onnxruntime.InferenceSession(
            model, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's own classes have no common root but this
        raise ArtifactError(f"onnxruntime cannot read the model: {error}; {way_out}") from error


def run(session: Any, outputs: Sequence[str], batch: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Some outputs for (n, dims) embeddings.

    Raises:
        ArtifactError: the model is not what its manifest says.
    """
    try:
        found: list[NDArray[Any]] = session.run(list(outputs), {"embedding": batch})
    except Exception as error:  # see `open_session`
        raise ArtifactError(f"onnxruntime cannot run the model: {error}") from error
    return found


def run_in_batches(
    session: Any, outputs: Sequence[str], embeddings: Embeddings
) -> list[NDArray[Any]]:
    """Some outputs for all rows.

    Args:
        session: of a hash model.
        outputs: names, each of an output with a row for each embedding.
        embeddings: (n, dims) float32, n > 0.

    Raises:
        ArtifactError: see `run`.
    """
    found = []
    for start in range(0, len(embeddings), _BATCH):
        batch = np.ascontiguousarray(embeddings[start : start + _BATCH], dtype=np.float32)
        found.append(run(session, outputs, batch))
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
