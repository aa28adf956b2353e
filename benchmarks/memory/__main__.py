"""Requests where memory is short: a node in a memory cgroup, with room for some of its vectors.

Each side has a node of its own, started when no page of its data is in memory: by turns they would
evict each other. Its JVM is warmed, its page cache filled as a running node's is, and its cgroup
limited to what is no page of an index and a share of the full vectors' bytes beside it. Then it is
asked what nobody asked before. HNSW and the engine's quantised graphs get as few candidates as they
need, on other questions, for the recall that ours delivers. Indexes of a run before with the same
vectors and model are taken as they are; loading is not limited. Writes results/memory.json and the
tables in docs/benchmarks.md.
"""

import argparse
from pathlib import Path
from typing import Any

from meta4.adapter.cli.common import notes

from ..contest import SERVERS, bench_data, bench_engine
from ..sides import OURS, Side, Sides, graphs
from ..worlds import WORLDS
from . import results
from .groups import new_group
from .measure import RECALLS, Plan, Questions, measure
from .node import HEAP_MB, SLACK
from .page_cache import read_ahead_kb

Json = dict[str, Any]
_ROOMS = (75, 50, 25)
_MOST_TIMED = 400


def main() -> None:
    """Measure the sets and rooms asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--engine", choices=SERVERS, default="opensearch")
    parser.add_argument("--only", nargs="+", choices=WORLDS, default=list(WORLDS), metavar="SET",
                        help=f"some sets: {', '.join(WORLDS)}")  # fmt: skip
    parser.add_argument("--rooms", nargs="+", type=int, default=list(_ROOMS), metavar="PERCENT",
                        help="of the full vectors' bytes, for the page cache")  # fmt: skip
    parser.add_argument("--requests", type=int, default=200, help="timed, of each side and recall")
    parser.add_argument("--sides", nargs="+", metavar="SIDE", help="some sides, by their names")
    parser.add_argument("--java", action="append", default=[], metavar="OPTION",
                        help="of OpenSearch's JVM while it is measured")  # fmt: skip
    parser.add_argument("--times", type=int, default=1,
                        help="each side so often, of which the medians count")  # fmt: skip
    parser.add_argument("--anew", action="store_true", help="load all indexes, there or not")
    parser.add_argument("--data", type=Path, help="the node's folder; the benchmarks' by default")
    parser.add_argument("--documents", type=int, help="only so many of each set")
    arguments = parser.parse_args()
    if not 1 <= arguments.requests <= _MOST_TIMED:
        parser.error(f"--requests: expected 1 to {_MOST_TIMED}, got {arguments.requests}")
    plan = Plan(arguments.engine, arguments.data or bench_data(arguments.engine),
                arguments.requests, tuple(arguments.java))  # fmt: skip
    file = results.name_of(plan.server, arguments.documents)
    group = new_group()
    group.remove()
    notes.print(
        f"{group.name}, heap {HEAP_MB} MB"
        if group.limits
        else f"{group.name} can be written to: no limit; what is read after the cache was emptied"
    )
    for name in arguments.only:
        world = WORLDS[name]()
        questions = Questions(
            world if not arguments.documents else world.thinned(arguments.documents)
        )
        candidates, loads = _prepared(plan, questions, anew=arguments.anew)
        machine = {
            "group": group.name,
            "heap_mb": HEAP_MB,
            "slack": SLACK,
            "java": plan.java,
            "read_ahead_kb": read_ahead_kb(plan.data),
        }
        for share in (percent / 100 for percent in arguments.rooms):
            for side, fewest in candidates.items():
                if arguments.sides and side.name not in arguments.sides:
                    continue
                times = [
                    measure(plan, questions, side, fewest, share) for _ in range(arguments.times)
                ]
                rows = [results.median(same) for same in zip(*times, strict=True)]
                for row in rows:
                    notes.print(results.said(row))
                results.add(file, rows, loads, machine)
    print(results.tables(file))


def _prepared(
    plan: Plan, questions: Questions, *, anew: bool
) -> tuple[dict[Side, dict[float, int]], Json]:
    """Load the indexes, and find in memory what each graph needs for our recall.

    Gives the candidates of each side by recall, none for ours, and what loading took.
    """
    world = questions.world
    with bench_engine(plan.server, plan.data) as engine:
        sides = Sides(engine, world)
        rivals = graphs(engine.dialect)
        every: list[Side] = [*OURS, *rivals]
        loads = {side.name: sides.load(side, anew=anew) for side in every}
        candidates: dict[Side, dict[float, int]] = {side: {} for side in every}
        for recall in RECALLS:
            search = sides.ours(OURS[0], recall)
            reached = sides.delivered(search, questions.tuning, questions.truth)
            for graph in rivals:
                fewest = sides.fewest(graph, questions.tuning, questions.truth, reached)
                candidates[graph][recall] = fewest
                notes.print(f"{world.name}, {graph.name}: {fewest} candidates for {reached:.3f}")
    return candidates, {world.key: loads}


if __name__ == "__main__":
    main()
