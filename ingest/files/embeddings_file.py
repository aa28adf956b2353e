"""Files of embeddings that were made here: .ndjson with documents, .npy with ids beside it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..documents import Document
from ..json_values import to_json

#: The field of an embedding.
_FIELD = "embedding"


class EmbeddingsFile(ABC):
    """A file that is there once the block around it ends well, and is whole then."""

    @abstractmethod
    def write(self, documents: Sequence[Document], embeddings: NDArray[np.float32]) -> None:
        """Add some.

        Args:
            documents: n of them.
            embeddings: (n, dims) float32.

        Raises:
            InputError: a document that cannot be kept in such a file.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(is_whole=kind is None)

    @abstractmethod
    def _close(self, *, is_whole: bool) -> None:
        """Let what was written be the file, or leave nothing."""


def embeddings_file(out: Path) -> EmbeddingsFile:
    """The file, of which nothing is written yet.

    Args:
        out: .ndjson, documents with their fields and `embedding`; or .npy, (n, dims) float32, with
            one id a line beside it, .txt.

    Raises:
        InputError: another ending, or no such folder.
    """
    kinds = {".ndjson": _NdjsonFile, ".npy": _NpyFile}
    if out.suffix not in kinds:
        raise InputError(f"{out}: expected a file ending in .ndjson or .npy")
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}")
    return kinds[out.suffix](out)


class _NdjsonFile(EmbeddingsFile):
    def __init__(self, out: Path) -> None:
        self._out, self._partial = out, out.with_suffix(".partial")
        self._file: IO[bytes]

    def write(self, documents: Sequence[Document], embeddings: NDArray[np.float32]) -> None:
        for document, vector in zip(documents, embeddings, strict=True):
            about = {"_id": document.id, "_routing": document.routing}
            row = {name: value for name, value in about.items() if value is not None}
            if document.only_if == "absent":
                row["_op_type"] = "create"
            self._file.write(to_json({**row, **document.source, _FIELD: vector}) + b"\n")

    def __enter__(self) -> Self:
        self._file = self._partial.open("wb")
        return self

    def _close(self, *, is_whole: bool) -> None:
        self._file.close()
        if is_whole:
            self._partial.replace(self._out)
        else:
            self._partial.unlink(missing_ok=True)


class _NpyFile(EmbeddingsFile):
    def __init__(self, out: Path) -> None:
        self._out = out
        self._ids: list[str] = []
        self._parts: list[NDArray[np.float32]] = []

    def write(self, documents: Sequence[Document], embeddings: NDArray[np.float32]) -> None:
        for document in documents:
            name = str(len(self._ids)) if document.id is None else document.id
            if "\n" in name:
                raise InputError(
                    f"{document.origin}: an id of several lines, {name!r:.40}, cannot be one of "
                    f"{self._out.with_suffix('.txt')}; write an .ndjson file"
                )
            self._ids.append(name)
        self._parts.append(embeddings)

    def _close(self, *, is_whole: bool) -> None:
        if is_whole:
            ids = "\n".join(self._ids) + "\n"
            self._out.with_suffix(".txt").write_text(ids, encoding="utf-8")
            np.save(self._out, np.concatenate(self._parts))
