"""What a hashed index is, as its mapping's `_meta.meta4` keeps it."""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import ConflictError, NotFoundError
from ..models.probing.calibration import Calibration
from ..models.probing.ranking import Plan
from .code_storage import STORAGES, CodeKind, CodeStorage
from .fields import ROOT, HashedField

Strategy = Literal["native", "script", "hamming"]
STRATEGIES: tuple[Strategy, ...] = ("native", "script", "hamming")
Hashing = Literal["server", "client"]


class ModelRef(BaseModel):
    """A model in the cluster's store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    version: int = Field(ge=1)
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class FieldSpec(BaseModel):
    """One hashed field of one index, whatever it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    field: str

    @property
    def fields(self) -> HashedField:
        """Names of the parts."""
        return HashedField(self.field)

    def to_meta(self) -> dict[str, Any]:
        """The mapping's `_meta`."""
        return {ROOT: self.model_dump(mode="json")}


class IndexSpec(FieldSpec):
    """A hashed field of vectors."""

    dims: int = Field(ge=1)
    n_bits: int = Field(ge=1)
    n_buckets: int = Field(ge=1)
    model: ModelRef
    strategy: Strategy = "native"
    plan: Plan = "centroid"
    #: Who hashes documents: an ingest pipeline, or whoever sends them.
    hashing: Hashing = "client"
    #: What codes are stored as, by the engine's dialect.
    codes: CodeKind = "longs"
    #: First-phase window of strategy `hamming`, as a multiple of k; measured by `index tune`.
    window: int = Field(default=20, ge=1)
    calibration: Calibration | None = None
    #: Models that clients may still hash with: a request looks into all their documents at once.
    former_models: tuple[str, ...] = ()

    @property
    def code_storage(self) -> CodeStorage:
        """How documents keep their codes."""
        return STORAGES[self.codes]

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any], index: str) -> "IndexSpec":
        """Read the spec back out of a mapping.

        Raises:
            NotFoundError: the index is not one of ours.
            ConflictError: `_meta.meta4` was written by a version this one cannot read.
        """
        raw = raw_spec(mapping, index)
        if is_text_spec(raw):
            raise ConflictError(
                f"index {index!r} holds texts hashed by minhash, and this is for vectors; texts "
                f"are loaded with meta4 ingest and searched with meta4 similar"
            )
        return parsed(cls, raw, index)


T = TypeVar("T", bound=BaseModel)


def raw_spec(mapping: dict[str, Any], index: str) -> dict[str, Any]:
    """What a mapping's `_meta` has of ours.

    Raises:
        NotFoundError: the index is not one of ours.
    """
    raw: dict[str, Any] | None = mapping.get("_meta", {}).get(ROOT)
    if raw is None:
        raise NotFoundError(
            f"index {index!r} has no hashed field (its mapping has no _meta.{ROOT}); "
            f"create one with: meta4 index create NAME --model REF --field FIELD"
        )
    return raw


def is_text_spec(raw: dict[str, Any]) -> bool:
    """Whether it is of a text field; see `meta4.mappings.texts`."""
    return "minhash" in raw


def parsed(kind: type[T], raw: dict[str, Any], index: str) -> T:
    """The spec in `_meta`.

    Raises:
        ConflictError: it was written by a version this one cannot read.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConflictError(
            f"index {index!r}: _meta.{ROOT} is not what this version writes "
            f"({error.errors()[0]['msg']}); use the version of meta4 that made the index"
        ) from error
