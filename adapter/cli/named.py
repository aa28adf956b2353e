"""`meta4 query`: named queries."""

from typing import Any

import click
import orjson

from ...errors import InputError
from ..client.meta4 import Meta4
from ..client.named import run_named
from ..definitions.definition import read_definition
from ..definitions.store import Definitions
from .common import engine_at, json_option, print_json, print_table, url_option
from .hits import show_hits


@click.group("query")
def query_group() -> None:
    """Named queries: search bodies with typed parameters, kept in the cluster."""


@query_group.command("put")
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@url_option
@json_option
def put_command(name: str, file: Any, url: str | None, as_json: bool) -> None:
    """Keep the definition in FILE as the next version of NAME, if it can be run.

    FILE is JSON, or - for standard input. The newest version once more changes nothing.

    Example: meta4 query put like like.json
    """
    definition = read_definition(file.read(), "the definition")
    engine = engine_at(url)
    kept = engine.run(Definitions(engine.calls).put(name, definition))
    if as_json:
        print_json({"name": kept.name, "version": kept.version, "sha256": definition.sha256})
    else:
        click.echo(str(kept))


@query_group.command("list")
@url_option
@json_option
def list_command(url: str | None, as_json: bool) -> None:
    """List the newest version of each query."""
    engine = engine_at(url)
    entries = engine.run(Definitions(engine.calls).list())
    if as_json:
        print_json(entries)
        return
    print_table(
        ["query", "index", "parameters", "sha256"],
        [
            [
                f"{entry['name']}@{entry['version']}",
                entry["index"],
                ", ".join(entry["parameters"]),
                entry["sha256"][:12],
            ]
            for entry in entries
        ],
    )


@query_group.command("show")
@click.argument("reference", metavar="NAME[@VERSION]")
@url_option
@json_option
def show_command(reference: str, url: str | None, as_json: bool) -> None:
    """Show a query: its parameters and its body."""
    engine = engine_at(url)
    kept = engine.run(Definitions(engine.calls).get(reference))
    definition = kept.definition
    if as_json:
        said = definition.model_dump(exclude_unset=True)
        print_json({"name": kept.name, "version": kept.version, **said})
        return
    print_table(["", ""], [["query", str(kept)], ["index", definition.index]])
    rows = [
        [
            name,
            parameter.type,
            orjson.dumps(parameter.default).decode() if parameter.has_default else None,
            parameter.min,
            parameter.max,
        ]
        for name, parameter in definition.parameters.items()
    ]
    if rows:
        click.echo()
        print_table(["parameter", "type", "default", "min", "max"], rows)
    click.echo(f"\n{orjson.dumps(definition.body, option=orjson.OPT_INDENT_2).decode()}")


@query_group.command("run")
@click.argument("reference", metavar="NAME[@VERSION]")
@click.option(
    "-p",
    "--parameter",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter; may be given several times. Arrays are JSON.",
)
@url_option
@json_option
def run_command(reference: str, given: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Search by a named query; the newest version where none is named.

    With --json the engine's answer, whole.

    Example: meta4 query run like -p word=berlin -p k=5
    """
    texts: dict[str, str] = {}
    for one in given:
        name, separator, text = one.partition("=")
        if not separator or name in texts:
            raise InputError(f"-p: expected NAME=VALUE, each name once, got {one[:60]!r}")
        texts[name] = text
    meta4 = Meta4(engine_at(url))
    steps = run_named(meta4.engine.calls, meta4.core, reference, {}, texts)
    answer = meta4.engine.run(steps)
    if as_json:
        print_json(answer)
    else:
        show_hits(answer, as_json)


@query_group.command("drop")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
def drop_command(name: str, yes: bool, url: str | None) -> None:
    """Delete all versions of a query; what is put under NAME later goes on counting."""
    if not yes:
        click.confirm(f"delete query {name} in all its versions?", abort=True, err=True)
    engine = engine_at(url)
    n = engine.run(Definitions(engine.calls).drop(name))
    click.echo(f"{name} is gone ({n:,} version{'s' if n > 1 else ''})")
