"""`meta4 ingest`."""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ...errors import EngineError, InputError
from ...ingest.documents import Document, Refusal
from ...ingest.files.checkpoint import Checkpoint
from ...ingest.files.dead_letters import DeadLetters, read_dead_letters
from ...ingest.files.sources import check_files, count_rows, read_documents
from ...ingest.hashers import Hasher
from ..catalog import HashedIndex, hasher_of, read_index
from ..engines.engine import Engine
from ..load.loader import LoadReport, load_documents
from .common import counting, engine_at, json_option, notes, print_json, url_option

_FILE = click.Path(path_type=Path, dir_okay=False)
_SHOWN = 20
_NO_PIPELINE = "index {!r} has no pipeline; leave out --hash server"


@click.command("ingest")
@click.argument("files", type=_FILE, nargs=-1, required=True)
@click.option("--index", required=True, help="The hashed index.")
@click.option("--ids", type=_FILE, help="For one .npy file: a text file with one id a line.")
@click.option("--id-field", help="Field that is the document's id, in place of its _id.")
@click.option(
    "--hash",
    "where",
    type=click.Choice(["client", "server"]),
    default="client",
    show_default=True,
    help="Hash here, or leave it to the index's pipeline.",
)
@click.option(
    "--checkpoint",
    "checkpoint_path",
    type=_FILE,
    help="Keep in this file how far it is: after an end at any moment the same command goes on "
    "from there. Removed when all is loaded.",
)
@click.option(
    "--dead-letters",
    "letters_path",
    type=_FILE,
    help="Where refused documents are kept. Default: INDEX-refused.ndjson.",
)
@click.option(
    "--replay",
    is_flag=True,
    help="FILES are refused documents of loads before, corrected: what is taken now is removed.",
)
@url_option
@json_option
def ingest_command(
    files: tuple[Path, ...],
    index: str,
    ids: Path | None,
    id_field: str | None,
    where: str,
    checkpoint_path: Path | None,
    letters_path: Path | None,
    replay: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Load FILES (.ndjson, .parquet or .npy) into a hashed index.

    A line of NDJSON is a document, a hit with the document in _source, or one of the two lines
    that a _bulk request has for each document. Documents without a vector are indexed, and
    counted. Refused documents are kept in a file with their reasons, and the exit code is 2:
    correct them there and send them with --replay.

    Example: meta4 ingest vectors.npy --ids words.txt --index words
    """
    if replay and (ids or id_field or checkpoint_path or letters_path):
        raise InputError(
            "--replay takes ids and documents from the file of refused ones; leave out --ids, "
            "--id-field, --checkpoint and --dead-letters"
        )
    letters_path = letters_path or Path(f"{index}-refused.ndjson")
    _check_apart(files, () if replay else (letters_path, checkpoint_path))
    engine = engine_at(url)
    known = read_index(engine, index)
    names = {index, *known.concrete}
    field, hasher = _hasher(engine, known, where, files)
    hashed = tuple(known.fields)
    if replay:
        report, letters = _replay(engine, index, files, names, hashed, hasher)
    else:
        check_files(files, fields=hashed, id_field=id_field, ids=ids)
        checkpoint = None
        if checkpoint_path is not None:
            options = {"ids": None if ids is None else str(ids), "id_field": id_field}
            load = _identity(engine, index, files) | options
            checkpoint = Checkpoint(checkpoint_path, load)
        letters = _letters(letters_path, checkpoint)

        def documents() -> Iterator[Document | Refusal]:
            for path in files:
                yield from read_documents(
                    path, field=field, id_field=id_field, ids=ids, indexes=names
                )

        sizes = [count_rows(path) for path in files]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        report = _load(engine, index, documents(), hashed, hasher, letters, checkpoint, total)
    engine.refresh(index)
    if as_json:
        print_json(_as_dict(report, letters))
    else:
        _show(report, index, letters)
    if report.n_refused:
        raise click.exceptions.Exit(2)


def _check_apart(files: Sequence[Path], written: Sequence[Path | None]) -> None:
    """Refuse a file that is given twice, or written while it is read.

    Raises:
        InputError: there is one.
    """
    read = [path.resolve() for path in files]
    for path in files:
        if read.count(path.resolve()) > 1:
            raise InputError(f"{path} is given twice; name each file once")
    own = [path for path in written if path is not None]
    for path in own:
        if path.resolve() in [*read, *(one.resolve() for one in own if one is not path)]:
            raise InputError(
                f"{path} would be written while it is read, or twice: name another with "
                f"--dead-letters or --checkpoint; what was refused before is sent with --replay"
            )


def _hasher(
    engine: Engine, known: HashedIndex, where: str, files: Sequence[Path]
) -> tuple[str, Hasher | None]:
    """The hashed field that rows of .npy are of, and what hashes documents here, if anything."""
    rows = any(path.suffix == ".npy" for path in files)
    field = known.field() if rows else next(iter(known.fields.values()))
    if where == "client":
        return field.spec.field, engine.run(hasher_of(known.fields.values()))
    if any(each.hashing != "server" for each in known.fields.values()):
        raise InputError(_NO_PIPELINE.format(known.name))
    return field.spec.field, None


def _identity(engine: Engine, index: str, files: tuple[Path, ...]) -> dict[str, Any]:
    """What a checkpoint must have been made for."""
    settings = engine.request("GET", f"/{index}/_settings")
    stats = {str(path.resolve()): path.stat() for path in files if path.is_file()}
    return {
        "index": sorted(entry["settings"]["index"]["uuid"] for entry in settings.values()),
        "files": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()},
    }


def _letters(path: Path, checkpoint: Checkpoint | None) -> DeadLetters:
    if checkpoint is None or checkpoint.progress is None:
        return DeadLetters(path)
    return DeadLetters(path, checkpoint.progress.dead_letters)


def _load(
    engine: Engine,
    index: str,
    documents: Iterator[Document | Refusal],
    hashed: Collection[str],
    hasher: Hasher | None,
    letters: DeadLetters,
    checkpoint: Checkpoint | None,
    total: int | None,
) -> LoadReport:
    n_settled = 0

    def settled(report: LoadReport) -> None:
        nonlocal n_settled
        n_settled = report.n_settled
        if checkpoint is not None:
            checkpoint.save(n_settled, letters.size)

    if checkpoint is not None and checkpoint.progress is not None:
        n_settled = checkpoint.progress.n_settled
        notes.print(f"going on after {n_settled:,} documents")
    try:
        with counting(f"loading {index}", total, "documents") as advance:
            report = load_documents(
                engine,
                index,
                documents,
                hasher,
                hashed=hashed,
                n_settled=n_settled,
                refused=letters.add,
                settled=settled,
                advance=advance,
            )
    except (EngineError, KeyboardInterrupt):
        notes.print(f"{n_settled:,} documents are settled{_way_on(checkpoint)}")
        if checkpoint is not None:
            checkpoint.save(n_settled, letters.size, now=True)
        raise
    if checkpoint is not None:
        checkpoint.remove()
    return report


def _way_on(checkpoint: Checkpoint | None) -> str:
    if checkpoint is None:
        return "; with --checkpoint FILE the same command could go on from there"
    return "; the same command goes on from there"


def _replay(
    engine: Engine,
    index: str,
    files: tuple[Path, ...],
    names: Collection[str],
    hashed: Collection[str],
    hasher: Hasher | None,
) -> tuple[LoadReport, DeadLetters]:
    """Send refused documents again; each file keeps those that are refused still."""
    for path in files:  # so that nothing is sent of files of which one is none
        deque(read_dead_letters(path), maxlen=0)
    whole = LoadReport()
    letters = DeadLetters(files[0])
    for path in files:
        beside = path.with_name(path.name + ".new")
        beside.unlink(missing_ok=True)
        letters = DeadLetters(beside)
        with counting(f"replaying {path.name}", None, "documents") as advance:
            report = load_documents(
                engine,
                index,
                read_dead_letters(path, names),
                hasher,
                hashed=hashed,
                refused=letters.add,
                advance=advance,
            )
        whole.add(report)
        if letters.n:
            beside.replace(path)
        else:
            path.unlink()
        letters.path = path
    return whole, letters


def _as_dict(report: LoadReport, letters: DeadLetters) -> dict[str, object]:
    return {
        "indexed": report.n_indexed,
        "without_vector": report.n_without_vector,
        "cut": report.n_cut,
        "seconds": report.seconds,
        "docs_per_s": report.docs_per_s,
        "left": report.n_overtaken,
        "refused": report.n_refused,
        "dead_letters": str(letters.path) if report.n_refused else None,
        "refusals": [
            {"id": refusal.id, "origin": refusal.origin, "reason": refusal.reason}
            for refusal in report.refusals
        ],
    }


def _show(report: LoadReport, index: str, letters: DeadLetters) -> None:
    click.echo(
        f"{report.n_indexed:,} documents indexed in {report.seconds:.1f} s "
        f"({report.docs_per_s:,.0f}/s), {report.n_without_vector:,} of them without a vector; "
        f"{report.n_refused:,} refused"
    )
    if report.n_cut:
        notes.print(
            f"of {report.n_cut:,} texts the beginning was embedded, as far as the encoder reads"
        )
    if report.n_overtaken:
        notes.print(
            f"{report.n_overtaken:,} were to be created, and the index has their ids already: they "
            f"are left as they are there"
        )
    for refusal in report.refusals[:_SHOWN]:
        notes.print(f"refused {refusal.origin} (id {refusal.id}): {refusal.reason}", markup=False)
    if report.n_refused > _SHOWN:
        kinds = Counter(refusal.reason.split(":")[0] for refusal in report.refusals)
        notes.print(
            f"… and {report.n_refused - _SHOWN:,} more (of the first {len(report.refusals):,}: "
            f"{dict(kinds)})",
            markup=False,
        )
    if report.n_refused:
        notes.print(
            f"kept in {letters.path}; correct them there, then: "
            f"meta4 ingest --replay {letters.path} --index {index}",
            markup=False,
        )
