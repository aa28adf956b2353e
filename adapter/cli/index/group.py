"""`meta4 index`: make, list, show, tune and drop hashed indexes."""

from pathlib import Path
from typing import get_args

import click

from ....errors import InputError
from ....mappings.spec import STRATEGIES, FirstPhase, Hashing, Strategy
from ....models.probing.ranking import PLANS, Plan
from ...catalog import read_field
from ...encoders import bound_encoder
from ...fields.field import Options
from ...fields.kinds import kind_taking, new_field
from ...fields.vectors.tuning.tune import N_QUERIES
from ...manage import heal, indexes
from ...measure.tune import tune_index
from ..common import (
    counting,
    engine_at,
    field_option,
    json_option,
    note_faults,
    print_json,
    print_table,
    query_options,
    read_queries,
    show_table,
    url_option,
)


@click.group("index")
def index_group() -> None:
    """Hashed indexes."""


@index_group.command("create")
@click.argument("name")
@click.option(
    "--model", "reference", required=True, help="A model's folder, or NAME[@VERSION] in the store."
)
@click.option("--field", help="The hashed field. Default: embedding, or text for a minhash model.")
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default="native",
    show_default=True,
    help="How the exact rerank runs.",
)
@click.option(
    "--plan",
    type=click.Choice(PLANS),
    help="Order of the buckets. Default: learned for a learned model, classes for dash, else "
    "centroid.",
)
@click.option(
    "--hashing",
    type=click.Choice(get_args(Hashing)),
    help="Who hashes documents. Default: server, of vectors.",
)
@click.option(
    "--first-phase",
    type=click.Choice(get_args(FirstPhase)),
    default="auto",
    show_default=True,
    help="Score documents by a projection of their vectors, a byte for each of its directions, and "
    "the best of them by their vectors. auto: where the model's training data says that few "
    "directions will do.",
)
@click.option(
    "--embedder",
    metavar="NAME|PATH",
    help="What makes the vectors, of documents' texts and of those that are asked with: as of "
    "'meta4 embed text --model'.",
)
@click.option("--from", "source", help="The field of the texts that --embedder takes.")
@click.option("--shards", type=click.IntRange(1), default=1, show_default=True)
@click.option("--replicas", type=click.IntRange(0), default=0, show_default=True)
@url_option
@json_option
def create_command(
    name: str,
    reference: str,
    field: str | None,
    strategy: Strategy,
    plan: Plan | None,
    hashing: Hashing | None,
    first_phase: FirstPhase,
    embedder: str | None,
    source: str | None,
    shards: int,
    replicas: int,
    url: str | None,
    as_json: bool,
) -> None:
    """Create the index NAME with a hashed field of vectors, or of texts with a minhash model.

    With --hashing server an ingest pipeline hashes whatever any client sends; with client,
    'meta4 ingest' or your own code does. The same command again changes nothing.

    With --embedder and --from vectors are made where documents are hashed, by clients: 'meta4
    ingest', Meta4.load and 'meta4 serve'. Documents with a vector of their own keep it.

    Example: meta4 index create words --model words-model --field embedding
    """
    if (embedder is None) != (source is None):
        raise InputError("--embedder and --from belong together: what makes vectors, and of what")
    engine = engine_at(url)
    kind = kind_taking(reference)
    encoder = None if embedder is None else bound_encoder(embedder, source or "")
    options = Options(strategy, plan, hashing, first_phase, encoder)
    engine.check_usable(scripts=kind.needs_scripts(options))  # before a model is stored
    ref, model = kind.resolve(engine, reference)
    made = new_field(engine, field, ref, model, options)
    spec = indexes.make_index(engine, name, made, shards=shards, replicas=replicas)
    if as_json:
        print_json({"index": name, **spec.model_dump(mode="json")})
    else:
        click.echo(f"{name}: {made.line(model)}")


@index_group.command("list")
@url_option
@json_option
def list_command(url: str | None, as_json: bool) -> None:
    """List the hashed indexes."""
    entries = indexes.list_indexes(engine_at(url))
    if as_json:
        print_json(entries)
        return
    columns = ["index", "field", "documents", "model", "strategy", "plan", "tuned"]
    print_table(columns, [[entry.get(column) for column in columns] for entry in entries])
    note_faults(entries)


@index_group.command("show")
@click.argument("name")
@field_option
@url_option
@json_option
def show_command(name: str, field: str | None, url: str | None, as_json: bool) -> None:
    """Show an index: model, strategy, buckets, documents without a hash, calibration."""
    engine = engine_at(url)
    shown = indexes.show_index(engine, name, field)
    if as_json:
        print_json(shown)
        return
    shown.pop("calibration", None)
    print_table(["", ""], [[key, str(value)] for key, value in shown.items()])
    kept = read_field(engine, name, field).promise.table()
    if kept is not None:
        show_table(kept)


@index_group.command("tune")
@click.argument("name")
@field_option
@query_options(least=10, default=N_QUERIES)
@click.option("--plan", type=click.Choice(PLANS), help="Change the index's plan to this one.")
@click.option("--seed", type=int, help="Which documents are drawn. Default: 0.")
@url_option
@json_option
def tune_command(
    name: str,
    field: str | None,
    queries: int | None,
    query_file: Path | None,
    from_searches: bool,
    plan: Plan | None,
    seed: int | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Learn what is to be expected of the buckets, and measure what requests deliver.

    How far a request looks is then told for its own query under its own filter. What is delivered
    is held against the engine's exact scan, with the index's own documents as queries, drawn over
    documents and over buckets. Where people search with other vectors than documents have
    (questions, photographs of other things), give some of theirs with --query-file, or take those
    that clients kept with --from-searches: what is looked into is then enough for those as well. Of
    few documents, and of another plan than centroid, the share to look into for recall 0.90, 0.95,
    0.99 and 0.999 is measured. Of an index of texts nothing is to be measured: how often its bands
    find a document of some similarity is said.

    Example: meta4 index tune words --query-file asked-last-week.npy
    """
    engine = engine_at(url)
    hashed = read_field(engine, name, field)
    given, n_queries = read_queries(
        query_file, from_searches, queries or N_QUERIES, hashed, engine, name
    )
    with counting(f"tuning {name}", n_queries, "queries") as progress:
        tuned = tune_index(
            engine,
            name,
            field=field,
            plan=plan,
            n_queries=queries,
            given=given,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json(tuned.model_dump(mode="json"))
    else:
        shown = hashed.promise.table(tuned)
        assert shown is not None
        show_table(shown)


@index_group.command("heal")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@url_option
@json_option
def heal_command(name: str, dry_run: bool, url: str | None, as_json: bool) -> None:
    """Hash again what was written past the pipeline: no hash, or not its vector's.

    The engine runs no pipeline for an update inside _bulk, unless it says doc_as_upsert.
    """
    engine = engine_at(url)
    n = heal.heal_index(engine, name, dry_run=dry_run)
    if as_json:
        print_json({"index": name, "stale": n, "healed": 0 if dry_run else n})
    else:
        click.echo(f"{name}: {n:,} stale documents{'' if dry_run else ', hashed again'}")


@index_group.command("drop")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
def drop_command(name: str, yes: bool, url: str | None) -> None:
    """Delete an index and its pipeline; models stay in the store.

    A pipeline that another index, a template or a pipeline uses is kept.
    """
    if not yes:
        click.confirm(f"delete index {name} and all its documents?", abort=True, err=True)
    dropped = indexes.drop_index(engine_at(url), name)
    click.echo(f"{name} is gone")
    if dropped.kept_for:
        click.echo(
            f"its pipeline {dropped.pipeline} is kept: used by {', '.join(dropped.kept_for)}"
        )
