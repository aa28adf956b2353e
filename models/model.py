"""A hash model at work: fitted, loaded, and run by onnxruntime."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import ArtifactError, EmbeddingError
from .artifact import Manifest, TrainingData, checksum, fingerprint, read_artifact, write_artifact
from .cells import fit_cells
from .codes import pack_bits
from .directory import bucket_terms
from .embeddings import Embeddings, Progress, as_training_embeddings, no_progress
from .grid import GridWeights
from .itq import fit_itq
from .lsh import fit_lsh
from .specs import AnySpec

#: 64 rows by 4,096 cells in float64 are 2 MB, about a core's cache: 16 and 512 were 10% slower.
_BATCH = 64
_FITTERS: dict[str, Callable[..., GridWeights]] = {
    "lsh": fit_lsh,
    "itq": fit_itq,
    "cells": fit_cells,
}


class Hashes(NamedTuple):
    """What documents are stored with.

    Attributes:
        codes: (n, ceil(n_bits / 8)) uint8, packed.
        buckets: (n, buckets_per_document) int64 in [0, n_buckets), the nearest first.
    """

    codes: NDArray[np.uint8]
    buckets: NDArray[np.int64]


class HashModel:
    """Embeddings in; codes, buckets and an order of the buckets out."""

    def __init__(self, manifest: Manifest, onnx_bytes: bytes) -> None:
        self.manifest = manifest
        self.onnx_bytes = onnx_bytes

    @classmethod
    def fit(cls, spec: AnySpec, embeddings: Any, progress: Progress = no_progress) -> "HashModel":
        """Fit a model of the spec's kind.

        Args:
            spec: what to fit.
            embeddings: (n, dims) numbers; directions count, lengths do not.
            progress: called with (stage, done, total).

        Raises:
            EmbeddingError: the data is no matrix of finite, non-zero vectors.
            InputError: the data does not suffice for the spec.
        """
        from .graph import linear_hash_to_onnx  # onnx takes 0.3 s to import; only fitting needs it

        data = as_training_embeddings(embeddings)
        weights = _FITTERS[spec.kind](data, spec, progress)
        onnx_bytes = linear_hash_to_onnx(weights)
        manifest = Manifest(
            spec=spec,
            dims=data.shape[1],
            n_buckets=weights.n_buckets,
            buckets_per_document=2 if weights.bucket_kind == "cells" else weights.n_tables,
            training=TrainingData(n=len(data), fingerprint=fingerprint(data)),
            sha256=checksum(onnx_bytes),
        )
        return cls(manifest, onnx_bytes)

    @classmethod
    def load(cls, folder: Path | str) -> "HashModel":
        """Read an artifact.

        Raises:
            ArtifactError: missing, truncated or altered.
        """
        return cls(*read_artifact(Path(folder)))

    def save(self, folder: Path | str) -> None:
        """Write the artifact; see `meta4.models.artifact.write_artifact`."""
        write_artifact(Path(folder), self.manifest, self.onnx_bytes)

    @property
    def dims(self) -> int:
        """Length of the embeddings."""
        return self.manifest.dims

    @property
    def n_buckets(self) -> int:
        """Possible buckets."""
        return self.manifest.n_buckets

    def hash(self, embeddings: Embeddings) -> Hashes:
        """Codes and buckets of many embeddings, in batches.

        Args:
            embeddings: (n, dims) float32, finite, no zero rows.

        Raises:
            EmbeddingError: another number of dimensions.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dims:
            raise EmbeddingError(
                f"the model hashes embeddings of {self.dims} dimensions, got {embeddings.shape}"
            )
        bits = np.empty((len(embeddings), self.manifest.n_bits), dtype=bool)
        buckets = np.empty((len(embeddings), self.manifest.buckets_per_document), dtype=np.int64)
        for start in range(0, len(embeddings), _BATCH):
            rows = slice(start, start + _BATCH)
            batch = np.ascontiguousarray(embeddings[rows], dtype=np.float32)
            bits[rows], buckets[rows] = self._session.run(["bits", "buckets"], {"embedding": batch})
        return Hashes(pack_bits(bits), buckets)

    def encode(self, embeddings: Embeddings) -> NDArray[np.uint8]:
        """Packed codes, (n, ceil(n_bits / 8)) uint8."""
        return self.hash(embeddings).codes

    def buckets(self, embeddings: Embeddings) -> NDArray[np.int64]:
        """Bucket ids, (n, buckets_per_document) int64."""
        return self.hash(embeddings).buckets

    @cached_property
    def terms(self) -> list[str]:
        """The buckets' keywords, by id."""
        return bucket_terms(self.n_buckets)

    @cached_property
    def weights(self) -> GridWeights:
        """The weights, read back out of the ONNX model."""
        names = [
            "bucket_rows",
            "bucket_offsets",
            "code_rows",
            "code_offsets",
            "centroids",
            "scale",
            "n_tables",
            "soar_lambda",
        ]
        any_vector = np.ones((1, self.dims), dtype=np.float32)
        values = dict(zip(names, self._session.run(names, {"embedding": any_vector}), strict=True))
        return GridWeights(
            bucket_kind="cells" if self.manifest.kind == "cells" else "bits",
            bucket_rows=values["bucket_rows"],
            bucket_offsets=values["bucket_offsets"],
            code_rows=values["code_rows"],
            code_offsets=values["code_offsets"],
            centroids=values["centroids"],
            scale=float(values["scale"]),
            n_tables=int(values["n_tables"]),
            soar_lambda=float(values["soar_lambda"]),
        )

    @cached_property
    def _session(self) -> Any:
        try:
            return onnxruntime.InferenceSession(self.onnx_bytes, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes have no common root but this
            raise ArtifactError(
                f"onnxruntime cannot read the model: {error}; train it again"
            ) from error
