"""What `meta4 train` does once it knows what is wanted."""

from pathlib import Path
from typing import Any

import click

from ....models.choice.attempts import COLUMNS, PLOT_FILE, draw_attempts, explain, write_attempts
from ....models.choice.auto import Aim, find_model
from ....models.kinds.dash_report import PLOT_FILE as DASH_PLOT
from ....models.kinds.dash_report import DashReport
from ....models.model import HashModel
from ....models.specs import AnySpec
from ....models.training.options import TrainingOptions, checkpoint_exists, discard_checkpoint
from ..common import notes, print_json, print_table, stages
from .group import show_manifest


def fit_model(
    spec: AnySpec,
    data: Any,
    classes: Any,
    options: TrainingOptions,
    explained: bool,
    as_json: bool,
) -> None:
    """Fit one model, save it in the folder of the options, and show it."""
    out = options.folder
    assert out is not None
    try:
        with stages() as progress:
            model = HashModel.fit(spec, data, progress, labels=classes, options=options)
    except KeyboardInterrupt:
        if checkpoint_exists(out):
            notes.print(f"The state is kept in {out}; the same command with --resume goes on.")
        raise
    model.save(out)
    discard_checkpoint(out)
    measured = DashReport.read(out) if explained else None
    if as_json:
        content = {"folder": str(out)} | model.manifest.model_dump(mode="json")
        print_json(content if measured is None else content | {"measured": measured.model_dump()})
        return
    if measured is not None:
        _show_measured(measured, out)
    show_manifest(model.manifest, as_json=False, folder=str(out))


def _show_measured(measured: DashReport, out: Path) -> None:
    curve = measured.subspace
    print_table(
        ["side of a box", "pairs in the same box", ""],
        [
            [f"{side:.4g}", f"{pairs:,.0f}", "fitted" if fitted else ""]
            for side, pairs, fitted in zip(curve.sides, curve.pairs, curve.fitted, strict=True)
        ],
    )
    print_table(
        ["width tried", "fractal dimension", "error", ""],
        [
            [
                one.width,
                f"{one.dimension:.2f}",
                f"{one.error:.3f}",
                "chosen" if one.width == measured.width else "",
            ]
            for one in measured.widths
        ],
    )
    print_table(["measured", ""], measured.rows)
    click.echo(f"Drawn in {out / DASH_PLOT}.")


def search_model(data: Any, classes: Any, aim: Aim, out: Path, as_json: bool) -> None:
    """Find a model, save it with what was tried, and say why."""
    with stages() as progress:
        found = find_model(data, aim, progress, labels=classes)
    found.model.save(out)
    write_attempts(found.attempts, out)
    draw_attempts(found.attempts, found.chosen, aim.recall, out)
    reasons = explain(found.attempts, found.chosen, aim.recall)
    if as_json:
        attempts = [dict(zip(COLUMNS, attempt.row, strict=True)) for attempt in found.attempts]
        manifest = found.model.manifest.model_dump(mode="json")
        print_json({"folder": str(out), "reasons": reasons, "attempts": attempts} | manifest)
        return
    rows = sorted(found.attempts, key=lambda attempt: (attempt.n, attempt.looked_into))
    print_table(COLUMNS, [attempt.row for attempt in rows])
    for reason in reasons:
        click.echo(reason)
    click.echo(f"Drawn in {out / PLOT_FILE}.")
    show_manifest(found.model.manifest, as_json=False, folder=str(out))
