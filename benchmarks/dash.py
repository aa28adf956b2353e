"""DAsH and the rivals of its paper: python -m benchmarks.dash.

Box counting, LSH tuning against E2LSH's, and the paper's table on Fashion-MNIST, as pixels and as
EfficientNet features; writes results/dash.json and the tables of docs/models.md. All that is timed
runs in one thread, in memory.
"""

from dataclasses import asdict
from operator import attrgetter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from meta4.adapter.cli.common import notes
from meta4.models.embeddings import unit

from . import report
from .dash_methods import OURS, methods
from .dash_tuning import counting_bars, tuning_bars, tuning_table
from .data import Labelled, load_fashion_mnist
from .pictures import load_pictures
from .retrieval import Arena, Measured

#: Queries that efforts are chosen with, and that all are then asked.
_CHOSEN_WITH, _ASKED = 100, 2_000
#: Of the paper's rivals those that the bar names.
_RIVALS = ("multi-probe LSH", "LSH Forest", "ITQ")
_REQUIRED = 1.05


def main() -> None:
    """Run it all."""
    details: dict[str, Any] = {}
    images, others = load_fashion_mnist()
    with threadpool_limits(1):
        bars = counting_bars(images.vectors, details) + tuning_bars(details)
    tables = []
    for name, base, queries in (
        ("pixels", images, others),
        ("EfficientNet-Lite0 features", *load_pictures()),
    ):
        found = _contest(base, queries)
        details[name] = {method: asdict(measured) for method, measured in found.items()}
        bars += _retrieval_bars(name, found)
        tables.append(_table(f"Fashion-MNIST, {name} ({base.vectors.shape[1]})", found))
        notes.print(tables[-1])
    path = report.write_results("dash", bars, details)
    sections = {
        "dash-bars": report.bars_table(bars),
        "dash-tuning": tuning_table(details["tuning"]),
        "dash-retrieval": "\n\n".join(tables),
    }
    for section, table in sections.items():
        report.put_into(report.MODELS, section, table)
        print(f"{table}\n")
    print(f"written to {path.name} and docs/{report.MODELS.name}")


def _contest(base: Labelled, others: Labelled) -> dict[str, Measured]:
    """Every method, each with the effort that takes no longer than ours."""
    x, queries = (unit(part.vectors).astype(np.float32) for part in (base, others))
    # Efforts are chosen with queries that are not asked again.
    chosen_with = slice(_ASKED, _ASKED + _CHOSEN_WITH)
    choosing = Arena(x, base.labels, queries[chosen_with], others.labels[chosen_with])
    every = methods(base)
    with threadpool_limits(1):
        (ours,) = choosing.measure([(every[0], every[0].efforts[0])], _CHOSEN_WITH)
        sides = []
        for method in every:
            effort = choosing.effort_within(method, ours.ms, _CHOSEN_WITH)
            notes.print(f"{method.name}: effort {effort}")
            sides.append((method, effort))
        measured = Arena(x, base.labels, queries, others.labels).measure(sides, _ASKED)
    return {method.name: one for (method, _), one in zip(sides, measured, strict=True)}


def _retrieval_bars(name: str, found: dict[str, Measured]) -> list[report.Bar]:
    bars = []
    for title, value in (
        ("P@25", attrgetter("precision")),
        ("mAP@1000", attrgetter("average_precision")),
    ):
        best = max(_RIVALS, key=lambda rival: value(found[rival]))
        ours, theirs = value(found[OURS]), value(found[best])
        words = f"{title} on Fashion-MNIST, {name}, over the best rival, {best}"
        bars.append(report.at_least(words, ours, theirs, ours / theirs, _REQUIRED))
    return bars


def _table(title: str, found: dict[str, Measured]) -> str:
    lines = [
        f"| {title} | mAP@1000 | P@25 | ms a query | documents looked into |",
        "|---|---|---|---|---|",
    ]
    for name, one in found.items():
        lines.append(
            f"| {name} | {one.average_precision:.3f} | {one.precision:.3f} | {one.ms:.2f} "
            f"| {one.candidates:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
