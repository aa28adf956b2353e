"""`meta4 node`: a real OpenSearch on this machine."""

from pathlib import Path

import click

from ..engines.node import node as nodes
from ..engines.node.folders import default_data
from .common import downloading, json_option, notes, print_json

_data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The node's data folder. Default: a folder of your own.",
)


@click.group("node")
def node_group() -> None:
    """Run a real OpenSearch node with k-NN, on this machine only."""


@node_group.command("start")
@_data_option
@click.option("--port", type=click.IntRange(1, 65535), help="HTTP port. Default: 9200, or any.")
@click.option(
    "--heap",
    type=click.IntRange(256, 65536),
    default=nodes.DEFAULT_HEAP_MB,
    show_default=True,
    help="The server's heap in MB.",
)
@click.option("--foreground", is_flag=True, help="Stay until Ctrl-C, then stop the node.")
@json_option
def start_command(
    data: Path | None, port: int | None, heap: int, foreground: bool, as_json: bool
) -> None:
    """Start a node; the server is fetched and verified the first time.

    Example: meta4 node start --heap 2048
    """
    running = nodes.status(data)
    if running is not None and not foreground:
        _show(running, as_json, "runs already")
        return
    node = nodes.EmbeddedNode(data=data, heap_mb=heap, port=port, progress=downloading)
    with notes.status("starting OpenSearch"):
        status = node.start(keep=not foreground)
    _show(status, as_json, "started")
    if foreground:
        try:
            node.wait()
        except KeyboardInterrupt:
            notes.print("stopping")
        finally:
            node.stop()


@node_group.command("stop")
@_data_option
def stop_command(data: Path | None) -> None:
    """Stop the node; its data stays."""
    stopped = nodes.stop(data)
    click.echo("no node runs" if stopped is None else f"stopped {stopped.url}")


@node_group.command("status")
@_data_option
@json_option
def status_command(data: Path | None, as_json: bool) -> None:
    """Say whether a node runs, and where; exit code 1 if none does."""
    running = nodes.status(data)
    if running is None:
        if as_json:
            print_json({"running": False})
        else:
            place = data or default_data()
            click.echo(f"no node runs on {place}; start one with: meta4 node start")
        raise click.exceptions.Exit(1)
    _show(running, as_json, "runs")


@node_group.command("logs")
@_data_option
@click.option("--lines", default=50, show_default=True, help="How many of the last lines.")
def logs_command(data: Path | None, lines: int) -> None:
    """Print the end of what the server said."""
    click.echo(nodes.last_words(data, lines))


def _show(status: nodes.NodeStatus, as_json: bool, verb: str) -> None:
    if as_json:
        print_json(
            {"running": True, "url": status.url, "pid": status.pid, "data": str(status.data)}
        )
    else:
        click.echo(f"OpenSearch {verb} at {status.url} (process {status.pid}, data {status.data})")
