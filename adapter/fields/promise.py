"""What a kind of field promises, and how it is measured."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ...models.probing.ranking import Plan
from ..engines.calls import Json
from ..engines.engine import Engine


@dataclass(frozen=True)
class Table:
    """A result as people read it."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class TuneOptions:
    """How a field is tuned; None leaves it to the kind, which refuses what it does not have.

    Attributes:
        plan: change the field's plan to this one.
        n_queries: documents drawn as queries, or how many of `given`.
        given: queries to be used instead, as `Promise.read_queries` gives them: what is promised
            holds for queries like those that it was measured with.
        seed: which of them.
    """

    plan: Plan | None = None
    n_queries: int | None = None
    given: Any = None
    seed: int | None = None


@dataclass(frozen=True)
class Question:
    """What an evaluation asks for.

    Attributes:
        id: of the document that it is, and that is no answer to it; None for none.
        operand: of a `meta4_similar` clause.
    """

    id: str | None
    operand: Json


@dataclass(frozen=True)
class Judged:
    """How much was found of what was to be found.

    Attributes:
        n: answers that were to be found.
        recall: mean share of them, ties counted by score; 1 of none.
        error: its standard error.
        promised: mean share that was to be expected.
        details: the same for parts of it.
        worst: mean share of the tenth of the queries that got the least; None where queries do not
            count by themselves.
    """

    n: int
    recall: float
    error: float
    promised: float
    details: Sequence[Json] = field(default=())
    worst: float | None = None


@dataclass(frozen=True)
class Basis:
    """What a promise rests on.

    Attributes:
        words: what it is.
        grown: documents now for each one then; None where that is no matter.
        holds: whether it is of the index as it is now.
    """

    words: str
    grown: float | None = None
    holds: bool = True


class Judge(ABC):
    """Compares answers with exact ones.

    Attributes:
        asks: the `recall` of each request.
    """

    asks: float

    @abstractmethod
    def add(self, asked: Question, found: Sequence[Json], truth: Sequence[Json]) -> None:
        """A query, its hits, and those of an exact scan, best first."""

    @abstractmethod
    def judged(self) -> Judged:
        """What came of all of them."""


class Promise(ABC):
    """How much of what is to be found the requests of a field find.

    Attributes:
        recalls: those that `meta4 eval` asks for by itself; None where none can be asked for.
        verb: what was done to the recall that is to be reached.
    """

    recalls: ClassVar[tuple[float | None, ...]]
    verb: ClassVar[str]

    @abstractmethod
    def tune(
        self,
        engine: Engine,
        index: str,
        options: TuneOptions,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Any:
        """Measure what is looked into for a recall, and keep it; or say what is promised.

        Args:
            engine: where.
            index: which index.
            options: how.
            progress: called with the number of queries done since the last call.

        Returns:
            What `table` takes; a pydantic model.

        Raises:
            InputError: nothing to measure with, or an option that this kind does not have.
        """

    @abstractmethod
    def table(self, tuned: Any = None) -> Table | None:
        """What was tuned, or what is kept; None where nothing is."""

    @abstractmethod
    def read_queries(self, path: Path) -> Any:
        """Queries out of a file, as `questions` takes them."""

    def searches(self, _engine: Engine, _index: str) -> Any:
        """Those that clients kept of what was searched for, the same; None where none are kept."""
        return None

    @abstractmethod
    def questions(
        self, engine: Engine, index: str, n: int, seed: int, given: Any
    ) -> list[Question]:
        """At most `n` documents drawn as queries, or of those given."""

    @abstractmethod
    def judge(self, k: int, recall: float | None) -> Judge:
        """For queries that ask for so much; None for what requests ask for by themselves.

        Raises:
            InputError: such a field cannot be asked for it.
        """

    @abstractmethod
    def missing(self) -> str | None:
        """Why nothing is promised, in words; None where something is."""

    @abstractmethod
    def basis(self, n_documents: int) -> Basis:
        """What it rests on, where there are so many documents now."""

    @abstractmethod
    def remedy(self, index: str) -> str:
        """What to do where it finds less than it promises."""
