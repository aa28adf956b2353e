"""How far one request looks: told by its own query, its filter, and what it has found.

What is expected of buckets is known to `meta4.models.stopping`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...models.embeddings import unit
from ...models.probing.directory import Counts
from ...models.stopping.adjusting import PATIENCE
from ...models.stopping.ends import Seen
from ...models.stopping.outlook import Outlook, Prospect
from ...models.stopping.record import AtLeast, OutlookRecord
from ...models.stopping.shapes import Facts

#: See `Outlook.judge`; under a filter, which may be like nothing that the outlook was fitted on.
_PATIENCE = 1.5
#: How much more is missed at the edge of what is reached.
_EDGE = 3.0


@dataclass(frozen=True)
class Tuned:
    """An outlook, ready, with what its index keeps beside it."""

    record: OutlookRecord
    outlook: Outlook


@dataclass(frozen=True)
class Looking:
    """One request at work; of indexes that are asked together, by the outlooks of all.

    Attributes:
        tuned: outlooks, one at least.
        facts: of the query, by each of these.
        counts: of what the filter keeps.
        k: how many are to be found.
        n_left_out: documents that are left out and may all be nearer.
        recall: that is promised.
        is_filtered: whether there is a filter.
        prospect: what is looked into now.
        is_even: whether it is known that the filter keeps the same share everywhere, so that what
            is told without one holds.
        part: of what may be missing, what buckets may; a first phase may leave out the rest.
    """

    tuned: Sequence[Tuned]
    facts: Sequence[Facts]
    counts: Counts
    k: int
    n_left_out: int
    recall: float | AtLeast
    is_filtered: bool
    prospect: Prospect
    is_even: bool
    part: float = 1.0

    @classmethod
    def begun(
        cls,
        query: NDArray[np.float32],
        tuned: Sequence[Tuned],
        counts: Counts,
        k: int,
        n_left_out: int,
        recall: float | AtLeast,
        *,
        is_filtered: bool,
        part: float = 1.0,
    ) -> "Looking":
        """A first round.

        Args:
            query: (dims,) float32, of any length.
            tuned: outlooks.
            counts: of what the filter keeps; of one document at least.
            k: see `Looking`.
            n_left_out: see `Looking`.
            recall: below 1.
            is_filtered: whether there is a filter.
            part: see `Looking`.
        """
        direction = unit(query).astype(np.float32)
        facts = [one.outlook.shapes.facts(direction) for one in tuned]
        none = np.zeros(0, dtype=np.int64)
        nowhere = Prospect(none, none, 1.0)
        return cls(
            tuned, facts, counts, k, n_left_out, recall, is_filtered, nowhere, not is_filtered, part
        )._to(k)

    def _to(self, k: int) -> "Looking":
        """As far as k documents take it, and those that are left out.

        These may be the nearest. Twice as many are looked for, and fewer of them may be missing: at
        the edge of what is reached more is missed than on average.

        Args:
            k: documents.
        """
        reach = k + 2 * self.n_left_out
        edge = 1.0 + _EDGE * self.n_left_out / (k + self.n_left_out)
        prospects = [
            one.outlook.begin(facts, self.counts, reach, self._goal(one) / edge)
            for one, facts in zip(self.tuned, self.facts, strict=True)
        ]
        return self._with(prospects)

    def further(self, scores: Sequence[float], wanted: int) -> "Looking | None":
        """The next round; None where enough was found.

        Args:
            scores: cosines of what was found, best first.
            wanted: how many were to be found.
        """
        if len(scores) < wanted:
            return self._to(max(self.k, wanted))
        found = np.asarray(scores[:wanted], dtype=np.float32)
        expected = self.prospect.score if self.is_even else None
        seen = Seen(self.prospect.buckets, found, expected)
        patience = _PATIENCE if self.is_filtered else PATIENCE
        prospects = []
        for one, facts in zip(self.tuned, self.facts, strict=True):
            goal = self._goal(one)
            _, more = one.outlook.judge(facts, self.counts, wanted, goal, seen, patience)
            if more is not None:
                prospects.append(more)
        return self._with(prospects) if prospects else None

    def _goal(self, one: Tuned) -> float:
        return one.record.goal(self.recall, self.k, self.counts.total) * self.part

    def _with(self, prospects: Sequence[Prospect]) -> "Looking":
        """Looking into what any of them does, and what it does already."""
        (first, *rest) = prospects
        if not rest and not len(self.prospect.buckets):
            return replace(self, prospect=first)
        buckets = _all_of([self.prospect.buckets, *(one.buckets for one in prospects)])
        counted = _all_of([self.prospect.counted, *(one.counted for one in prospects)])
        missing = max(one.missing for one in prospects)
        prospect = Prospect(buckets, counted, missing, max(one.score for one in prospects))
        return replace(self, prospect=prospect)

    def is_longer_than(self, before: "Looking | None") -> bool:
        """Whether it looks into more than one before."""
        return before is None or len(self.prospect.buckets) > len(before.prospect.buckets)

    @property
    def promised(self) -> float:
        """The mean recall that is promised, or the least of so many queries."""
        return self.recall.at_least if isinstance(self.recall, AtLeast) else self.recall

    @property
    def n_documents(self) -> int:
        """Documents that are looked into."""
        return int(self.counts.by_id[self.prospect.buckets].sum(dtype=np.float64))

    @property
    def is_everywhere(self) -> bool:
        """Whether no bucket is left."""
        return len(self.prospect.buckets) >= len(self.counts.filled)


def _all_of(several: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.unique(np.concatenate(several))
