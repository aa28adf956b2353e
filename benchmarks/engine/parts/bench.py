"""What all parts share: one engine with its indexes, and sides at equal recall."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from meta4.adapter.cli.common import notes
from meta4.adapter.engines.engine import Engine

from ..collection import Body, Collection, Question
from ..efforts import Efforts
from ..indexes import Indexes
from ..rivals import Kind
from ..rounds import in_turn
from ..sides import Ours, Rival, Side

#: What is asked for without a filter; with one, and in other states of an index, less.
RECALLS = (0.9, 0.95, 0.99)
#: Of these the bars speak.
BARRED = (0.95, 0.99)


@dataclass(frozen=True)
class Counts:
    """How much is asked.

    Attributes:
        tuning: queries by which efforts are found.
        warm: queries that each side answers before the clock counts.
        few: questions of a round, each with a filter of its own.
        rounds: of which the median counts.
        clients: processes that ask at once.
        seconds: for which they do, in a round.
        rewriting_seconds: for which a side is asked while it is written to, in a round.
    """

    tuning: int = 200
    warm: int = 300
    few: int = 100
    rounds: int = 3
    clients: int = 4
    seconds: float = 6.0
    rewriting_seconds: float = 20.0


class Bench:
    """One engine, and what is compared in it.

    Args:
        engine: where.
        indexes: in it.
        counts: how much is asked.
    """

    def __init__(self, engine: Engine, indexes: Indexes, counts: Counts) -> None:
        self.engine = engine
        self.indexes = indexes
        self.counts = counts
        self.collection: Collection = indexes.collection
        self.efforts = Efforts(engine, self.collection)
        self.tuning = self.collection.questions(self.collection.tuning[: counts.tuning])
        self.asked = self.collection.questions(self.collection.asked)
        self._equal: dict[float, list[Side]] = {}

    @property
    def plain(self) -> Kind:
        """The engine's plain HNSW."""
        return self.indexes.kinds[0]

    def at_equal_recall(self, recall: float) -> list[Side]:
        """Ours, merged and without a filter, and all rivals with as much recall."""
        if recall not in self._equal:
            theirs = {kind.name: self.indexes.of(kind) for kind in self.indexes.kinds}
            self._equal[recall] = self.equal(recall, self.indexes.ours(), theirs, self.tuning)
        return self._equal[recall]

    def equal(
        self, recall: float, ours: str, theirs: Mapping[str, str], questions: Sequence[Question]
    ) -> list[Side]:
        """Ours, and rivals with as much recall as ours has on these questions.

        Args:
            recall: what ours is asked for.
            ours: our index.
            theirs: theirs, by kind.
            questions: none that is timed.
        """
        mine = Ours(ours, recall)
        reached = self.efforts.recall(mine, questions)
        return [mine, *self._rivals(theirs, questions, reached)]

    def _rivals(
        self, theirs: Mapping[str, str], questions: Sequence[Question], recall: float
    ) -> list[Rival]:
        return [
            self.efforts.rival(kind, theirs[kind.name], questions, recall)
            for kind in self.indexes.kinds
            if kind.name in theirs
        ]

    def timed(
        self,
        what: str,
        sides: Sequence[Side],
        rounds: Sequence[Sequence[Question]],
        warm: Sequence[Question],
    ) -> Body:
        """Figures of sides that are asked in turn, by name."""
        found = in_turn(self.engine, self.collection, sides, rounds, warm=warm)
        said = {name: f"{one.p50_ms:.2f} ms ({one.recall:.3f})" for name, one in found.items()}
        self.say(what, said)
        return {name: asdict(one) for name, one in found.items()}

    @staticmethod
    def say(what: str, found: Body) -> None:
        """How far it is, for who waits."""
        notes.print(f"{what}: " + ", ".join(f"{name} {value}" for name, value in found.items()))
