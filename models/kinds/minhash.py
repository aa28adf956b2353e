"""MinHash: sets of shingles, and buckets that sets of high Jaccard similarity share.

Broder, "On the resemblance and containment of documents", SEQUENCES 1997: two sets have the same
minimum under a random hash function with a probability that is their Jaccard similarity. Rows of
such minima make a band, and a band is a bucket (Indyk & Motwani, STOC 1998; Leskovec, Rajaraman &
Ullman, "Mining of massive datasets", section 3.4): with b bands of r rows, sets of similarity s
share a bucket with the probability 1 - (1 - s ** r) ** b.

A shingle is known by a 64-bit number. Hash functions are multiply-shift (Dietzfelbinger et al.,
Journal of Algorithms 25, 1997) on 64-bit integers, so that every machine computes the same.
"""

import re
import unicodedata
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import InputError

#: Of one text: a hostile one costs bounded memory.
MOST_SHINGLES = 100_000
#: Hash functions in all, as many as is usual.
_FUNCTIONS = 128
#: Shingles whose functions are computed at once: 1,024 by 128 numbers are a megabyte.
_AT_ONCE = 1024
_FILE = "manifest.json"
_SPACES = re.compile(r"\s+")

Shingles = NDArray[np.uint64]


class MinHashSpec(BaseModel):
    """What a user chooses about it.

    Attributes:
        shingle: characters of a shingle.
        bands: buckets of a document.
        rows: hash functions of a band.
        seed: of the functions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["minhash"] = "minhash"
    shingle: Annotated[int, Field(ge=1, le=100)] = 5
    bands: Annotated[int, Field(ge=1, le=_FUNCTIONS)] = 25
    rows: Annotated[int, Field(ge=1, le=_FUNCTIONS)] = 5
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0

    def __str__(self) -> str:
        """What documents are marked with: equal for equal hashes only."""
        return f"minhash-{self.shingle}-{self.bands}x{self.rows}@{self.seed}"

    def found(self, similarity: float) -> float:
        """The probability that a document of some Jaccard similarity shares a bucket."""
        return float(1.0 - (1.0 - similarity**self.rows) ** self.bands)


def choose_bands(similarity: float, recall: float) -> tuple[int, int]:
    """Bands and rows that find a similarity with a recall, and share the fewest buckets else.

    Args:
        similarity: Jaccard, in (0, 1], from which on documents are to be found.
        recall: in (0, 1), of those of just that similarity; of more similar ones it is higher.

    Returns:
        Bands and rows, of the most rows that do.

    Raises:
        InputError: not even a row to a band finds them so often.
    """
    for rows in range(_FUNCTIONS, 0, -1):
        bands = _FUNCTIONS // rows
        if MinHashSpec(bands=bands, rows=rows).found(similarity) >= recall:
            return bands, rows
    raise InputError(
        f"documents of Jaccard similarity {similarity:g} cannot be found with recall {recall:g} "
        f"by {_FUNCTIONS} hash functions; ask for a higher --similarity or a lower --recall"
    )


class MinHasher:
    """Texts in; shingles and buckets out."""

    def __init__(self, spec: MinHashSpec) -> None:
        self.spec = spec

    def shingles(self, text: str) -> Shingles:
        """The numbers of a text's shingles: (m,) uint64, ascending, each once.

        Letters are compared without case and in one of their forms (NFKC); space of any length
        is one. A text that is shorter than a shingle is one shingle.

        Raises:
            InputError: no letter at all, or more shingles than `MOST_SHINGLES`.
        """
        plain = _SPACES.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
        if not plain:
            raise InputError("a text without a letter has no shingles; leave the field out instead")
        length = self.spec.shingle
        if len(plain) - length + 1 > MOST_SHINGLES:
            raise InputError(
                f"a text of {len(plain):,} characters has more than {MOST_SHINGLES:,} shingles; "
                f"hash a part of it"
            )
        points = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        padded = np.zeros(max(len(points), length), dtype=np.uint64)
        padded[: len(points)] = points
        windows = np.lib.stride_tricks.sliding_window_view(padded, length)
        return np.unique(_mixed(windows @ self._positions))

    def buckets(self, shingles: Shingles) -> list[str]:
        """Keywords of the bands, one for each: two hexadecimal digits and sixteen."""
        minima = np.full(len(self._multipliers), np.iinfo(np.uint64).max)
        for start in range(0, len(shingles), _AT_ONCE):
            part = shingles[start : start + _AT_ONCE, None] * self._multipliers + self._shifts
            minima = np.minimum(minima, (part >> np.uint64(32)).min(axis=0))
        bands = minima.reshape(self.spec.bands, self.spec.rows)
        keys = _mixed(bands @ self._places)
        return [f"{band:02x}{key:016x}" for band, key in enumerate(keys.tolist())]

    @cached_property
    def _drawn(self) -> NDArray[np.uint64]:
        """Numbers for positions in a shingle, functions, their shifts, and places in a band.

        By SplitMix, whose numbers are the same with every version of NumPy.
        """
        n = self.spec.shingle + 2 * self.spec.bands * self.spec.rows + self.spec.rows
        steps = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return _mixed(steps + np.uint64(self.spec.seed))

    @cached_property
    def _positions(self) -> NDArray[np.uint64]:
        return self._drawn[: self.spec.shingle] | np.uint64(1)

    @cached_property
    def _multipliers(self) -> NDArray[np.uint64]:
        start, n = self.spec.shingle, self.spec.bands * self.spec.rows
        return self._drawn[start : start + n] | np.uint64(1)

    @cached_property
    def _shifts(self) -> NDArray[np.uint64]:
        n = self.spec.bands * self.spec.rows
        return self._drawn[self.spec.shingle + n : self.spec.shingle + 2 * n]

    @cached_property
    def _places(self) -> NDArray[np.uint64]:
        return self._drawn[-self.spec.rows :] | np.uint64(1)


def save_minhash(spec: MinHashSpec, folder: Path) -> None:
    """Write the spec, which is all that there is to such a model, as the folder's manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(spec.model_dump_json(indent=2) + "\n")


def load_minhash(folder: Path) -> MinHashSpec | None:
    """Read what `save_minhash` wrote; None where the folder holds another model, or none."""
    try:
        return MinHashSpec.model_validate_json((folder / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def jaccard(one: Shingles, other: Shingles) -> float:
    """Size of the intersection over that of the union."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)


def as_longs(shingles: Shingles) -> NDArray[np.int64]:
    """As an engine's longs, ascending as those are."""
    return np.sort(shingles.view(np.int64))


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the input in every bit of the output (Steele et al., OOPSLA 2014: SplitMix)."""
    x = numbers
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
