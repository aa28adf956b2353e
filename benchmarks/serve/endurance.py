"""Whether the gateway lasts: python -m benchmarks.serve.endurance.

A thousand connections for ten minutes: searches with a clause, whose answers are known, searches
that pass through, and documents that are hashed on their way; the engine is stopped and started
twice meanwhile. Counted are wrong answers, confirmed documents that are not there in the end, what
was said while the engine was away, and the gateway's resident memory.
Writes results/endurance.json and the table in docs/benchmarks.md.
"""

import asyncio
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import click
import numpy as np
import orjson
from numpy.typing import NDArray

from meta4 import Document, DocumentHasher, EmbeddedNode, HashModel, IndexSpec, Meta4
from meta4.adapter.cli.common import downloading, notes
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.node.server import free_port
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.models.specs import CellsSpec

from .. import report
from ..contest import FIELD
from ..data import load_glove
from .processes import Server, gateway, status

_N, _N_QUERIES = 20_000, 200
_READ, _WRITTEN = "bench-read", "bench-written"
_CONNECTIONS, _MINUTES = 1_000, 10.0
#: Seconds between two requests of a connection, on average.
_PAUSE = 4.0
#: Shares of the minutes at which the engine is stopped, and for how long, in seconds.
_STOPS, _AWAY = (0.3, 0.6), 10.0
#: Seconds between two looks at the memory.
_LOOK = 5.0
_JSON = {"content-type": "application/json"}
#: What may be said where the engine is away, busy, or was cut off while it answered.
_MAY_FAIL = frozenset({429, 502, 503, 504})


@dataclass
class _Seen:
    """What the connections met."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)
    rss: list[tuple[float, float]] = field(default_factory=list)


@click.command()
@click.option("--minutes", type=float, default=_MINUTES, show_default=True)
@click.option("--connections", type=int, default=_CONNECTIONS, show_default=True)
def main(minutes: float, connections: int) -> None:
    """Run it, and write what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        node = EmbeddedNode(
            Server(),
            data=Path(folder, "node"),
            heap_mb=2048,
            port=free_port(0),  # the same after each start
            progress=downloading,
        )
        node.start()
        try:
            vectors, answers = _prepare(node.url)
            with gateway(node.url) as (through, process):
                seen = asyncio.run(
                    _run(node, through, process, vectors, answers, minutes * 60, connections)
                )
            bars = _bars(node.url, seen)
        finally:
            node.stop()
    said = {name: seen.statuses[name] for name in sorted(seen.statuses)}
    report.write_results(
        "endurance", bars, {"minutes": minutes, "connections": connections, "statuses": said,
                            "rss_mb": seen.rss, "wrong": seen.wrong[:20]},
    )  # fmt: skip
    table = report.bars_table(bars)
    report.put_into(report.BENCHMARKS, "endurance", table)
    print(table)
    for name, count in said.items():
        print(f"{name}: {count:,}")


def _prepare(url: str) -> tuple[NDArray[np.float32], list[list[str]]]:
    """An index that is read, one that is written, and what each query's answer is."""
    engine = connect(url)
    vectors = load_glove().vectors[: _N + _N_QUERIES]
    model = HashModel.fit(CellsSpec(n_buckets=512, n_bits=64), vectors[:_N])
    ref = ModelStore(engine).push("bench-endurance", model)
    for index in (_READ, _WRITTEN):
        spec = create_index(engine, index, field=FIELD, ref=ref, model=model, hashing="client")
    assert isinstance(spec, IndexSpec)
    documents = (Document(str(i), {FIELD: vectors[i]}) for i in range(_N))
    load_documents(engine, _READ, documents, DocumentHasher(model, spec))
    engine.request("POST", f"/{_READ}/_forcemerge", params={"max_num_segments": 1})
    tune_index(engine, _READ)
    meta4 = Meta4(engine)
    answers = [_ids(meta4.search(index=_READ, body=_body(query))) for query in vectors[_N:]]
    engine.close()
    return vectors, answers


def _body(query: NDArray[np.float32]) -> dict[str, object]:
    clause = {"vector": query.tolist(), "k": 10, "recall": 0.95}
    return {"_source": False, "query": {"meta4_similar": {FIELD: clause}}}


def _ids(answer: dict[str, object]) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]  # type: ignore[index]


async def _run(
    node: EmbeddedNode,
    through: str,
    process: int,
    vectors: NDArray[np.float32],
    answers: list[list[str]],
    seconds: float,
    connections: int,
) -> _Seen:
    seen, begun = _Seen(), time.monotonic()
    bodies = [orjson.dumps(_body(query)) for query in vectors[_N:]]
    documents = [orjson.dumps({FIELD: row.tolist()}) for row in vectors[:_N]]
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(through, connector=connector, timeout=timeout) as session:

        async def connection(number: int) -> None:
            drawn = random.Random(number)
            turn = 0
            await asyncio.sleep(drawn.random() * _PAUSE)
            while time.monotonic() - begun < seconds:
                turn += 1
                kind = drawn.choices(("clause", "passed", "written"), (5, 3, 2))[0]
                try:
                    if kind == "clause":
                        row = drawn.randrange(len(bodies))
                        code, said = await _ask(session, "POST", f"/{_READ}/_search", bodies[row])
                        if code == 200 and _ids(said) != answers[row]:
                            seen.wrong.append(f"query {row}: {_ids(said)}, not {answers[row]}")
                    elif kind == "passed":
                        body = b'{"query": {"ids": {"values": ["7"]}}, "_source": false}'
                        code, said = await _ask(session, "POST", f"/{_READ}/_search", body)
                        if code == 200 and _ids(said) != ["7"]:
                            seen.wrong.append(f"ids: {_ids(said)}")
                    else:
                        name = f"{number}-{turn}"
                        body = documents[drawn.randrange(_N)]
                        code, said = await _ask(session, "PUT", f"/{_WRITTEN}/_doc/{name}", body)
                        if code in (200, 201):
                            seen.confirmed.add(name)
                    seen.statuses[f"{kind} {code}"] += 1
                    if code >= 300 and (code not in _MAY_FAIL or "error" not in said):
                        seen.wrong.append(f"{kind}: {code} {str(said)[:200]}")
                except (aiohttp.ClientError, TimeoutError) as error:
                    seen.statuses[f"{kind} {type(error).__name__}"] += 1
                    seen.wrong.append(f"{kind}: {error!r}")
                await asyncio.sleep(drawn.expovariate(1 / _PAUSE))

        async def looks() -> None:
            while time.monotonic() - begun < seconds:
                after = time.monotonic() - begun
                seen.rss.append((round(after), status(process, "VmRSS") / 1000))
                await asyncio.sleep(_LOOK)

        async def restarts() -> None:
            for share in _STOPS:
                await asyncio.sleep(max(0.0, begun + share * seconds - time.monotonic()))
                await asyncio.to_thread(node.stop)
                notes.print("the engine was stopped")
                await asyncio.sleep(_AWAY)
                await asyncio.to_thread(node.start)
                notes.print("and is there again")

        await asyncio.gather(looks(), restarts(), *(connection(i) for i in range(connections)))
    return seen


async def _ask(
    session: aiohttp.ClientSession, method: str, path: str, body: bytes
) -> tuple[int, dict[str, object]]:
    async with session.request(method, path, data=body, headers=_JSON) as answer:
        said = orjson.loads(await answer.read())
        return answer.status, said if isinstance(said, dict) else {}


def _bars(url: str, seen: _Seen) -> list[report.Bar]:
    engine = connect(url)
    engine.refresh(_WRITTEN)
    hits = engine.scan(_WRITTEN, {"query": {"exists": {"field": f"meta4.{FIELD}.bucket"}}})
    there = {str(hit["_id"]) for hit in hits}
    engine.close()
    lost = len(seen.confirmed - there)
    third = len(seen.rss) // 3
    early, late = (
        float(np.median([mb for _, mb in part]))
        for part in (seen.rss[third // 2 : third], seen.rss[-third:])
    )
    return [
        report.at_most("wrong answers, or words that no engine says", len(seen.wrong), None,
                       len(seen.wrong), 0.0),
        report.at_most("confirmed documents that are not there, hashed", lost, len(seen.confirmed),
                       lost, 0.0),
        report.at_most("resident memory, last third over first, MB", late, early, late / early,
                       1.1),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
