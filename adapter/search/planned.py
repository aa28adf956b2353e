"""Clauses with all that their rewriting takes: what every kind of field makes of one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .sites import Site

#: Engines take 1,024 queries in each other, and a group has three.
_MOST_GROUPS = 256


Body = dict[str, Any]
Hit = dict[str, Any]


class Looked(NamedTuple):
    """What a clause looked into at last.

    Attributes:
        documents: that were scored, as far as counts tell; None where they do not.
        promised: recall; None where none is.
        rounds: searches that it took.
    """

    documents: int | None = None
    promised: float | None = None
    rounds: int = 1


class Planned(ABC):
    """A clause, and the searches that find the documents that it means.

    Attributes:
        site: the clause where it stands.
    """

    site: Site

    @property
    @abstractmethod
    def legs(self) -> "Sequence[PlannedClause]":
        """What is searched for, side by side; the first asks the clause's field."""

    @abstractmethod
    def at_last(self, legs: "Sequence[PlannedClause]") -> "Planned":
        """The same with its legs as they were asked at last."""

    @abstractmethod
    def unscored(self, found: Sequence[Sequence[Hit]]) -> Sequence[Sequence[Hit]]:
        """For each leg, of the documents that others found those that it must score as well."""

    @abstractmethod
    def meant(
        self, found: Sequence[Sequence[Hit]], scored: Sequence[Sequence[Hit]]
    ) -> Sequence[Hit]:
        """The documents that the clause means.

        Args:
            found: by each leg, best first.
            scored: by each leg, of the documents of `unscored` those that match.
        """

    @abstractmethod
    def of(self, hits: Sequence[Hit]) -> Body:
        """These documents, of `meant`, and no others, scored."""

    @property
    def shown(self) -> Body:
        """What an explanation says of it beside what its first leg looks into."""
        return {}


class PlannedClause(Planned):
    """A clause that is one search, with all that its rewriting takes.

    Attributes:
        site: the clause where it stands.
        hides: whether the engine hides documents from who asks. OpenSearch's document-level
            security then adds the score of its own query to each.
    """

    hides: bool

    @property
    def n_found(self) -> int:
        """How many documents are to be found."""
        return self.site.clause.k

    @property
    def scorable(self) -> list[Body]:
        """What documents match that it can score, wherever they were found."""
        return []

    @property
    def legs(self) -> "Sequence[PlannedClause]":
        """See `Planned`: itself."""
        return (self,)

    def at_last(self, legs: "Sequence[PlannedClause]") -> "PlannedClause":
        """See `Planned`."""
        return legs[0]

    def unscored(self, _found: Sequence[Sequence[Hit]]) -> Sequence[Sequence[Hit]]:
        """See `Planned`: none."""
        return ()

    def meant(
        self, found: Sequence[Sequence[Hit]], _scored: Sequence[Sequence[Hit]]
    ) -> Sequence[Hit]:
        """See `Planned`: what it found."""
        return found[0]

    def further(self, _scores: Sequence[float], _wanted: int) -> "PlannedClause | None":
        """The same, to be asked in its place, looking farther; None where it found enough.

        Args:
            _scores: the engine's, of what it found, best first.
            _wanted: how many were to be found.
        """
        return None

    def counting(self) -> Body | None:
        """A search to be asked beside it, which `further` rests on; None where none is needed."""
        return None

    def counted(self, _answer: Body | None) -> "PlannedClause":
        """The same after it was asked, with the answer to `counting` if there was one."""
        return self

    @property
    def asked_with(self) -> NDArray[np.float32] | None:
        """What may be kept of it, to learn from: the vector that it asks with, if it has one."""
        return None

    @property
    def looked(self) -> Looked:
        """What may be told of it when it was answered."""
        return Looked()

    @property
    def judges(self) -> bool:
        """Whether `further` may ask for more although as many were found as were wanted."""
        return False

    @property
    @abstractmethod
    def is_cut(self) -> bool:
        """Whether its query finds only as many documents of each segment as it is asked for."""

    @abstractmethod
    def within(self) -> Body | None:
        """What is looked into, within all that stands beside the clause; None for everything."""

    @abstractmethod
    def query(self, within: Body | None, n: int) -> Body:
        """What is in `within`, scored exactly.

        Args:
            within: a filter; None for all documents.
            n: how many are to be found.
        """

    def nearest(self, n: int) -> Body:
        """What is looked into, scored exactly as far as it can be among the nearest.

        Args:
            n: how many are to be found.
        """
        return self.query(self.within(), n)

    def of(self, hits: Sequence[Hit]) -> Body:
        """See `Planned`."""
        return self.query(documents(hits), len(hits)) if hits else {"match_none": {}}

    def phases(self) -> Body | None:
        """A query with a second phase, where that is how a clause by itself is answered."""
        return None


def documents(hits: Sequence[Hit]) -> Body:
    """A filter that keeps these documents and no others.

    An id may be there twice, in another index or by another routing.
    """
    groups: dict[tuple[str, str | None], list[str]] = {}
    for hit in hits:
        groups.setdefault((hit["_index"], hit.get("_routing")), []).append(hit["_id"])
    each = [
        _in_index(index, [_routing(by), {"ids": {"values": ids}}])
        for (index, by), ids in groups.items()
    ]
    if len(each) > _MOST_GROUPS:  # more than a query may have; nobody routes one id so often
        ids = [hit["_id"] for hit in hits]
        each = [
            _in_index(index, [{"ids": {"values": ids}}])
            for index in dict.fromkeys(hit["_index"] for hit in hits)
        ]
    return each[0] if len(each) == 1 else {"bool": {"should": each, "minimum_should_match": 1}}


def _in_index(index: str, filters: list[Body]) -> Body:
    return {"bool": {"filter": [_term("_index", index), *filters]}}


def _routing(by: str | None) -> Body:
    if by is None:
        return {"bool": {"must_not": [{"exists": {"field": "_routing"}}]}}
    return _term("_routing", by)


def _term(field: str, value: str) -> Body:
    return {"term": {field: value}}
