"""A search as the page shows it: the answer, what it took, and what an exact one says."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import orjson

from ....errors import EngineError, Meta4Error
from ...catalog import HashedIndex
from ...client.core import Core
from ...engines.calls import Call, SearchCall, Steps
from .forms import Form

Json = dict[str, Any]
#: Of each hit.
_FIELDS, _CHARACTERS = 4, 240
#: Values in each other, and beside each other, that are told.
_DEEP, _BESIDE = 3, 8


@dataclass(frozen=True)
class Shown:
    """A hit.

    Attributes:
        id: of the document.
        score: as the engine says it.
        fields: names, and the beginnings of their values.
        is_missed: whether the exact answer has it and the other does not.
    """

    id: str
    score: float
    fields: tuple[tuple[str, str], ...]
    is_missed: bool = False


@dataclass(frozen=True)
class Results:
    """An answer.

    Attributes:
        index: that was searched.
        field: the hashed one.
        asked: the body with the clause.
        sent: the bodies of all searches that went to the engine for it, in their order.
        hits: best first.
        ms: until the answer was here.
        told: what was looked into, and why; see `Core.explain`.
        exact: what an exact search says, with those that are missed; None where none was asked
            for, or it was not answered.
        exact_ms: until that was here.
        exact_fault: why it was not answered.
    """

    index: str
    field: str
    asked: Json
    sent: tuple[Json, ...]
    hits: tuple[Shown, ...]
    ms: float
    told: Json
    exact: tuple[Shown, ...] | None = None
    exact_ms: float = 0.0
    exact_fault: EngineError | None = None

    @property
    def n_missed(self) -> int:
        """Of the exact answer's hits."""
        return sum(hit.is_missed for hit in self.exact or ())

    @property
    def most(self) -> float:
        """The score whose bar is full: 1, unless a method gives more."""
        return max([1.0, *(hit.score for hit in (*self.hits, *(self.exact or ())))])


def hidden(known: HashedIndex) -> list[str]:
    """What nobody wants to see of an index's documents: vectors, texts that are hashed, hashes."""
    specs = [field.spec for field in known.fields.values()]
    return [name for spec in specs for name in (spec.field, spec.fields.root)]


def results(core: Core, index: str, form: Form, name: str) -> Steps[Results]:
    """Search, say why, and search exactly.

    Args:
        core: of whoever asks.
        index: where.
        form: for what.
        name: of the field.

    Raises:
        ClauseError, NotFoundError, EmbeddingError, EngineError: see `Core.search`.
    """
    known = yield from core.catalog.get(index)
    field, leaves_out = known.field(name), hidden(known)
    yield from field.get_ready(index)  # once in a while, and no part of what a search takes
    body = form.body(name, leaves_out)
    sent: list[Json] = []
    begun = time.perf_counter()
    answer = yield from _noting(core.search(index, body), sent)
    ms = _ms(begun)
    told = yield from core.explain(index, body)
    made = Results(index, name, body, tuple(sent), _shown(answer), ms, told)
    if form.without_exact:
        return made
    begun = time.perf_counter()
    try:
        everywhere = form.model_copy(update={"recall": 1.0}).body(name, leaves_out)
        exact = _shown((yield from core.search(index, everywhere)))
    except EngineError as error:  # a scan may take longer than the engine waits
        return replace(made, exact_fault=error)
    exact = tuple(hit for hit in exact if hit.score > 0.0)  # texts that share nothing
    return replace(made, exact=_marked(exact, made.hits), exact_ms=_ms(begun))


def _noting(steps: Steps[Json], sent: list[Json]) -> Steps[Json]:
    """The same steps; bodies of searches that they send are noted, bucket counts left out."""
    try:
        step = next(steps)
        while True:
            sent += [body for body in _searches(step) if body.get("size") != 0]
            try:
                answer = yield step
            except Meta4Error as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        steps.close()


def _searches(step: Any) -> list[Json]:
    if isinstance(step, SearchCall):
        return [step.body]
    if isinstance(step, Call) and step.path == "/_msearch":
        return [orjson.loads(line) for line in step.body.splitlines()[1::2]]
    return []


def _ms(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


def _shown(answer: Json) -> tuple[Shown, ...]:
    return tuple(
        Shown(hit["_id"], hit["_score"], tuple(_fields(hit.get("_source") or {})))
        for hit in answer["hits"]["hits"]
    )


def _marked(exact: Sequence[Shown], hits: Sequence[Shown]) -> tuple[Shown, ...]:
    """Those that are missed: one as near as the last hit is none, whichever of them was taken."""
    found = {hit.id for hit in hits}
    last = hits[-1].score if len(hits) == len(exact) and hits else float("-inf")
    return tuple(replace(hit, is_missed=hit.id not in found and hit.score > last) for hit in exact)


def _fields(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The first few that a person can read."""
    told = ((name, _in_words(value)) for name, value in source.items())
    for name, words in islice((one for one in told if one[1]), _FIELDS):
        yield name[:_CHARACTERS], words


def label(source: Mapping[str, Any]) -> str:
    """A document in a line; empty where nothing in it can be read."""
    return " · ".join(words for _, words in _fields(source))[:_CHARACTERS]


def _in_words(value: Any, deep: int = 0) -> str:
    """The beginning of a value, however large and deep it is."""
    if isinstance(value, str):
        words = value[: _CHARACTERS + 1]
    elif isinstance(value, list | dict):
        if deep == _DEEP:
            return "…"
        if isinstance(value, list):
            is_vector = len(value) > _BESIDE and isinstance(value[0], int | float)
            parts = [] if is_vector else [_in_words(one, deep + 1) for one in value[:_BESIDE]]
        else:
            inner = islice(value.items(), _BESIDE)
            parts = [f"{name[:_CHARACTERS]}: {_in_words(one, deep + 1)}" for name, one in inner]
        words = ", ".join(filter(None, parts))
    else:
        words = "" if value is None else str(value)
    return words if len(words) <= _CHARACTERS else words[: _CHARACTERS - 1] + "…"
