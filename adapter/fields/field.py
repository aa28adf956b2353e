"""What every kind of hashed field can do.

A value of these is one field of one index, or of indexes with one spec. Requests and writers ask
it in steps, without I/O; managing commands give it an engine. A further kind is a further module
and a line in `kinds.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from ...errors import InputError
from ...ingest.hashers import Hasher
from ...mappings.spec import BoundEncoder, FieldSpec, FirstPhase, Hashing, Strategy
from ...models.embeddings import Progress
from ...models.probing.ranking import Plan
from ..engines.calls import Calls, Json, Steps
from ..engines.engine import Engine
from ..search.planned import Body, PlannedClause
from ..search.sites import Site
from .promise import Promise
from .scope import Scope
from .shelf import Shelf
from .succession import Succession

if TYPE_CHECKING:
    from .vectors.duplicates import Duplicates

Level = Literal["fine", "act"]


@dataclass(frozen=True)
class Options:
    """What a user chooses of a new field; a kind refuses what it does not have.

    Attributes:
        strategy: how the rerank runs.
        plan: order of the buckets; None is the best that the model has.
        hashing: "server" sets a default pipeline, "client" leaves hashing to whoever writes; None
            is the server where it can.
        first_phase: by what documents are scored before the best are scored by their vectors.
        encoder: what makes vectors of texts, as they are written and asked with; None where
            vectors are given.
    """

    strategy: Strategy = "native"
    plan: Plan | None = None
    hashing: Hashing | None = None
    first_phase: FirstPhase = "auto"
    encoder: BoundEncoder | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: was looked at.
        level: "act" where something is to be done.
        found: figures, in words.
        todo: what, with the command; empty where nothing is.
        figures: the same for machines.
    """

    what: str
    level: Level
    found: str
    todo: str
    figures: Mapping[str, float | int | None]

    def as_dict(self) -> Json:
        """For JSON."""
        return asdict(self)


class Field(ABC):
    """One hashed field.

    Attributes:
        kind: what `_meta` calls it.
        spec_type: of `spec`.
        model_type: of what hashes such a field.
        default_name: of the field.
        value_name: what a document has in it.
        stale_costs: what a document costs whose hash is missing or another's.

    Args:
        spec: as `_meta` has it.
        calls: what is asked of its cluster.
        shelf: what is known already.
    """

    kind: ClassVar[str]
    spec_type: ClassVar[type[FieldSpec]]
    model_type: ClassVar[type]
    default_name: ClassVar[str]
    value_name: ClassVar[str]
    stale_costs: ClassVar[str]
    spec: FieldSpec

    def __init__(self, spec: FieldSpec, calls: Calls, shelf: Shelf) -> None:
        self.spec = spec
        self.calls = calls
        self.shelf = shelf

    @property
    @abstractmethod
    def takes_texts(self) -> bool:
        """Whether a clause may ask with a text."""

    @property
    def at_times(self) -> tuple[str, ...]:
        """What only some hashed documents have beside their hashes."""
        return ()

    @property
    def hashed_by(self) -> tuple[str, ...]:
        """The fields whose values decide what a document's hash is."""
        return (self.spec.field,)

    # A request.

    def get_ready(self, index: str) -> Steps[None]:
        """Read what every request needs, where it is not fresh."""
        yield from ()

    @abstractmethod
    def plan(
        self, scope: Scope, sites: Sequence[Site], *, exact: bool
    ) -> Steps[Sequence[PlannedClause]]:
        """Clauses that ask this field, with what each looks into.

        Args:
            scope: where.
            sites: the clauses.
            exact: look everywhere.

        Raises:
            ClauseError: a clause asks for what such a field does not have.
            NotFoundError: a document that is not there, or has no such field.
            EmbeddingError: what cannot be searched for.
        """

    @abstractmethod
    def about(self, index: str) -> Steps[Json]:
        """What an explanation says first."""

    @abstractmethod
    def explain(self, index: str, one: PlannedClause) -> Steps[Json]:
        """What a clause looks into and why, counted by the server."""

    @property
    def scored(self) -> str:
        """What a document that can be an answer has."""
        return self.spec.field

    def searched(self, one: PlannedClause) -> Body:
        """The documents that a clause scores."""
        within = one.within()
        exists: Body = {"exists": {"field": self.scored}}
        return {"bool": {"filter": [exists] if within is None else [exists, within]}}

    def count_searched(self, index: str, one: PlannedClause) -> Steps[int]:
        """How many these are; an engine's `_count` takes a query only."""
        body = {"size": 0, "track_total_hits": True, "query": self.searched(one)}
        answer = yield from self.calls.search(index, {**body, **one.site.defined})
        return int(answer["hits"]["total"]["value"])

    # A document.

    @property
    def hashing(self) -> Hashing:
        """Who hashes documents: an ingest pipeline, or whoever sends them."""
        return "client"

    @property
    @abstractmethod
    def mark(self) -> str:
        """What hashed documents have in their `model`."""

    @abstractmethod
    def hasher(self, *, written_before: bool = False) -> Steps[Hasher]:
        """What hashes documents here.

        Args:
            written_before: whether they come out of an index of the same vectors.
        """

    def duplicates(
        self, engine: Engine, index: str, min_cosine: float, recall: float, progress: Progress
    ) -> "Duplicates":
        """All pairs of an index's documents that are at least so similar.

        Raises:
            InputError: such a field has no cosines; or one that cannot be.
        """
        raise InputError(
            f"field {self.spec.field!r} of index {index!r} holds {self.value_name}s, which have no "
            f"cosine; ask for the near-duplicates of one at a time: meta4 similar"
        )

    # An index.

    @classmethod
    @abstractmethod
    def resolve(cls, engine: Engine, reference: str) -> tuple[Any, Any]:
        """What a model is referred to by, and the model itself.

        What lies in a folder is stored in the cluster, where models of this kind are.
        """

    @classmethod
    @abstractmethod
    def takes(cls, reference: str) -> bool:
        """Whether a folder or name is of a model of this kind, as far as can be told here."""

    @classmethod
    @abstractmethod
    def needs_scripts(cls, options: Options) -> bool:
        """Whether a field with these options asks its server to run scripts."""

    @classmethod
    @abstractmethod
    def new(cls, engine: Engine, name: str, ref: Any, model: Any, options: Options) -> Self:
        """A field that is to be made.

        Args:
            engine: where.
            name: of the field; may be dotted.
            ref: of the model.
            model: the model itself.
            options: what else a user chooses.

        Raises:
            InputError: a name, model or option that cannot be.
        """

    def check_model(self, ref: Any, model: Any) -> None:
        """Refuse a model that hashes another kind of field.

        Raises:
            InputError: it does.
        """
        if not isinstance(model, self.model_type):
            raise self.wrong_model(ref)

    def wrong_model(self, ref: Any) -> InputError:
        """For a model that hashes another kind of field."""
        return InputError(
            f"field {self.spec.field!r} has {self.value_name}s, and {ref} hashes something else; "
            f"train a model on such {self.value_name}s"
        )

    @abstractmethod
    def fault(self, value: Any) -> str | None:
        """Why a document's value cannot be hashed, in words; None where it can."""

    @abstractmethod
    def options(self) -> Options:
        """Those of `new`."""

    @abstractmethod
    def index_body(self, *, shards: int, replicas: int, pipeline: str | None) -> Body:
        """Settings and mapping of an index with this field."""

    def pipeline(self, engine: Engine) -> Body | None:
        """The ingest pipeline that hashes it; None where none does."""
        return None

    @abstractmethod
    def same_but_measured(self, other: FieldSpec) -> bool:
        """Whether a spec differs in nothing but what was measured, or is of an index's time."""

    @abstractmethod
    def together(self, others: "Sequence[Field]") -> Self | None:
        """The field that asks this one and those of other indexes at once.

        None where what a request looks into would not be the same in all.
        """

    @abstractmethod
    def line(self, model: Any) -> str:
        """What was made with a model, in a line."""

    @abstractmethod
    def summary(self) -> Json:
        """Columns of `meta4 index list`."""

    @abstractmethod
    def show(self, engine: Engine, index: str) -> Json:
        """All that is known of it, counted now; `calibration` may be among it."""

    # Its state.

    @abstractmethod
    def stale(self, engine: Engine, index: str) -> Iterator[Json]:
        """Hits of documents whose hash is missing or not their value's."""

    def count_stale(self, engine: Engine, index: str) -> int:
        """How many these are."""
        return sum(1 for _ in self.stale(engine, index))

    @abstractmethod
    def findings(self, engine: Engine, index: str) -> list[Finding]:
        """What only this kind can be ill with."""

    # What it promises, and what takes its place.

    @property
    @abstractmethod
    def promise(self) -> Promise:
        """How much of what is to be found its requests find."""

    @property
    @abstractmethod
    def succession(self) -> Succession:
        """The same documents in another index."""
