"""What faults cost: python -m benchmarks.reliability.

The same words are loaded by meta4 and by the clients' own helpers, while connections are cut and
servers killed; then it is counted what each said and what is there. Writes
results/reliability.json and the tables in docs/reliability.md.
"""

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meta4 import EmbeddedNode, HashModel, Meta4
from meta4.adapter.cli.common import notes
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.adapter.engines.node.elasticsearch import ElasticsearchServer
from meta4.adapter.engines.node.node import status
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import free_port
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.model_store import ModelStore
from meta4.demo import Sample, load_sample
from meta4.models.specs import CellsSpec

from . import report
from .cluster import N_NODES, Cluster
from .faults import Fault, Proxy
from .loaders import LOADERS, Loader, Searching, Told

_N = 20_000
_INDEX, _FIELD = "words", "embedding"
_SERVERS = {"opensearch": OpenSearchServer(), "elasticsearch": ElasticsearchServer("9.4.3")}
_PARTED_FOR = 5.0
#: Bytes up to which a connection lives, by its way.
_N_CUTS, _LAST_SENT, _LAST_ANSWERED = 10, 400_000, 2_000
Befall = Callable[[], None]


@dataclass
class Run:
    """One loader under one fault; documents but where it says otherwise.

    Attributes:
        where, fault, loader: for the table.
        sent: given to the loader.
        acknowledged: by what the loader says.
        found: different ones in the index.
        lost: acknowledged and not found.
        twice: there more than once.
        queries, failed: sent beside; zero where there is one node, which is away at times.
        longest_pause: seconds between two acknowledgements.
        ended: the error that ended the load.
    """

    where: str
    fault: str
    loader: str
    sent: int
    acknowledged: int
    found: int
    lost: int
    twice: int
    queries: int
    failed: int
    longest_pause: float
    ended: str


def main() -> None:
    """Cause every fault to every loader."""
    sample = load_sample()
    model = HashModel.fit(CellsSpec(n_bits=64, n_buckets=256, iterations=6), sample.vectors)
    runs = [run for name in _SERVERS for run in _on_one_node(name, sample, model)]
    runs += _on_three_nodes(sample, model)
    report.put_into(report.RELIABILITY, "loads", _table(runs))
    report.write_results("reliability", [], {"runs": [asdict(run) for run in runs]})


def _on_one_node(name: str, sample: Sample, model: HashModel) -> Iterator[Run]:
    folder = Path(tempfile.mkdtemp(prefix="meta4-reliability-"))
    folder.chmod(0o755)
    port = free_port(0)
    node = EmbeddedNode(_SERVERS[name], data=folder / "node", port=port)
    try:
        with node, Proxy(port) as proxy:
            faults: dict[str, Befall] = {
                "connections cut": lambda: _cut(proxy),
                "kill -9": lambda: _kill(node),
            }
            for fault, befall in faults.items():
                for loader in LOADERS:
                    with _index(node.url, sample, model) as engine:
                        run = _run(engine, name, proxy.url, fault, loader, sample, befall, 8.0)
                        proxy.follow(())
                    yield run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cut(proxy: Proxy) -> None:
    proxy.follow(_cuts())
    proxy.shut()
    proxy.reopen()


def _cuts() -> Iterator[Fault]:
    generator = random.Random(7)
    for i in range(_N_CUTS):
        if i % 2:
            yield Fault("down", generator.randrange(1, _LAST_ANSWERED))
        else:
            yield Fault("up", generator.randrange(1, _LAST_SENT))


def _kill(node: EmbeddedNode) -> None:
    running = status(node.folders.root)
    assert running is not None
    os.killpg(running.pid, signal.SIGKILL)  # Elasticsearch's launcher and its server
    node.stop()
    node.start()


def _on_three_nodes(sample: Sample, model: HashModel) -> Iterator[Run]:
    with Cluster() as cluster:

        def killed() -> None:
            cluster.kill(1)
            cluster.wait_until_missed(1)
            cluster.start(1)

        def parted() -> None:
            cluster.part(2)
            cluster.wait_until_missed(2)
            time.sleep(_PARTED_FOR)
            cluster.join(2)

        def restarted() -> None:
            for number in range(N_NODES):
                cluster.stop(number)
                cluster.start(number)
                cluster.wait_until_green()

        faults: dict[str, tuple[Befall, float]] = {
            "kill -9 of one": (killed, 20.0),
            "one cut off": (parted, 20.0),
            "restart of each": (restarted, 45.0),
        }
        for fault, (befall, seconds) in faults.items():
            for loader in LOADERS:
                with _index(cluster.url, sample, model, shards=2, replicas=2) as engine:
                    cluster.wait_until_green()
                    yield _run(
                        engine,
                        "opensearch",
                        cluster.url,
                        fault,
                        loader,
                        sample,
                        befall,
                        seconds,
                        settle=cluster.wait_until_green,
                    )


@contextmanager
def _index(
    url: str, sample: Sample, model: HashModel, *, shards: int = 1, replicas: int = 0
) -> Iterator[Engine]:
    engine = connect(url)
    ref = ModelStore(engine).push("reliability", model)
    create_index(
        engine,
        _INDEX,
        field=_FIELD,
        ref=ref,
        model=model,
        hashing="client",
        shards=shards,
        replicas=replicas,
    )
    try:
        yield engine
    finally:
        engine.delete_index(_INDEX)
        engine.close()


def _run(
    engine: Engine,
    name: str,
    url: str,
    fault: str,
    loader: Loader,
    sample: Sample,
    befall: Befall,
    seconds: float,
    *,
    settle: Callable[[], object] = lambda: None,
) -> Run:
    """Load for so many seconds, of which the fault begins in the third part."""
    is_cluster = "," in url
    where = f"{name}, {N_NODES if is_cluster else 1} node{'s' if is_cluster else ''}"
    notes.print(f"{where}: {fault}: {loader.name}")
    body = Meta4(engine).rewrite(
        index=_INDEX,
        body={"query": {"meta4_similar": {_FIELD: {"vector": sample.vectors[0].tolist()}}}},
    )
    happening = threading.Thread(target=befall)
    told = Told()
    searching = Searching(loader.searcher(name, url), _INDEX, body) if is_cluster else None
    with searching or nullcontext():
        try:
            loader.load(name, url, _INDEX, _words(sample, seconds, happening), told)
        except Exception as error:  # a client's own classes: what ends a load is what we ask
            told.ended = type(error).__name__
        if not happening.ident:
            happening.start()
        happening.join()
        settle()
    engine.refresh(_INDEX)
    ranks = [
        hit["_source"]["rank"]
        for hit in engine.scan(_INDEX, {"query": {"match_all": {}}, "_source": ["rank"]})
    ]
    found = len(set(ranks))
    run = Run(
        where,
        fault,
        loader.name,
        _N,
        told.n_acknowledged,
        found,
        max(0, told.n_acknowledged - found),
        len(ranks) - found,
        searching.n_sent if searching else 0,
        len(searching.failures) if searching else 0,
        told.longest_pause,
        told.ended,
    )
    notes.print(asdict(run), searching.failures[:3] if searching else "")
    return run


def _words(sample: Sample, seconds: float, happening: threading.Thread) -> Iterator[dict[str, Any]]:
    """As from a queue, over so many seconds; a third of them in, the fault begins."""
    started = time.monotonic()
    for rank in range(_N):
        if rank == _N // 3:
            happening.start()
        if rank % 100 == 0:
            time.sleep(max(0.0, started + seconds * rank / _N - time.monotonic()))
        yield {_FIELD: sample.vectors[rank].tolist(), "rank": rank}


def _table(runs: list[Run]) -> str:
    head = (
        "| fault | loaded by | acknowledged | found | never there | lost | twice "
        "| queries | failed | longest pause s | ended by |"
    )
    lines = []
    for where in dict.fromkeys(run.where for run in runs):
        lines += ["", f"**{where}**, {_N:,} documents", "", head, "|---" * 11 + "|"]
        lines += [
            f"| {run.fault} | {run.loader} | {run.acknowledged:,} | {run.found:,} "
            f"| {run.sent - run.found:,} | {run.lost:,} | {run.twice:,} "
            f"| {f'{run.queries:,}' if run.queries else ''} "
            f"| {run.failed if run.queries else ''} "
            f"| {run.longest_pause:.1f} | {run.ended} |"
            for run in runs
            if run.where == where
        ]
    return "\n".join(lines[1:])


if __name__ == "__main__":
    main()
