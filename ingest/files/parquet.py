"""Rows of Parquet files, as documents.

A type that JSON has not becomes what the engines know of it: times and durations are ISO 8601
text with all their digits, an instant with a zone in UTC, and a map is an object.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, MissingExtraError
from ..json_values import duration_of

_ROWS = 1000
_IN_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_TENSORS = ("arrow.fixed_shape_tensor",)


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Each row, by columns.

    Raises:
        InputError: no Parquet file, or one that is spoiled.
        MissingExtraError: pyarrow is not installed.
    """
    file, pyarrow = _opened(path)
    batches = file.iter_batches(batch_size=_ROWS)
    number = 0
    while True:
        try:
            batch = next(batches, None)
            columns = [] if batch is None else [_values(column) for column in batch.columns]
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read after row {number:,} ({error})") from error
        if batch is None:
            return
        number += batch.num_rows
        names = batch.schema.names
        for row in zip(*columns, strict=True):
            yield dict(zip(names, row, strict=True))


def count_parquet_rows(path: Path) -> int:
    """How many a file has.

    Raises:
        InputError, MissingExtraError: see `parquet_rows`.
    """
    return int(_opened(path)[0].metadata.num_rows)


def check_columns(path: Path, fields: Collection[str], id_field: str | None) -> None:
    """Refuse a file whose columns cannot be what they are to be.

    Raises:
        InputError: a hashed field of bytes, or no column of the ids; see `parquet_rows` too.
        MissingExtraError: see there.
    """
    file, pyarrow = _opened(path)
    types = list(_types(file.schema_arrow, pyarrow))
    for name, kind in types:
        if name in fields and _is_binary(kind, pyarrow.types):
            raise InputError(
                f"{path}: column {name!r} is {kind}, and what these bytes are is not said; "
                f"expected a list of numbers, or a string"
            )
    names = [name for name, _ in types]
    if id_field is not None and id_field not in names:
        raise InputError(
            f"{path}: no column {id_field!r}, which --id-field names; "
            f"there are {', '.join(map(repr, names[:20]))}"
        )


def _opened(path: Path) -> tuple[Any, Any]:
    """The file, and pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "reading Parquet") from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from error
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise InputError(f"{path}: several columns are called {min(doubled)!r}; expected one")
    return file, pyarrow


def _types(fields: Any, pyarrow: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Full names of columns and of what is in them, with their types; those of lists' values."""
    for field in fields:
        kind, name = field.type, f"{before}{field.name}"
        yield name, kind
        while _has_values(kind, pyarrow.types):
            kind = kind.value_type
        if pyarrow.types.is_struct(kind):
            yield from _types(kind, pyarrow, f"{name}.")


def _has_values(kind: Any, types: Any) -> bool:
    """Whether it is a list of some kind, or a dictionary's."""
    return hasattr(kind, "value_type") and not types.is_map(kind)


def _is_binary(kind: Any, types: Any) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _values(array: Any) -> list[Any]:
    """An array's values, as text where Python's own would lose something."""
    from pyarrow import BaseExtensionType, types

    kind = array.type
    if isinstance(kind, BaseExtensionType) and kind.extension_name in _TENSORS:
        found = _values(array.storage)
    elif types.is_dictionary(kind):
        found = _values(array.dictionary_decode())
    elif types.is_date(kind) or types.is_timestamp(kind):
        found = _instants(array)
    elif types.is_time(kind):
        found = _integers(array, _time)
    elif types.is_duration(kind):
        found = _integers(array, duration_of)
    elif types.is_struct(kind) and kind.num_fields:
        columns = [_values(column) for column in array.flatten()]
        names = [field.name for field in kind]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        missing = array.is_null().to_pylist()
        found = [None if gone else row for gone, row in zip(missing, rows, strict=True)]
    elif types.is_map(kind):
        pairs = list(zip(_values(array.keys), _values(array.items), strict=True))
        found = [None if part is None else dict(part) for part in _parts(array, pairs)]
    elif _has_values(kind, types) and _is_special(kind.value_type, types):
        found = _parts_of_lists(array)
    else:
        found = array.to_pylist()
    return found


def _is_special(kind: Any, types: Any) -> bool:
    """Whether Arrow itself does not make Python's values of it as we do."""
    if types.is_struct(kind):
        return any(_is_special(field.type, types) for field in kind)
    if _has_values(kind, types):
        return _is_special(kind.value_type, types)
    return bool(types.is_temporal(kind) or types.is_map(kind))


def _parts_of_lists(array: Any) -> list[Any]:
    """Lists, of whatever kind, of values that are special."""
    from pyarrow import compute

    lengths = compute.list_value_length(array).to_pylist()
    values = iter(_values(array.flatten()))
    return [None if n is None else [next(values) for _ in range(n)] for n in lengths]


def _parts(array: Any, pairs: Sequence[Any]) -> list[Any]:
    """The pairs of each map."""
    ends, missing = array.offsets.to_pylist(), array.is_null().to_pylist()
    return [
        None if gone else pairs[start:end]
        for gone, start, end in zip(missing, ends[:-1], ends[1:], strict=True)
    ]


def _instants(array: Any) -> list[str | None]:
    """Days and instants; a year may have more digits than Python's own."""
    values = array.to_numpy(zero_copy_only=False)
    is_day = not hasattr(array.type, "tz")
    if is_day:
        values = values.astype("datetime64[D]")
    zone = "Z" if not is_day and array.type.tz else ""
    missing = array.is_null().to_pylist()
    texts = np.datetime_as_string(values).tolist()
    return [
        None if gone else _without_zeros(text) + zone
        for gone, text in zip(missing, texts, strict=True)
    ]


def _integers(array: Any, convert: Callable[[int], str]) -> list[str | None]:
    """What Arrow keeps as a number of parts of a second, given nanoseconds."""
    from pyarrow import int32, int64

    factor = 10**9 // _IN_A_SECOND[array.type.unit]
    kept = array.cast(int32() if array.type.bit_width == 32 else int64()).to_pylist()
    return [None if value is None else convert(value * factor) for value in kept]


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return _without_zeros(f"{hour:02}:{minute:02}:{second:02}.{rest:09}")


def _without_zeros(text: str) -> str:
    """A time without a fraction that is zero."""
    whole, _, fraction = text.partition(".")
    return text if fraction.strip("0") else whole
