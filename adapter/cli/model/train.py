"""`meta4 train`."""

from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from ....errors import InputError
from ....ingest.files.sources import read_training
from ....models.choice.auto import Aim
from ....models.specs import AnySpec, CellBucketsSpec, TrainedSpec, cells_for
from ....models.training.options import Device, TrainingOptions
from ..common import json_option, spec_fault
from .fit import fit_model, search_model
from .minhash import fit_minhash

_SPEC: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_KINDS = ("lsh", "itq", "cells", "learned", "nphash", "catalyzer", "dtsh", "dash", "minhash")
#: What minhash finds, and how often, where nothing is said.
_SIMILARITY, _RECALL = 0.7, 0.95


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
    type=click.Choice(_KINDS),
    help="Kind of hash model. Default: cells.",
)
@click.option(
    "--auto", is_flag=True, help="Try kinds, bits, buckets and layers, and keep the best."
)
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="Time for --auto. Default: 20."
)
@click.option(
    "--recall",
    type=click.FloatRange(0, 1, min_open=True),
    help="Recall at which --auto counts the documents looked into, or with which minhash finds "
    "near-duplicates. Default: 0.95.",
)
@click.option(
    "--k",
    type=click.IntRange(1),
    help="Neighbours which that recall is of, or which dash is tuned for. Default: 25.",
)
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="Say what dash measured: dimension, pairs, radius, functions, tables, widths tried.",
)
@click.option("--out", type=_FOLDER, required=True, help="Folder for the model.")
@click.option("--bits", "n_bits", type=int, help="Length of the code. Default: 64; dtsh: 12.")
@click.option(
    "--buckets",
    "n_buckets",
    type=int,
    help="Number of cells (not lsh, itq, dtsh, dash). Default: one for about 40 vectors.",
)
@click.option(
    "--table-bits",
    "bits_per_table",
    type=int,
    help="Bits of a bucket (lsh, itq, dash). Default: 12; dash measures it.",
)
@click.option(
    "--tables",
    "n_tables",
    type=int,
    help="Number of tables (lsh, itq; of a class: dash). Default: 1; dash measures it.",
)
@click.option(
    "--strongest",
    type=int,
    help="Classes that a query looks into before the others (dash). Default: 3.",
)
@click.option("--layers", type=_Numbers(int), help="Widths of hidden layers, as in 1024,1024.")
@click.option("--epochs", type=float, help="Passes over the data; 0.5 is half of it.")
@click.option("--batch", type=int, help="Vectors in a batch.")
@click.option("--rate", type=float, help="Highest learning rate.")
@click.option(
    "--labels",
    help="Field of the classes to learn from (dtsh, dash); for .npy a file, .npy or one a line.",
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
@click.option("--shingle", type=int, help="Characters of a shingle (minhash). Default: 5.")
@click.option(
    "--similarity",
    type=click.FloatRange(0, 1, min_open=True),
    help="Jaccard similarity of near-duplicates (minhash), found with --recall. Default: 0.7.",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed, the same model."
)
@click.option(
    "--field", help="Field of NDJSON and Parquet. Default: embedding, or text for minhash."
)
@json_option
def train_command(
    vectors: Path,
    kind: str | None,
    out: Path,
    auto: bool,
    minutes: float | None,
    recall: float | None,
    k: int | None,
    explained: bool,
    labels: str | None,
    device: Device,
    resume: bool,
    seed: int,
    field: str | None,
    shingle: int | None,
    similarity: float | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Fit a hash model on VECTORS (.npy, .parquet or .ndjson), or on texts for minhash.

    Example: meta4 train vectors.npy --model cells --buckets 4096 --bits 256 --out words-model

    Example: meta4 train images.ndjson --model dtsh --labels class --bits 7 --out image-model

    Example: meta4 train images.npy --model dash --labels classes.txt --explain --out my-model

    Example: meta4 train articles.ndjson --model minhash --field body --out article-model

    Example: meta4 train vectors.npy --auto --minutes 20 --recall 0.95 --out best-model
    """
    given = {key: value for key, value in chosen.items() if value is not None}
    aim: dict[str, Any] = {
        key: value
        for key, value in {"minutes": minutes, "recall": recall, "k": k}.items()
        if value is not None
    }
    if kind == "minhash":
        if given or auto or resume or labels or explained or {"minutes", "k"} & set(aim):
            raise InputError(
                "a minhash model has --shingle, --similarity, --recall, --seed and --field; leave "
                "the other options out"
            )
        _check_empty(out)
        sizes = {} if shingle is None else {"shingle": shingle}
        fit_minhash(
            vectors,
            field or "text",
            out,
            similarity=_SIMILARITY if similarity is None else similarity,
            recall=_RECALL if recall is None else recall,
            as_json=as_json,
            seed=seed,
            **sizes,
        )
        return
    if shingle is not None or similarity is not None:
        raise InputError("--shingle and --similarity are of a minhash model; give --model minhash")
    if explained and kind != "dash":
        raise InputError("--explain says what a dash model measured; give --model dash, too")
    if kind == "dash" and k is not None:
        given["k"] = aim.pop("k")
    if auto and (kind or given or resume):
        raise InputError(
            "--auto chooses the model and all that belongs to it; leave --model, --resume and "
            "their options out, or leave --auto out"
        )
    if aim and not auto:
        raise InputError(f"--{next(iter(aim))} belongs to --auto; leave it out, or give --auto")
    spec = None if auto else _spec({"kind": kind or "cells", "seed": seed, **given})
    if resume and not isinstance(spec, TrainedSpec):
        raise InputError(f"a {kind or 'cells'} model is fitted in one go; leave --resume out")
    if not resume:
        _check_empty(out)
    data, classes = read_training(vectors, field or "embedding", labels)
    if isinstance(spec, CellBucketsSpec) and "n_buckets" not in given:
        spec = spec.model_copy(update={"n_buckets": cells_for(len(data))})
    if spec is None:
        search_model(data, classes, Aim(seed=seed, device=device, **aim), out, as_json)
    else:
        fit_model(spec, data, classes, TrainingOptions(device, out, resume), explained, as_json)


def _check_empty(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise InputError(
            f"{out} is not empty; name a new folder with --out, or go on with --resume "
            f"if a training was stopped there"
        )


def _spec(values: dict[str, Any]) -> AnySpec:
    try:
        return _SPEC.validate_python(values)
    except ValidationError as error:
        raise spec_fault(values["kind"], error) from error
