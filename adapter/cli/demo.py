"""`meta4 demo`."""

from contextlib import ExitStack

import click

from ..engines.connection import connect
from ..engines.node import EmbeddedNode
from ..engines.node.folders import default_data
from .common import counting, downloading, json_option, notes, print_json, print_table, stages
from .demonstration import INDEX, Demonstration, run_demonstration

_HEAP_MB = 2048


@click.command("demo")
@click.option("--url", help="Use this cluster. Default: a node of the demonstration's own.")
@json_option
def demo_command(url: str | None, as_json: bool) -> None:
    """Hash 40,500 real word vectors into a real OpenSearch and compare with its HNSW.

    With --json the last line of standard output is one JSON object.
    """
    with ExitStack() as stack:
        if url is None:
            data = default_data().parent / "demo"
            node = EmbeddedNode(data=data, heap_mb=_HEAP_MB, progress=downloading)
            with notes.status("starting OpenSearch"):
                url = stack.enter_context(node).url
            notes.print(f"OpenSearch runs at {url}")
        progress = stack.enter_context(stages())
        result = run_demonstration(connect(url), counting, progress)
    if as_json:
        print_json(result.as_dict(), lines=True)
    else:
        _show(result)


def _show(result: Demonstration) -> None:
    click.echo(
        f"{result.n_documents:,} words hashed by the server's own pipeline: "
        f"{result.ingest_docs_per_s:,.0f} documents/s, one segment "
        f"(HNSW: {result.baseline_docs_per_s:,.0f})\n"
    )
    print_table(
        ["similar to berlin", "score"], [[word, f"{score:.4f}"] for word, score in result.similar]
    )
    click.echo()
    print_table(
        ["berlin : germany :: paris : ?", "score"],
        [[word, f"{score:.4f}"] for word, score in result.analogy],
    )
    click.echo(
        f"\n{result.n_questions} analogy questions: {result.questions_same_as_exact:.1%} with the "
        f"first answer of the exact scan, {result.questions_correct:.1%} right\n"
    )
    exact = next(row.p50_ms for row in result.rows if row.name == "exact script")
    print_table(
        ["search", "recall@25", "looked into", "p50 ms", "p95 ms", "times as fast as exact"],
        [
            [
                row.name,
                f"{row.recall:.3f}",
                "-" if row.docs_looked_into is None else f"{row.docs_looked_into:.1%}",
                f"{row.p50_ms:.2f}",
                f"{row.p95_ms:.2f}",
                f"{exact / row.p50_ms:.1f}",
            ]
            for row in result.rows
        ],
    )
    click.echo(f"\n{result.seconds:.0f} s; index {INDEX} stays in the demonstration's data folder")
