"""`meta4 ingest`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from ...errors import InputError
from ...ingest.documents import Document, Refusal
from ...ingest.hashing import DocumentHasher
from ...ingest.sources import count_rows, read_documents
from ..catalog import Catalog
from ..loading import LoadReport, load_documents
from .common import counting, engine_at, json_option, notes, print_json, url_option

_FILE = click.Path(path_type=Path, dir_okay=False)
_SHOWN = 20


@click.command("ingest")
@click.argument("files", type=_FILE, nargs=-1, required=True)
@click.option("--index", required=True, help="The hashed index.")
@click.option("--ids", type=_FILE, help="For .npy: a text file with one id a line.")
@click.option("--id-field", help="Field that is the document's id. Default: _id.")
@click.option(
    "--hash",
    "where",
    type=click.Choice(["client", "server"]),
    default="client",
    show_default=True,
    help="Hash here, or leave it to the index's pipeline.",
)
@url_option
@json_option
def ingest_command(
    files: tuple[Path, ...],
    index: str,
    ids: Path | None,
    id_field: str | None,
    where: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Load FILES (.ndjson, .parquet or .npy) into a hashed index.

    Documents without a vector are indexed, and counted. Every refused document is named with
    its reason; then the exit code is 2.

    Example: meta4 ingest vectors.npy --ids words.txt --index words
    """
    engine = engine_at(url)
    spec, model = Catalog(engine).hashing(index)
    if where == "server" and spec.hashing != "server":
        raise InputError(f"index {index!r} has no pipeline; leave out --hash server")
    sizes = [count_rows(path) for path in files]

    def documents() -> Iterator[Document | Refusal]:
        for path in files:
            yield from read_documents(path, field=spec.field, id_field=id_field, ids=ids)

    hasher = DocumentHasher(model, spec) if where == "client" else None
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with counting(f"loading {index}", total, "documents") as advance:
        report = load_documents(engine, index, documents(), hasher, advance=advance)
    engine.refresh(index)
    if as_json:
        print_json(_as_dict(report))
    else:
        _show(report)
    if report.refusals:
        raise click.exceptions.Exit(2)


def _as_dict(report: LoadReport) -> dict[str, object]:
    return {
        "indexed": report.n_indexed,
        "without_vector": report.n_without_vector,
        "seconds": report.seconds,
        "docs_per_s": report.docs_per_s,
        "refused": [
            {"id": refusal.id, "origin": refusal.origin, "reason": refusal.reason}
            for refusal in report.refusals
        ],
    }


def _show(report: LoadReport) -> None:
    click.echo(
        f"{report.n_indexed:,} documents indexed in {report.seconds:.1f} s "
        f"({report.docs_per_s:,.0f}/s), {report.n_without_vector:,} of them without a vector; "
        f"{len(report.refusals):,} refused"
    )
    for refusal in report.refusals[:_SHOWN]:
        notes.print(f"refused {refusal.origin} (id {refusal.id}): {refusal.reason}", markup=False)
    if len(report.refusals) > _SHOWN:
        kinds = Counter(refusal.reason.split(":")[0] for refusal in report.refusals)
        notes.print(
            f"… and {len(report.refusals) - _SHOWN:,} more ({dict(kinds)}); "
            f"all of them with --json",
            markup=False,
        )
