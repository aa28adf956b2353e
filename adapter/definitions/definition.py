"""A named query: an index, a search body with places, and the parameters that fill them."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ...errors import InputError
from ...models.faults import first_fault
from ..engines.names import check_index
from ..search.sites import find_sites
from .parameters import OF_THE_ANSWER, Parameter
from .places import NAME, check_place, filled, places_in

#: Characters of the values that a body was tried with, in a message.
_SHOWN = 200


class Definition(BaseModel):
    """`{"index": "words", "parameters": {"like": {"type": "string"}}, "body": {…}}`.

    Attributes:
        index: that is searched: a name, an alias or a pattern, without places.
        parameters: by name.
        body: of a search, with `{{name}}` where values go (`places`).
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    index: str
    parameters: dict[str, Parameter] = {}
    body: dict[str, Any]

    @model_validator(mode="after")
    def _can_be_run(self) -> "Definition":
        check_index(self.index, pattern=True)
        for _ in places_in(self.index):
            raise InputError(f"index {self.index!r}: expected a name, which no parameter changes")
        for name in self.parameters:
            if NAME.fullmatch(name) is None or name in OF_THE_ANSWER:
                raise InputError(
                    f"parameter {name[:80]!r}: expected up to 64 letters, digits and '_', not "
                    f"beginning with a digit, and not {' or '.join(sorted(OF_THE_ANSWER))}"
                )
        used: set[str] = set()
        for place in places_in(self.body):
            check_place(place, self.parameters)
            used.update(place.names)
        for name in self.parameters.keys() - used:
            raise InputError(f"parameter {name!r} is declared, and {{{{{name}}}}} is nowhere")
        if "pit" in self.body:
            raise InputError(
                "body.pit: a point in time ends, and is of its own index; leave it out, and give "
                "'index' what is to be searched"
            )
        faults = [fault for most in (False, True) if (fault := self._fault(most)) is not None]
        if len(faults) == 2:  # of numbers some may be, small ones or large
            raise faults[0]
        return self

    def _fault(self, most: bool) -> InputError | None:
        """Why clauses cannot be read with values that may be given."""
        samples = {name: one.sample(most=most) for name, one in self.parameters.items()}
        try:
            find_sites(filled(self.body, samples))
        except InputError as error:
            tried = orjson.dumps(samples).decode()[:_SHOWN]
            return InputError(f"{error}; tried with {tried}: a default is tried first")
        return None

    @property
    def text(self) -> bytes:
        """As JSON."""
        return orjson.dumps(self.model_dump(exclude_unset=True))

    @property
    def sha256(self) -> str:
        """Equal for what says the same, in whatever order."""
        said = self.model_dump(exclude_unset=True)
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The body with these values in its places.

        Raises:
            InputError: a parameter that there is not, that is missing, or of another type.
        """
        for name in given:
            self._parameter(name)
        values = {}
        for name, parameter in self.parameters.items():
            if name in given:
                values[name] = parameter.checked(name, given[name])
            elif parameter.has_default:
                values[name] = parameter.checked(name, parameter.default)
            else:
                raise InputError(
                    f"parameter {name!r} ({parameter.type}) is missing, and has no default"
                )
        body: dict[str, Any] = filled(self.body, values)
        return body

    def read(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Values out of texts, as their parameters are declared.

        Raises:
            InputError: a parameter that there is not, or a text that is none of its type.
        """
        return {name: self._parameter(name).read(name, text) for name, text in texts.items()}

    def _parameter(self, name: str) -> Parameter:
        if name not in self.parameters:
            there = ", ".join(map(repr, self.parameters)) or "none"
            raise InputError(f"no parameter is called {name[:80]!r}; there is: {there}")
        return self.parameters[name]


def read_definition(text: bytes | str, what: str) -> Definition:
    """A definition out of JSON, if it can be run.

    Args:
        text: of it.
        what: it is, for messages.

    Raises:
        InputError: it cannot: braces that are no place, a place whose value could leave it, a
            parameter that is not declared or not used, a clause that cannot be read, say.
    """
    try:
        return Definition.model_validate(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise InputError(f"{what}: not JSON ({error})") from error
    except ValidationError as error:
        fault = first_fault(error)
        place = f"{fault.place}: " if fault.place else ""
        is_short = isinstance(fault.got, str | int | float) and not fault.is_missing
        got = f", got {fault.got!r:.60}" if is_short else ""
        raise InputError(f"{what}: {place}{fault.message}{got}") from error
