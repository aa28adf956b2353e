"""What may stand in a definition's places: values of the few types that a parameter can have."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import InputError

Type = Literal["string", "integer", "number", "boolean", "vector", "strings"]
#: Whose values may stand inside a longer text.
IN_TEXT: frozenset[Type] = frozenset({"string", "integer", "number"})
#: Of a query string that names parameters, what says how the answer is written.
OF_THE_ANSWER = frozenset({"pretty"})
_BOUNDED: frozenset[Type] = frozenset({"integer", "number"})
#: What both engines and JSON libraries read as whole numbers.
_LEAST, _MOST = -(2**63), 2**63 - 1
#: As large as what a clause counts may be.
_LARGE = 10_000
#: Characters of a value in a message.
_SHOWN = 60


def _is_string(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a letter, which no JSON has
        return False
    return True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _LEAST <= value <= _MOST


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


#: By type: what is expected, whether a value is that, and one that is.
_TYPES: Mapping[Type, tuple[str, Callable[[Any], bool], Any]] = {
    "string": ("a text", _is_string, "a"),
    "integer": ("a whole number", _is_integer, 1),
    "number": ("a number", _is_number, 1.0),
    "boolean": ("true or false", lambda value: isinstance(value, bool), True),
    "vector": (
        "an array of finite numbers",
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_number, value)),
        [1.0, 0.5],
    ),
    "strings": (
        "an array of texts",
        lambda value: isinstance(value, list) and all(map(_is_string, value)),
        ["a"],
    ),
}


class Parameter(BaseModel):
    """What a definition says of one of its parameters.

    Attributes:
        type: of its values.
        default: where none is given; without one it must be given.
        min: the least that a number may be.
        max: the largest.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: Type
    default: Any = None
    min: int | float | None = Field(default=None, allow_inf_nan=False)
    max: int | float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _makes_sense(self) -> "Parameter":
        if self.type not in _BOUNDED and not (self.min is None and self.max is None):
            raise ValueError(f"'min' and 'max' are for numbers, and this is a {self.type}")
        if not self._is_within(self.sample()) and not self.has_default:
            raise ValueError(f"no number is {self._expected}")
        if self.has_default:
            self.checked("default", self.default)
        return self

    @property
    def has_default(self) -> bool:
        """Whether it may be left out."""
        return "default" in self.model_fields_set

    @property
    def _expected(self) -> str:
        words = _TYPES[self.type][0]
        words += "" if self.min is None else f", {self.min} or more"
        return words + ("" if self.max is None else f", {self.max} or less")

    def checked(self, name: str, value: Any) -> Any:
        """The value as JSON has it: lists in place of arrays and tuples.

        Args:
            name: of the parameter, for the message.
            value: what was given.

        Raises:
            InputError: it is of another type, or out of bounds.
        """
        if isinstance(value, np.ndarray | np.generic):
            value = value.tolist()
        elif isinstance(value, tuple):
            value = list(value)
        if not (_TYPES[self.type][1](value) and self._is_within(value)):
            raise self._refused(name, value)
        return value

    def _is_within(self, value: Any) -> bool:
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def read(self, name: str, text: str) -> Any:
        """A value out of a text: a string is the text itself, all else is JSON.

        Raises:
            InputError: see `checked`.
        """
        if self.type == "string":
            return self.checked(name, text)
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise self._refused(name, text) from None
        return self.checked(name, value)

    def sample(self, *, most: bool = False) -> Any:
        """A value that may be given: the default, if there is one.

        Args:
            most: of a number one of the largest.
        """
        if self.has_default:
            return self.checked("default", self.default)
        value = _TYPES[self.type][2]
        if self.type not in _BOUNDED:
            return value
        value = _LARGE if most else value
        if self.min is not None and value < self.min:
            value = self.min if self.type == "number" else math.ceil(self.min)
        if self.max is not None and value > self.max:
            value = self.max if self.type == "number" else math.floor(self.max)
        return value

    def _refused(self, name: str, value: Any) -> InputError:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        in_json = ", in JSON" if isinstance(value, str) and self.type != "string" else ""
        return InputError(
            f"parameter {name!r}: expected {self._expected} ({self.type}{in_json}), got {shown}"
        )
