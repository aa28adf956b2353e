"""`meta4 embed`."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import click
import numpy as np
import orjson
from numpy.typing import NDArray

from ....errors import ArtifactError, InputError
from ....ingest.documents import Refusal
from ....ingest.images import Image, ImageSource
from ....models.graphs.runtime import open_session
from ....models.images.image_models import IMAGE_MODELS, load_image_network
from ..common import counting, json_option, notes, print_json

#: Images run at once: 64 of 224 pixels are 38 MB as float32, and their widest layer 300.
_BATCH = 32
_SHOWN = 20


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
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File for the embeddings: .ndjson with ids and fields, or .npy with ids beside it, .txt.",
)
@json_option
def images_command(source: Path, name: str, size: int | None, out: Path, as_json: bool) -> None:
    """Embed the images of SOURCE, a folder or an .npz file.

    In .ndjson a document has its path as `_id`, and the folder that it lies in as `folder`; of an
    .npz file its row, and the row of the other arrays. Files that are no images are said, and the
    exit code is 2.

    Example: meta4 embed images photos/ --out photos.ndjson
    """
    writers = {".ndjson": _NdjsonWriter, ".npy": _NpyWriter}
    if out.suffix not in writers:
        raise InputError(f"{out}: expected a file ending in .ndjson or .npy")
    images = ImageSource(source, size or IMAGE_MODELS[name].side)
    session = open_session(load_image_network(name))
    refused: list[Refusal] = []

    def readable() -> Iterator[Image]:
        for image in images:
            if isinstance(image, Refusal):
                refused.append(image)
            else:
                yield image

    stream = readable()
    n = dims = 0
    writer = writers[out.suffix](out)
    try:
        with counting("embedding", len(images), "images") as advance:
            while batch := list(islice(stream, _BATCH)):
                features = _features(session, batch)
                writer.write(batch, features)
                n, dims = n + len(batch), features.shape[1]
                advance(len(batch))
        if not n:
            raise InputError(f"{source}: none of {len(refused)} files is an image that can be read")
        writer.keep()
    finally:
        writer.close()
    for one in refused[:_SHOWN]:
        notes.print(f"{one.origin}: {one.reason}")
    if as_json:
        print_json({"file": str(out), "images": n, "dims": dims, "refused": len(refused)})
    else:
        left = f", {len(refused)} files left out" if refused else ""
        click.echo(f"{n:,} embeddings of {dims} dimensions are in {out}{left}")
    if refused:
        raise SystemExit(InputError.exit_code)


def _features(session: Any, batch: list[Image]) -> NDArray[np.float32]:
    pixels = np.stack([image.pixels for image in batch])
    try:
        (features,) = session.run(["features"], {"image": pixels})
    except Exception as error:  # see `open_session`
        raise ArtifactError(f"onnxruntime cannot run the network: {error}") from error
    found: NDArray[np.float32] = features
    return found


class _Writer(Protocol):
    """Writes beside the file until it is kept, so that a file that is there is whole."""

    def __init__(self, out: Path) -> None: ...
    def write(self, batch: list[Image], features: NDArray[np.float32]) -> None: ...
    def keep(self) -> None: ...
    def close(self) -> None: ...


class _NdjsonWriter(_Writer):
    def __init__(self, out: Path) -> None:
        self._out, self._partial = out, out.with_suffix(".partial")
        self._file: IO[bytes] = self._partial.open("wb")

    def write(self, batch: list[Image], features: NDArray[np.float32]) -> None:
        for image, vector in zip(batch, features, strict=True):
            row = {"_id": image.id, **image.fields, "embedding": vector}
            self._file.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")

    def keep(self) -> None:
        self._file.close()
        self._partial.replace(self._out)

    def close(self) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)


class _NpyWriter(_Writer):
    def __init__(self, out: Path) -> None:
        self._out = out
        self._ids: list[str] = []
        self._parts: list[NDArray[np.float32]] = []

    def write(self, batch: list[Image], features: NDArray[np.float32]) -> None:
        self._ids += [image.id for image in batch]
        self._parts.append(features)

    def keep(self) -> None:
        self._out.with_suffix(".txt").write_text("\n".join(self._ids) + "\n", encoding="utf-8")
        np.save(self._out, np.concatenate(self._parts))

    def close(self) -> None:
        self._parts.clear()
