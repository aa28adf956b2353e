"""What every benchmark writes: commit, machine, and bars with both sides."""

import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from meta4.errors import InputError

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
BENCHMARKS = README.parent / "docs" / "benchmarks.md"
MODELS = README.parent / "docs" / "models.md"
DEPLOY = README.parent / "docs" / "deploy.md"
RELIABILITY = README.parent / "docs" / "reliability.md"
MACHINE = f"{os.cpu_count()} cores"


@dataclass(frozen=True)
class Bar:
    """One bar: ours and theirs in the same unit; `ratio` is what `required` speaks of."""

    bar: str
    ours: float
    theirs: float | None
    ratio: float
    required: str
    holds: bool


def at_least(bar: str, ours: float, theirs: float | None, ratio: float, required: float) -> Bar:
    """A bar that the ratio must reach."""
    return Bar(bar, ours, theirs, ratio, f">= {required:g}", ratio >= required)


def at_most(bar: str, ours: float, theirs: float | None, ratio: float, required: float) -> Bar:
    """A bar that the ratio must not exceed."""
    return Bar(bar, ours, theirs, ratio, f"<= {required:g}", ratio <= required)


def commit() -> str:
    """The commit that is measured; empty where this is no checkout."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=RESULTS.parent,
    ).stdout.strip()


def write_results(name: str, bars: list[Bar], details: dict[str, Any]) -> Path:
    """Write `benchmarks/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "commit": commit(),
        "machine": MACHINE,
        "bars": [asdict(bar) for bar in bars],
        "details": details,
    }
    option = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    path.write_bytes(orjson.dumps(content, option=option) + b"\n")
    return path


def read_results(name: str) -> tuple[list[Bar], dict[str, Any]]:
    """Bars and details of `benchmarks/results/NAME.json`."""
    content = orjson.loads((RESULTS / f"{name}.json").read_bytes())
    return [Bar(**bar) for bar in content["bars"]], content["details"]


def bars_table(bars: list[Bar]) -> str:
    """The bars as a Markdown table."""
    lines = ["| bar | ours | theirs | ratio | required | |", "|---|---|---|---|---|---|"]
    for bar in bars:
        theirs = "" if bar.theirs is None else f"{bar.theirs:,.4g}"
        verdict = "holds" if bar.holds else "**missed**"
        lines.append(
            f"| {bar.bar} | {bar.ours:,.4g} | {theirs} | {bar.ratio:.4g} | {bar.required} "
            f"| {verdict} |"
        )
    return "\n".join(lines)


def put_into(document: Path, section: str, text: str) -> None:
    """Replace what stands between a section's two marks in a document.

    Raises:
        InputError: the document has no such marks.
    """
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    content = document.read_text(encoding="utf-8")
    head, _, rest = content.partition(start)
    _, found, tail = rest.partition(end)
    if not found:
        raise InputError(f"{document.name}: expected the marks {start} and {end}; put them back")
    document.write_text(f"{head}{start}\n{text}\n{end}{tail}", encoding="utf-8")
