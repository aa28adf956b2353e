"""What a search among models has tried: as rows, as CSV, and drawn."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..pictures import new_picture
from ..specs import BitBucketsSpec, SearchedSpec, TrainedSpec

CSV_FILE, PLOT_FILE = "attempts.csv", "attempts.png"
COLUMNS = ("kind", "bits", "buckets", "layers", "vectors", "seconds", "looked into %", "fault")


@dataclass(frozen=True)
class Attempt:
    """One model that was fitted and judged.

    Attributes:
        spec: as for all vectors; on fewer it has fewer buckets in proportion.
        n: vectors it was fitted on.
        seconds: for fitting and judging.
        looked_into: share of the documents for the recall asked for; infinite where there is
            a fault.
        fault: why there is no judgement.
    """

    spec: SearchedSpec
    n: int
    seconds: float
    looked_into: float
    fault: str = ""

    @property
    def row(self) -> tuple[str, int, int, str, int, float, float | None, str]:
        """By `COLUMNS`."""
        spec = self.spec
        layers = _layers(spec)
        found = None if self.fault else 100 * self.looked_into
        return (
            spec.kind,
            spec.n_bits,
            spec.n_buckets,
            layers,
            self.n,
            round(self.seconds, 1),
            found,
            self.fault,
        )


def describe(spec: SearchedSpec) -> str:
    """A candidate in a few words."""
    if isinstance(spec, BitBucketsSpec):
        return f"{spec.kind}, {spec.n_tables} x {spec.bits_per_table} bits"
    layers = f", layers {_layers(spec)}" if isinstance(spec, TrainedSpec) else ""
    return f"{spec.kind}, {spec.n_buckets:,} buckets{layers}"


def explain(attempts: Sequence[Attempt], chosen: Attempt, recall: float) -> list[str]:
    """Why this one: what it looks into, and what the others of as many vectors do."""
    lines = [
        f"{describe(chosen.spec)}: looks into {chosen.looked_into:.2%} of the documents at "
        f"recall {recall:g}, judged on vectors that it has not seen."
    ]
    others = [a for a in attempts if a.n == chosen.n and a is not chosen and not a.fault]
    for other in sorted(others, key=lambda attempt: attempt.looked_into):
        ratio = other.looked_into / chosen.looked_into
        lines.append(
            f"{describe(other.spec)} looks into {other.looked_into:.2%}, {ratio:.2f} times as "
            f"much; fitted and judged in {other.seconds:,.0f} s, the chosen one in "
            f"{chosen.seconds:,.0f} s."
        )
    judged = {attempt.spec.kind for attempt in (chosen, *others)}
    for kind in dict.fromkeys(attempt.spec.kind for attempt in attempts):
        if kind not in judged:
            lines.append(_not_on_all(kind, attempts, chosen))
    return lines


def write_attempts(attempts: Sequence[Attempt], folder: Path) -> None:
    """Keep them as CSV beside the model."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / CSV_FILE).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(attempt.row for attempt in attempts)


def draw_attempts(
    attempts: Sequence[Attempt], chosen: Attempt, recall: float, folder: Path
) -> None:
    """Time against documents looked into, one panel for each number of vectors fitted on.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    judged = [attempt for attempt in attempts if math.isfinite(attempt.looked_into)]
    sizes = sorted({attempt.n for attempt in judged})
    colours = {kind: f"C{i}" for i, kind in enumerate(sorted({a.spec.kind for a in judged}))}
    picture = new_picture(3.8 * len(sizes) + 1.6, 3.8, "drawing what was tried")
    from matplotlib.ticker import LogLocator

    panels = picture.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    for axes, n in zip(panels, sizes, strict=True):
        for kind, colour in colours.items():
            some = [a for a in judged if a.n == n and a.spec.kind == kind]
            shares = [100 * a.looked_into for a in some]
            axes.scatter([a.seconds for a in some], shares, color=colour, label=kind)
        if n == chosen.n:
            ring = {"s": 240, "facecolors": "none", "edgecolors": "black", "label": "chosen"}
            axes.scatter([chosen.seconds], [100 * chosen.looked_into], **ring)
        axes.set(title=f"fitted on {n:,} vectors", xlabel="seconds", xscale="log", yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter("{x:g}")
    panels[0].set_ylabel(f"documents looked into, %, at recall {recall:g}")
    picture.legend(*panels[-1].get_legend_handles_labels(), loc="outside right upper")
    picture.savefig(folder / PLOT_FILE, dpi=110)


def _not_on_all(kind: str, attempts: Sequence[Attempt], chosen: Attempt) -> str:
    """How the best of a kind did on a part of the vectors, beside the chosen one on that part."""
    own = [a for a in attempts if a.spec.kind == kind and not a.fault]
    if not own:
        return f"{kind}: came to no judgement."
    n = max(attempt.n for attempt in own)
    best = min((a for a in own if a.n == n), key=lambda attempt: attempt.looked_into)
    beside = [a.looked_into for a in attempts if a.n == n and a.spec == chosen.spec and not a.fault]
    against = f", the chosen one {beside[0]:.2%}" if beside else ""
    return f"{describe(best.spec)}: on {n:,} vectors looks into {best.looked_into:.2%}{against}."


def _layers(spec: SearchedSpec) -> str:
    return ",".join(map(str, spec.layers)) if isinstance(spec, TrainedSpec) else ""
