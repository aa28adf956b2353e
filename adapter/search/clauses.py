"""The clauses: what each asks."""

from collections.abc import Collection
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

SIMILAR, ANALOGY, HYBRID = "meta4_similar", "meta4_analogy", "meta4_hybrid"
NAMES = (SIMILAR, ANALOGY, HYBRID)
#: Queries of the engines that find so many nearest first, whatever else a hit must match.
_CUT = frozenset({"knn", "neural", "semantic"})
#: More is a scan; engines cap a result page at 10,000 as well.
MAX_K = 10_000
#: Documents that each of two searches gives to their fusion: so many for each that is wanted, and
#: at least so many.
_WINDOW, _LEAST_WINDOW = 2, 50
#: Objects and lists in each other. Engines take 20 or 30 queries, of up to three each.
DEEPEST = 200

K = Annotated[int, Field(ge=1, le=MAX_K)]
C = TypeVar("C", bound=BaseModel)
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
            raise ValueError("give either 'id' or 'vector', or 'text' where it takes texts")
        return self


#: What an answer is to be like, or unlike.
Examples = Annotated[list[Operand], Field(min_length=1, max_length=100)]


class SimilarClause(Operand):
    """`{"meta4_similar": {FIELD: {"vector": […] | "id": "…", "k": 25, "recall": 0.95}}}`.

    Or like several, and unlike others: `{"like": [{"id": "…"}, …], "unlike": […]}`.
    """

    like: Examples | None = None
    unlike: Examples | None = None
    k: K = 10
    recall: Recall = 0.95
    boost: Boost = 1.0
    name: str | None = Field(default=None, alias="_name")

    @model_validator(mode="after")
    def _one_of_them(self) -> "SimilarClause":
        given = sum(one is not None for one in (self.id, self.vector, self.text, self.like))
        if given != 1:
            raise ValueError("give either 'id' or 'vector', or 'text', or 'like' for several")
        if self.unlike is not None and self.like is None:
            raise ValueError("'unlike' takes away from 'like': [{…}, …]; give what is liked there")
        return self

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Itself, or what is liked and then what is not."""
        return (self,) if self.like is None else (*self.like, *(self.unlike or ()))


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


class HybridClause(BaseModel):
    """`{"meta4_hybrid": {"query": {…}, "similar": {FIELD: {…}}, "fusion": "rrf", "k": 10}}`.

    A query of the engine's and a similarity, each searched by itself; what the two found is fused
    (`meta4.adapter.search.hybrid`).
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    query: Annotated[dict[str, Any], Field(min_length=1, max_length=1)]
    similar: Annotated[dict[str, SimilarClause], Field(min_length=1, max_length=1)]
    fusion: Literal["rrf", "weighted"] = "rrf"
    #: Of the similarity's scores in fusion `weighted`; the query's have the rest. More than half:
    #: the best cosines lie closer together than the best scores of words.
    weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.8
    k: K = 10
    window: K = _LEAST_WINDOW
    boost: Boost = 1.0
    name: str | None = Field(default=None, alias="_name")

    @model_validator(mode="after")
    def _fits(self) -> "HybridClause":
        if contains_clause(self.query):
            raise ValueError("'query' is one of the engine's; the meta4 clause stands in 'similar'")
        if contains_any(self.query, _CUT):
            raise ValueError(
                "'query' cannot be a search of vectors by the engine, which finds its nearest "
                "before what stands beside the clause is looked at; let 'similar' be that"
            )
        if {"boost", "name"} & self.similar[self.field].model_fields_set:
            raise ValueError("'boost' and '_name' stand beside 'similar', not in it")
        if "weight" in self.model_fields_set and self.fusion != "weighted":
            raise ValueError('\'weight\' needs "fusion": "weighted"; rrf counts both alike')
        if "window" not in self.model_fields_set:
            self.window = min(max(_LEAST_WINDOW, _WINDOW * self.k), MAX_K)
        if self.window < self.k:
            raise ValueError(
                f"'window' is what each search gives, and {self.window} are fewer than the "
                f"{self.k} wanted; give at least k, at most {MAX_K:,}"
            )
        return self

    @property
    def field(self) -> str:
        """That of the similarity."""
        (field,) = self.similar
        return field

    @property
    def nearest(self) -> SimilarClause:
        """The similarity by itself: as many as the window has, or its own k."""
        own = self.similar[self.field]
        return own if "k" in own.model_fields_set else own.model_copy(update={"k": self.window})

    @property
    def recall(self) -> float | AtLeast:
        """Of the similarity."""
        return self.nearest.recall

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Of the similarity."""
        return self.nearest.operands


Clause = SimilarClause | AnalogyClause | HybridClause
_OF_A_FIELD: dict[str, type[SimilarClause] | type[AnalogyClause]] = {
    SIMILAR: SimilarClause,
    ANALOGY: AnalogyClause,
}


def contains_clause(query: Any) -> bool:
    """Whether one of the names occurs anywhere inside.

    Raises:
        ClauseError: it is nested so deep that engines refuse it.
    """
    return contains_any(query, NAMES)


def contains_any(query: Any, names: Collection[str]) -> bool:
    """Whether one of some keys occurs anywhere inside; see `contains_clause`."""
    layer = [query] if isinstance(query, dict | list) else []
    for _ in range(DEEPEST):
        if any(name in value for value in layer if isinstance(value, dict) for name in names):
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
    raise ClauseError(f"the query is nested deeper than {DEEPEST} objects and lists")


def parse_clause(name: str, body: Any, where: str) -> tuple[str, Clause]:
    """A clause and the field that it asks.

    Args:
        name: one of `NAMES`.
        body: what it says.
        where: it stands, for messages.

    Raises:
        ClauseError: it cannot be read.
    """
    if name == HYBRID:
        hybrid = _read(HybridClause, body, name, where, "")
        return hybrid.field, hybrid
    if not isinstance(body, dict) or len(body) != 1:
        raise ClauseError(f"{name} at {where}: expected {{FIELD: {{…}}}} with one field")
    ((field, raw),) = body.items()
    return str(field), _read(_OF_A_FIELD[name], raw, name, where, str(field))


def _read(kind: type[C], raw: Any, name: str, where: str, within: str) -> C:
    """See `parse_clause`; `within` is the field that the clause stands under, if it does."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        fault = first_fault(error)
        got = "" if fault.is_missing else f", got {str(fault.got)[:60]}"
        at = ".".join(filter(None, (within, fault.place)))
        said = f"{at}: {fault.message}" if at else fault.message
        raise ClauseError(f"{name} at {where}: {said}{got}") from error
