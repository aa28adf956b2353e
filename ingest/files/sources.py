"""Reading documents and vectors from NDJSON, Parquet and npy files."""

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...models.embeddings import unpacked
from ..bulk import MOST_BYTES
from ..documents import Document, Refusal, put_at, value_at
from .parquet import check_columns, count_parquet_rows, parquet_rows
from .rows import Reading, document_of, read_rows, text_of
from .text_files import opened_text, read_lines

#: Of a line that is too long, in its refusal.
_SHOWN = 1000
_NUMBERS = (int, float, Decimal)
#: What a file of documents or vectors is, by its ending.
KINDS = {".npy": "npy", ".parquet": "parquet", ".pq": "parquet"} | dict.fromkeys(
    (".ndjson", ".jsonl", ".json"), "ndjson"
)


def read_documents(
    path: Path,
    *,
    field: str,
    id_field: str | None = None,
    ids: Path | None = None,
    indexes: Collection[str] | None = None,
) -> Iterator[Document | Refusal]:
    """Stream a file's documents.

    NDJSON: one object a line, or the lines of a `_bulk` request. Parquet: one document a row.
    npy: one vector a row, stored as `field`. An `_id` in a document, or the value of `id_field`,
    becomes its id; for npy the lines of the file `ids` do.

    Args:
        path: the file.
        field: the hashed field.
        id_field: the field that is a document's id, in place of `_id`.
        ids: for npy, a text file with one id a line.
        indexes: what the index is called that they go to, where they go to one.

    Yields:
        A `Document`, or a `Refusal` for a line that is no document, or too long.

    Raises:
        InputError: no such file, unknown ending, another encoding than UTF-8, columns that cannot
            be what they are to be, or as many ids as vectors were expected.
        MissingExtraError: Parquet without pyarrow.
    """
    reading = Reading(field, id_field, indexes)
    kind = _kind(path)
    if kind == "npy":
        yield from _npy_documents(path, field, ids)
    elif kind == "parquet":
        for number, row in enumerate(parquet_rows(path), start=1):
            yield document_of(row, f"{path.name} row {number}", reading)
    else:
        with opened_text(path) as file:
            yield from read_rows(_lines_of(file, path.name), reading)


def check_files(
    files: Sequence[Path],
    *,
    fields: Collection[str],
    id_field: str | None = None,
    ids: Path | None = None,
) -> None:
    """Refuse files that cannot be loaded, and options that do nothing for them, before any is.

    Args:
        files: documents.
        fields: the hashed fields.
        id_field: see `read_documents`.
        ids: see `read_documents`.

    Raises:
        InputError: see `read_documents`; or an option that none of the files needs.
        MissingExtraError: Parquet without pyarrow.
    """
    kinds = [_kind(path) for path in files]
    if ids is not None and kinds.count("npy") != 1:
        raise InputError(
            f"--ids are those of the vectors of one .npy file, got {kinds.count('npy')} of these; "
            f"documents have their ids in _id, or in the field that --id-field names"
        )
    if id_field is not None and "npy" in kinds:
        raise InputError("--id-field: rows of .npy have no fields; give their ids with --ids FILE")
    for path, kind in zip(files, kinds, strict=True):
        if kind == "npy":
            _names(path, len(_load_npy(path)), ids)
        elif kind == "parquet":
            check_columns(path, fields, id_field)
        else:
            with opened_text(path):
                pass


def _lines_of(file: BinaryIO, name: str) -> Iterator[tuple[str, bytes] | Refusal]:
    """A file's lines, with where they stand; of one that is too long no more than shows that."""
    number = 0
    while line := file.readline(MOST_BYTES + 1):
        number += 1
        origin = f"{name} line {number}"
        if len(line) > MOST_BYTES:
            reason = f"more than {MOST_BYTES:,} bytes, which is what the engines take"
            yield Refusal(None, origin, reason, text=text_of(line[:_SHOWN]))
        elif line.strip():
            yield origin, line
        while len(line) > MOST_BYTES and not line.endswith(b"\n"):
            line = file.readline(MOST_BYTES + 1)


def read_embeddings(path: Path, field: str) -> NDArray[Any]:
    """All vectors of a file as one matrix; see `read_training`."""
    return read_training(path, field)[0]


def read_training(
    path: Path, field: str, labels: str | None = None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """All vectors of a file as one matrix, and their classes.

    Args:
        path: npy (n, dims), NDJSON or Parquet.
        field: which field of a document; documents without it are passed over.
        labels: the field of a document's class; for npy a file of them, npy (n,) or one a line.

    Returns:
        (n, dims) array of the file's own number type, and (n,) strings where there are labels.

    Raises:
        InputError: no such file, no vectors, text or vectors of different lengths; a document
            with a vector and no label, or as many labels as vectors were expected.
    """
    if _kind(path) == "npy":
        vectors = _load_npy(path)
        return vectors, None if labels is None else _load_labels(Path(labels), len(vectors))
    rows: list[Any] = []
    classes: list[str] = []
    for document, values in _documents_with(path, field):
        row = _row(values)
        if row is None:
            raise InputError(f"{document.origin}: {field} is no list of numbers")
        if rows and row.shape != rows[0].shape:
            raise InputError(
                f"{document.origin}: {field} has shape {row.shape}, "
                f"the ones before it {rows[0].shape}"
            )
        rows.append(row)
        if labels is not None:
            label = value_at(document.source, labels)
            if not isinstance(label, str | int):
                raise InputError(
                    f"{document.origin}: expected a class in {labels}, a string or an integer, "
                    f"got {label!r}"
                )
            classes.append(str(label))
    return np.stack(rows), None if labels is None else np.asarray(classes)


def read_texts(path: Path, field: str) -> Iterator[tuple[str, str]]:
    """Where each text of a file stands, and the text; documents without it are passed over.

    Raises:
        InputError: no such file, no text at all, or something else in the field.
    """
    for document, text in _documents_with(path, field):
        if not isinstance(text, str):
            raise InputError(
                f"{document.origin}: {field}: expected a text, got {type(text).__name__}"
            )
        yield document.origin, text


def _documents_with(path: Path, field: str) -> Iterator[tuple[Document, Any]]:
    """The documents that have a field, and its value.

    Raises:
        InputError: a line that is no document, or none that has the field.
    """
    found = False
    for document in read_documents(path, field=field):
        if isinstance(document, Refusal):
            raise InputError(f"{document.origin}: {document.reason}")
        value = value_at(document.source, field)
        if value is not None:
            found = True
            yield document, value
    if not found:
        raise InputError(f"{path}: no document has a field {field!r}; name another with --field")


def _row(values: Any) -> NDArray[np.float32] | None:
    try:
        row = np.asarray(unpacked(values))
    except ValueError:  # lists of different lengths
        return None
    if row.dtype.kind == "O" and row.ndim == 1 and all(type(x) in _NUMBERS for x in row):
        row = row.astype(np.float64)
    if row.ndim != 1 or row.dtype.kind not in "fiu":
        return None
    with np.errstate(over="ignore"):  # infinite then, which is refused with the number of them
        return row.astype(np.float32)


def _load_labels(path: Path, n: int) -> NDArray[Any]:
    if path.suffix == ".npy":
        try:
            labels: NDArray[Any] = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise InputError(f"{path}: not an npy array, or a truncated one ({error})") from error
    else:
        labels = np.asarray(read_lines(path))
    if labels.ndim != 1 or len(labels) != n:
        raise InputError(
            f"{path}: expected a label for each of the {n} vectors, got shape {labels.shape}"
        )
    return labels.astype(str)


def count_rows(path: Path) -> int | None:
    """How many documents a file has, where that can be told without reading it all."""
    if path.is_file() and path.suffix == ".npy":
        return len(_load_npy(path))
    if path.is_file() and path.suffix in (".parquet", ".pq"):
        return count_parquet_rows(path)
    return None


def _kind(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix not in KINDS:
        raise InputError(
            f"{path}: expected a file ending in .npy, .parquet, .ndjson or .jsonl, "
            f"got {path.suffix or 'no ending'!r}"
        )
    return KINDS[path.suffix]


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # for a spoiled header NumPy raises what its parsers raise
        raise InputError(f"{path}: not an npy array, or a truncated one ({error})") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: expected a matrix (n, dims) of numbers, got {array.shape} of {array.dtype}"
        )
    return array


def _npy_documents(path: Path, field: str, ids: Path | None) -> Iterator[Document]:
    vectors = _load_npy(path)
    names = _names(path, len(vectors), ids)
    for row, vector in enumerate(np.asarray(vectors)):  # a `memmap` makes rows of its own kind
        source: dict[str, Any] = {}
        put_at(source, field, np.asarray(vector, dtype=np.float32))
        name = str(row) if names is None else names[row]
        yield Document(name, source, f"{path.name} row {row}")


def _names(path: Path, n: int, ids: Path | None) -> list[str] | None:
    """The ids of n vectors, if they are given."""
    if ids is None:
        return None
    names = read_lines(ids)
    if len(names) != n:
        raise InputError(
            f"{ids} has {len(names)} lines, and {path.name} has {n} vectors; "
            f"expected one id a line for each vector"
        )
    return names
