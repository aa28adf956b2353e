"""What pydantic found wrong, in words."""

from typing import Any, NamedTuple

from pydantic import ValidationError

#: How the tags of what may be one thing or another begin: they stand in no place.
TAGGED = "as "


class Fault(NamedTuple):
    """The first thing wrong with a value.

    Attributes:
        place: where in it, its parts joined by dots; empty for the whole.
        message: what was expected.
        got: what was there instead.
        is_missing: whether nothing was.
    """

    place: str
    message: str
    got: Any
    is_missing: bool


def first_fault(error: ValidationError) -> Fault:
    """What an error says first."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"] if not str(part).startswith(TAGGED))
    message = str(first["msg"]).removeprefix("Value error, ")
    return Fault(place, message, first.get("input"), first["type"] == "missing")
