"""What is indexed and what is asked, with exact answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meta4 import Document
from meta4.models.artifact import fingerprint
from meta4.models.embeddings import unit_float32

from ..contest import FIELD, K

Body = dict[str, Any]
#: Each document has a number below it, drawn evenly: a range keeps any share, at random.
DRAWN, DRAWN_BELOW = "drawn", 1_000_000
#: Queries whose cosines with all documents are in memory at once.
_AT_ONCE = 50


class Range(NamedTuple):
    """A filter: documents whose drawn number is in [start, end)."""

    start: int
    end: int

    def body(self) -> Body:
        """As a query."""
        return {"range": {DRAWN: {"gte": self.start, "lt": self.end}}}


@dataclass(frozen=True, eq=False)
class Question:
    """One thing that is asked for.

    Attributes:
        vector: (dims,) float32.
        kept: what a filter keeps; None without one.
        truth: (at most K,) float64 scores of the nearest, best first.
    """

    vector: NDArray[np.float32]
    kept: Range | None
    truth: NDArray[np.float64]

    @property
    def within(self) -> Body | None:
        """The filter, as a query."""
        return None if self.kept is None else self.kept.body()


@dataclass(frozen=True, eq=False)
class Collection:
    """The documents, and the queries, which are none of them.

    Attributes:
        ids: of the documents.
        base: (n, dims) float32.
        tuning: (m, dims) float32 queries by which efforts are found, never timed.
        asked: (l, dims) float32 queries that are timed.
    """

    ids: list[str]
    base: NDArray[np.float32]
    tuning: NDArray[np.float32]
    asked: NDArray[np.float32]
    drawn: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        drawn = np.random.default_rng(1).integers(0, DRAWN_BELOW, len(self.base))
        object.__setattr__(self, "drawn", drawn)

    @cached_property
    def name(self) -> str:
        """Of these vectors and no others."""
        return fingerprint(self.base)[:12]

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """The same vectors with length 1."""
        return unit_float32(self.base)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {identity: row for row, identity in enumerate(self.ids)}

    def documents(
        self, *, unit: bool = False, rows: Sequence[int] | None = None
    ) -> Iterator[Document]:
        """Those of some rows, all by default, with vectors as they are or of length 1."""
        vectors = self.unit if unit else self.base
        for row in range(len(self.ids)) if rows is None else rows:
            source = {FIELD: vectors[row], DRAWN: int(self.drawn[row])}
            yield Document(self.ids[row], source)

    def questions(
        self,
        queries: NDArray[np.float32],
        kept: Sequence[Range | None] | None = None,
        *,
        but: Range | None = None,
    ) -> list[Question]:
        """Queries with their exact answers.

        Args:
            queries: (n, dims) float32.
            kept: for each what its filter keeps; None without filters.
            but: documents that have been deleted.
        """
        kept = [None] * len(queries) if kept is None else kept
        there = np.ones(len(self.base), dtype=bool) if but is None else ~self._inside(but)
        found = []
        for start in range(0, len(queries), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            cosines = unit_float32(queries[part]) @ self.unit.T
            for query, own, filtered in zip(queries[part], cosines, kept[part], strict=True):
                inside = there if filtered is None else there & self._inside(filtered)
                scores = (1.0 + own[inside].astype(np.float64)) / 2.0
                if len(scores) > K:
                    scores = np.partition(scores, len(scores) - K)[-K:]
                found.append(Question(query, filtered, np.sort(scores)[::-1]))
        return found

    def scores(self, question: Question, hits: Sequence[Body]) -> NDArray[np.float64]:
        """(1 + cosine) / 2 of the hits, best first: what a quantised index says is not that."""
        found = self.unit[[self._row_of[hit["_id"]] for hit in hits]].astype(np.float64)
        cosines = found @ question.vector / np.linalg.norm(question.vector)
        return np.sort((1.0 + cosines) / 2.0)[::-1]

    def _inside(self, kept: Range) -> NDArray[np.bool_]:
        return (self.drawn >= kept.start) & (self.drawn < kept.end)
