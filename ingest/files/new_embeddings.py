"""New embeddings for documents that are in an index already, out of a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import EmbeddingError, InputError
from ...models.embeddings import as_embedding, unpacked
from ..documents import Refusal, value_at
from ..id_table import IdTable
from .sources import read_documents


class NewEmbeddings:
    """Embeddings by document id.

    Args:
        path: .npy with `ids`, .parquet or .ndjson.
        field: of the vector.
        ids: for .npy, a text file with one id a line.

    Raises:
        InputError: no such file, no vector in it, or one without an id; .npy without `ids`.
        EmbeddingError: a vector that cannot be hashed, or of other dimensions than the first.
    """

    def __init__(self, path: Path, field: str, ids: Path | None = None) -> None:
        if path.suffix == ".npy" and ids is None:
            raise InputError(
                f"{path}: an .npy file has no ids, and embeddings are found by them; name a text "
                f"file with one id a line, in the order of the rows, with --ids"
            )
        self.dims = 0
        self._table = IdTable()
        self._table.put(self._read(path, field, ids))
        if not self.dims:
            raise InputError(f"{path}: no document has a field {field!r}")

    def of(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Of those of these documents that have a new one: (dims,) float32."""
        found = self._table.get(ids)
        return {identity: np.frombuffer(value, np.float32) for identity, value in found.items()}

    def _read(self, path: Path, field: str, ids: Path | None) -> Iterator[tuple[str, bytes]]:
        for document in read_documents(path, field=field, ids=ids):
            if isinstance(document, Refusal):
                raise InputError(f"{document.origin}: {document.reason}")
            values = unpacked(value_at(document.source, field))
            if values is None:
                continue
            if document.id is None:
                raise InputError(f"{document.origin}: an embedding without its document's id")
            if not self.dims and not isinstance(values, list | tuple | np.ndarray):
                kind = type(values).__name__
                raise EmbeddingError(
                    f"{document.origin}: {field}: expected a list of numbers, got {kind}"
                )
            self.dims = self.dims or len(values)
            yield document.id, as_embedding(values, self.dims, what=document.origin).tobytes()
