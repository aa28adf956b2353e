"""A model on disk: a folder with `manifest.json` and `model.onnx`, checked when it is read."""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import ArtifactError, ConflictError
from .embeddings import Embeddings
from .faults import first_fault
from .specs import AnySpec

MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"


class TrainingData(BaseModel):
    """What the model was fitted on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(ge=1)
    #: SHA-256 over the float32 matrix, row by row.
    fingerprint: str
    #: How many of a sample of it are in each bucket, by their first.
    bucket_counts: tuple[int, ...] | None = None


class Manifest(BaseModel):
    """All that is known of a model but its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    spec: AnySpec
    dims: int = Field(ge=1)
    n_buckets: int = Field(ge=1)
    buckets_per_document: int = Field(ge=1)
    #: In which arithmetic the hash is defined; see `meta4.models.graphs.grid` and `network_graph`.
    arithmetic: Literal["float64", "float32"] = "float64"
    #: Pairs of directions that a sketch has and the window that holds the nearest, measured among
    #: the training data; see `meta4.models.sketch`. None of models from before there were sketches.
    sketch_windows: tuple[tuple[int, int], ...] = ()
    training: TrainingData
    #: SHA-256 of `model.onnx`.
    sha256: str

    @property
    def kind(self) -> str:
        """The spec's kind."""
        return self.spec.kind

    @property
    def n_bits(self) -> int:
        """Length of the code."""
        return self.spec.n_bits


def fingerprint(embeddings: Embeddings) -> str:
    """SHA-256 of a matrix's shape and float32 numbers."""
    digest = hashlib.sha256(repr(embeddings.shape).encode())
    digest.update(np.ascontiguousarray(embeddings, dtype="<f4").data)
    return digest.hexdigest()


def checksum(onnx_bytes: bytes) -> str:
    """SHA-256 of a model file."""
    return hashlib.sha256(onnx_bytes).hexdigest()


def write_artifact(folder: Path, manifest: Manifest, onnx_bytes: bytes) -> None:
    """Write both files; the manifest last, so that a folder with one is complete.

    Raises:
        ConflictError: the folder holds another model.
    """
    target = folder / MANIFEST_FILE
    if target.exists() and read_manifest(target.read_bytes(), str(target)) != manifest:
        raise ConflictError(f"{folder} holds another model already; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(onnx_bytes)
    partial = target.with_suffix(".partial")
    partial.write_text(manifest.model_dump_json(indent=2) + "\n")
    partial.replace(target)


def read_artifact(folder: Path) -> tuple[Manifest, bytes]:
    """Read both files and check them.

    Raises:
        ArtifactError: a file is missing, cannot be parsed, or is not what the manifest says.
    """
    for name in (MANIFEST_FILE, MODEL_FILE):
        if not (folder / name).is_file():
            raise ArtifactError(
                f"{folder}: expected a model folder, but {name} is missing; "
                f"make one with: meta4 train … --out {folder}"
            )
    manifest = read_manifest((folder / MANIFEST_FILE).read_bytes(), str(folder / MANIFEST_FILE))
    onnx_bytes = (folder / MODEL_FILE).read_bytes()
    verify_model(manifest, onnx_bytes, str(folder / MODEL_FILE))
    return manifest, onnx_bytes


def read_manifest(raw: bytes, where: str) -> Manifest:
    """Parse a manifest.

    Raises:
        ArtifactError: not a manifest of a format that this version reads.
    """
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        fault = first_fault(error)
        raise ArtifactError(
            f"{where}: not a manifest that this version reads ({fault.place or 'the file'}: "
            f"{fault.message}); "
            f"train the model again or take an unaltered copy"
        ) from error


def verify_model(manifest: Manifest, onnx_bytes: bytes, where: str) -> None:
    """Compare the model's bytes with the manifest's checksum.

    Raises:
        ArtifactError: they differ.
    """
    found = checksum(onnx_bytes)
    if found != manifest.sha256:
        raise ArtifactError(
            f"{where}: the file was truncated or altered (SHA-256 expected "
            f"{manifest.sha256[:12]}…, got {found[:12]}… over {len(onnx_bytes)} bytes); "
            f"take an unaltered copy or train again"
        )
