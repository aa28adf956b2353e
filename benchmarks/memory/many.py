"""Ten million vectors on one node: python -m benchmarks.memory.many.

Synthetic ones (`worlds.many`), ours alone: a heap of 2 GB, and room for 4 GB of pages of files
while they are loaded, merged and asked. Writes results/many.json and the table in
docs/benchmarks.md.
"""

import argparse
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from meta4.adapter.cli.common import notes
from meta4.adapter.engines.engine import Engine
from meta4.adapter.engines.node.folders import NodeFolders

from .. import report
from ..contest import bench_data
from ..sides import OURS, Sides
from ..worlds import World, many
from . import results
from .measure import Plan, Questions, measure
from .node import limited_node

Json = dict[str, Any]
_N = 10_000_000
_HEAP_MB, _ROOM = 2048, 4 << 30
_SERVER = "opensearch"
_LOOK_SECONDS = 5.0
#: Each is searched exactly, and reads all vectors from the disk.
_TUNED_WITH = 48


def main() -> None:
    """Load, merge, tune, ask."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory.many", description=__doc__)
    parser.add_argument("--documents", type=int, default=_N)
    parser.add_argument("--anew", action="store_true", help="load them, there or not")
    arguments = parser.parse_args()
    world = many(arguments.documents)
    data = bench_data(_SERVER)
    loaded = _loaded(world, data, anew=arguments.anew)
    plan = Plan(_SERVER, data, n_timed=200, heap_mb=_HEAP_MB)
    rows = measure(plan, Questions(world), OURS[0], {}, _ROOM / world.bytes)
    for row in rows:
        notes.print(results.said(row))
    file = "many" if arguments.documents == _N else f"many-{arguments.documents}"
    report.write_results(file, [], {"name": world.name, "loaded": loaded, "rows": rows})
    table = _table(world.name, loaded, rows)
    if file == "many":
        report.put_into(report.BENCHMARKS, file, table)
    print(table)


def _loaded(world: World, data: Path, *, anew: bool) -> Json:
    with limited_node(_SERVER, data, heap_mb=_HEAP_MB) as node:
        node.give_room(_ROOM)
        with _largest(NodeFolders(data).data) as disk:
            loaded = Sides(node.engine, world, n_tuned=_TUNED_WITH).load(OURS[0], anew=anew)
        return {
            **loaded,
            "disk_mb": disk[0] / 1e6,
            "client_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
            **_node_memory(node.engine),
        }


@contextmanager
def _largest(folder: Path) -> Iterator[list[int]]:
    """Bytes that a folder has had at most, as the first of a list."""
    most, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_SECONDS):
            most[0] = max(most[0], _size(folder))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


def _size(folder: Path) -> int:
    size = 0
    for file in folder.rglob("*"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:  # merged away meanwhile
            continue
    return size


def _node_memory(engine: Engine) -> Json:
    """Of the heap what outlives collections at most, and what collections took."""
    (node,) = engine.request("GET", "/_nodes/stats/jvm")["nodes"].values()
    collectors = node["jvm"]["gc"]["collectors"].values()
    return {
        "heap_mb": node["jvm"]["mem"]["pools"]["old"]["peak_used_in_bytes"] / 1e6,
        "collections_s": sum(one["collection_time_in_millis"] for one in collectors) / 1000,
    }


def _table(name: str, loaded: Json, rows: list[Json]) -> str:
    merged = loaded["seconds"] - loaded["load_s"]
    lines = [
        "| what | |",
        "|---|---|",
        f"| vectors | {name} |",
        f"| cells; bytes of a sketch | {loaded['cells']:,}; {loaded['directions'] or 'none'} |",
        f"| loaded in | {loaded['load_s']:,.0f} s |",
        f"| merged to one segment in | {merged:,.0f} s |",
        f"| tuned, with {_TUNED_WITH} queries, in | {loaded['tune_s']:,.0f} s |",
        f"| on disk; at most meanwhile, all of the node | {loaded['bytes'] / 1e6:,.0f} MB; "
        f"{loaded['disk_mb']:,.0f} MB |",
        f"| old generation of the heap, at most; collections | {loaded['heap_mb']:,.0f} MB; "
        f"{loaded['collections_s']:.0f} s |",
        f"| the client, with the vectors that it loads | {loaded['client_mb']:,.0f} MB |",
    ]
    for row in rows:
        lines.append(
            f"| recall {row['recall']:g} asked | {row['delivered']:.3f} delivered, p50 / p95 "
            f"{row['p50_ms']:.1f} / {row['p95_ms']:.1f} ms, {row['mb']:.2f} MB and "
            f"{row['reads']:.0f} reads a request |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
