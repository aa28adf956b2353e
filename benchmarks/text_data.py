"""Short texts and their embeddings: python -m benchmarks.text_data fetches and embeds them.

Glosses are those of WordNet 3.0 (its own licence, Princeton University), Debian's package
`wordnet-base`; descriptions are the one-line ones of the packages that apt knows, whose number
changes with Debian; fortunes, the queries of another kind, are of the package `fortunes`. All lie
as NDJSON, and embeddings beside them, in the benchmarks' cache.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from meta4.errors import InputError
from meta4.models.sentences.sentence_models import load_sentence_encoder

from .data import find, folders, unpack_debian_package

ENCODER = "minilm-l6"
_GLOSSES, _FORTUNES = "wordnet-base", "fortunes"
_PARTS = ("noun", "verb", "adj", "adv")
#: Characters of a fortune: longer ones are stories, and cut by the encoder.
_LONGEST_FORTUNE = 400
_WINDOW = 4096


class Package(NamedTuple):
    """One of Debian's packages: the line that says what it is, and what more is said of it."""

    name: str
    title: str
    body: str


class Texts(NamedTuple):
    """n texts, their ids, and (n, dims) float32 vectors of length 1, as float16 keeps them."""

    ids: list[str]
    texts: list[str]
    vectors: NDArray[np.float32]


def glosses() -> Iterator[tuple[str, str]]:
    """WordNet's 117,659 sets of words, with what they mean: "words: gloss".

    A line is: offset, number, part of speech, how many words (hexadecimal), each word with a
    number, pointers; and the gloss behind a bar. An adjective may have its place in brackets.
    """
    with tempfile.TemporaryDirectory() as staging:
        unpack_debian_package(_GLOSSES, Path(staging), "put glosses.ndjson into META4_DATA")
        folder = Path(staging, "usr", "share", "wordnet")
        for part in _PARTS:
            for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
                if line.startswith("  "):  # the licence
                    continue
                data, _, gloss = line.partition(" | ")
                offset, _, kind, n_words, *rest = data.split()
                spelled = rest[: 2 * int(n_words, 16) : 2]
                words = [word.partition("(")[0].replace("_", " ") for word in spelled]
                yield f"{kind}{offset}", f"{', '.join(words)}: {gloss.strip()}"


def descriptions() -> Iterator[tuple[str, str]]:
    """The packages that apt knows, each name once, with the first line of what they are.

    Raises:
        InputError: this is not Debian, or its lists are not there.
    """
    apt = shutil.which("apt-cache")
    if apt is None:
        raise InputError("descriptions are Debian's; put descriptions.ndjson into META4_DATA")
    known = subprocess.run([apt, "dumpavail"], capture_output=True, check=True).stdout.decode()
    seen = set()
    for stanza in known.split("\n\n"):
        lines = (line.partition(": ") for line in stanza.split("\n"))
        said = {name: value.strip() for name, _, value in lines}
        name, text = said.get("Package"), said.get("Description") or said.get("Description-en")
        if name and text and name not in seen:
            seen.add(name)
            yield name, f"{name}: {text}"
    if not seen:
        raise InputError("apt knows no packages; run: apt-get update")


def fortunes() -> Iterator[tuple[str, str]]:
    """Short quotations and jokes, each once: running text, unlike what is searched with it."""
    with tempfile.TemporaryDirectory() as staging:
        unpack_debian_package(_FORTUNES, Path(staging), "put fortunes.ndjson into META4_DATA")
        seen = set()
        for file in sorted(Path(staging, "usr/share/games/fortunes").rglob("*")):
            if not file.is_file() or file.suffix:  # .dat and .u8 stand beside the texts
                continue
            for part in file.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
                text = " ".join(part.split())
                if 0 < len(text) <= _LONGEST_FORTUNE and text not in seen:
                    seen.add(text)
                    yield f"{file.name}-{len(seen)}", text


def packages() -> list[Package]:
    """Debian's packages with their long descriptions, in the order of their names.

    Of several with one title or one body the first.

    Raises:
        InputError: this is not Debian, or its mirror is out of reach.
    """
    found: dict[str, Package] = {}
    with tempfile.TemporaryDirectory() as lists:
        own = ("-o", "Acquire::Languages=en", "-o", f"Dir::State::lists={lists}")
        try:
            subprocess.run(["apt-get", *own, "update"], check=True, capture_output=True)
            for file in sorted(Path(lists).glob("*_Translation-en*")):
                reading = ["/usr/lib/apt/apt-helper", "cat-file", str(file)]
                read = subprocess.run(reading, check=True, capture_output=True).stdout.decode()
                for package in filter(None, map(_package, read.split("\n\n"))):
                    found.setdefault(package.name, package)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(
                f"packages' descriptions are Debian's, by apt-get ({error})"
            ) from error
    seen, kept = set[str](), []
    for _, package in sorted(found.items()):
        if not {package.title, package.body} & seen:
            seen |= {package.title, package.body}
            kept.append(package)
    return kept


def _package(stanza: str) -> Package | None:
    """None of what has no body. A dot stands for an empty line."""
    head, found, rest = stanza.partition("\nDescription-en: ")
    title, *lines = rest.split("\n")
    body = " ".join(line.strip() for line in lines if line.startswith(" ") and line != " .")
    name = head.removeprefix("Package: ").partition("\n")[0]
    return Package(name, title, body) if found and body else None


SOURCES: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "glosses": glosses,
    "descriptions": descriptions,
    "fortunes": fortunes,
}


def fetch_texts(source: str) -> Path:
    """One of `SOURCES` as NDJSON in our cache; gives the file.

    Raises:
        InputError: it cannot be had on this machine.
    """
    target = folders()[-1]
    target.mkdir(parents=True, exist_ok=True)
    rows = (
        orjson.dumps({"_id": identity, "text": text, "source": source}) + b"\n"
        for identity, text in SOURCES[source]()
    )
    return _kept(target / f"{source}.ndjson", b"".join(rows))


def load_texts(source: str) -> Texts:
    """One of `SOURCES` with its embeddings; what is nowhere is fetched and embedded.

    Embedding all glosses takes some minutes.
    """
    try:
        file = find(f"{source}.ndjson")
    except InputError:
        file = fetch_texts(source)
    rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    ids, texts = ([row[name] for row in rows] for name in ("_id", "text"))
    name = f"{source}-{ENCODER}_f16.npy"
    try:
        vectors = np.load(find(name))
    except InputError:
        vectors = _embedded(source, texts)
        np.save(folders()[-1] / name, vectors)
    if len(vectors) != len(texts):
        raise InputError(f"{name} has {len(vectors):,} rows, and there are {len(texts):,} texts")
    return Texts(ids, texts, vectors.astype(np.float32))


def _embedded(source: str, texts: list[str]) -> NDArray[np.float16]:
    encoder = load_sentence_encoder(ENCODER)
    parts: list[NDArray[np.float16]] = []
    begun = time.perf_counter()
    for start in range(0, len(texts), _WINDOW):
        encoded = encoder.encode(texts[start : start + _WINDOW])
        parts.append(encoded.embeddings.astype(np.float16))
        n = min(start + _WINDOW, len(texts))
        rate = n / (time.perf_counter() - begun)
        print(f"{source}: {n:,} of {len(texts):,}, {rate:,.0f} texts/s", file=sys.stderr)
    return np.concatenate(parts)


def _kept(file: Path, content: bytes) -> Path:
    """Written beside its name first, so that a file that is there is whole."""
    partial = file.with_suffix(".partial")
    partial.write_bytes(content)
    return partial.replace(file)


if __name__ == "__main__":
    for each in sys.argv[1:] or SOURCES:
        print(f"{each}: {load_texts(each).vectors.shape}")
