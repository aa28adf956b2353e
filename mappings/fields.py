"""Where the parts of a hashed field lie in a document. Named here, once."""

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError

#: The object that holds everything of ours, in documents and in the mapping's `_meta`.
ROOT = "meta4"
#: By which of its keywords a document is looked for: any of its buckets, or the first alone.
Keyword = Literal["bucket", "home"]
#: What a document keeps beside its hashes of a vector that an encoder made of a text.
ENCODER, TEXT = "encoder", "text"
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}(\.[A-Za-z_][A-Za-z0-9_-]{0,127}){0,7}")


def sketch_name(n_directions: int) -> str:
    """What a sketch is called within a field's object."""
    return f"sketch_{n_directions}"


@dataclass(frozen=True)
class HashedField:
    """Names that belong to one vector field.

    Raises:
        InputError: the field's name cannot be one.
    """

    name: str

    def __post_init__(self) -> None:
        if not _FIELD.fullmatch(self.name) or self.name.split(".")[0] == ROOT:
            raise InputError(
                f"field {self.name!r}: expected letters, digits, _ and - in parts joined by dots, "
                f"not beginning with '{ROOT}.', which holds the hashes"
            )

    @property
    def root(self) -> str:
        """The object with all parts."""
        return f"{ROOT}.{self.name}"

    @property
    def bucket(self) -> str:
        """Keyword with the document's buckets."""
        return f"{self.root}.bucket"

    @property
    def home(self) -> str:
        """Keyword with the first of the document's buckets, its nearest."""
        return f"{self.root}.home"

    def keyword(self, keyword: Keyword) -> str:
        """The field of a keyword."""
        return self.home if keyword == "home" else self.bucket

    def sketch(self, n_directions: int) -> str:
        """Bytes with the vector's sketch. A sketch of other directions goes by another name."""
        return f"{self.root}.{sketch_name(n_directions)}"

    @property
    def shingle(self) -> str:
        """Longs with the shingles of a text."""
        return f"{self.root}.shingle"

    @property
    def model(self) -> str:
        """Keyword with the `name@version` that hashed the document."""
        return f"{self.root}.model"

    @property
    def encoder(self) -> str:
        """Keyword with the mark of the encoder that made the vector of a text."""
        return f"{self.root}.{ENCODER}"

    @property
    def norm(self) -> str:
        """Float with the vector's length: the engine keeps only its direction."""
        return f"{self.root}.norm"
