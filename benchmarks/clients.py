"""`AsyncMeta4` with 32 requests under way, beside `Meta4` in 32 threads.

    make bench-clients          # ten minutes

The demonstration's words in one index of each engine; both clients search it for the same held-out
words in turn, three times each. The client's CPU is this process's, the server's what it tells.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from meta4 import AsyncMeta4, Meta4
from meta4.adapter.engines.engine import Engine
from meta4.demo import load_sample
from meta4.models.specs import CellsSpec

from . import report
from .contest import FIELD, OURS, SERVERS, Contest, K, bench_engine, fit_once

AT_ONCE = 32
_HELD_OUT, _REQUESTS, _ROUNDS = 500, 4_000, 3
_RECALL = 0.95
_SPEC = CellsSpec(n_buckets=1024, n_bits=64)
Body = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """Requests a second, seconds of a request, and milliseconds of CPU for each."""

    per_second: float
    p50_ms: float
    p95_ms: float
    client_cpu_ms: float
    server_cpu_ms: float


def _threads(meta4: Meta4, bodies: Sequence[Body]) -> list[float]:
    """Seconds of each request."""

    def one(body: Body) -> float:
        started = time.perf_counter()
        meta4.search(index=OURS, body=body)
        return time.perf_counter() - started

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, bodies))


def _tasks(loop: asyncio.Runner, meta4: AsyncMeta4, bodies: Sequence[Body]) -> list[float]:
    """The same, in one thread."""
    seconds: list[float] = []

    async def worker(left: Iterator[Body]) -> None:
        for body in left:
            started = time.perf_counter()
            await meta4.search(index=OURS, body=body)
            seconds.append(time.perf_counter() - started)

    async def all_of_them() -> None:
        left = iter(bodies)
        await asyncio.gather(*(worker(left) for _ in range(AT_ONCE)))

    loop.run(all_of_them())
    return seconds


def _timed(engine: Engine, side: Callable[[], list[float]]) -> Run:
    server, client, started = _server_ms(engine), time.process_time(), time.perf_counter()
    seconds = side()
    wall, n = time.perf_counter() - started, len(seconds)
    return Run(
        per_second=n / wall,
        p50_ms=float(np.percentile(seconds, 50) * 1000),
        p95_ms=float(np.percentile(seconds, 95) * 1000),
        client_cpu_ms=(time.process_time() - client) * 1000 / n,
        server_cpu_ms=(_server_ms(engine) - server) / n,
    )


def _server_ms(engine: Engine) -> float:
    stats = engine.request("GET", "/_nodes/_local/stats/process")["nodes"]
    return float(sum(node["process"]["cpu"]["total_in_millis"] for node in stats.values()))


def measure(name: str) -> dict[str, list[Run]]:
    """Both sides on one engine."""
    sample = load_sample()
    base, queries = sample.vectors[_HELD_OUT:], sample.vectors[:_HELD_OUT]
    with bench_engine(name) as engine, asyncio.Runner() as loop:
        contest = Contest(engine, base, sample.words[_HELD_OUT:], fit_once(_SPEC, base))
        contest.load_ours("centroid")
        contest.tune()
        clause = {"k": K, "recall": _RECALL}
        bodies: list[Body] = [
            {
                "_source": False,
                "query": {"meta4_similar": {FIELD: {**clause, "vector": query.tolist()}}},
            }
            for query in queries
        ]
        bodies *= _REQUESTS // len(bodies)
        waiting, other = Meta4(engine.url), AsyncMeta4(engine.url)
        sides: dict[str, Callable[[], list[float]]] = {
            "Meta4, 32 threads": lambda: _threads(waiting, bodies),
            "AsyncMeta4, 32 at once": lambda: _tasks(loop, other, bodies),
        }
        runs: dict[str, list[Run]] = {side: [] for side in sides}
        for one in sides.values():  # warm
            one()
        for _ in range(_ROUNDS):
            for side, one in sides.items():
                runs[side].append(_timed(engine, one))
        loop.run(other.close())
    return runs


def main(engines: Sequence[str]) -> None:
    """Measure, print and write."""
    bars, details, rows = [], {}, []
    for name in engines or SERVERS:
        runs = measure(name)
        theirs, ours = (median(run.per_second for run in side) for side in runs.values())
        bar = f"{name}: requests/s of AsyncMeta4 against Meta4 in threads, 32 at once"
        bars.append(report.at_least(bar, ours, theirs, ours / theirs, 1.0))
        details[name] = {side: [asdict(run) for run in each] for side, each in runs.items()}
        for side, each in runs.items():
            figures = [
                median(getattr(run, figure) for run in each)
                for figure in ("per_second", "p50_ms", "p95_ms", "client_cpu_ms", "server_cpu_ms")
            ]
            rows.append(f"| {name} | {side} | " + " | ".join(f"{f:,.1f}" for f in figures) + " |")
    table = "\n".join(
        [
            "| engine | client | requests/s | p50 ms | p95 ms | client CPU ms | server CPU ms |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
    )
    print(table, report.bars_table(bars), sep="\n\n")
    if not engines:
        report.write_results("clients", bars, details)
        report.put_into(report.BENCHMARKS, "clients", f"{report.bars_table(bars)}\n\n{table}")


if __name__ == "__main__":
    main(sys.argv[1:])
