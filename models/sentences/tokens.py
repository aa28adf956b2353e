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

    def padded(self, rows: Sequence[Sequence[int]]) -> Padded:
        """A batch, one row at least, filled up to its longest."""
        shape = (len(rows), max(map(len, rows)))
        ids = np.full(shape, self._filler, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return Padded(ids, mask)
