"""What README shows of benchmarks/results: one table, and docs/recall.png.

python -m benchmarks.summary; the benchmarks do it whenever they have written results. Nothing is
measured here.
"""

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from . import report
from .contest import SERVERS
from .engine.parts.bench import BARRED
from .engine.parts.filters import REPEATED
from .engine.results import found_in
from .engine.rivals import PLAIN
from .engine.sides import OURS

#: Filters that are shown, the same in each request.
_FILTERS = ("30%", "10%", "1%")
#: What differs by less decides nothing.
_LEVEL = 1.05
_PLOT = Path(__file__).parent.parent / "docs" / "recall.png"
_COLOURS = {"meta4": "#1b6ca8", "HNSW": "#c44536"}
_MISSING = "not measured"


@dataclass(frozen=True)
class Pair:
    """The same of both sides."""

    ours: float
    theirs: float

    def text(self, digits: int) -> str:
        """Both, the lesser in bold."""
        ours, theirs = (f"{value:,.{digits}f}" for value in (self.ours, self.theirs))
        if self.ours * _LEVEL < self.theirs:
            ours = f"**{ours}**"
        elif self.theirs * _LEVEL < self.ours:
            theirs = f"**{theirs}**"
        return f"{ours} / {theirs}"


@dataclass(frozen=True)
class Point:
    """How long a request takes, and how much of what is nearest it finds."""

    p50_ms: Pair
    recall: Pair

    def text(self) -> str:
        """As a cell of a table."""
        return f"{self.p50_ms.text(1)} ({self.recall.ours:.3f} / {self.recall.theirs:.3f})"


@dataclass(frozen=True)
class Setting:
    """One set of vectors in one engine.

    Attributes:
        server: its name and version.
        vectors: their name and number.
        unfiltered: by recall asked for.
        filtered: at the highest of these, by what the filter keeps.
        seconds: of load and merge.
        bytes: on disk.
    """

    server: str
    vectors: str
    unfiltered: dict[str, Point]
    filtered: dict[str, Point]
    seconds: Pair
    bytes: Pair


def write() -> None:
    """The table and the plot, from what results/ has now."""
    found = settings()
    report.put_into(report.README, "summary", table(found))
    draw(found, _PLOT)


def settings() -> list[Setting]:
    """What was measured, the largest sets of each engine."""
    opensearch, elasticsearch = (_of_engine(name) for name in SERVERS)
    return [opensearch, _of_sift(), elasticsearch]


def _of_engine(name: str) -> Setting:
    """All words in one engine.

    Raises:
        InputError: a part that is shown has not been run.
    """
    _, details = report.read_results(name)
    requests, filters, load = (
        found_in(details, part, name) for part in ("requests", "filters", "load")
    )
    asked = [f"{recall:g}" for recall in BARRED]
    return Setting(
        details["server"],
        f"GloVe {details['documents']:,}",
        {recall: _point(requests[recall]["sides"], PLAIN) for recall in asked},
        {kept: _point(filters[kept][REPEATED], PLAIN) for kept in _FILTERS},
        Pair(*(load[side]["seconds"] + load[side]["merge_seconds"] for side in (OURS, PLAIN))),
        Pair(*(load[side]["bytes"] for side in (OURS, PLAIN))),
    )


def _of_sift() -> Setting:
    _, details = report.read_results("scale")
    (row,) = (row for row in details["rows"] if row["name"].startswith("SIFT"))
    asked = [key for key in row if key.startswith("at_")]
    return Setting(
        SERVERS["opensearch"].name,
        row["name"],
        {key.removeprefix("at_"): _point(row[key], "hnsw") for key in asked},
        {},
        *(Pair(row["meta4"][what], row["hnsw"][what]) for what in ("seconds", "bytes")),
    )


def _point(sides: dict[str, Any], theirs: str) -> Point:
    """Ours beside the side of that name, or the fastest of those whose names begin so."""
    named = [found for side, found in sides.items() if side.startswith(theirs)]
    graph = sides.get(theirs) or min(named, key=lambda found: float(found["p50_ms"]))
    ours = sides[OURS]
    return Point(*(Pair(ours[what], graph[what]) for what in ("p50_ms", "recall")))


def table(found: list[Setting]) -> str:
    """Where each side wins, as a Markdown table."""
    lines = [
        "| meta4 / HNSW | " + " | ".join(f"{one.server}, {one.vectors}" for one in found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]

    def add(what: str, cells: list[str]) -> None:
        lines.append(f"| {what} | " + " | ".join(cells) + " |")

    def timed(what: str, points: list[Point | None]) -> None:
        add(what, [_MISSING if point is None else point.text() for point in points])

    asked = list(found[0].unfiltered)
    for recall in asked:
        timed(f"p50 ms, recall {recall}", [one.unfiltered.get(recall) for one in found])
    for kept in found[0].filtered:
        what = f"{asked[-1]}, a filter keeps {kept}"
        timed(what, [one.filtered.get(kept) for one in found])
    add("load and merge, s", [one.seconds.text(0) for one in found])
    mega = [Pair(one.bytes.ours / 1e6, one.bytes.theirs / 1e6) for one in found]
    add("on disk, MB", [one.text(0) for one in mega])
    return "\n".join(lines)


def draw(found: list[Setting], path: Path) -> None:
    """p50 over the recall that was reached, a panel for each setting."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MultipleLocator

    style = {"font.size": 13, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, panels = pyplot.subplots(
            1, len(found), figsize=(12, 5), layout="constrained", sharey=True, sharex=True
        )
        for axes, one in zip(panels, found, strict=True):
            _draw_panel(axes, one)
        panels[0].set(ylabel="p50 of a request, ms", ylim=(0, None))
        panels[0].xaxis.set_major_locator(MultipleLocator(0.02))
        panels[0].yaxis.set_major_locator(MultipleLocator(5))
        figure.supxlabel("recall@25 that was reached", fontsize=13)
        # What is drawn first has all that the legend explains.
        entries = panels[0].get_legend_handles_labels()
        figure.legend(*entries, loc="outside upper center", ncols=len(entries[0]), frameon=False)
        figure.savefig(path, dpi=130)
        pyplot.close(figure)


def _draw_panel(axes: Any, one: Setting) -> None:
    axes.set_title(f"{one.server}, {one.vectors}", fontsize=13)
    axes.grid(alpha=0.25)
    for side, colour in _COLOURS.items():
        points = [_side(point, side) for point in one.unfiltered.values()]
        axes.plot(*zip(*points, strict=True), "-o", color=colour, label=side, linewidth=2)
    for (kept, point), marker in zip(one.filtered.items(), cycle("Dsv"), strict=False):
        hollow = {"marker": marker, "mfc": "none", "mew": 1.8, "linestyle": "none"}
        axes.plot([], [], color="#666666", label=f"filter keeps {kept}", **hollow)
        for side, colour in _COLOURS.items():
            axes.plot(*_side(point, side), color=colour, markersize=8, **hollow)


def _side(point: Point, side: str) -> tuple[float, float]:
    if side == "meta4":
        return point.recall.ours, point.p50_ms.ours
    return point.recall.theirs, point.p50_ms.theirs


if __name__ == "__main__":
    write()
