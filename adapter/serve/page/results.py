"""A search as the page shows it: the answer, what it took, and what an exact one says."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ...client.core import Core
from ...engines.calls import Steps
from .forms import Form

Json = dict[str, Any]
#: Of each hit.
_FIELDS, _CHARACTERS = 4, 240
#: A list of more is a vector, and no text.
_NUMBERS = 8


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
        asked: the body with the clause.
        sent: the last body that went to the engine.
        hits: best first.
        ms: until the answer was here.
        told: what was looked into, and why; see `Core.explain`.
        exact: what an exact search says, with those that are missed; None where none was asked for.
        exact_ms: until that was here.
    """

    index: str
    asked: Json
    sent: Json
    hits: tuple[Shown, ...]
    ms: float
    told: Json
    exact: tuple[Shown, ...] | None = None
    exact_ms: float = 0.0

    @property
    def n_missed(self) -> int:
        """Of the exact answer's hits."""
        return sum(hit.is_missed for hit in self.exact or ())

    @property
    def most(self) -> float:
        """The score whose bar is full: 1, unless a method gives more."""
        return max([1.0, *(hit.score for hit in (*self.hits, *(self.exact or ())))])


def results(core: Core, index: str, form: Form) -> Steps[Results]:
    """Search, say why, and search exactly.

    Raises:
        ClauseError, NotFoundError, EmbeddingError, EngineError: see `Core.search`.
    """
    known = yield from core.catalog.get(index)
    spec = known.field(form.field).spec
    body = form.body(spec.field, spec.fields.root)
    hits, ms = yield from _timed(core, index, body)
    told = yield from core.explain(index, body)
    sent = told.pop("body")
    made = Results(index, body, sent, hits, ms, told)
    if form.without_exact:
        return made
    everywhere = form.model_copy(update={"recall": 1.0}).body(spec.field, spec.fields.root)
    exact, exact_ms = yield from _timed(core, index, everywhere)
    return replace(made, exact=_marked(exact, hits), exact_ms=exact_ms)


def _timed(core: Core, index: str, body: Json) -> Steps[tuple[tuple[Shown, ...], float]]:
    begun = time.perf_counter()
    answer = yield from core.search(index, body)
    ms = (time.perf_counter() - begun) * 1000
    hits = tuple(
        Shown(hit["_id"], hit["_score"], tuple(_fields(hit.get("_source") or {})))
        for hit in answer["hits"]["hits"]
    )
    return hits, ms


def _marked(exact: tuple[Shown, ...], hits: tuple[Shown, ...]) -> tuple[Shown, ...]:
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


def _in_words(value: Any) -> str:
    if isinstance(value, str):
        words = value
    elif isinstance(value, list):
        if len(value) > _NUMBERS and all(isinstance(one, int | float) for one in value):
            return ""
        words = ", ".join(filter(None, map(_in_words, value[:_NUMBERS])))
    elif isinstance(value, dict):
        words = ", ".join(f"{name}: {_in_words(one)}" for name, one in value.items())
    else:
        words = "" if value is None else str(value)
    return words if len(words) <= _CHARACTERS else words[: _CHARACTERS - 1] + "…"
