"""Documents as JSON: what the engines' own clients write is written as they do, and more.

Dates and times are ISO 8601 text, durations too; a decimal is a number with all its digits, bytes
are base64 as fields of type `binary` take it, arrays are lists. JSON has no NaN and no infinity:
they are refused, as the engines refuse them.
"""

import base64
import json
import math
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

from ..errors import InputError

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
#: orjson reads integers from here on as floats, and writes none beyond 64 bits.
_LARGE = 2.0**63
#: What orjson makes of JSON that may be such a float, or have one in it.
_NOT_EXACT = frozenset({float, list, dict})
#: Lists and objects within each other that orjson writes.
_DEEPEST = 250
#: Letters that a message has of where a value stands.
_PLACE = 200
#: What stands in place of a value that JSON does not have, given where it is and why.
_Stand = Callable[[Any, str, str], Any]


class JsonError(InputError):
    """A value that JSON does not have; the message says where, and what."""


def read_json(line: bytes, skip: str | None = None) -> Any:
    """A JSON value, with integers of any size.

    Args:
        line: its text.
        skip: a member of the outermost object whose numbers need not be exact.

    Raises:
        orjson.JSONDecodeError: it is none.
    """
    value = orjson.loads(line)
    if isinstance(value, dict):
        looked_at = [v for name, v in value.items() if name != skip and type(v) in _NOT_EXACT]
    else:
        looked_at = [value]
    if not _has_large(looked_at):
        return value
    try:
        return json.loads(line)
    except RecursionError:  # refused for its depth further on
        return value


def _has_large(waiting: list[Any]) -> bool:
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind is float:
            if one >= _LARGE or one <= -_LARGE:
                return True
        elif kind is list:
            waiting += one
        elif kind is dict:
            waiting += one.values()
    return False


def to_json(value: Any, *, sort: bool = False) -> bytes:
    """A value as JSON.

    Raises:
        JsonError: it has a part that JSON does not have.
    """
    options = _OPTIONS | (orjson.OPT_SORT_KEYS if sort else 0)
    try:
        written = orjson.dumps(value, default=_written, option=options)
    except orjson.JSONEncodeError:
        return orjson.dumps(_plain(value, _refuse), option=options)
    if b"null" in written:  # which is what orjson makes of NaN, too
        _plain(value, _refuse)
    return written


def to_json_somehow(value: Any) -> bytes:
    """The same for people to correct: null or a text stands for what JSON does not have."""
    return orjson.dumps(_plain(value, _something), option=_OPTIONS)


def shortest(values: NDArray[np.float32]) -> list[Any]:
    """An array as lists of the shortest numbers that are the same in float32."""
    written: list[Any] = orjson.loads(orjson.dumps(np.ascontiguousarray(values), option=_OPTIONS))
    return written


def number_of(value: Decimal) -> Any:
    """A decimal as the number that is written of it, all digits of it."""
    if value.as_tuple().exponent != 0 and Decimal(repr(float(value))) == value:
        return float(value)
    return orjson.Fragment(format(value, "f"))


def duration_of(nanoseconds: int) -> str:
    """A duration in ISO 8601, in seconds."""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{'-' if nanoseconds < 0 else ''}PT{seconds}{fraction}S"


def _written(value: Any) -> Any:
    """What orjson does not know, as something that it knows.

    Raises:
        TypeError: there is nothing.
    """
    if isinstance(value, Decimal) and value.is_finite():
        return number_of(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, timedelta):
        return duration_of(value // timedelta(microseconds=1) * 1000)
    if type(value).__name__ in ("NAType", "NaTType"):  # of pandas: no value
        return None
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError


def _plain(value: Any, stand: _Stand, place: str = "", depth: int = 0) -> Any:
    """The same of what orjson writes, with something else in place of what it does not."""
    if value is None or isinstance(value, bool | date | time | UUID | orjson.Fragment):
        return value if type(value).__name__ != "NaTType" else None
    if depth > _DEEPEST:
        return stand(value, place, f"more than {_DEEPEST} lists and objects within each other")
    if isinstance(value, str):
        fault = "a text that is no Unicode"
        return value if _is_unicode(value) else stand(value, place, fault)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else orjson.Fragment(str(int(value)))
    if isinstance(value, float):
        fault = f"{float(value)!r} is no number in JSON; leave it out, or write null"
        return float(value) if math.isfinite(value) else stand(value, place, fault)
    if isinstance(value, dict):
        copied = {}
        for key, inner in value.items():
            name = _name(key, stand, place)
            copied[name] = _plain(inner, stand, f"{place}.{name}" if place else name, depth + 1)
        return copied
    if isinstance(value, list | tuple):
        return [_plain(one, stand, f"{place}[{i}]", depth + 1) for i, one in enumerate(value)]
    if isinstance(value, Enum):
        return _plain(value.value, stand, place, depth + 1)
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    try:
        other = _written(value)
    except TypeError:
        return stand(value, place, f"JSON has no {type(value).__name__}")
    return _plain(other, stand, place, depth + 1)


def _name(key: Any, stand: _Stand, place: str) -> str:
    """A key as Python's own JSON writes it."""
    if key is None or isinstance(key, bool | int | float):
        return json.dumps(key)
    if isinstance(key, str) and _is_unicode(key):
        return str(key)
    return str(stand(key, place, f"{key!a} is no name of a field"))


def _is_unicode(text: str) -> bool:
    """Whether it has no half of a pair of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _refuse(_value: Any, place: str, why: str) -> Any:
    raise JsonError(f"{_shown(place)[:_PLACE]}: {why}" if place else why)


def _something(value: Any, _place: str, _why: str) -> Any:
    if isinstance(value, float | Decimal):
        return None
    if isinstance(value, str):
        return _shown(value)
    try:
        return ascii(value)
    except RecursionError:
        return "…"
