"""Places in a definition's body, `{{name}}`: which there are, and what stands there at last.

Values are put into the parsed body, never into its text. A string that is a place and nothing else
becomes the value with its type; inside a longer string a place becomes text, and the string stays
one. What was put in is not looked through for places. So a value can be no key, no clause and no
other part of a body. What is left are strings that an engine reads as a language of its own, in
which a value could say more than itself: places are refused there.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from ...errors import InputError
from ..search.clauses import DEEPEST
from ..search.sites import Path
from .parameters import IN_TEXT, Parameter

#: What a parameter may be called: what Python, too, can.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLACE = re.compile(rf"\{{\{{({NAME.pattern})\}}\}}")
_BRACES = ("{{", "}}")
#: Keys below which any string may be a language: syntax of queries, patterns, whole queries.
_LANGUAGES = frozenset(
    {
        "query_string",
        "simple_query_string",
        "kql",
        "wildcard",
        "regexp",
        "regex",
        "wrapper",
        "template",
        "agentic",
        "collate",
        "categorization_filters",
        "categorization_analyzer",
        "search_pipeline",
        "wkt",
    }
)
#: Keys below which a text may be a shape in words (WKT), and numbers are numbers.
_SHAPES = frozenset({"shape", "geo_shape", "geo_bounding_box", "geo_polygon"})
_NUMERIC = frozenset({"integer", "number"})
#: What below a script's key is no part of it: its parameters; a script of its own, in a sort.
_IN_SCRIPTS = (("params",), ("script",))
#: Of an aggregation of terms: a pattern where it is one string, terms where it is an array.
_PATTERNS = frozenset({"include", "exclude"})


class Place(NamedTuple):
    """A string with places in it.

    Attributes:
        path: keys and positions from the body's root to the string.
        names: of the parameters in it.
        is_whole: whether it is one place and nothing else.
    """

    path: Path
    names: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        said = " and ".join(f"{{{{{name}}}}}" for name in self.names)
        return f"{said} in body.{'.'.join(map(str, self.path))}"


def places_in(body: Any, path: Path = ()) -> Iterator[Place]:
    """All places of a body.

    Raises:
        InputError: braces that are no place, or stand in a key; objects nested too deep.
    """
    if len(path) > DEEPEST:
        raise InputError(f"body: nested deeper than {DEEPEST} objects and lists")
    if isinstance(body, str):
        pieces = _PLACE.split(body)
        if any(braces in piece for piece in pieces[::2] for braces in _BRACES):
            raise InputError(
                f"body.{'.'.join(map(str, path))}: expected places as in '{{{{name}}}}', of "
                f"letters, digits and '_' and without spaces, got {body[:80]!r}"
            )
        if names := pieces[1::2]:
            yield Place(path, tuple(dict.fromkeys(names)), pieces == ["", names[0], ""])
    elif isinstance(body, dict):
        for key, part in body.items():
            if any(braces in key for braces in _BRACES):
                raise InputError(
                    f"body.{'.'.join(map(str, path))}: a parameter cannot be a key, as in "
                    f"{key[:80]!r}; write the key itself"
                )
            yield from places_in(part, (*path, key))
    elif isinstance(body, list):
        for i, part in enumerate(body):
            yield from places_in(part, (*path, i))


def check_place(place: Place, parameters: Mapping[str, Parameter]) -> None:
    """Refuse a place whose parameter is not declared, or whose value could leave it.

    Raises:
        InputError: it is such a one.
    """
    for name in place.names:
        if name not in parameters:
            raise InputError(f"{place}: 'parameters' does not declare {name!r}")
        kind = parameters[name].type
        if not place.is_whole and kind not in IN_TEXT:
            raise InputError(
                f"{place}: a {kind} cannot stand inside a longer text; let the place be the whole "
                f"string, or declare one of {', '.join(sorted(IN_TEXT))}"
            )
    is_number = place.is_whole and parameters[place.names[0]].type in _NUMERIC
    for at, key in enumerate(place.path):
        if key in _SHAPES and not is_number:
            raise InputError(
                f"{place}: a text may be a shape below '{key}', and not the one that was meant; "
                f"write coordinates there, each a place of its own for a number"
            )
        if key in _LANGUAGES or str(key).endswith("_template"):
            raise InputError(
                f"{place}: what stands in '{key}' is a language, in which a value could say more "
                f"than itself; ask with match, term, terms or prefix, which take it as it is"
            )
        if _is_script(key) and place.path[at + 1 : at + 2] not in _IN_SCRIPTS:
            raise InputError(
                f"{place}: a value cannot be a part of a script ('{key}'); hand it over in the "
                f"script's 'params'"
            )
    if place.path and place.path[-1] in _PATTERNS:
        if place.is_whole and parameters[place.names[0]].type == "strings":
            return
        raise InputError(
            f"{place}: a string is a pattern there; declare 'strings', or let it stand in an array"
        )


def _is_script(key: str | int) -> bool:
    """Sources are named so: `script`, and the `init_script` of an aggregation, say."""
    return isinstance(key, str) and (key == "script" or key.endswith("_script"))


def filled(body: Any, values: Mapping[str, Any]) -> Any:
    """The body with a value in each place; what was given is not changed.

    Args:
        body: with places that `places_in` and `check_place` took.
        values: by name, of each parameter in it.
    """
    if isinstance(body, str):
        whole = _PLACE.fullmatch(body)
        if whole is not None:
            return values[whole[1]]
        return _PLACE.sub(lambda found: _as_text(values[found[1]]), body)
    if isinstance(body, dict):
        return {key: filled(part, values) for key, part in body.items()}
    if isinstance(body, list):
        return [filled(part, values) for part in body]
    return body


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
