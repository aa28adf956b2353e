"""How much a rival must do for a recall, found on queries that are not timed."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from meta4.adapter.engines.engine import Engine
from meta4.adapter.fields.recall import recall_by_score

from ..contest import CANDIDATES, K
from .collection import Collection, Question
from .rivals import Kind
from .sides import BbqFlat, Rival, Side

#: Windows of a second phase that are tried.
WINDOWS = (25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000)
#: By so much recall a second phase may fall short of what its first one is given.
_LOST = 0.002
#: Ways of asking the same index are timed with so many queries each.
_TIMED = 60


class Efforts:
    """Finds efforts on one engine.

    Args:
        engine: where.
        collection: whose scores count.
    """

    def __init__(self, engine: Engine, collection: Collection) -> None:
        self._engine, self._collection = engine, collection

    def recall(self, side: Side, questions: Sequence[Question]) -> float:
        """Mean recall@25."""
        send = side.sender(self._engine)
        recalls = [
            recall_by_score(
                self._collection.scores(question, send(side.body(question))), question.truth, K
            )
            for question in questions
        ]
        return float(np.mean(recalls))

    def rival(self, kind: Kind, index: str, questions: Sequence[Question], recall: float) -> Rival:
        """The fastest way of asking that index, each with as few candidates as it takes.

        The most there are where none is enough; a way that is not enough only where all are not.
        """
        found: list[tuple[bool, float, Rival]] = []
        for way in kind.ways:
            at = partial(Rival, kind.name, index, way)
            candidates, reached = self._fewest(at, CANDIDATES, questions, recall)
            found.append((reached < recall, -reached, at(candidates)))
        enough = [side for short, _, side in found if not short]
        if not enough:
            return min(found, key=lambda one: one[1])[2]
        return min(enough, key=lambda side: self._seconds(side, questions))

    def bbq_flat(self, index: str, asked: float, questions: Sequence[Question]) -> BbqFlat:
        """The least window that loses next to nothing of what the whole vectors give."""
        best = self.recall(BbqFlat(index, asked, WINDOWS[-1]), questions)
        window, _ = self._fewest(
            lambda window: BbqFlat(index, asked, window), WINDOWS, questions, best - _LOST
        )
        return BbqFlat(index, asked, window)

    def _fewest(
        self,
        side_with: Callable[[int], Side],
        choices: Sequence[int],
        questions: Sequence[Question],
        recall: float,
    ) -> tuple[int, float]:
        """The least of ascending choices that reaches a recall, or the last; and its recall."""
        low, high = 0, len(choices) - 1
        reached: dict[int, float] = {}
        while low < high:
            middle = (low + high) // 2
            reached[middle] = self.recall(side_with(choices[middle]), questions)
            if reached[middle] >= recall:
                high = middle
            else:
                low = middle + 1
        if low not in reached:
            reached[low] = self.recall(side_with(choices[low]), questions)
        return choices[low], reached[low]

    def _seconds(self, side: Side, questions: Sequence[Question]) -> float:
        """The median of a request."""
        send = side.sender(self._engine)
        bodies = [side.body(question) for question in questions[:_TIMED]]
        seconds = []
        for body in bodies:
            started = time.perf_counter()
            send(body)
            seconds.append(time.perf_counter() - started)
        return float(np.median(seconds))
