"""Texts as numbers of tokens, by the Rust library that encoders are trained with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ArtifactError, MissingExtraError


class Padded(NamedTuple):
    """A batch of texts, each filled up to the longest.

    Attributes:
        ids: (n, length) int64.
        mask: (n, length) int64, 1 where there is a token and 0 after a text's end.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


class Place(NamedTuple):
    """Where a token stands in its text.

    Attributes:
        start: its first letter.
        end: behind its last.
        part: which of the pieces it is of that the tokenizer makes of a text before all else, and
            each of which it takes by itself: words and signs.
    """

    start: int
    end: int
    part: int | None


class Tokens:
    """A tokenizer that cuts and fills up as we say, whatever its file says.

    Args:
        file: `tokenizer.json`.
        most: tokens of a text, first and last mark included; what is longer is cut.
        purpose: what for, for the message.

    Raises:
        ArtifactError: not a tokenizer, or one that cannot cut to so few.
        MissingExtraError: tokenizers is not installed.
    """

    def __init__(self, file: Path, most: int, purpose: str) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError("tokenizers", "texts", purpose) from error
        self.most = most
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(file))
            padding = self._tokenizer.padding or {}
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(most)
        except Exception as error:  # its errors have no class of their own
            raise ArtifactError(f"{file}: not a tokenizer that can be used ({error})") from error
        self._filler: int = padding.get("pad_id", 0)

    def of(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The tokens of each text, and how many texts were cut."""
        encodings = self._tokenizer.encode_batch(list(texts))
        cut = sum(bool(encoding.overflowing) for encoding in encodings)
        return [encoding.ids for encoding in encodings], cut

    def places(self, text: str) -> list[Place]:
        """Where each token of a text stands in it; nothing is cut."""
        self._tokenizer.no_truncation()
        try:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        finally:
            self._tokenizer.enable_truncation(self.most)
        spans = zip(encoding.offsets, encoding.word_ids, strict=True)
        return [Place(start, end, part) for (start, end), part in spans]

    @property
    def n_marks(self) -> int:
        """How many of a text's tokens are marks about it, as of its first and last place."""
        return int(self._tokenizer.num_special_tokens_to_add(False))

    def padded(self, rows: Sequence[Sequence[int]]) -> Padded:
        """A batch, one row at least, filled up to its longest."""
        shape = (len(rows), max(map(len, rows)))
        ids = np.full(shape, self._filler, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return Padded(ids, mask)
