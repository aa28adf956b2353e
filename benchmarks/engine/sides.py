"""Ways of asking for the nearest: ours, the same body sent by hand, and the engine's own."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meta4 import Meta4
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.mappings.dialect import Vector
from meta4.mappings.elasticsearch import ElasticsearchDialect
from meta4.mappings.spec import IndexSpec

from ..contest import FIELD, K
from .collection import Body, Question
from .rivals import Way

Send = Callable[[Body], list[Body]]
OURS = "meta4"
BY_HAND = "meta4's body, sent by hand"
BBQ_FLAT = "bbq_flat in meta4's buckets"


class Side(ABC):
    """One way of asking, with all that it takes; it can be sent to another process.

    Attributes:
        name: what it is called in results.
        index: what is asked.
    """

    name: str
    index: str

    @abstractmethod
    def body(self, question: Question) -> Body:
        """What its user writes."""

    def sender(self, engine: Engine) -> Send:
        """Sends such a body and gives the hits, by the engine's own client."""

        def send(body: Body) -> list[Body]:
            hits: list[Body] = engine.search(self.index, body)["hits"]["hits"]
            return hits

        return send

    def effort(self) -> Body:
        """What it was asked with, for the results."""
        return {}


@dataclass(frozen=True)
class Ours(Side):
    """A clause at a recall, through `Meta4.search`."""

    index: str
    recall: float
    name: str = OURS

    def body(self, question: Question) -> Body:
        """See `Side`."""
        clause: Body = {"vector": question.vector.tolist(), "k": K, "recall": self.recall}
        return body_of({"meta4_similar": {FIELD: clause}}, question)

    def sender(self, engine: Engine) -> Send:
        """See `Side`."""
        meta4 = Meta4(engine)

        def send(body: Body) -> list[Body]:
            hits: list[Body] = meta4.search(index=self.index, body=body)["hits"]["hits"]
            return hits

        return send


@dataclass(frozen=True)
class ByHand(Side):
    """What `Meta4.rewrite` makes of our clause, sent by the engine's own client."""

    ours: Ours
    meta4: Meta4
    name: str = BY_HAND

    @property
    def index(self) -> str:  # type: ignore[override]
        """See `Side`."""
        return self.ours.index

    def body(self, question: Question) -> Body:
        """See `Side`."""
        return self.meta4.rewrite(index=self.index, body=self.ours.body(question))


@dataclass(frozen=True)
class Rival(Side):
    """An index of the engine's own.

    Attributes:
        way: how it is asked.
        candidates: how many it keeps on the way.
    """

    name: str
    index: str
    way: Way
    candidates: int

    def body(self, question: Question) -> Body:
        """See `Side`."""
        return self.way.body(question, self.candidates)

    def effort(self) -> Body:
        """See `Side`."""
        return {"way": self.way.name, "candidates": self.candidates}


@dataclass(frozen=True)
class BbqFlat(Side):
    """Our clause on a field of 1-bit vectors, the best of which are scored again in full."""

    index: str
    recall: float
    window: int
    name: str = BBQ_FLAT

    def body(self, question: Question) -> Body:
        """See `Side`."""
        return Ours(self.index, self.recall).body(question)

    def sender(self, engine: Engine) -> Send:
        """See `Side`: a client of its own, whose bodies differ in the vector query alone."""
        other = connect(engine.url)
        other.calls.dialect = BbqFlatDialect(self.window)
        return Ours(self.index, self.recall).sender(other)

    def effort(self) -> Body:
        """See `Side`."""
        return {"window": self.window}


class BbqFlatDialect(ElasticsearchDialect):
    """Vectors of 1 bit a dimension, the originals beside them, `window` scored by these."""

    def __init__(self, window: int) -> None:
        self._window = window

    def vector(self, spec: IndexSpec) -> Body:
        """See `Dialect`."""
        return super().vector(spec) | {"index_options": {"type": "bbq_flat"}}

    def knn(self, spec: IndexSpec, vector: Vector, k: int, within: Body | None) -> Body:
        """See `Dialect`."""
        query = super().knn(spec, vector, k, within)
        window = max(k, self._window)
        again: Any = {"oversample": 1.0}
        query["knn"] |= {"k": window, "num_candidates": window, "rescore_vector": again}
        return query


def body_of(query: Body, question: Question) -> Body:
    """A body of our clause with the question's filter beside it."""
    if question.within is None:
        return {"_source": False, "query": query}
    return {"_source": False, "query": {"bool": {"must": [query], "filter": [question.within]}}}
