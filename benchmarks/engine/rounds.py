"""Sides asked in turn, query by query, and what each request took."""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

import numpy as np

from meta4.adapter.engines.engine import Engine
from meta4.adapter.fields.recall import recall_by_score

from ..contest import K
from .collection import Body, Collection, Question
from .cpu import ServerCpu, client_seconds
from .sides import Side

#: Of a normal distribution between whose quantiles 95% lie.
_Z = 1.96


@dataclass(frozen=True)
class Figures:
    """What a request of one side takes: medians over the rounds of each round's figure.

    Attributes:
        p50_ms, p95_ms, p99_ms: of the whole request, in the client.
        server_cpu_ms, client_cpu_ms: a request, the mean of a round.
        recall: mean recall@25 over the distinct questions.
        recall_margin: half of its 95% confidence interval (normal, over questions).
        questions: how many of these.
        effort: what the side was asked with.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_cpu_ms: float
    client_cpu_ms: float
    recall: float
    recall_margin: float
    questions: int
    effort: Body = field(default_factory=dict)


class Meter:
    """Asks one side, and keeps what its requests took and found, round by round."""

    def __init__(self, engine: Engine, collection: Collection, side: Side) -> None:
        self._side, self._collection = side, collection
        self._cpu = ServerCpu(engine)
        self._send = side.sender(engine)
        self._rounds: list[list[tuple[float, float, float]]] = []
        self._recalls: dict[int, float] = {}

    def warm(self, questions: Sequence[Question]) -> None:
        """Ask without a look at the clock."""
        for question in questions:
            self._send(self._side.body(question))

    def begin(self) -> None:
        """What is asked from now on is another round."""
        self._rounds.append([])

    def ask(self, question: Question, body: Body) -> None:
        """Ask a question whose body was made before."""
        server, client, started = self._cpu.seconds(), client_seconds(), time.perf_counter()
        hits = self._send(body)
        took = time.perf_counter() - started
        client, server = client_seconds() - client, self._cpu.seconds() - server
        self._rounds[-1].append((took, server, client))
        found = self._collection.scores(question, hits)
        self._recalls[id(question)] = recall_by_score(found, question.truth, K)

    def figures(self) -> Figures:
        """Of all rounds."""
        seconds, server, client = zip(
            *(np.asarray(one).T * 1000 for one in self._rounds), strict=True
        )

        def percentile(q: int) -> float:
            return float(np.median([np.percentile(one, q) for one in seconds]))

        recall, margin = interval(list(self._recalls.values()))
        return Figures(
            percentile(50),
            percentile(95),
            percentile(99),
            float(np.median([one.mean() for one in server])),
            float(np.median([one.mean() for one in client])),
            recall,
            margin,
            len(self._recalls),
            self._side.effort(),
        )


def in_turn(
    engine: Engine,
    collection: Collection,
    sides: Sequence[Side],
    rounds: Sequence[Sequence[Question]],
    *,
    warm: Sequence[Question],
) -> dict[str, Figures]:
    """Ask every side everything, in turn, so that a slow moment hits them all.

    Each side begins elsewhere in the round: two that look for the same would find it cached.

    Args:
        engine: where.
        collection: whose scores count.
        sides: what is asked; another goes first at each step.
        rounds: the questions of each round, of which the same may be in several.
        warm: what each side is asked before.
    """
    meters = [Meter(engine, collection, side) for side in sides]
    for meter in meters:
        meter.warm(warm)
    for questions in rounds:
        bodies = [[side.body(question) for question in questions] for side in sides]
        gc.collect()
        gc.freeze()  # hundreds of thousands of vectors and words are not the requests' doing
        for meter in meters:
            meter.begin()
        for step in range(len(questions)):
            for turn in range(len(sides)):
                i = (step + turn) % len(sides)
                row = (step + i * len(questions) // len(sides)) % len(questions)
                meters[i].ask(questions[row], bodies[i][row])
    return {side.name: meter.figures() for side, meter in zip(sides, meters, strict=True)}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean of two or more, and half of its 95% confidence interval (normal)."""
    margin = _Z * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return float(np.mean(values)), margin


def repeated(questions: Sequence[Question], n: int) -> list[Question]:
    """The first n of them, over and over where there are fewer."""
    return list(islice(cycle(questions), n))
