"""Requests while documents are rewritten, in indexes as loading left them."""

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import orjson

from ..collection import Body
from ..processes import per_payload, writing
from ..rounds import Meter, repeated
from ..sides import OURS, Side
from .bench import BARRED, Bench

DOCUMENTS_A_SECOND = 500
#: Payloads that are written over and over: no document again within half a minute.
_PAYLOADS = 300


def rewritten(bench: Bench) -> Body:
    """By recall: figures of ours and of plain HNSW, each while its own index is written to.

    One side after the other in each round, both recalls in turn; beside them the rate that was
    reached.
    """
    indexes, counts, plain = bench.indexes, bench.counts, bench.plain
    payloads = {OURS: _payloads(bench, hashed=True), plain.name: _payloads(bench, hashed=False)}
    rates: dict[str, list[float]] = {name: [] for name in payloads}
    with (
        indexes.copy(indexes.as_loaded(None)) as ours,
        indexes.copy(indexes.as_loaded(plain)) as theirs,
    ):
        pairs = [bench.equal(recall, ours, {plain.name: theirs}, bench.tuning) for recall in BARRED]
        meters = {
            side: Meter(bench.engine, bench.collection, side) for pair in pairs for side in pair
        }
        for meter in meters.values():
            meter.warm(repeated(bench.tuning, counts.warm))
        for _ in range(counts.rounds):
            for sides in zip(*pairs, strict=True):  # ours at both recalls, then theirs
                own = {side: meters[side] for side in sides}
                name = sides[0].name
                rates[name].append(_block(bench, own, payloads[name]))
    found: Body = {
        f"{recall:g}": {side.name: asdict(meters[side].figures()) for side in pair}
        for recall, pair in zip(BARRED, pairs, strict=True)
    }
    for recall, both in found.items():
        p99 = {name: f"p99 {one['p99_ms']:.2f} ms" for name, one in both.items()}
        bench.say(f"while documents are rewritten, recall {recall}", p99)
    medians = {name: float(np.median(each)) for name, each in rates.items()}
    return {**found, "documents_a_second": medians}


def _block(bench: Bench, meters: dict[Side, Meter], payloads: Sequence[bytes]) -> float:
    """Ask one index while it is written to; gives how many documents a second were."""
    bodies = {side: [side.body(question) for question in bench.asked] for side in meters}
    (index,) = {side.index for side in meters}
    for meter in meters.values():
        meter.begin()
    with writing(bench.engine.url, index, payloads) as end:
        until = time.monotonic() + bench.counts.rewriting_seconds
        row = 0
        while time.monotonic() < until:
            for side, meter in meters.items():
                meter.ask(bench.asked[row], bodies[side][row])
            row = (row + 1) % len(bench.asked)
        sent, seconds = end()
    return sent * per_payload(DOCUMENTS_A_SECOND) / seconds


def _payloads(bench: Bench, *, hashed: bool) -> list[bytes]:
    """Bulk requests with documents as an index has them, ours or theirs, drawn at random."""
    collection, size = bench.collection, per_payload(DOCUMENTS_A_SECOND)
    order = np.random.default_rng(4).permutation(len(collection.ids))[: _PAYLOADS * size]
    documents = collection.documents(rows=order.tolist())
    if hashed:
        actions = bench.indexes.meta4.actions(index=bench.indexes.ours(), documents=documents)
        sources = [(action["_id"], action["_source"]) for action in actions]
    else:
        sources = [(document.id, document.source) for document in documents]
    lines = [
        b"%b\n%b\n" % (_json({"index": {"_id": identity}}), _json(source))
        for identity, source in sources
    ]
    return [b"".join(lines[start : start + size]) for start in range(0, len(lines), size)]


def _json(value: Body) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
