"""Texts of files, to make embeddings of: of documents, whole or in chunks, or as they run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .documents import Document, Refusal, Several, put_at, value_at
from .files.sources import KINDS, check_files, count_rows, read_documents
from .files.text_files import opened_text, read_running_text
from .json_values import JsonError, to_json

#: The field of a chunk that names the document it is of.
CHUNK_OF = "chunk_of"
#: Of a corpus's documents without a text so many are kept, to be shown.
_KEPT = 20


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
        self._path, self.field = path, field
        #: How many documents there are, where that can be told without reading all.
        self.n_rows = count_rows(path)

    def __iter__(self) -> Iterator[Text | Refusal]:
        """Each text, or why a document has none; in the order of the file."""
        for document in read_documents(self._path, field=self.field):
            yield document if isinstance(document, Refusal) else self._text_of(document)

    def _text_of(self, document: Document) -> Text | Refusal:
        text = value_at(document.source, self.field)
        if isinstance(text, Several):
            return Refusal.of(document, f"{self.field}: {text.fault}")
        if text is None:
            return Refusal.of(document, f"no field {self.field!r}")
        if not isinstance(text, str):
            got = type(text).__name__
            return Refusal.of(document, f"{self.field}: expected a text, got {got}")
        if not text.strip():
            return Refusal.of(document, f"{self.field}: an empty text")
        try:
            to_json(document.source)  # what cannot be written is better known before the work
        except JsonError as error:
            return Refusal.of(document, str(error))
        return Text(document, text)


class Chunks:
    """Each text in pieces, every one a document of its own with all the fields of its text's.

    Of a document `a` they are `a#0`, `a#1` and so on, with `chunk_of` "a".

    Args:
        texts: whole ones.
        cut: into pieces, one at least.
    """

    def __init__(self, texts: TextSource, cut: Callable[[str], list[str]]) -> None:
        self._texts, self._cut = texts, cut
        #: How many texts were cut so far.
        self.n_texts = 0

    def __iter__(self) -> Iterator[Text | Refusal]:
        """Each piece, or why there is none of a document; in the order of the texts."""
        for one in self._texts:
            if isinstance(one, Refusal):
                yield one
            elif one.document.id is None:
                yield Refusal.of(one.document, "no _id, after which its chunks would be named")
            elif CHUNK_OF in one.document.source:
                reason = f"has a field {CHUNK_OF!r}, which its chunks would have"
                yield Refusal.of(one.document, reason)
            else:
                self.n_texts += 1
                for i, piece in enumerate(self._cut(one.text)):
                    document = one.document.copied(self._texts.field)
                    put_at(document.source, self._texts.field, piece)
                    document.source[CHUNK_OF] = document.id
                    yield Text(replace(document, id=f"{document.id}#{i}"), piece)


class Corpus:
    """Running text of files, read anew each time.

    Args:
        files: text, a line each; or documents.
        field: of the documents' text; None for lines.

    Raises:
        InputError: no such file, one given twice, or not of the kind that `field` says.
        MissingExtraError: Parquet without pyarrow.
    """

    def __init__(self, files: Sequence[Path], field: str | None) -> None:
        self._files = files
        self._sources: list[TextSource] = []
        #: Of the last time that it was read: documents without a text, the first of them.
        self.refused: list[Refusal] = []
        self.n_refused = 0
        for path in files:
            if path.exists() and not path.is_file():
                raise InputError(f"{path}: expected a file, which is read several times over")
            if [one.resolve() for one in files].count(path.resolve()) > 1:
                raise InputError(f"{path} is given twice; name each file once")
            if field is not None and path.suffix == ".txt":
                raise InputError(f"{path}: lines of text have no fields; leave out --field")
            if field is not None:
                self._sources.append(TextSource(path, field))
            elif path.suffix in KINDS:
                raise InputError(f"{path}: of documents, name the field of their text: --field")
            else:
                with opened_text(path):
                    pass

    def __iter__(self) -> Iterator[str]:
        """Each text, in the order of the files."""
        self.refused, self.n_refused = [], 0
        if not self._sources:
            for path in self._files:
                yield from read_running_text(path)
        for source in self._sources:
            for one in source:
                if not isinstance(one, Refusal):
                    yield one.text
                    continue
                self.n_refused += 1
                if len(self.refused) < _KEPT:
                    self.refused.append(one)
