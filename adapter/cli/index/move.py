"""`meta4 index alias`, `rehash` and `rollback`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from ....errors import InputError
from ....ingest.files.new_embeddings import NewEmbeddings
from ....mappings.spec import BoundEncoder
from ...catalog import read_field
from ...encoders import bound_encoder
from ...fields.field import Field
from ...fields.kinds import model_for
from ...move import rehash as rehashing
from ...move.rehash import RehashReport
from ..common import counting, engine_at, json_option, notes, print_json, stages, url_option

_vectors = click.option(
    "--vectors",
    type=click.Path(path_type=Path, dir_okay=False),
    help="New embeddings by document id (.npy with --ids, .parquet or .ndjson).",
)
_ids = click.option(
    "--ids",
    type=click.Path(path_type=Path, dir_okay=False),
    help="For .npy: a text file with one id a line.",
)


@click.command("alias")
@click.argument("alias")
@click.argument("name")
@url_option
def alias_command(alias: str, name: str, url: str | None) -> None:
    """Give the index NAME the name ALIAS, which 'meta4 index rehash' can move.

    Example: meta4 index alias words words-1
    """
    rehashing.make_alias(engine_at(url), alias, name)
    click.echo(f"{alias} names {name}")


@click.command("rehash")
@click.argument("alias")
@click.option("--model", "reference", help="The new model: a folder, or NAME[@VERSION].")
@click.option(
    "--auto",
    is_flag=True,
    help="Train one on the index's own vectors, with as many cells as there are documents for.",
)
@_vectors
@_ids
@click.option(
    "--embedder",
    metavar="NAME|PATH",
    help="What makes new embeddings of documents' texts, now and from then on.",
)
@click.option(
    "--from", "source", help="The field of these texts. Default: that of the encoder before."
)
@url_option
@json_option
def rehash_command(
    alias: str,
    reference: str | None,
    auto: bool,
    vectors: Path | None,
    ids: Path | None,
    embedder: str | None,
    source: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Hash all documents of ALIAS anew, with another model or other embeddings, without downtime.

    A new index is built beside the live one and follows what is written there; its recall is
    measured, and the alias moved in one step, with all other aliases of the old index. That is
    kept for 'meta4 index rollback'. Every document with a vector needs one in --vectors, where
    these are given. Ended at any moment, the same command goes on.

    Example: meta4 index rehash words --model words-model-2

    Example: meta4 index rehash words --auto

    Example: meta4 index rehash docs --model bge-model --embedder bge/
    """
    if auto == (reference is not None):
        raise InputError("name the new model with --model, or have one trained with --auto")
    if auto and vectors is not None:
        raise InputError(
            "--auto trains on the vectors that the index has; for those of --vectors train a "
            "model with 'meta4 train' and name it with --model"
        )
    if embedder is not None and (auto or vectors is not None):
        raise InputError(
            "--embedder makes new embeddings in place of --vectors, and --auto trains on those "
            "that the index has; with it name a model of the new ones with --model"
        )
    engine = engine_at(url)
    before = read_field(engine, alias)
    encoder = _encoder(before, embedder, source)
    embeddings = _embeddings(before, vectors, ids)
    if encoder is not None:
        rehashing.check_encoder(engine, alias, encoder)
    if embeddings is not None:
        rehashing.check_embeddings(engine, alias, embeddings)  # before a model is stored
    if reference is not None:
        ref, model = model_for(engine, before, reference)
    else:
        with stages() as progress:
            ref, model = rehashing.retrained(engine, alias, progress)
    with _filling(f"rehashing {alias}") as filling:
        report = rehashing.rehash_index(
            engine, alias, ref, model, embeddings=embeddings, encoder=encoder, filling=filling
        )
    _show_move(report, as_json)


@click.command("rollback")
@click.argument("alias")
@_vectors
@_ids
@url_option
@json_option
def rollback_command(
    alias: str, vectors: Path | None, ids: Path | None, url: str | None, as_json: bool
) -> None:
    """Move ALIAS back to the index that it named before, with all that was written since.

    All other aliases of the index go with it. Where the move brought new embeddings, what was
    written since needs some of the kind before, by --vectors.
    """
    engine = engine_at(url)
    embeddings = _embeddings(read_field(engine, alias), vectors, ids)
    with _filling(f"rolling {alias} back") as filling:
        report = rehashing.roll_back(engine, alias, filling, embeddings=embeddings)
    _show_move(report, as_json)


def _encoder(field: Field, embedder: str | None, source: str | None) -> BoundEncoder | None:
    if embedder is None:
        if source is not None:
            raise InputError("--from belongs to --embedder; leave it out, or name both")
        return None
    bound = field.options().encoder
    texts = source or (None if bound is None else bound.source)
    if texts is None:
        raise InputError("--embedder: name the field of the texts with --from")
    return bound_encoder(embedder, texts)


def _embeddings(field: Field, vectors: Path | None, ids: Path | None) -> NewEmbeddings | None:
    if vectors is None:
        if ids is not None:
            raise InputError("--ids belongs to --vectors; leave it out, or name both")
        return None
    field.succession.check_takes_embeddings()  # before a file is read
    return NewEmbeddings(vectors, field.spec.field, ids)


@contextmanager
def _filling(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar whose length is told by the first call."""
    bars = ExitStack()
    shown: list[Callable[[int], None]] = []

    def advance(n: int, left: int) -> None:
        if not shown:
            shown.append(bars.enter_context(counting(what, left, "documents")))
        shown[0](n)

    with bars:
        yield advance


def _show_move(report: RehashReport, as_json: bool) -> None:
    loaded, evaluation = report.loaded, report.evaluation
    if as_json:
        print_json(
            {
                "alias": report.alias,
                "before": report.source,
                "now": report.target,
                "aliases": list(report.aliases),
                "documents": loaded.n_indexed,
                "deleted": report.n_deleted,
                "refused": loaded.n_refused,
                "without_embedding": report.n_without_embedding,
                "recall": None if evaluation is None else evaluation.recall_at_k,
            }
        )
    else:
        measured = (
            ""
            if evaluation is None or evaluation.lack
            else f"; recall {evaluation.recall_at_k:.3f} where "
            f"{evaluation.recall_asked:g} is promised"
        )
        click.echo(
            f"{report.alias} names {report.target}: {loaded.n_indexed:,} documents brought, "
            f"{report.n_deleted:,} deleted, {loaded.n_refused:,} refused, "
            f"{report.n_without_embedding:,} without a new embedding{measured}"
        )
        if others := [alias for alias in report.aliases if alias != report.alias]:
            click.echo(f"with it: {', '.join(others)}")
        click.echo(
            f"{report.source} is kept; back to it: meta4 index rollback {report.alias}; "
            f"or drop it: meta4 index drop {report.source}"
        )
    if loaded.n_refused:
        for refusal in loaded.refusals[:20]:
            notes.print(f"refused id {refusal.id}: {refusal.reason}")
        raise click.exceptions.Exit(2)
