"""What was measured, as Markdown for the documents."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from .. import report
from .collection import Body
from .parts.bench import BARRED
from .parts.filters import NEW, RECALL, REPEATED
from .parts.rewritten import DOCUMENTS_A_SECOND
from .rivals import NOT_MEASURED

_HOW = (
    "CPU is of a request, the server's and the client's; recall is recall@25 over the queries, "
    "with half of its 95% confidence interval (normal approximation)."
)


def section(engine: str, bars: list[report.Bar], found: Mapping[str, Body]) -> str:
    """All of an engine: its bars, then a table for each part that has been measured."""
    tables: dict[str, Callable[[Body], str]] = {
        "requests": _requests,
        "clients": _clients,
        "filters": _filters,
        "as-loaded": _as_loaded,
        "rewritten": _rewritten,
        "deleted": _deleted,
        "load": _load,
    }
    parts = [write(found[part]) for part, write in tables.items() if part in found]
    return "\n\n".join([report.bars_table(bars), *parts, _HOW, NOT_MEASURED[engine]])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are written already."""
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _requests(found: Body) -> str:
    rows = []
    for recall, row in found.items():
        for side, one in row["sides"].items():
            cells = [recall, side, _recall(one), *_times(one)]
            cells += [f"{one['server_cpu_ms']:.2f}", f"{one['client_cpu_ms']:.2f}", _effort(one)]
            rows.append(cells)
    head = ["asked", "one segment", "recall", "p50 ms", "p95", "p99", "server's CPU ms", "client's"]
    looked = ", ".join(f"{row['looked_into']:.1%} at {recall}" for recall, row in found.items())
    return f"{table([*head, 'asked with'], rows)}\n\nOurs looks into {looked} of the documents."


def _clients(found: Body) -> str:
    recalls = [f"{recall:g}" for recall in BARRED]
    head = [f"{found['clients']} clients"]
    for recall in recalls:
        head += [f"requests/s at {recall}", "server's CPU ms", "client's"]
    rows = []
    for side in found[recalls[0]]:
        row = [side]
        for recall in recalls:
            one = found[recall][side]
            row += [f"{one['per_second']:,.0f}"]
            row += [f"{one['server_cpu_ms']:.2f}", f"{one['client_cpu_ms']:.2f}"]
        rows.append(row)
    return table(head, rows)


def _filters(found: Body) -> str:
    named = [
        (f"{name}, {how}", both[how]) for name, both in found.items() for how in (REPEATED, NEW)
    ]
    return _side_by_side(f"a filter keeps; asked for {RECALL:g}", named)


def _as_loaded(found: Body) -> str:
    return _side_by_side("as loaded, not merged", list(found.items()))


def _rewritten(found: Body) -> str:
    rates = found["documents_a_second"]
    rows = [(recall, sides) for recall, sides in found.items() if sides is not rates]
    reached = ", ".join(f"{rate:.0f} ({side})" for side, rate in rates.items())
    what = f"as loaded, while {DOCUMENTS_A_SECOND} documents/s are rewritten"
    return f"{_side_by_side(what, rows)}\n\nDocuments rewritten in a second: {reached}."


def _deleted(found: Body) -> str:
    rows = [
        (f"{percent}, recall {recall:g}", row[f"{recall:g}"])
        for percent, row in found.items()
        for recall in BARRED
    ]
    return _side_by_side("deleted documents in the segment", rows)


def _side_by_side(what: str, rows: Sequence[tuple[str, Body]]) -> str:
    """A row for each thing asked, a column for each side."""
    sides = list(rows[0][1])
    head = [what, *(f"{side}: p50 / p95 / p99 ms (recall)" for side in sides)]
    return table(head, [
        [name, *(f"{' / '.join(_times(found[side]))} ({_recall(found[side])})" for side in sides)]
        for name, found in rows
    ])  # fmt: skip


def _load(found: Body) -> str:
    head = ["load", "documents/s, merged", "load s", "merge s", "server's CPU s", "client's", "MB"]
    rows = []
    for side, one in found.items():
        rate = one["documents"] / (one["seconds"] + one["merge_seconds"])
        took = [one[what] for what in ("seconds", "merge_seconds", "server_cpu_s", "client_cpu_s")]
        rows.append([side, f"{rate:,.0f}", *(f"{value:,.0f}" for value in took),
                     f"{one['bytes'] / 1e6:,.0f}"])  # fmt: skip
    tuned = next(iter(found.values()))["tune_seconds"]
    return f"{table(head, rows)}\n\nTuning ours, which is done once, took {tuned:.0f} s more."


def _times(figures: Body) -> list[str]:
    return [f"{figures[what]:.2f}" for what in ("p50_ms", "p95_ms", "p99_ms")]


def _recall(figures: Body) -> str:
    return f"{figures['recall']:.3f} ± {figures['recall_margin']:.3f}"


def _effort(figures: Body) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else value
        for name, value in figures["effort"].items()
    )
