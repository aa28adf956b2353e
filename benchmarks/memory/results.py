"""Rows of several runs in one file, the bars, and the tables of docs/benchmarks.md."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import report
from ..contest import SERVERS
from ..sides import HNSW, OURS
from .measure import COLD_ROOM

Json = dict[str, Any]
#: HNSW over ours: by set and room, at 0.95 and 0.99.
_P50: Mapping[str, Mapping[float, tuple[float, float]]] = {
    "texts": {0.75: (3.0, 8.0), 0.5: (4.0, 10.0), 0.25: (5.0, 12.0)},
    "words": {0.75: (8.0, 15.0), 0.5: (10.0, 15.0)},
}
_MB = {"texts": (4.0, 10.0)}
_COLD = {"texts": {"p50_ms": 3.0, "p95_ms": 4.0}}
#: Whoever reads nothing has read this.
_NOTHING_MB = 0.001
NOT_MEASURED = (
    "Not measured: OpenSearch's `sq` with 1 bit, `compression_level` and `mode: on_disk`, which "
    "need native libraries: the node of the benchmark has none, and they end it."
)
_FIGURES = ("p50_ms", "p95_ms", "delivered", "mb", "faults", "reads")
_WHICH = ("set", "room", "side", "recall", "cold")


def name_of(server: str, documents: int | None) -> str:
    """Of the file of results; only one of all documents in OpenSearch is the documents' own."""
    parts = ["memory", *([server] if server != next(iter(SERVERS)) else [])]
    return "-".join([*parts, *([str(documents)] if documents else [])])


def add(file: str, rows: Sequence[Json], loads: Json, machine: Json) -> None:
    """Put rows in the place of those measured before, and write everything anew."""
    kept: list[Json] = []
    if (report.RESULTS / f"{file}.json").exists():
        details = report.read_results(file)[1]
        kept, loads = details["rows"], details["loads"] | loads
    new = {_which(row) for row in rows}
    every = [row for row in kept if _which(row) not in new] + list(rows)
    report.write_results(
        file, list(_bars(every)), {"machine": machine, "loads": loads, "rows": every}
    )
    if file == "memory":
        report.put_into(report.BENCHMARKS, file, tables(file))


def median(rows: Sequence[Json]) -> Json:
    """Of the same row measured several times; what its room was is the last one's."""
    middle = {name: float(np.median([row[name] for row in rows])) for name in _FIGURES}
    return {**rows[-1], **middle, "times": len(rows), "free": max(row["free"] for row in rows)}


def said(row: Json) -> str:
    """A row in one line, with what its room was."""
    before, after = row["room_before"], row["room_after"]
    cold = ", cold" if row["cold"] else ""
    candidates = "" if row["candidates"] is None else f", {row['candidates']} candidates"
    return (
        f"{row['name']}, room {row['room']:.0%}, {row['side']} at {row['recall']:g}{cold}"
        f"{candidates}: {row['p50_ms']:.2f} / {row['p95_ms']:.2f} ms, {row['delivered']:.3f}, "
        f"{row['mb']:.2f} MB, {row['reads']:.0f} reads and {row['faults']:.0f} faults a request; "
        f"room for {_mb(before['asked'])} MB, in memory {_mb(before['held'])} to "
        f"{_mb(after['held'])}, "
        f"{_mb(row['free'])} of it charged elsewhere; limit {_mb(before['limit'])}, of it no pages "
        f"of files {_mb(before['rest'])} to {_mb(after['rest'])}"
    )


def tables(file: str) -> str:
    """The bars, the rows, and what the rooms were."""
    bars, details = report.read_results(file)
    rows = sorted(details["rows"], key=lambda row: (row["set"], row["cold"], -row["room"]))
    lines = [
        "| set | room | asked | side | delivered | p50 / p95 ms | MB read | reads (faults) "
        "| in memory MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        held, asked = row["room_after"]["held"], row["room_after"]["asked"]
        cells = [
            row["name"],
            f"{row['room']:.0%}, " + (f"first {row['requests']}" if row["cold"] else "warm"),
            f"{row['recall']:g}",
            row["side"],
            f"{row['delivered']:.3f}",
            f"{row['p50_ms']:.1f} / {row['p95_ms']:.1f}",
            f"{row['mb']:.2f}",
            (f"{row['reads']:.0f} " if "reads" in row else "") + f"({row['faults']:.0f})",
            f"{_mb(held)} of {_mb(asked)}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    machine = details["machine"]
    how = (
        f"By {machine['group']}; heap {machine['heap_mb']} MB; the disk reads "
        f"{machine['read_ahead_kb']} KB ahead where the engine does not forbid it. {NOT_MEASURED}"
    )
    return "\n\n".join([report.bars_table(bars), "\n".join(lines), how])


def _bars(rows: Sequence[Json]) -> Iterator[report.Bar]:
    by = {_which(row): row for row in rows}
    names = {row["set"]: row["name"] for row in rows}
    for key, name in names.items():
        for share, least in _P50.get(key, {}).items():
            for recall, required in zip((0.95, 0.99), least, strict=True):
                what = f"{name}, room for {share:.0%}, recall {recall:g}"
                where = (key, share, recall, False)
                yield from _bar(by, where, f"{what}: p50 ms", "p50_ms", required)
                if key in _MB:
                    least_mb = _MB[key][recall == 0.99]
                    yield from _bar(by, where, f"{what}: MB read a request", "mb", least_mb)
        for figure, required in _COLD.get(key, {}).items():
            what = f"{name}, cold, room for {COLD_ROOM:.0%}, recall 0.95: {figure[:3]} ms"
            yield from _bar(by, (key, COLD_ROOM, 0.95, True), what, figure, required)


def _bar(
    by: Mapping[tuple[Any, ...], Json],
    where: tuple[str, float, float, bool],
    what: str,
    figure: str,
    required: float,
) -> Iterator[report.Bar]:
    """One, where both sides have been measured."""
    key, share, recall, cold = where
    both = [by.get((key, share, side.name, recall, cold)) for side in (OURS[0], HNSW)]
    if both[0] is not None and both[1] is not None:
        ours, theirs = (float(row[figure]) for row in both if row is not None)
        yield report.at_least(what, ours, theirs, theirs / max(ours, _NOTHING_MB), required)


def _which(row: Json) -> tuple[Any, ...]:
    return tuple(row[name] for name in _WHICH)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f}"
