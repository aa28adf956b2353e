"""What commands share: where the cluster is, progress bars, tables, JSON."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from ...errors import InputError
from ...models.faults import first_fault
from ..engines.access import Access
from ..engines.connection import connect
from ..engines.engine import Engine
from ..engines.node import running_url
from ..fields.field import Field
from ..fields.promise import Table as FieldTable

F = TypeVar("F", bound=Callable[..., Any])
URL_VARIABLE = "META4_URL"
_DEFAULT_URL = "http://127.0.0.1:9200"
#: What has no sign of its own and that writing needs: it joins letters, or keeps them apart.
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """A text in which nothing moves the cursor: what would is written as Python writes it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else repr(c)[1:-1] for c in text)


class Display(Console):
    """Shows texts as they are: an id may look like markup or an emoji, and be none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Whatever is shown comes by here, a table's cells and title too."""
        return super().render_str(printable(text), **options)


#: Progress and notes; results go to standard output.
notes = Display(stderr=True, soft_wrap=True)


def url_option(function: F) -> F:
    """`--url`, for commands that talk to a cluster."""
    return click.option(
        "--url",
        envvar=URL_VARIABLE,
        show_envvar=True,
        help=f"The cluster. Default: the node of 'meta4 node start' if it runs, else "
        f"{_DEFAULT_URL}.",
    )(function)


def field_option(function: F) -> F:
    """`--field`, for commands on one field of an index that may have several."""
    return click.option("--field", help="The hashed field, where the index has several.")(function)


def json_option(function: F) -> F:
    """`--json`, for commands that print results."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(
        function
    )


def query_options(*, least: int, default: int) -> Callable[[F], F]:
    """`--queries`, `--query-file` and `--from-searches`, for commands that measure with queries."""

    def add(function: F) -> F:
        file = click.option(
            "--query-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Real queries (.npy, .parquet or .ndjson) in place of documents.",
        )
        number = click.option(
            "--queries",
            type=click.IntRange(least, 10_000),
            help=f"Documents drawn as queries, or how many of those given. Default: {default:,}.",
        )
        kept = click.option(
            "--from-searches",
            is_flag=True,
            help="Real queries in place of documents: those that clients kept (keep_searches).",
        )
        return number(file(kept(function)))

    return add


def read_queries(
    file: Path | None, kept: bool, n: int, field: Field, engine: Engine, index: str
) -> tuple[Any, int]:
    """The queries that are given, if any are, and how many of `n` there will be of an index.

    In NDJSON and Parquet they are the values of the hashed field.

    Raises:
        InputError: both a file and what clients kept; nothing was kept.
    """
    if file is not None and kept:
        raise InputError("--query-file and --from-searches: give one of them")
    if file is not None:
        given = field.promise.read_queries(file)
    elif kept:
        given = field.promise.searches(engine, index)
        if given is None:
            raise InputError(
                f"no searches of field {field.spec.field!r} of index {index!r} were kept; have "
                f"clients keep some, Meta4(…, keep_searches=0.01), or give a file: --query-file"
            )
    else:
        return None, min(n, engine.count(index, {"exists": {"field": field.spec.field}}))
    return given, min(n, len(given))


def cluster_at(url: str | None) -> tuple[str, Access]:
    """Where the cluster is that a command means, and who we are to it."""
    access = Access.read()
    return url or access.url or running_url() or _DEFAULT_URL, access


def engine_at(url: str | None) -> Engine:
    """The cluster that a command means."""
    return connect(*cluster_at(url))


def spec_fault(kind: str, error: ValidationError) -> InputError:
    """Why a model of some kind cannot be as it was asked for."""
    fault = first_fault(error)
    name = fault.place.rpartition(".")[2]
    return InputError(f"a {kind} model cannot have {name}: {fault.message}, got {fault.got!r}")


def print_json(value: Any, *, lines: bool = False) -> None:
    """One JSON value on standard output; on a single line if `lines`."""
    option = orjson.OPT_SERIALIZE_NUMPY | (0 if lines else orjson.OPT_INDENT_2)
    click.echo(orjson.dumps(value, option=option).decode())


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """A table on standard output; columns of numbers stand to the right."""
    table = Table(box=None, pad_edge=False)
    for i, header in enumerate(headers):
        there = [row[i] for row in rows if row[i] is not None]
        numeric = bool(there) and all(isinstance(value, int | float) for value in there)
        table.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    width = None if "COLUMNS" in os.environ or Display().is_terminal else 120
    display = Display(width=width)
    if title:  # not the table's own, which is as narrow as the table
        display.print(title)
    display.print(table)


def note_faults(entries: Sequence[Mapping[str, Any]]) -> None:
    """Say why entries of a list are not told whole."""
    for entry in entries:
        if "fault" in entry:
            notes.print(entry["fault"])


def show_table(table: FieldTable) -> None:
    """A table of a field's own."""
    click.echo()
    print_table(table.headers, table.rows, title=table.title)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _description() -> ProgressColumn:
    return TextColumn("{task.description}", markup=False)


class _RateColumn(ProgressColumn):
    """Items by second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self._unit}/s")


@contextmanager
def counting(description: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar with a rate; gives a function that takes how many more are done.

    It is shown once something is.
    """
    columns = (
        _description(),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=notes)
    tasks: list[Any] = []

    def advance(n: int) -> None:
        if not tasks:
            progress.start()  # not before: a bar of nothing is an empty line
            tasks.append(progress.add_task(printable(description), total=total))
        progress.advance(tasks[0], n)

    try:
        yield advance
    finally:
        if tasks:
            progress.stop()


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Bars for work in stages: gives a function of (stage, done, total).

    What follows a colon in the stage's name is shown, and does not make it another stage.
    """
    columns = (
        _description(),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn("steps"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=notes)
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        name = stage.partition(":")[0]
        if name not in tasks:
            progress.start()
            tasks[name] = progress.add_task("", total=total)
        progress.update(tasks[name], completed=done, description=printable(stage))

    try:
        yield show
    finally:
        if tasks:
            progress.stop()


@contextmanager
def downloading(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar for one download, with its speed; gives a function of the bytes that have come."""
    columns = (
        _description(),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes) as progress:
        task = progress.add_task(printable(name), total=size)
        yield lambda n: progress.advance(task, n)
