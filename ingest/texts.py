"""Texts of a file's documents, to make embeddings of."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .documents import Document, Refusal, Several, value_at
from .files.sources import check_files, count_rows, read_documents
from .json_values import JsonError, to_json


class Text(NamedTuple):
    """One text, and the document that it is of."""

    document: Document
    text: str


class TextSource:
    """The texts of an NDJSON or Parquet file, read as `read_documents` reads it.

    Args:
        path: the file.
        field: of the text, perhaps dotted.

    Raises:
        InputError: no such file, or one of another kind.
        MissingExtraError: Parquet without pyarrow.
    """

    def __init__(self, path: Path, field: str) -> None:
        if path.suffix == ".npy":
            raise InputError(f"{path}: rows of .npy have no texts; expected .ndjson or .parquet")
        check_files([path], fields=[field])
        self._path, self._field = path, field
        #: How many documents there are, where that can be told without reading all.
        self.n_rows = count_rows(path)

    def __iter__(self) -> Iterator[Text | Refusal]:
        """Each text, or why a document has none; in the order of the file."""
        for document in read_documents(self._path, field=self._field):
            yield document if isinstance(document, Refusal) else self._text_of(document)

    def _text_of(self, document: Document) -> Text | Refusal:
        text = value_at(document.source, self._field)
        if isinstance(text, Several):
            return Refusal.of(document, f"{self._field}: {text.fault}")
        if text is None:
            return Refusal.of(document, f"no field {self._field!r}")
        if not isinstance(text, str):
            got = type(text).__name__
            return Refusal.of(document, f"{self._field}: expected a text, got {got}")
        if not text.strip():
            return Refusal.of(document, f"{self._field}: an empty text")
        try:
            to_json(document.source)  # what cannot be written is better known before the work
        except JsonError as error:
            return Refusal.of(document, str(error))
        return Text(document, text)
