"""What a vector must be before it is hashed, searched for or trained on."""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbeddingError

T = TypeVar("T", np.float32, np.float64)
Embeddings = NDArray[np.float32]
#: Called with (what is being done, steps done, steps in all).
Progress = Callable[[str, int, int], None]
#: A squared length within these has no NaN, and no number that float32 takes for infinite; and
#: some that float32 does not take for zero, in up to 1e30 dimensions.
_SHORTEST, _LONGEST = 1e-44, 1e76
#: The length of a vector is kept as float32.
LONGEST = float(np.finfo(np.float32).max)
#: A length that misses 1 by no more than this is meant to be 1: engines scale in float32 too.
UNIT_TOLERANCE = 1e-5
#: A vector of length 1 that is rounded to float32 misses it by no more than this.
UNIT_ROUNDING = 1e-7
#: Numbers that BLAS multiplies with a vector without waking a thread: OpenBLAS from 9,216.
_BLOCK = 4_096
#: Multiplications of two matrices that it does without: OpenBLAS up to 2 ** 18. Of their inner
#: axis, so many numbers at once leave a block enough rows.
_MATRIX, _DEEP = 1 << 18, 128


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """The progress callback that shows nothing."""


def as_embedding(values: Any, dims: int, *, what: str = "embedding") -> Embeddings:
    """One vector, checked.

    Args:
        values: a sequence of numbers, or what `unpacked` makes one of.
        dims: the length that is expected.
        what: how the vector is called in the error's message.

    Returns:
        (dims,) float32, finite, not all zero.

    Raises:
        EmbeddingError: wrong length, not numbers, NaN or infinite, or zero.
    """
    doubles = _plainly_sound(values, dims)
    if doubles is not None:
        return doubles.astype(np.float32)
    values = unpacked(values)
    fault = embedding_fault(values, dims)
    if fault is not None:
        raise EmbeddingError(f"{what}: {fault}")
    return np.asarray(values, dtype=np.float32)


def packed(vector: NDArray[np.float32]) -> str:
    """(dims,) float32 as base64 of big-endian numbers; see `unpacked`."""
    return base64.b64encode(vector.astype(">f4").tobytes()).decode()


def unpacked(values: Any) -> Any:
    """A vector out of base64 of big-endian float32 numbers, as Elasticsearch takes it.

    It is what `elasticsearch.helpers.pack_dense_vector` makes. Anything else is given back.
    """
    if not isinstance(values, str):
        return values
    try:
        filled = values + "=" * (-len(values) % 4)  # which Elasticsearch does not ask for
        packed = base64.b64decode(filled, validate=True)
    except ValueError:
        return values
    if not packed or len(packed) % 4:
        return values
    return np.frombuffer(packed, dtype=">f4").astype(np.float32)


def embedding_fault(values: Any, dims: int) -> str | None:
    """Why `values` is no embedding of `dims` numbers, in words, or None.

    Packed ones (`unpacked`) are one.
    """
    if _plainly_sound(values, dims) is not None:
        return None
    if isinstance(values, str):
        values = unpacked(values)
        if isinstance(values, str) or len(values) != dims:
            return f"expected a list of {dims} numbers, or the base64 of as many float32, got text"
    if not isinstance(values, list | tuple | np.ndarray):
        return f"expected a list of {dims} numbers, got {type(values).__name__}"
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            return f"expected {dims} numbers, got an array {values.shape} of {values.dtype}"
    else:
        for position, value in enumerate(values):
            if type(value) is float or type(value) is int:
                continue
            if not isinstance(value, np.floating | np.integer | Decimal):
                got = "a nested list" if isinstance(value, list | tuple) else repr(value)[:40]
                return f"expected {dims} numbers, got {got} at position {position}"
    if len(values) != dims:
        return f"expected {dims} dimensions, got {len(values)}"
    with np.errstate(over="ignore"):
        try:
            array = np.asarray(values, dtype=np.float32)
        except OverflowError:
            return "a number is too large for float32"
    finite = np.isfinite(array)
    if not finite.all():
        position = int(np.argmin(finite))
        number = float(values[position])
        return f"expected finite float32 numbers, got {number!r} at position {position}"
    # The norm in float64: float32 numbers below 1e-23 would square to zero.
    length = float(np.sqrt(np.square(array.astype(np.float64)).sum()))
    if length == 0.0:
        return "a zero vector has no direction, so no cosine; leave the field out instead"
    if length > LONGEST:
        return f"its length, {length:.3g}, is too large for float32; scale the vector"
    return None


def _plainly_sound(values: Any, dims: int) -> NDArray[np.float64] | None:
    """The numbers of a list or an array, where a look at the whole tells that they are sound.

    Every document and every query comes by here.
    """
    if isinstance(values, list):
        seen = len(values) == dims and set(map(type, values)) == {float}
    else:
        seen = isinstance(values, np.ndarray) and values.shape == (dims,)
        seen = seen and values.dtype in (np.float32, np.float64)
    if not seen:
        return None
    doubles = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        square = doubles @ doubles
    return doubles if _SHORTEST < square < _LONGEST else None


def as_training_embeddings(values: Any) -> Embeddings:
    """A matrix to fit a model on, checked: (n, dims) float32, finite, no zero rows.

    Raises:
        EmbeddingError: the array is no matrix of numbers, is empty, or has a bad row.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        raise EmbeddingError(
            f"training data: expected a matrix (n, dims) of numbers, "
            f"got shape {array.shape} of {array.dtype}"
        )
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise EmbeddingError(
            f"training data: {int(bad.sum())} of {len(array)} rows have NaN or infinite "
            f"numbers, the first is row {int(np.argmax(bad))}; leave them out"
        )
    zero = ~array.any(axis=1)
    if zero.any():
        raise EmbeddingError(
            f"training data: {int(zero.sum())} of {len(array)} rows are zero vectors, "
            f"the first is row {int(np.argmax(zero))}; leave them out"
        )
    return array


def products(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Products of rows with one vector, on this thread alone.

    BLAS shares a large one out among threads, which go on spinning for milliseconds after it, on
    cores that a server may want. It leaves small ones where they are.

    Args:
        rows: (n, dims) float32.
        vector: (dims,) float32.

    Returns:
        (n,) float32.
    """
    n, dims = rows.shape
    height = max(1, _BLOCK // dims)
    rest = n - n % height
    found: NDArray[np.float32] = np.empty(n, dtype=np.float32)
    np.matmul(rows[:rest].reshape(-1, height, dims), vector, out=found[:rest].reshape(-1, height))
    np.matmul(rows[rest:], vector, out=found[rest:])
    return found


def matrix_products(rows: NDArray[T], columns: NDArray[T]) -> NDArray[T]:
    """Products of rows with many vectors, on this thread alone; see `products`.

    Args:
        rows: (n, dims).
        columns: (dims, m), a vector in each column.

    Returns:
        (n, m) sums, in no certain order.
    """
    (n, dims), m = rows.shape, columns.shape[1]
    columns = np.ascontiguousarray(columns)  # a tenth faster
    found = np.empty((n, m), dtype=rows.dtype)
    added = np.empty_like(found) if dims > _DEEP else found
    for start in range(0, dims, _DEEP):
        left, right = rows[:, start : start + _DEEP], columns[start : start + _DEEP]
        into = added if start else found
        height = max(1, _MATRIX // (m * len(right)))
        rest = n - n % height
        np.matmul(
            left[:rest].reshape(-1, height, len(right)),
            right,
            out=into[:rest].reshape(-1, height, m),
        )
        np.matmul(left[rest:], right, out=into[rest:])
        if start:
            found += added
    return found


def unit(embeddings: NDArray[Any]) -> NDArray[np.float64]:
    """Rows (or the one vector) scaled to length 1, in float64."""
    x = np.asarray(embeddings, dtype=np.float64)
    # What np.linalg.norm does, at half the price for one vector.
    result: NDArray[np.float64] = x / np.sqrt(np.add.reduce(x * x, axis=-1, keepdims=True))
    return result


def lengths_of(embeddings: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) lengths of (n, dims) rows.

    Squares are added one after the other, as a script adds them: the last bit is the same.
    """
    squares = np.square(embeddings, dtype=np.float64)
    lengths: NDArray[np.float64] = np.sqrt(np.add.accumulate(squares, axis=1)[:, -1])
    return lengths


def unit_float32(embeddings: Embeddings) -> Embeddings:
    """Rows scaled to length 1, in float32.

    Those that have it already, as nearly as float32 can say it, stay as they are: what is scaled
    again does not change. The server's pipeline does the same, bit by bit.

    Args:
        embeddings: (n, dims) float32, finite, no zero rows.

    Returns:
        (n, dims) float32.
    """
    lengths = lengths_of(embeddings)[:, None]
    is_unit = np.abs(lengths - 1.0) <= UNIT_ROUNDING
    x = embeddings.astype(np.float64)
    scaled: Embeddings = np.where(is_unit, x, x / lengths).astype(np.float32)
    return scaled


def are_unit(embeddings: Embeddings) -> NDArray[np.bool_]:
    """Which rows of (n, dims) have length 1, but for what is lost in float32."""
    near: NDArray[np.bool_] = np.abs(lengths_of(embeddings) - 1.0) <= UNIT_TOLERANCE
    return near
