"""The two clauses, and where in a query they may stand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from ...errors import ClauseError
from ...models.faults import TAGGED, first_fault
from ...models.stopping.record import AtLeast

SIMILAR, ANALOGY = "meta4_similar", "meta4_analogy"
_NAMES = (SIMILAR, ANALOGY)
#: More is a scan; engines cap a result page at 10,000 as well.
MAX_K = 10_000
#: `bool` children that hold for every hit, so that they narrow what is searched.
_NARROWING = ("must", "filter")
#: What a search body says of fields that are in no mapping: queries may speak of these.
DEFINITIONS = ("runtime_mappings", "derived")
#: Objects and lists in each other. Engines take 20 or 30 queries, of up to three each.
_DEEPEST = 200
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
K = Annotated[int, Field(ge=1, le=MAX_K)]
Recall = Annotated[
    Annotated[float, Field(gt=0.0, le=1.0), Tag(f"{TAGGED}a mean")]
    | Annotated[AtLeast, Tag(f"{TAGGED}a share")],
    Discriminator(lambda value: TAGGED + ("a share" if isinstance(value, dict) else "a mean")),
]
#: As of every query of the engines, which add `_name` to what a hit says of itself.
Boost = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


def _as_id(value: Any) -> Any:
    """Engines take a number for an id, and mean its digits."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Operand(BaseModel):
    """A vector, or the id of a document that has one; of a field of texts a text, or an id.

    A vector is whatever a document may have as one: `meta4.models.embeddings` looks at it.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, BeforeValidator(_as_id), Field(min_length=1)] | None = None
    vector: Any = None
    text: str | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Operand":
        if sum(value is not None for value in (self.id, self.vector, self.text)) != 1:
            raise ValueError("give either 'id' or 'vector', or 'text' for a field of texts")
        return self


class SimilarClause(Operand):
    """`{"meta4_similar": {FIELD: {"vector": […] | "id": "…", "k": 25, "recall": 0.95}}}`."""

    k: K = 10
    recall: Recall = 0.95
    boost: Boost = 1.0
    name: str | None = Field(default=None, alias="_name")

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Itself."""
        return (self,)


class AnalogyClause(BaseModel):
    """`{"meta4_analogy": {FIELD: {"a": …, "b": …, "c": …}}}`: a is to b as c is to ?.

    Methods: `3cosadd` (Mikolov et al., NAACL 2013: nearest to b - a + c) and `3cosmul` (Levy &
    Goldberg, CoNLL 2014, equation 4).
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    a: Operand
    b: Operand
    c: Operand
    k: K = 10
    recall: Recall = 0.99
    method: Literal["3cosadd", "3cosmul"] = "3cosadd"
    boost: Boost = 1.0
    name: str | None = Field(default=None, alias="_name")

    @property
    def operands(self) -> tuple[Operand, ...]:
        """In the order a, b, c."""
        return self.a, self.b, self.c


Clause = SimilarClause | AnalogyClause


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


def contains_clause(query: Any) -> bool:
    """Whether one of the two names occurs anywhere inside.

    Raises:
        ClauseError: it is nested so deep that engines refuse it.
    """
    layer = [query] if isinstance(query, dict | list) else []
    for _ in range(_DEEPEST):
        if any(name in value for value in layer if isinstance(value, dict) for name in _NAMES):
            return True
        # Numbers are sorted out at once: a vector is a long list of them.
        layer = [
            child
            for value in layer
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return False
    raise ClauseError(f"the query is nested deeper than {_DEEPEST} objects and lists")


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
    if name in _NAMES:
        field, clause = _parse(name, body, path)
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


def _parse(name: str, body: Any, path: Path) -> tuple[str, Clause]:
    if not isinstance(body, dict) or len(body) != 1:
        raise ClauseError(f"{name} at {_where(path)}: expected {{FIELD: {{…}}}} with one field")
    ((field, raw),) = body.items()
    kind = SimilarClause if name == SIMILAR else AnalogyClause
    try:
        return str(field), kind.model_validate(raw)
    except ValidationError as error:
        fault = first_fault(error)
        got = "" if fault.is_missing else f", got {str(fault.got)[:60]}"
        at = f"{field}.{fault.place}" if fault.place else str(field)
        raise ClauseError(f"{name} at {_where(path)}: {at}: {fault.message}{got}") from error


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
