"""`meta4 embed`."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from ....errors import ArtifactError, InputError
from ....ingest.documents import Document, Refusal
from ....ingest.files.embeddings_file import embeddings_file
from ....ingest.images import Image, ImageSource
from ....ingest.texts import Chunks, TextSource
from ....models.graphs.runtime import open_session
from ....models.images.image_models import IMAGE_MODELS, load_image_network
from ....models.sentences.chunks import Chunker
from ....models.sentences.sentence_models import SENTENCE_MODELS, load_sentence_encoder
from ..common import counting, json_option, notes, print_json

T = TypeVar("T")
#: Images run at once: 64 of 224 pixels are 38 MB as float32, and their widest layer 300.
_BATCH = 32
#: Texts among which those of like length are found, and documents held at once.
_WINDOW = 4096
_SHOWN = 20

#: `--out`, for commands that make embeddings.
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File for the embeddings: .ndjson with ids and fields, or .npy with ids beside it, .txt.",
)


@click.group("embed")
def embed_group() -> None:
    """Make embeddings of what is not a vector yet."""


@embed_group.command("images")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "name",
    type=click.Choice(list(IMAGE_MODELS)),
    default="efficientnet-lite0",
    show_default=True,
    help="Network whose last convolutional layer is taken.",
)
@click.option(
    "--size",
    type=click.IntRange(32, 1024),
    help="Pixels of a side that images are brought to. Default: what the network was trained "
    "with, 224, 240 or 260; fewer are quicker.",
)
@out_option
@json_option
def images_command(source: Path, name: str, size: int | None, out: Path, as_json: bool) -> None:
    """Embed the images of SOURCE, a folder or an .npz file.

    In .ndjson a document has its path as `_id`, and the folder that it lies in as `folder`; of an
    .npz file its row, and the row of the other arrays. Files that are no images are said, and the
    exit code is 2.

    Example: meta4 embed images photos/ --out photos.ndjson
    """
    file = embeddings_file(out)
    images = ImageSource(source, size or IMAGE_MODELS[name].side)
    session = open_session(load_image_network(name))
    refused: list[Refusal] = []
    stream = _accepted(images, refused)
    n = dims = 0
    with file, counting("embedding", len(images), "images") as advance:
        while batch := list(islice(stream, _BATCH)):
            features = _features(session, batch)
            file.write([Document(image.id, image.fields) for image in batch], features)
            n, dims = n + len(batch), features.shape[1]
            advance(len(batch))
        if not n:
            raise InputError(f"{source}: none of {len(refused)} files is an image that can be read")
    note_refused(refused)
    if as_json:
        print_json({"file": str(out), "images": n, "dims": dims, "refused": len(refused)})
    else:
        left = f", {len(refused)} files left out" if refused else ""
        click.echo(f"{n:,} embeddings of {dims} dimensions are in {out}{left}")
    if refused:
        raise SystemExit(InputError.exit_code)


@embed_group.command("text")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--field", required=True, help="The field of a document's text.")
@click.option(
    "--model",
    "reference",
    default=next(iter(SENTENCE_MODELS)),
    show_default=True,
    metavar="NAME|PATH",
    help="all-MiniLM-L6-v2 (minilm-l6: English, 384 dimensions), or a folder with model.onnx and "
    "tokenizer.json.",
)
@click.option(
    "--chunk",
    type=int,
    metavar="N",
    help="Cut texts into chunks of at most N of the encoder's tokens, each a document of its own. "
    "Default: only the beginning of a long text is taken.",
)
@click.option(
    "--overlap",
    type=click.IntRange(0),
    metavar="M",
    help="Tokens that a chunk has of the one before it, at most. Default: an eighth of --chunk.",
)
@out_option
@json_option
def text_command(
    source: Path,
    field: str,
    reference: str,
    chunk: int | None,
    overlap: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Embed a field of the documents of SOURCE, .ndjson or .parquet.

    SOURCE is read as `meta4 ingest` reads it; in .ndjson a document keeps its id and its fields,
    and has its vector as `embedding`. In .txt the row stands where a document has no id. Of a long
    text the first tokens are taken, 256 or what the folder says, and how many were cut is said.
    Documents without a text are said, and the exit code is 2.

    With --chunk all of a text is taken, cut between words: a document `a` becomes `a#0`, `a#1` and
    so on, each with the fields of `a`, its own piece in FIELD, and "chunk_of": "a".

    Example: meta4 embed text articles.ndjson --field title --out vectors.ndjson

    Example: meta4 embed text books.ndjson --field body --chunk 256 --out chunks.ndjson
    """
    if overlap is not None and chunk is None:
        raise InputError("--overlap is that of chunks; give --chunk, too")
    file = embeddings_file(out)
    if source.resolve() == out.resolve():
        raise InputError(f"{out} would be written while it is read; name another with --out")
    texts = TextSource(source, field)
    encoder = load_sentence_encoder(reference)
    chunks = None
    if chunk is not None:
        overlap = chunk // 8 if overlap is None else overlap
        chunks = Chunks(texts, Chunker(encoder.tokens, chunk, overlap).cut)
    total, unit = (texts.n_rows, "texts") if chunks is None else (None, "chunks")
    refused: list[Refusal] = []
    stream = _accepted(texts if chunks is None else chunks, refused)
    n = dims = n_cut = 0
    with file, counting("embedding", total, unit) as advance:
        while window := list(islice(stream, _WINDOW)):
            encoded = encoder.encode([one.text for one in window], advance)
            file.write([one.document for one in window], encoded.embeddings)
            n, dims = n + len(window), encoded.embeddings.shape[1]
            n_cut += encoded.n_cut
        if not n:
            note_refused(refused)
            named = "a text in" if chunks is None else "an _id and a text in"
            raise InputError(f"{source}: none of {len(refused)} documents has {named} {field!r}")
    note_refused(refused)
    if as_json:
        counts = {"texts": n, "dims": dims, "cut": n_cut, "refused": len(refused)}
        if chunks is not None:
            counts |= {"texts": chunks.n_texts, "chunks": n}
        print_json({"file": str(out), **counts})
    else:
        of = "" if chunks is None else f", chunks of {chunks.n_texts:,} texts"
        cut = f", {n_cut:,} {unit} cut at {encoder.most_tokens} tokens" if n_cut else ""
        if n_cut and chunks is None:
            cut += " (--chunk takes all of them)"
        left = f", {len(refused):,} documents left out" if refused else ""
        click.echo(f"{n:,} embeddings of {dims} dimensions are in {out}{of}{cut}{left}")
    if refused:
        raise SystemExit(InputError.exit_code)


def _accepted(source: Iterable[T | Refusal], refused: list[Refusal]) -> Iterator[T]:
    """What a source has, without what it refuses, which goes into the list."""
    for one in source:
        if isinstance(one, Refusal):
            refused.append(one)
        else:
            yield one


def note_refused(refused: list[Refusal]) -> None:
    """Say of the first documents that were left out why they were."""
    for one in refused[:_SHOWN]:
        notes.print(f"{one.origin}: {one.reason}")


def _features(session: Any, batch: list[Image]) -> NDArray[np.float32]:
    pixels = np.stack([image.pixels for image in batch])
    try:
        (features,) = session.run(["features"], {"image": pixels})
    except Exception as error:  # see `open_session`
        raise ArtifactError(f"onnxruntime cannot run the network: {error}") from error
    found: NDArray[np.float32] = features
    return found
