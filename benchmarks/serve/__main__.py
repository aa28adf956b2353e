"""What the gateway costs: python -m benchmarks.serve, with nginx and wrk installed.

Both sides in one run, on words that clients hash, on OpenSearch: a search passed through beside the
same sent directly, a clause beside `Meta4.search`, requests a second beside nginx as a plain proxy,
a `_bulk` of 500 MB, and plain documents through the gateway beside the server's own pipeline.
Writes results/serve.json and the table in docs/benchmarks.md.
"""

import http.client
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
from numpy.typing import NDArray

from meta4 import Document, DocumentHasher, EmbeddedNode, HashModel, IndexSpec, Meta4
from meta4.adapter.cli.common import downloading, notes
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import InputError
from meta4.models.specs import CellsSpec

from .. import report
from ..contest import FIELD
from ..data import hold_out, load_glove
from .processes import Server, gateway, nginx, status

Json = dict[str, Any]
_N, _N_QUERIES = 100_000, 500
_INDEX, _PIPED = "bench-served", "bench-piped"
_ROUNDS, _WARM_UP = 3, 300
_CLIENTS, _SECONDS = 32, 10
_BULK_BYTES = 500_000_000
_AT_ONCE = 1000
_K = 10
_MATCH_ALL = b'{"query": {"match_all": {}}, "size": 10}'
_TYPE = {"content-type": "application/json"}
_LINES = {"content-type": "application/x-ndjson"}


class _Address:
    """A kept connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)

    def post(self, path: str, body: Any, headers: dict[str, str], **options: Any) -> bytes:
        self._connection.request("POST", path, body, headers, **options)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content[:500]
        return content


def main() -> None:
    """Measure all of it."""
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        raise InputError(
            f"expected {' and '.join(missing)} on the path; install: apt-get install nginx wrk"
        )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        data = Path(folder, "node")
        with EmbeddedNode(Server(), data=data, heap_mb=4096, progress=downloading) as node:
            bars, details = _measure(node.url, Path(folder))
    report.write_results("serve", bars, details)
    table = report.bars_table(bars)
    report.put_into(report.BENCHMARKS, "serve", table)
    print(table)


def _measure(url: str, folder: Path) -> tuple[list[report.Bar], Json]:
    engine = connect(url)
    vectors = load_glove().vectors[:_N]
    rows, asked = hold_out(len(vectors), _N_QUERIES)
    model = HashModel.fit(CellsSpec(n_buckets=2048, n_bits=64), vectors[rows])
    ref = ModelStore(engine).push("bench-serve", model)
    spec = create_index(engine, _INDEX, field=FIELD, ref=ref, model=model, hashing="client")
    documents = (Document(str(i), {FIELD: vectors[i]}) for i in rows)
    assert isinstance(spec, IndexSpec)
    load_documents(engine, _INDEX, documents, DocumentHasher(model, spec))
    engine.request("POST", f"/{_INDEX}/_forcemerge", params={"max_num_segments": 1})
    tune_index(engine, _INDEX)
    with gateway(url) as (through, process):
        bars = [*_latencies(engine, url, through, vectors[asked])]
        with nginx(url, folder) as proxy:
            bars.append(_throughput(through, proxy, folder))
        after_searches = status(process, "VmHWM") / 1000
        bars.append(_documents(engine, url, through, ref, model, vectors[rows]))
    with gateway(url) as (through, process):  # another, which has compiled no search yet
        bars.append(_large_bulk(through, process, vectors))
    engine.close()
    return bars, {"documents": len(rows), "mb_after_searches": after_searches}


def _latencies(
    engine: Engine, url: str, through: str, queries: NDArray[np.float32]
) -> Iterator[report.Bar]:
    direct, before, meta4 = _Address(url), _Address(through), Meta4(engine)
    path = f"/{_INDEX}/_search"

    def body(query: NDArray[np.float32]) -> Json:
        clause = {"meta4_similar": {FIELD: {"vector": query.tolist(), "k": _K, "recall": 0.95}}}
        return {"_source": False, "query": clause}

    for what, sides in (
        (
            "a search passed through, p50 ms over direct",
            (
                lambda _: direct.post(path, _MATCH_ALL, _TYPE),
                lambda _: before.post(path, _MATCH_ALL, _TYPE),
            ),
        ),
        (
            "a search with a clause, p50 ms over Meta4.search",
            (
                lambda query: meta4.search(index=_INDEX, body=body(query)),
                lambda query: before.post(path, orjson.dumps(body(query)), _TYPE),
            ),
        ),
    ):
        theirs, ours = _interleaved(sides, queries)
        bar = report.at_most(what, ours, theirs, ours - theirs, 1.0)
        notes.print(f"{what}: {ours:.2f}, {theirs:.2f}")
        yield bar


def _interleaved(
    sides: tuple[Callable[[Any], Any], Callable[[Any], Any]], queries: NDArray[np.float32]
) -> tuple[float, float]:
    """Medians of ms, each query asked of both by turns."""
    for query in queries[:_WARM_UP]:
        for side in sides:
            side(query)
    seconds: list[list[float]] = [[], []]
    for _ in range(_ROUNDS):
        for query in queries:
            for taken, side in zip(seconds, sides, strict=True):
                clock = time.perf_counter()
                side(query)
                taken.append(time.perf_counter() - clock)
    first, second = (float(np.median(taken)) * 1000 for taken in seconds)
    return first, second


def _throughput(through: str, proxy: str, folder: Path) -> report.Bar:
    script = folder / "search.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        f"wrk.body = '{_MATCH_ALL.decode()}'\n"
    )

    def rate(url: str) -> float:
        command = ["wrk", "-t1", f"-c{_CLIENTS}", f"-d{_SECONDS}s", "-s", str(script)]
        done = subprocess.run(
            [*command, f"{url}/{_INDEX}/_search"], capture_output=True, text=True, check=True
        )
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("Requests/sec")]
        assert "Non-2xx" not in done.stdout, done.stdout
        return float(line.split()[-1])

    rates = [(rate(through), rate(proxy)) for _ in range(_ROUNDS)]
    ours, theirs = (float(np.median(side)) for side in zip(*rates, strict=True))
    notes.print(f"requests/s: {ours:.0f}, nginx {theirs:.0f}")
    what = f"requests/s with {_CLIENTS} clients, over nginx as a plain proxy"
    return report.at_least(what, ours, theirs, ours / theirs, 0.25)


def _large_bulk(through: str, process: int, vectors: NDArray[np.float32]) -> report.Bar:
    """One `_bulk`, in pieces, hashed on the way; the gateway's largest resident memory."""
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        i = 0
        while sent < _BULK_BYTES:
            piece = _lines_of(vectors, range(i, i + _AT_ONCE), f"large-{i}-")
            i, sent = i + _AT_ONCE, sent + len(piece)
            yield piece

    clock = time.perf_counter()
    answer = _Address(through).post(f"/{_INDEX}/_bulk", pieces(), _LINES, encode_chunked=True)
    seconds = time.perf_counter() - clock
    assert not orjson.loads(answer)["errors"]
    peak = status(process, "VmHWM") / 1000
    notes.print(f"{sent / 1e6:.0f} MB in {seconds:.0f} s, at most {peak:.0f} MB")
    what = f"a _bulk of {sent / 1e6:.0f} MB: the gateway's memory at most, MB"
    return report.at_most(what, peak, None, peak, 200.0)


def _documents(
    engine: Engine, url: str, through: str, ref: Any, model: HashModel, vectors: NDArray[np.float32]
) -> report.Bar:
    """The same plain bulks, to the gateway and to an index with a pipeline."""
    create_index(engine, _PIPED, field=FIELD, ref=ref, model=model, hashing="server")
    rates: dict[str, list[float]] = {through: [], url: []}
    for number in range(_ROUNDS):
        for address, index in ((through, _INDEX), (url, _PIPED)):
            connection, n = _Address(address), 20 * _AT_ONCE
            payloads = [
                _lines_of(vectors, range(start, start + _AT_ONCE), f"round-{number}-")
                for start in range(0, n, _AT_ONCE)
            ]
            clock = time.perf_counter()
            for payload in payloads:
                assert not orjson.loads(connection.post(f"/{index}/_bulk", payload, _LINES))[
                    "errors"
                ]
            rates[address].append(n / (time.perf_counter() - clock))
    ours, theirs = (float(np.median(rates[side])) for side in (through, url))
    notes.print(f"documents/s: {ours:.0f}, pipeline {theirs:.0f}")
    what = "plain _bulk, documents/s: hashed by the gateway over the server's pipeline"
    return report.at_least(what, ours, theirs, ours / theirs, 2.0)


def _lines_of(vectors: NDArray[np.float32], rows: range, prefix: str) -> bytes:
    option = orjson.OPT_SERIALIZE_NUMPY
    return b"".join(
        b'{"index":{"_id":"%b%d"}}\n%b\n'
        % (prefix.encode(), i, orjson.dumps({FIELD: vectors[i % len(vectors)]}, option=option))
        for i in rows
    )


if __name__ == "__main__":
    main()
