"""Where in a search body clauses stand, and what narrows each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any, TypeVar

from ...errors import ClauseError
from .clauses import NAMES, SIMILAR, Clause, contains_clause, parse_clause

#: `bool` children that hold for every hit, so that they narrow what is searched.
_NARROWING = ("must", "filter")
#: What a search body says of fields that are in no mapping: queries may speak of these.
DEFINITIONS = ("runtime_mappings", "derived")
#: Queries that pass the hits of an inner query on: name to where it stands.
_WRAPPERS = {
    "constant_score": ("filter",),
    "function_score": ("query",),
    "script_score": ("query",),
    "boosting": ("positive",),
    "dis_max": ("queries",),
    "hybrid": ("queries",),
}

Path = tuple[str | int, ...]
Query = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A clause where it stands.

    Attributes:
        path: keys and positions from the query's root to the clause.
        field: the vector field.
        clause: what is asked.
        filters: queries beside it that every hit must match.
        exclusions: queries beside it that no hit may match.
        defined: what the body says of fields that these may speak of; goes wherever they go.
    """

    path: Path
    field: str
    clause: Clause
    filters: tuple[Query, ...]
    exclusions: tuple[Query, ...]
    defined: Mapping[str, Any] = dataclass_field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """The documents that the clause names."""
        return [operand.id for operand in self.clause.operands if operand.id is not None]


def find_sites(body: Mapping[str, Any]) -> list[Site]:
    """All clauses in a search body, with the filters that hold for each.

    Raises:
        ClauseError: a clause that cannot be read, or stands where it cannot be rewritten.
    """
    for key, part in body.items():
        if key != "query" and contains_clause(part):
            raise ClauseError(
                f"a meta4 clause cannot stand in '{key}' of a search body; it stands in 'query'"
            )
    query = body.get("query")
    if not contains_clause(query):
        return []
    sites = list(_walk(query, (), (), ()))
    defined = {key: body[key] for key in DEFINITIONS if key in body}
    return [replace(site, defined=defined) for site in sites] if defined else sites


N = TypeVar("N", int, float)


def number_in(body: Mapping[str, Any], name: str, default: N) -> N:
    """A number of a search body, of the default's type; digits in a text are one, as to engines.

    Raises:
        ClauseError: something else, or less than 0.
    """
    value = body.get(name, default)
    try:
        number = type(default)(value)
    except (TypeError, ValueError, OverflowError):
        number = type(default)(-1)
    if isinstance(value, bool) or number < 0:
        raise ClauseError(f"{name}: expected a number, 0 or more, got {str(value)[:60]!r}")
    return number


def _walk(
    query: Any, path: Path, filters: tuple[Query, ...], exclusions: tuple[Query, ...]
) -> Iterator[Site]:
    if not isinstance(query, dict) or len(query) != 1:
        if not contains_clause(query):
            return
        raise ClauseError(
            f"query at {_where(path)}: expected an object with one key, as in "
            f'{{"{SIMILAR}": {{FIELD: {{…}}}}}}'
        )
    ((name, body),) = query.items()
    if name in NAMES:
        field, clause = parse_clause(name, body, _where(path))
        yield Site(path, field, clause, filters, exclusions)
    elif name == "bool" and isinstance(body, dict):
        yield from _walk_bool(body, (*path, "bool"), filters, exclusions)
    elif name in _WRAPPERS and isinstance(body, dict):
        for key, inner in body.items():
            if key in _WRAPPERS[name]:
                yield from _walk_children(inner, (*path, name, key), filters, exclusions)
            elif contains_clause(inner):
                raise _misplaced(f"'{key}' of '{name}'", path)
    elif contains_clause(body):
        raise _misplaced(f"'{name}'", path)


def _walk_bool(
    body: Query, path: Path, filters: tuple[Query, ...], exclusions: tuple[Query, ...]
) -> Iterator[Site]:
    if contains_clause(body.get("must_not")):
        raise _misplaced("'must_not'", path)
    plain = tuple(
        child
        for key in _NARROWING
        for child in _as_list(body.get(key))
        if not contains_clause(child)
    )
    for key, inner in body.items():
        if key not in (*_NARROWING, "should", "must_not") and contains_clause(inner):
            raise _misplaced(f"'{key}' of 'bool'", path)
    within = (*filters, *plain)
    without = (*exclusions, *_as_list(body.get("must_not")))
    for key in (*_NARROWING, "should"):
        if key in body:
            yield from _walk_children(body[key], (*path, key), within, without)


def _walk_children(
    children: Any, path: Path, filters: tuple[Query, ...], exclusions: tuple[Query, ...]
) -> Iterator[Site]:
    if isinstance(children, list):
        for i, child in enumerate(children):
            yield from _walk(child, (*path, i), filters, exclusions)
    else:
        yield from _walk(children, path, filters, exclusions)


def _misplaced(place: str, path: Path) -> ClauseError:
    return ClauseError(
        f"a meta4 clause cannot stand in {place} (at {_where(path)}); it may be the query itself, "
        f"or stand in bool (must, filter, should), {', '.join(sorted(_WRAPPERS))}"
    )


def _where(path: Path) -> str:
    return ".".join(str(part) for part in ("query", *path))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
