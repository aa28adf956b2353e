"""What a hashed index is, as its mapping's `_meta.meta4` keeps it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..errors import ConflictError, InputError, NotFoundError
from ..models.faults import first_fault
from ..models.probing.calibration import Calibration
from ..models.probing.ranking import Plan
from ..models.sketch import SketchWindows
from ..models.stopping.record import OutlookRecord
from .code_storage import STORAGES, CodeKind, CodeStorage
from .fields import ROOT, HashedField, Keyword

Strategy = Literal["native", "script", "hamming"]
STRATEGIES: tuple[Strategy, ...] = ("native", "script", "hamming")
Hashing = Literal["server", "client"]
#: By what documents are scored before the best are scored by their vectors.
FirstPhase = Literal["auto", "none", "projection"]
#: Parts of a spec that nobody asks for, as `Dialect.parts_now` gives them: they are of the version
#: that made an index, and one that has others is no other index for that.
OF_ITS_TIME = frozenset({"codes", "has_home", "is_unit"})
_OWN_NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"


class ModelRef(BaseModel):
    """A model in the cluster's store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=_OWN_NAME)
    version: int = Field(ge=1)
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def model_name(text: str) -> str:
    """The name of a model that is nearest to a text."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in text)
    return cleaned.lower().lstrip("_.-")[:64] or "model"


def check_own_name(kind: str, name: str) -> None:
    """Refuse what cannot be the name of something that is kept in the cluster.

    Args:
        kind: what is called so: a model or a query.
        name: what was given.

    Raises:
        InputError: it cannot.
    """
    if re.fullmatch(_OWN_NAME, name) is None or name.endswith("\n"):
        raise InputError(
            f"{kind} name {name!r}: expected 1 to 64 of the characters a-z, 0-9, '_', '-' and '.', "
            f"beginning with a letter or digit, as in {model_name(name)!r}"
        )


class BoundEncoder(BaseModel):
    """An encoder that makes a field's vectors of texts.

    Attributes:
        name: of a published one, or the folder that it lies in.
        sha256: of all that its vectors depend on.
        source: the field of the texts; may be dotted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str
    source: str

    @property
    def mark(self) -> str:
        """What documents keep whose vector it made."""
        return self.sha256[:16]

    def __str__(self) -> str:
        return f"{self.name} ({self.sha256[:12]}) from {self.source}"


class FieldSpec(BaseModel):
    """One hashed field of one index, whatever it holds.

    Attributes:
        field: its name.
        kind: what such fields are called in `_meta`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    format: Literal[1] = 1
    field: str

    @field_validator("field")
    @classmethod
    def _can_be_a_field(cls, name: str) -> str:
        HashedField(name)
        return name

    @property
    def fields(self) -> HashedField:
        """Names of the parts."""
        return HashedField(self.field)

    def entry(self) -> dict[str, Any]:
        """What `_meta` keeps under the field's name."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude={"field"})}

    def to_meta(self) -> dict[str, Any]:
        """The `_meta` of a mapping whose only hashed field this is."""
        return meta_of({self.field: self.entry()})


class IndexSpec(FieldSpec):
    """A hashed field of vectors."""

    kind = "vectors"

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
    #: Whether documents keep the first of their buckets in a field of its own.
    has_home: bool = False
    #: Whether documents' vectors are scaled to length 1 as they are written, so that a product of
    #: two is their cosine. Indexes from before this was kept have them as they came.
    is_unit: bool = False
    #: Directions of the sketches that documents keep, which a first phase is scored by; 0 for none.
    sketch: int = Field(default=0, ge=0)
    #: How many of the best by sketches are scored by their vectors; measured by `index tune`.
    windows: SketchWindows | None = None
    #: First-phase window of strategy `hamming`, as a multiple of k; measured by `index tune`.
    window: int = Field(default=20, ge=1)
    #: How far to look, where one share serves all queries; where `outlook` is None.
    calibration: Calibration | None = None
    #: What is expected of the buckets, from which each request's own reach is told.
    outlook: OutlookRecord | None = None
    #: What makes vectors of texts, as they are written and asked with; None where they are given.
    encoder: BoundEncoder | None = None
    #: Models that clients may still hash with: a request looks into all their documents at once.
    former_models: tuple[str, ...] = ()

    @property
    def code_storage(self) -> CodeStorage:
        """How documents keep their codes."""
        return STORAGES[self.codes]

    @property
    def sorted_by(self) -> str:
        """The field by which the index is sorted: what is looked into together lies together.

        By all of a document's buckets the engine sorts by the smallest, so that half of what is
        looked into lies anywhere.
        """
        return self.fields.home if self.has_home else self.fields.bucket

    @property
    def hashed(self) -> dict[str, Any]:
        """The query for documents that have all that the index's model writes."""
        mark = {"term": {self.fields.model: str(self.model)}}
        parts = [self.fields.home] if self.has_home else []
        parts += [self.fields.sketch(self.sketch)] if self.sketch else []
        if not parts:
            return mark
        return {"bool": {"filter": [mark, *({"exists": {"field": part}} for part in parts)]}}

    def home_of(self, terms: Sequence[str]) -> dict[str, str]:
        """What a document in these buckets, the nearest first, keeps of its home."""
        return {"home": terms[0]} if self.has_home else {}

    @property
    def all_keywords(self) -> tuple[Keyword, ...]:
        """By which keywords documents can be counted."""
        return ("bucket", "home") if self.has_home else ("bucket",)

    @property
    def own_reach(self) -> OutlookRecord | None:
        """What each request's reach is told from; None where one share serves all.

        An outlook is of the buckets' places: another plan knows nothing of these.
        """
        return self.outlook if self.plan == "centroid" else None

    @property
    def home_keyword(self) -> Keyword:
        """By which a document is counted in one bucket, where it is told which is its first."""
        return "home" if self.has_home else "bucket"

    def calibration_of(self, keyword: Keyword) -> Calibration | None:
        """What looking for documents by a keyword takes; None where that is not known."""
        if keyword == "bucket" or self.calibration is None:
            return self.calibration
        return self.calibration.home

    def keywords(self, *, filtered: bool) -> tuple[Keyword, ...]:
        """By which keywords a request may look for documents.

        Under a filter by the home alone, where that is known: how many documents lie in
        each is counted anew for each filter, at half the cost.
        """
        if self.own_reach is not None:
            return (self.home_keyword,)
        if self.calibration_of("home") is None or not self.has_home:
            return ("bucket",)
        return ("home",) if filtered else ("bucket", "home")


S = TypeVar("S", bound=FieldSpec)


def meta_of(entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A mapping's `_meta` that has these entries of fields."""
    return {ROOT: {"fields": entries}}


def entries_in(mapping: dict[str, Any], index: str) -> dict[str, dict[str, Any]]:
    """By field, what a mapping's `_meta` keeps of it.

    An index that was made while there could be one field only has its spec in their place.

    Raises:
        NotFoundError: the index is not one of ours.
        ConflictError: it was written by a version this one cannot read.
    """
    raw: Any = mapping.get("_meta", {}).get(ROOT)
    if raw is None:
        raise NotFoundError(
            f"index {index!r} has no hashed field (its mapping has no _meta.{ROOT}); make "
            f"one of it with: meta4 copy URL/{index} URL/NEW --model REF --field FIELD"
        )
    if isinstance(raw, dict) and isinstance(raw.get("field"), str):
        return {raw["field"]: {name: value for name, value in raw.items() if name != "field"}}
    fields = raw.get("fields") if isinstance(raw, dict) else None
    if not (
        isinstance(fields, dict) and fields and all(isinstance(e, dict) for e in fields.values())
    ):
        raise _foreign(index, "no fields")
    return fields


def spec_of(field: str, entry: dict[str, Any], kinds: Mapping[str, type[S]], index: str) -> S:
    """The spec that `_meta` keeps of a field.

    Args:
        field: its name.
        entry: what stands there.
        kinds: specs by kind.
        index: for messages.

    Raises:
        ConflictError: it was written by a version this one cannot read.
    """
    rest = dict(entry)
    kind: Any = rest.pop("kind", None) or _kind_before(rest, kinds)
    if not isinstance(kind, str) or kind not in kinds:
        raise _foreign(index, f"kind {kind!r}")
    return parsed(kinds[kind], {"field": field, **rest}, index)


def _kind_before(entry: dict[str, Any], kinds: Mapping[str, type[S]]) -> str | None:
    """The kind of a spec from before kinds were written: it has all that one of them needs."""
    for kind, spec in kinds.items():
        needed = {name for name, info in spec.model_fields.items() if info.is_required()}
        if needed - {"field"} <= set(entry):
            return kind
    return None


def parsed(kind: type[S], raw: dict[str, Any], index: str) -> S:
    """The spec in `_meta`.

    Raises:
        ConflictError: it was written by a version this one cannot read.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise _foreign(index, first_fault(error).message) from error


def _foreign(index: str, why: str) -> ConflictError:
    return ConflictError(
        f"index {index!r}: _meta.{ROOT} is not what this version writes ({why}); where another "
        f"version of meta4 wrote it use that one, else take it out of the mapping"
    )
