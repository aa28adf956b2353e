"""`meta4 model`."""

from pathlib import Path
from typing import Any

import click

from ....errors import InputError
from ....models.artifact import Manifest
from ....models.kinds.minhash import load_minhash
from ....models.model import HashModel
from ...model_store import ModelStore, store_name
from ..common import engine_at, json_option, note_faults, print_json, print_table, url_option
from .minhash import show_minhash

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("model")
def model_group() -> None:
    """Hash models: on disk, and in the cluster's own store."""


@model_group.command("show")
@click.argument("reference")
@url_option
@json_option
def show_command(reference: str, url: str | None, as_json: bool) -> None:
    """Show a model: a folder, or NAME[@VERSION] in the store."""
    minhash = load_minhash(Path(reference))
    if minhash is not None:
        show_minhash(minhash, Path(reference), as_json)
        return
    if Path(reference).is_dir():
        show_manifest(HashModel.load(reference).manifest, as_json, folder=reference)
        return
    store = ModelStore(engine_at(url))
    ref = store.find(reference)
    show_manifest(store.manifest(ref), as_json, name=str(ref))


@model_group.command("push")
@click.argument("folder", type=_FOLDER)
@click.option("--name", help="Name in the store. Default: the folder's.")
@url_option
@json_option
def push_command(folder: Path, name: str | None, url: str | None, as_json: bool) -> None:
    """Store the model in FOLDER as the next version of its name."""
    if load_minhash(folder) is not None:
        raise InputError(
            f"{folder}: a minhash model lies in its index, not in the store; give the folder to: "
            f"meta4 index create NAME --model {folder}"
        )
    model = HashModel.load(folder)
    ref = ModelStore(engine_at(url)).push(store_name(folder) if name is None else name, model)
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
        [_row(entry) for entry in entries],
    )
    note_faults(entries)


def _row(entry: dict[str, Any]) -> list[Any]:
    """Of `meta4 model list`; what cannot be told is not there."""
    if entry["version"] is None:
        return [entry["name"], *[None] * 6]
    name, end = f"{entry['name']}@{entry['version']}", [entry["size"], entry["sha256"][:12]]
    if "fault" in entry:
        return [name, *[None] * 4, *end]
    manifest = entry["manifest"]
    spec = manifest["spec"]
    return [name, spec["kind"], manifest["dims"], spec["n_bits"], manifest["n_buckets"], *end]


def _windows(manifest: Manifest) -> str:
    """By directions, how many of the best hold the nearest."""
    windows = [f"{n}: {window:,}" for n, window in manifest.sketch_windows]
    return f"windows by directions: {', '.join(windows)}" if windows else "none"


def show_manifest(manifest: Manifest, as_json: bool, **where: str) -> None:
    """What a model is, and where, as a table or as JSON."""
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
        ("sketches", _windows(manifest)),
        ("seed", str(manifest.spec.seed)),
        ("sha256", manifest.sha256),
    ]
    print_table(["", ""], rows)
