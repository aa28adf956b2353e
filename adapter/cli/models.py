"""`meta4 train` and `meta4 model`."""

from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from ...errors import InputError
from ...ingest.sources import read_training
from ...models.artifact import Manifest
from ...models.model import HashModel
from ...models.specs import AnySpec, TrainedSpec
from ...models.training.options import (
    Device,
    TrainingOptions,
    checkpoint_exists,
    discard_checkpoint,
)
from ..store import ModelStore, store_name
from .common import engine_at, json_option, notes, print_json, print_table, stages, url_option

_SPEC: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


class _Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "numbers"

    def __init__(self, kind: type[int] | type[float]) -> None:
        self._kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        try:
            return tuple(self._kind(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"expected numbers with commas between them, got {value!r}", param, ctx)


@click.command("train")
@click.argument("vectors", type=_FILE)
@click.option(
    "--model",
    "kind",
    type=click.Choice(["lsh", "itq", "cells", "learned", "nphash", "catalyzer", "dtsh"]),
    default="cells",
    show_default=True,
    help="Kind of hash model.",
)
@click.option("--out", type=_FOLDER, required=True, help="Folder for the model.")
@click.option("--bits", "n_bits", type=int, help="Length of the code. Default: 64; dtsh: 12.")
@click.option(
    "--buckets",
    "n_buckets",
    type=int,
    help="Number of cells (not lsh, itq, dtsh). Default: 4096.",
)
@click.option(
    "--table-bits", "bits_per_table", type=int, help="Bits of a bucket (lsh, itq). Default: 12."
)
@click.option("--tables", "n_tables", type=int, help="Number of tables (lsh, itq). Default: 1.")
@click.option("--layers", type=_Numbers(int), help="Widths of hidden layers, as in 1024,1024.")
@click.option("--epochs", type=float, help="Passes over the data; 0.5 is half of it.")
@click.option("--batch", type=int, help="Vectors in a batch.")
@click.option("--rate", type=float, help="Highest learning rate. Default: 0.001; dtsh: 0.003.")
@click.option(
    "--labels",
    help="Field of the classes to learn from (dtsh); for .npy a file, .npy or one a line.",
)
@click.option(
    "--clusters",
    type=click.Choice(["dbscan", "hdbscan", "kmeans"]),
    help="How classes are found without labels (dtsh). Default: dbscan.",
)
@click.option("--n-clusters", type=int, help="Classes that kmeans makes (dtsh). Default: 16.")
@click.option("--eps", type=float, help="Radius of dbscan, a cosine distance (dtsh).")
@click.option(
    "--output",
    type=click.Choice(["tanh", "sigmoid", "none"]),
    help="Activation of the last layer (dtsh). Default: none.",
)
@click.option("--dropout", type=_Numbers(float), help="After the last hidden layers, as in .5,.4.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where a network is trained; auto takes a GPU where there is one.",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
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
    labels: str | None,
    device: Device,
    resume: bool,
    seed: int,
    field: str,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Fit a hash model on VECTORS (.npy, .parquet or .ndjson).

    Example: meta4 train vectors.npy --model cells --buckets 4096 --bits 256 --out words-model

    Example: meta4 train images.ndjson --model dtsh --labels class --bits 7 --out image-model
    """
    given = {key: value for key, value in chosen.items() if value is not None}
    spec = _spec({"kind": kind, "seed": seed, **given})
    if resume and not isinstance(spec, TrainedSpec):
        raise InputError(f"a {kind} model is fitted in one go; leave --resume out")
    if not resume and out.exists() and any(out.iterdir()):
        raise InputError(
            f"{out} is not empty; name a new folder with --out, or go on with --resume "
            f"if a training was stopped there"
        )
    data, classes = read_training(vectors, field, labels)
    options = TrainingOptions(device, out, resume)
    try:
        with stages() as progress:
            model = HashModel.fit(spec, data, progress, labels=classes, options=options)
    except KeyboardInterrupt:
        if checkpoint_exists(out):
            notes.print(f"The state is kept in {out}; the same command with --resume goes on.")
        raise
    model.save(out)
    discard_checkpoint(out)
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
