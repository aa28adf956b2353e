"""What is asked of us on each engine, beside its plain HNSW at equal recall."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .. import report
from .collection import Body
from .parts.bench import BARRED
from .parts.filters import NEW, RECALL, REPEATED
from .rivals import PLAIN
from .sides import OURS

#: Recall that may be missing.
_SHORT = 0.005


@dataclass(frozen=True)
class Required:
    """What is asked on one engine, by recall or by filter; empty where it is nothing.

    Attributes:
        p50: HNSW's time of a request over ours.
        cpu: our CPU of a request, client and server, over HNSW's.
        per_second: our requests a second of several clients over HNSW's.
        client_ms: CPU of our client over that of sending the same body by hand.
        filtered: HNSW's time over ours where the filter is the same each time.
        rewritten: HNSW's p99 over ours while documents are rewritten.
        load: our documents a second, loaded and merged, over HNSW's.
        load_cpu: our server's CPU for that over HNSW's.
        bytes: our bytes over HNSW's.
    """

    p50: Mapping[float, float]
    filtered: Mapping[str, float]
    client_ms: float = 0.3
    cpu: Mapping[float, float] = field(default_factory=dict)
    per_second: Mapping[float, float] = field(default_factory=dict)
    rewritten: Mapping[float, float] = field(default_factory=dict)
    load: float | None = None
    load_cpu: float | None = None
    bytes: float | None = None


REQUIRED = {
    "opensearch": Required(
        p50={0.95: 1.15, 0.99: 2.5},
        cpu={0.95: 1.0, 0.99: 0.4},
        per_second={0.95: 1.1, 0.99: 2.5},
        filtered={"30%": 2.0, "10%": 2.5, "1%": 1.2},
        rewritten={0.95: 1.5, 0.99: 1.5},
        load=4.0,
        load_cpu=1 / 6,
        bytes=0.95,
    ),
    "elasticsearch": Required(p50={0.95: 1.1, 0.99: 1.6}, filtered={"10%": 1.5}),
}


def bars(required: Required, found: Mapping[str, Body]) -> list[report.Bar]:
    """Those of the parts that have been measured.

    Args:
        required: of the engine.
        found: what was measured, by part.
    """
    every: list[report.Bar] = []
    if "requests" in found:
        every += _requests(required, found["requests"])
    if "clients" in found:
        every += _clients(required, found["clients"])
    if "filters" in found:
        for name, least in required.filtered.items():
            what = f"p50 ms with the same {name} filter, recall {RECALL:g}"
            every.append(_faster(what, found["filters"][name][REPEATED], "p50_ms", least))
    if "load" in found:
        every += _load(required, found["load"])
    if "rewritten" in found:
        for recall, least in required.rewritten.items():
            what = f"p99 ms at recall {recall:g}, as loaded, while documents are rewritten"
            every.append(_faster(what, found["rewritten"][f"{recall:g}"], "p99_ms", least))
    delivered = {what: (one["recall"] - asked, one["recall"], asked)
                 for what, asked, one in _ours(found)}  # fmt: skip
    if delivered:
        what = min(delivered, key=lambda row: delivered[row][0])
        over, recall, asked = delivered[what]
        bar = f"recall@25 less what was asked, least of {len(delivered)} rows ({what})"
        every.append(report.at_least(bar, recall, asked, over, -_SHORT))
    return every


def _requests(required: Required, found: Body) -> Iterator[report.Bar]:
    for recall, least in required.p50.items():
        sides = found[f"{recall:g}"]["sides"]
        yield _faster(f"p50 ms at recall {recall:g}", sides, "p50_ms", least)
    for recall, most in required.cpu.items():
        ours, theirs = (_cpu(found[f"{recall:g}"]["sides"][side]) for side in (OURS, PLAIN))
        what = f"CPU ms of a request, client and server, at recall {recall:g}"
        yield report.at_most(what, ours, theirs, ours / theirs, most)
    for recall in BARRED:
        over = found[f"{recall:g}"]["client_cpu_over_sending_ms"]
        what = f"client's CPU ms over sending by hand, at recall {recall:g}"
        yield report.at_most(what, over, None, over, required.client_ms)


def _clients(required: Required, found: Body) -> Iterator[report.Bar]:
    for recall, least in required.per_second.items():
        sides = found[f"{recall:g}"]
        ours, theirs = (sides[side]["per_second"] for side in (OURS, PLAIN))
        what = f"requests/s of {found['clients']} clients at recall {recall:g}"
        yield report.at_least(what, ours, theirs, ours / theirs, least)


def _load(required: Required, found: Body) -> Iterator[report.Bar]:
    ours, theirs = found[OURS], found[PLAIN]
    if required.load is not None:
        mine, graph = (_rate(one) for one in (ours, theirs))
        what = "load and merge, documents/s"
        yield report.at_least(what, mine, graph, mine / graph, required.load)
    if required.load_cpu is not None:
        mine, graph = (one["server_cpu_s"] for one in (ours, theirs))
        what = "load and merge, server's CPU s"
        yield report.at_most(what, mine, graph, mine / graph, required.load_cpu)
    if required.bytes is not None:
        mine, graph = (one["bytes"] for one in (ours, theirs))
        yield report.at_most("bytes on disk", mine, graph, mine / graph, required.bytes)


def _faster(what: str, sides: Body, figure: str, least: float) -> report.Bar:
    ours, theirs = (sides[side][figure] for side in (OURS, PLAIN))
    return report.at_least(what, ours, theirs, theirs / ours, least)


def _rate(loaded: Body) -> float:
    return float(loaded["documents"] / (loaded["seconds"] + loaded["merge_seconds"]))


def _cpu(figures: Body) -> float:
    return float(figures["server_cpu_ms"] + figures["client_cpu_ms"])


def _ours(found: Mapping[str, Body]) -> Iterator[tuple[str, float, Body]]:
    """Every row of ours: what it is, the recall that was asked for, and its figures."""
    for recall, row in found.get("requests", {}).items():
        yield f"recall {recall}", float(recall), row["sides"][OURS]
    for name, both in found.get("filters", {}).items():
        for how in (REPEATED, NEW):
            yield f"filter {name}, {how}", RECALL, both[how][OURS]
    for recall in (f"{one:g}" for one in BARRED):
        for part in ("as-loaded", "rewritten"):
            if part in found:
                yield f"{part}, recall {recall}", float(recall), found[part][recall][OURS]
        for percent, row in found.get("deleted", {}).items():
            what = f"{percent} deleted, recall {recall}"
            yield what, float(recall), row[recall][OURS]
