"""A hash model at work: fitted, loaded, and run, a network by onnxruntime."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbeddingError, InputError, MissingExtraError
from .artifact import Manifest, TrainingData, checksum, fingerprint, read_artifact, write_artifact
from .codes import pack_bits
from .embeddings import Embeddings, Progress, as_training_embeddings, no_progress, products, unit
from .graphs.grid import GridWeights
from .graphs.linear_hash import LinearHash
from .graphs.network import Layer, Router
from .graphs.runtime import open_session, run, run_in_batches
from .kinds.cells import fit_cells
from .kinds.itq import fit_itq
from .kinds.lsh import fit_lsh
from .probing.directory import bucket_terms
from .probing.ranking import Plan, class_costs, flip_costs
from .sketch import SketchWeights, fit_sketch, windows_of
from .specs import (
    AnySpec,
    AnyTrainedSpec,
    BitBucketsSpec,
    BucketKind,
    CellBucketsSpec,
    DashSpec,
    DtshSpec,
    LearnedSpec,
    TrainedSpec,
)
from .training.checks import check_trainable
from .training.options import TrainingOptions, check_resumable

#: Vectors of the training data that are counted by bucket.
_SAMPLE = 10_000

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


class _Fitted(NamedTuple):
    """Possible buckets, those of a document, and the ONNX file."""

    n_buckets: int
    per_document: int
    onnx_bytes: bytes


class HashModel:
    """Embeddings in; codes, buckets and an order of the buckets out."""

    def __init__(self, manifest: Manifest, onnx_bytes: bytes) -> None:
        self.manifest = manifest
        self.onnx_bytes = onnx_bytes
        self._sketches: dict[int, SketchWeights] = {}

    @classmethod
    def fit(
        cls,
        spec: AnySpec,
        embeddings: Any,
        progress: Progress = no_progress,
        *,
        labels: Any = None,
        options: TrainingOptions | None = None,
    ) -> "HashModel":
        """Fit a model of the spec's kind.

        Args:
            spec: what to fit.
            embeddings: (n, dims) numbers; directions count, lengths do not.
            progress: called with (stage, done, total).
            labels: (n,) classes, strings or integers, for a kind that learns from them.
            options: how a network is trained.

        Raises:
            EmbeddingError: the data is no matrix of finite, non-zero vectors.
            InputError: the data or the labels do not suit the spec.
            MissingExtraError: a network without torch.
        """
        # onnx takes 0.3 s to import; only fitting needs it
        from .graphs.linear_graph import linear_hash_to_onnx
        from .graphs.onnx_graph import with_constants

        data = as_training_embeddings(embeddings)
        if labels is not None and not isinstance(spec, DtshSpec | DashSpec):
            raise InputError(f"a {spec.kind} model learns nothing from labels; leave --labels out")
        if not isinstance(spec, TrainedSpec):
            weights = _FITTERS[spec.kind](data, spec, progress)
            fitted = _Fitted(weights.n_buckets, _per_document(spec), linear_hash_to_onnx(weights))
        else:
            fitted = _train(data, spec, labels, options, progress)
        sketch = fit_sketch(data)
        constants = {"sketch_rows": sketch.rows, "sketch_factor": np.float64(sketch.factor)}
        onnx_bytes = with_constants(fitted.onnx_bytes, constants)
        manifest = Manifest(
            spec=spec,
            dims=data.shape[1],
            n_buckets=fitted.n_buckets,
            buckets_per_document=fitted.per_document,
            arithmetic="float64" if spec.is_linear else "float32",
            training=TrainingData(n=len(data), fingerprint=fingerprint(data)),
            sketch_windows=windows_of(sketch, data),
            sha256=checksum(onnx_bytes),
        )
        model = cls(manifest, onnx_bytes)
        counts = model.first_bucket_counts(data[:: -(-len(data) // _SAMPLE)])
        training = manifest.training.model_copy(update={"bucket_counts": tuple(counts.tolist())})
        model.manifest = manifest.model_copy(update={"training": training})
        return model

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

    @property
    def bucket_kind(self) -> BucketKind:
        """What its buckets are made of."""
        return self.manifest.spec.bucket_kind

    @property
    def is_linear(self) -> bool:
        """Whether it is defined on the integer grid, where a server can hash as well."""
        return self.manifest.spec.is_linear

    @property
    def has_home(self) -> bool:
        """Whether documents lie in several buckets, so that the first is one among others."""
        return self.manifest.buckets_per_document > 1

    def hash(self, embeddings: Embeddings) -> Hashes:
        """Codes and buckets of many embeddings, in batches.

        Args:
            embeddings: (n, dims) float32, finite, no zero rows.

        Raises:
            EmbeddingError: another number of dimensions.
        """
        self._check_dims(embeddings)
        if self.is_linear:
            bits, buckets = self._linear.bits(embeddings), self._linear.buckets(embeddings)
        else:
            bits, buckets = run_in_batches(self._session, ["bits", "buckets"], embeddings)
        return Hashes(pack_bits(bits), buckets)

    def first_bucket_counts(self, embeddings: Embeddings) -> NDArray[np.int64]:
        """(n_buckets,) how many of (n, dims) embeddings have each bucket as their first."""
        return np.bincount(self.buckets(embeddings)[:, 0], minlength=self.n_buckets)

    def encode(self, embeddings: Embeddings) -> NDArray[np.uint8]:
        """Packed codes, (n, ceil(n_bits / 8)) uint8; see `hash`."""
        if not self.is_linear:
            return self.hash(embeddings).codes
        self._check_dims(embeddings)
        return pack_bits(self._linear.bits(embeddings))

    def buckets(self, embeddings: Embeddings) -> NDArray[np.int64]:
        """Bucket ids, (n, buckets_per_document) int64; see `hash`."""
        if not self.is_linear:
            return self.hash(embeddings).buckets
        self._check_dims(embeddings)
        return self._linear.buckets(embeddings)

    def sketch(self, n_directions: int) -> SketchWeights:
        """What makes sketches of so many directions.

        Raises:
            ArtifactError: the model is from before there were sketches; its manifest has no
                `sketch_windows`.
        """
        made = self._sketches.get(n_directions)
        if made is None:
            rows, factor = self._constants(["sketch_rows", "sketch_factor"]).values()
            made = SketchWeights(rows[:n_directions], float(factor))
            self._sketches[n_directions] = made
        return made

    @cached_property
    def terms(self) -> list[str]:
        """The buckets' keywords, by id."""
        return bucket_terms(self.n_buckets)

    def margins(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """What a code's bits are the signs of: (n, n_bits) float32.

        A bit whose margin is within 1e-5 of zero is not defined: another processor may add
        in another order. Of a linear hash they are cosines to the hyperplanes.
        """
        if self.is_linear:
            weights = self.weights
            lengths = np.linalg.norm(weights.code_rows, axis=1)
            cosines = unit(embeddings) @ (weights.code_rows / lengths[:, None]).T
            return np.asarray(cosines - weights.code_offsets / lengths, dtype=np.float32)
        rows = np.ascontiguousarray(embeddings, dtype=np.float32)
        margins: NDArray[np.float32] = self._session.run(["margins"], {"embedding": rows})[0]
        return margins

    def bucket_costs(self, query: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
        """How far each possible bucket is from a query; lower is better.

        Args:
            query: (dims,) float32, not zero.
            plan: which distance; see `meta4.models.probing.ranking`.

        Returns:
            (n_buckets,) float32, comparable within one query only.
        """
        if plan == "centroid":
            cosines = products(self.centroids, query)
            return np.negative(cosines, out=cosines)
        if plan == "learned":
            logits = self.router.logits(unit(query).astype(np.float32))
            shifted = logits - logits.max()
            costs: NDArray[np.float32] = np.log(np.exp(shifted).sum()) - shifted
            return costs
        if plan == "classes":
            spec = self.manifest.spec
            assert isinstance(spec, DashSpec)
            outputs = ["class_logits", "bucket_margins"]
            logits, margins = self._session.run(outputs, {"embedding": query[None]})
            n_tables = self.manifest.buckets_per_document
            return class_costs(logits[0], margins[0], n_tables, spec.strongest)
        (margins,) = self._session.run(["bucket_margins"], {"embedding": query[None]})
        return flip_costs(margins[0], self.manifest.buckets_per_document, plan)

    @cached_property
    def centroids(self) -> NDArray[np.float32]:
        """(n_buckets, dims) float32 of length 1; zero where no training document fell."""
        centroids: NDArray[np.float32] = self._constants(["centroids"])["centroids"]
        return centroids

    @cached_property
    def router(self) -> Router:
        """What tells a query where its neighbours are; of a `learned` model only."""
        spec = self.manifest.spec
        assert isinstance(spec, LearnedSpec)
        numbers = range(len(spec.layers) + 1)
        names = [f"router_{part}_{i}" for i in numbers for part in ("weight", "bias")]
        values = list(self._constants(names).values())
        layers = [
            Layer(weight, bias, "relu")
            for weight, bias in zip(values[::2], values[1::2], strict=True)
        ]
        return Router(tuple(layers[:-1]), replace(layers[-1], activation="none"))

    @cached_property
    def weights(self) -> GridWeights:
        """The weights of a linear hash, read back out of the ONNX model."""
        names = [
            "bucket_rows",
            "bucket_offsets",
            "code_rows",
            "code_offsets",
            "scale",
            "n_tables",
            "soar_lambda",
        ]
        values = self._constants(names)
        return GridWeights(
            bucket_kind="bits" if self.bucket_kind == "bits" else "cells",
            bucket_rows=values["bucket_rows"],
            bucket_offsets=values["bucket_offsets"],
            code_rows=values["code_rows"],
            code_offsets=values["code_offsets"],
            centroids=self.centroids,
            scale=float(values["scale"]),
            n_tables=int(values["n_tables"]),
            soar_lambda=float(values["soar_lambda"]),
        )

    def _check_dims(self, embeddings: Embeddings) -> None:
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dims:
            raise EmbeddingError(
                f"the model hashes embeddings of {self.dims} dimensions, got {embeddings.shape}"
            )

    @cached_property
    def _linear(self) -> LinearHash:
        return LinearHash(self.weights)

    def _constants(self, names: list[str]) -> dict[str, Any]:
        any_vector = np.ones((1, self.dims), dtype=np.float32)
        return dict(zip(names, run(self._session, names, any_vector), strict=True))

    @cached_property
    def _session(self) -> Any:
        return open_session(self.onnx_bytes)


def _train(
    data: Embeddings,
    spec: AnyTrainedSpec,
    labels: Any,
    options: TrainingOptions | None,
    progress: Progress,
) -> "_Fitted":
    from .graphs.classed_graph import classed_hash_to_onnx
    from .graphs.network_graph import network_hash_to_onnx, routed_hash_to_onnx

    options = options or TrainingOptions()
    # Before cells or clusters are looked for, which takes minutes.
    check_trainable(data, spec)
    check_resumable(options)
    try:
        from .training.fit import fit_network, network_hash
        from .training.methods.dash import fit_dash
        from .training.methods.router import fit_routed_cells
    except ModuleNotFoundError as error:
        purpose = f"training a {spec.kind} model"
        raise MissingExtraError(str(error.name), "train", purpose) from error
    if isinstance(spec, DashSpec):
        classed = fit_dash(data, spec, labels, options, progress)
        return _Fitted(classed.n_buckets, classed.n_tables, classed_hash_to_onnx(classed))
    if isinstance(spec, LearnedSpec):
        weights, router = fit_routed_cells(data, spec, options, progress)
        n_buckets, onnx_bytes = weights.n_buckets, routed_hash_to_onnx(weights, router)
    else:
        network = fit_network(data, spec, labels, options, progress)
        hashing = network_hash(network, data, spec, progress)
        n_buckets, onnx_bytes = hashing.n_buckets, network_hash_to_onnx(hashing)
    return _Fitted(n_buckets, _per_document(spec), onnx_bytes)


def _per_document(spec: AnySpec) -> int:
    """Buckets of a document, of a kind that does not find them out."""
    if isinstance(spec, CellBucketsSpec):
        return 2
    return spec.n_tables if isinstance(spec, BitBucketsSpec) else 1
