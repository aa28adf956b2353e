"""`meta4 train` and `meta4 model`."""

from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from ...errors import InputError
from ...ingest.sources import read_embeddings
from ...models.artifact import Manifest
from ...models.model import HashModel
from ...models.specs import AnySpec
from ..store import ModelStore, store_name
from .common import engine_at, json_option, print_json, print_table, stages, url_option

_SPEC: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("train")
@click.argument("vectors", type=_FILE)
@click.option(
    "--model",
    "kind",
    type=click.Choice(["lsh", "itq", "cells"]),
    default="cells",
    show_default=True,
    help="Kind of hash model.",
)
@click.option("--out", type=_FOLDER, required=True, help="Folder for the model.")
@click.option("--bits", type=int, default=64, show_default=True, help="Length of the code.")
@click.option("--buckets", type=int, help="Number of cells (cells). Default: 4096.")
@click.option("--table-bits", type=int, help="Bits of a bucket (lsh, itq). Default: 12.")
@click.option("--tables", type=int, help="Number of tables (lsh, itq). Default: 1.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed, the same model."
)
@click.option(
    "--field", default="embedding", show_default=True, help="Vector field of NDJSON and Parquet."
)
@json_option
def train_command(
    vectors: Path,
    kind: str,
    out: Path,
    bits: int,
    buckets: int | None,
    table_bits: int | None,
    tables: int | None,
    seed: int,
    field: str,
    as_json: bool,
) -> None:
    """Fit a hash model on VECTORS (.npy, .parquet or .ndjson).

    Example: meta4 train vectors.npy --model cells --buckets 4096 --bits 256 --out words-model
    """
    chosen: dict[str, Any] = {
        "n_buckets": buckets,
        "bits_per_table": table_bits,
        "n_tables": tables,
    }
    given = {key: value for key, value in chosen.items() if value is not None}
    spec = _spec({"kind": kind, "n_bits": bits, "seed": seed, **given})
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; name a new folder with --out")
    data = read_embeddings(vectors, field)
    with stages() as progress:
        model = HashModel.fit(spec, data, progress)
    model.save(out)
    _show(model.manifest, as_json, folder=str(out))


@click.group("model")
def model_group() -> None:
    """Hash models: on disk, and in the cluster's own store."""


@model_group.command("show")
@click.argument("reference")
@url_option
@json_option
def show_command(reference: str, url: str | None, as_json: bool) -> None:
    """Show a model: a folder, or NAME[@VERSION] in the store."""
    if Path(reference).is_dir():
        _show(HashModel.load(reference).manifest, as_json, folder=reference)
        return
    store = ModelStore(engine_at(url))
    ref = store.find(reference)
    _show(store.manifest(ref), as_json, name=str(ref))


@model_group.command("push")
@click.argument("folder", type=_FOLDER)
@click.option("--name", help="Name in the store. Default: the folder's.")
@url_option
@json_option
def push_command(folder: Path, name: str | None, url: str | None, as_json: bool) -> None:
    """Store the model in FOLDER as the next version of its name."""
    model = HashModel.load(folder)
    ref = ModelStore(engine_at(url)).push(name or store_name(folder), model)
    if as_json:
        print_json({"name": ref.name, "version": ref.version, "sha256": ref.sha256})
    else:
        click.echo(str(ref))


@model_group.command("pull")
@click.argument("reference")
@click.option("--out", type=_FOLDER, required=True, help="Folder for the model.")
@url_option
def pull_command(reference: str, out: Path, url: str | None) -> None:
    """Write the model NAME[@VERSION] of the store to a folder."""
    ref, model = ModelStore(engine_at(url)).pull(reference)
    model.save(out)
    click.echo(f"{ref} is in {out}")


@model_group.command("list")
@url_option
@json_option
def list_command(url: str | None, as_json: bool) -> None:
    """List the models in the store."""
    entries = ModelStore(engine_at(url)).list()
    if as_json:
        print_json(entries)
        return
    print_table(
        ["model", "kind", "dims", "bits", "buckets", "bytes", "sha256"],
        [
            [
                f"{entry['name']}@{entry['version']}",
                entry["manifest"]["spec"]["kind"],
                entry["manifest"]["dims"],
                entry["manifest"]["spec"]["n_bits"],
                entry["manifest"]["n_buckets"],
                entry["size"],
                entry["sha256"][:12],
            ]
            for entry in entries
        ],
    )


def _spec(values: dict[str, Any]) -> AnySpec:
    try:
        return _SPEC.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            f"a {values['kind']} model cannot have {first['loc'][-1]}: {first['msg']}, "
            f"got {first.get('input')!r}"
        ) from error


def _show(manifest: Manifest, as_json: bool, **where: str) -> None:
    if as_json:
        print_json(where | manifest.model_dump(mode="json"))
        return
    rows = [
        *where.items(),
        ("kind", manifest.kind),
        ("dims", str(manifest.dims)),
        ("bits", str(manifest.n_bits)),
        ("buckets", f"{manifest.n_buckets} ({manifest.buckets_per_document} a document)"),
        ("trained on", f"{manifest.training.n} vectors, {manifest.training.fingerprint[:12]}…"),
        ("seed", str(manifest.spec.seed)),
        ("sha256", manifest.sha256),
    ]
    print_table(["", ""], rows)
