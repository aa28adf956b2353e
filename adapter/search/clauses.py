"""The clauses: what each asks."""

from typing import Annotated, Any, Literal

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
NAMES = (SIMILAR, ANALOGY)
#: More is a scan; engines cap a result page at 10,000 as well.
MAX_K = 10_000
#: Objects and lists in each other. Engines take 20 or 30 queries, of up to three each.
_DEEPEST = 200

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


def contains_clause(query: Any) -> bool:
    """Whether one of the two names occurs anywhere inside.

    Raises:
        ClauseError: it is nested so deep that engines refuse it.
    """
    layer = [query] if isinstance(query, dict | list) else []
    for _ in range(_DEEPEST):
        if any(name in value for value in layer if isinstance(value, dict) for name in NAMES):
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


def parse_clause(name: str, body: Any, where: str) -> tuple[str, Clause]:
    """A clause and the field that it asks.

    Args:
        name: one of `NAMES`.
        body: what it says.
        where: it stands, for messages.

    Raises:
        ClauseError: it cannot be read.
    """
    if not isinstance(body, dict) or len(body) != 1:
        raise ClauseError(f"{name} at {where}: expected {{FIELD: {{…}}}} with one field")
    ((field, raw),) = body.items()
    kind = SimilarClause if name == SIMILAR else AnalogyClause
    try:
        return str(field), kind.model_validate(raw)
    except ValidationError as error:
        fault = first_fault(error)
        got = "" if fault.is_missing else f", got {str(fault.got)[:60]}"
        at = f"{field}.{fault.place}" if fault.place else str(field)
        raise ClauseError(f"{name} at {where}: {at}: {fault.message}{got}") from error
