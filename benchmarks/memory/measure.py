"""One side in one room: a node of its own, warm, limited, and asked what nobody asked before."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.adapter.cli.common import counting
from meta4.adapter.fields.recall import recall_by_score
from meta4.adapter.measure.comparison import Search

from ..sides import Graph, K, Side, Sides
from ..worlds import N_ASKED, Floats, World
from .node import HEAP_MB, LimitedNode, limited_node
from .page_cache import Reads

Json = dict[str, Any]
#: A query, and the scores of its nearest.
Question = tuple[Floats, NDArray[np.float64]]
RECALLS = (0.95, 0.99)
#: The first of a set's questions find candidates, and warm; the others are asked once.
N_TUNED_ON = N_ASKED // 2
#: Seconds of requests, without a limit, after which the JVM has compiled what they run: with three
#: hundred requests alone, one takes twice as long.
_WARMING_SECONDS = 40.0
#: Requests under the limit before the clock counts.
_WARM_UP = 100
#: Requests and seconds, without a limit, that fill the cache as a running node's is.
_FILLING, _FILLING_SECONDS = 3000, 20.0
_PATIENCE = 60.0
#: The first requests after the cache was emptied, at the first of `RECALLS`.
_COLD = 50
COLD_ROOM = 0.5


@dataclass(frozen=True)
class Plan:
    """What is asked of a side, the same for all of them.

    Attributes:
        server: one of `contest.SERVERS`.
        data: the node's folder.
        n_timed: requests of each recall, as far as a minute allows.
        java: further options of the JVM.
        heap_mb: of the JVM.
    """

    server: str
    data: Path
    n_timed: int
    java: tuple[str, ...] = ()
    heap_mb: int = HEAP_MB


class Questions:
    """What is asked about a world.

    Attributes:
        tuning: (n, dims) asked before, to find candidates and to warm.
        truth: (n, K) of those, as `World.truth` gives it.
    """

    def __init__(self, world: World) -> None:
        queries = world.kinds[0].queries
        self.world = world
        self.tuning = queries[:N_TUNED_ON]
        self._unasked = np.concatenate([queries[N_TUNED_ON:], world.unasked])
        every = np.concatenate([self.tuning, self._unasked])
        truth = world.truth(every, [None] * len(every), K)
        self.truth, self._unasked_truth = truth[:N_TUNED_ON], truth[N_TUNED_ON:]

    def unasked(self) -> Iterator[Question]:
        """The others, each once."""
        return zip(self._unasked, self._unasked_truth, strict=True)


def measure(
    plan: Plan, questions: Questions, side: Side, candidates: Mapping[float, int], share: float
) -> list[Json]:
    """A row for each recall, and one of a cold start where the room is `COLD_ROOM`.

    Args:
        plan: what is asked.
        questions: about a world whose indexes are there.
        side: which of them is asked.
        candidates: of a graph, by recall.
        share: of the full vectors that the room has.
    """
    world, unasked = questions.world, questions.unasked()
    rows = []
    with limited_node(plan.server, plan.data, plan.java, plan.heap_mb) as node:
        sides = Sides(node.engine, world)
        searches = {
            recall: sides.graph(side, candidates[recall])
            if isinstance(side, Graph)
            else sides.ours(side, recall)
            for recall in RECALLS
        }
        index = sides.index(side)
        with counting(f"{side.name}: warming", None, "requests") as advance:
            _warm(list(searches.values()), questions, advance)
            node.empty(index)
            room = int(share * world.bytes)
            if node.limits:
                _fill(node, world, list(searches.values()), room, advance)
                node.give_room(room)
        common = {"set": world.key, "name": world.name, "side": side.name, "room": share}
        for recall, search in searches.items():
            found = {"recall": recall, "candidates": candidates.get(recall), "cold": False}
            for query, _ in islice(unasked, _WARM_UP if node.limits else 0):
                search(query)
            if node.limits:
                node.give_room(room)
            else:
                node.empty(index)
            figures = _timed(node, world, search, list(islice(unasked, plan.n_timed)))
            rows.append({**common, **found, **figures})
        if share == COLD_ROOM and node.limits:
            recall = RECALLS[0]
            found = {"recall": recall, "candidates": candidates.get(recall), "cold": True}
            node.empty(index)
            figures = _timed(node, world, searches[recall], list(islice(unasked, _COLD)))
            rows.append({**common, **found, **figures})
    return rows


def _warm(searches: Sequence[Search], questions: Questions, advance: Callable[[int], None]) -> None:
    """Ask until the node is as fast as one that has run for a while."""
    started = time.monotonic()
    while time.monotonic() - started < _WARMING_SECONDS:
        for i, query in enumerate(questions.tuning):
            searches[i % len(searches)](query)
            advance(1)


def _fill(
    node: LimitedNode,
    world: World,
    searches: Sequence[Search],
    room: int,
    advance: Callable[[int], None],
) -> None:
    """Ask documents until the index has as many pages in memory as it is to have room for."""
    rows = np.random.default_rng(0).permutation(len(world.base))[:_FILLING]
    started = time.monotonic()
    for i, row in enumerate(rows):
        searches[i % len(searches)](world.base[row])
        advance(1)
        if i % 20 == 19 and (node.held() > room or time.monotonic() - started > _FILLING_SECONDS):
            break


def _timed(node: LimitedNode, world: World, search: Search, asked: Sequence[Question]) -> Json:
    """Ask each query once, until patience ends."""
    seconds, recalls, reads = [], [], []
    gc.collect()
    gc.freeze()  # hundreds of thousands of vectors are not the requests' doing
    begun, room = time.monotonic(), node.room()
    for query, best in asked:
        before, clock = node.reads(), time.perf_counter()
        hits = search(query)
        seconds.append(time.perf_counter() - clock)
        reads.append(node.reads().since(before))
        recalls.append(recall_by_score(world.scores(query, hits), best, K))
        if time.monotonic() - begun > _PATIENCE:
            break
    after = node.room()
    return {
        "requests": len(seconds),
        "p50_ms": float(np.percentile(seconds, 50) * 1000),
        "p95_ms": float(np.percentile(seconds, 95) * 1000),
        "delivered": float(np.mean(recalls)),
        **_mean(reads),
        "room_before": asdict(room),
        "room_after": asdict(after),
        "free": max(room.free, after.free),
    }


def _mean(reads: Sequence[Reads]) -> Json:
    return {
        "mb": float(np.mean([one.bytes for one in reads])) / 1e6,
        "faults": float(np.mean([one.faults for one in reads])),
        "reads": float(np.mean([one.requests for one in reads])),
    }
