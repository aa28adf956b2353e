"""What a person asks for on the page, as its forms send it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ....errors import InputError
from ....models.faults import first_fault
from ...search.clauses import ANALOGY, SIMILAR, contains_clause

Json = dict[str, Any]
F = TypeVar("F", bound="Form")
#: Results on a page: a person reads no more.
_MOST = 100


def _words(value: Any) -> Any:
    """What a person typed, to the letter: ids may begin and end as they like."""
    return None if isinstance(value, str) and not value.strip() else value


Words = Annotated[str | None, BeforeValidator(_words)]


class FormError(InputError):
    """What stands in one place of a form cannot be.

    Attributes:
        place: its name.
    """

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


class Form(BaseModel):
    """What all forms have.

    Attributes:
        field: the hashed field; the index's only one by default.
        k: results wanted.
        recall: asked for.
        filter: a query in JSON that narrows the search.
        without_exact: whether the exact answer is left out.
    """

    model_config = ConfigDict(frozen=True)

    clause: ClassVar[str]
    field: Words = None
    k: Annotated[int, Field(ge=1, le=_MOST)] = 10
    recall: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    filter: Words = None
    without_exact: bool = False

    @classmethod
    def read(cls: type[F], params: Mapping[str, str]) -> F:
        """As a query string has it; what the form does not know is passed over.

        Raises:
            FormError: a value that cannot be.
        """
        try:
            return cls.model_validate(params)
        except ValidationError as error:
            fault = first_fault(error)
            raise FormError(fault.place, f"{fault.message}, got {fault.got!r}") from error

    @property
    def is_asked(self) -> bool:
        """Whether there is something to search for."""
        raise NotImplementedError

    def operand(self) -> Json:
        """What the clause has of its own."""
        raise NotImplementedError

    def body(self, field: str, hidden: Sequence[str]) -> Json:
        """The search that is asked for.

        Args:
            field: the hashed one.
            hidden: what of the documents nobody wants to see.

        Raises:
            InputError: what was typed is no such thing.
        """
        own = {**self.operand(), "k": self.k, "recall": self.recall}
        query: Json = {self.clause: {field: own}}
        if self.filter is not None:
            within = _parsed("filter", self.filter, dict)
            if contains_clause(within):
                raise InputError("filter: a clause would be another search; leave it out")
            query = {"bool": {"must": [query], "filter": [within]}}
        return {"size": self.k, "_source": {"excludes": list(hidden)}, "query": query}


class SimilarForm(Form):
    """What is like a document, a vector, or a text."""

    clause = SIMILAR
    id: Words = None
    vector: Words = None
    text: Words = None

    @property
    def is_asked(self) -> bool:
        """See `Form`."""
        return any((self.id, self.vector, self.text))

    def operand(self) -> Json:
        """See `Form`."""
        if sum(given is not None for given in (self.id, self.vector, self.text)) > 1:
            raise InputError("expected an id, a vector or a text, and got several; leave one")
        if self.id is not None:
            return {"id": self.id}
        if self.vector is not None:
            return {"vector": _parsed("vector", self.vector, list)}
        return {"text": self.text}


class AnalogyForm(Form):
    """A is to b as c is to what."""

    clause = ANALOGY
    recall: Annotated[float, Field(gt=0.0, le=1.0)] = 0.99
    a: Words = None
    b: Words = None
    c: Words = None
    method: Literal["3cosadd", "3cosmul"] = "3cosadd"

    @property
    def is_asked(self) -> bool:
        """See `Form`."""
        return all((self.a, self.b, self.c))

    def operand(self) -> Json:
        """See `Form`."""
        named = {name: {"id": getattr(self, name)} for name in ("a", "b", "c")}
        return {**named, "method": self.method}


def _parsed(what: str, text: str, kind: type) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{what}: not JSON ({error})") from error
    if not isinstance(value, kind):
        expected = "a query, as in {…}" if kind is dict else "numbers, as in [0.25, -1, …]"
        raise InputError(f"{what}: expected {expected}, got {text[:60]}")
    return value
