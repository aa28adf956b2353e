"""What a filter keeps: how much in all, and bucket by bucket where a request has looked.

To count all that it keeps by bucket takes longer than a search, and the longer the more there is:
it is counted beside the search, in the buckets that are looked into, until a filter has come so
often that counting once in all of them takes less. What was counted elsewhere is not made use of,
so that a request gets the same answer whatever was asked before it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...models.probing.directory import Counts

#: Requests that count for themselves before one counts for all: two, and one for so many documents.
_FEW, _DOCUMENTS_A_COUNT = 2, 100_000
#: A bucket that was not counted may hold so many times what others do, in proportion.
_CAUTION = 3.0
#: Where the share that a filter keeps is surely the same everywhere: it differs from bucket to
#: bucket by no more than so much of itself, beyond chance, and from here to elsewhere by no more
#: than this factor. Chance is taken for so many standard errors.
_EVEN, _EVEN_FAR, _ERRORS = 0.15, 1.25, 2.0


@dataclass(frozen=True)
class Kept:
    """What was counted.

    Attributes:
        total: documents that it keeps.
        by_id: (n_buckets,) float32, of these in each bucket; negative where they were not counted.
        n_counts: how often some were.
    """

    total: float
    by_id: NDArray[np.float32]
    n_counts: int = 0

    @classmethod
    def uncounted(cls, total: int, n_buckets: int) -> "Kept":
        """Of a filter under which no request has looked."""
        return cls(float(total), np.full(n_buckets, -1.0, dtype=np.float32))

    def at_first(self, of_all: Counts) -> Counts:
        """As if it kept the same share everywhere.

        Args:
            of_all: documents of the index.
        """
        share = min(1.0, self.total / max(of_all.total, 1.0))
        return of_all.scaled(share)

    def after(self, of_all: Counts, counted: NDArray[np.int64]) -> tuple[Counts, bool]:
        """With what was counted, and what the rest may hold; and whether it keeps evenly.

        Where it does not, it may keep elsewhere what it does not keep here: that takes caution.

        Args:
            of_all: documents of the index.
            counted: buckets whose counts are made use of.
        """
        there = of_all.by_id[counted].astype(np.float64)
        kept = self.by_id[counted].astype(np.float64)
        n_there, n_kept = float(there.sum()), float(kept.sum())
        near = n_kept / max(n_there, 1.0)
        far = max(self.total - n_kept, 0.0) / max(of_all.total - n_there, 1.0)
        is_even = near > 0.0 and 1.0 / _EVEN_FAR < far / near < _EVEN_FAR
        is_even = is_even and _unevenness(there * near, kept, near) < _EVEN
        caution = 1.0 if is_even else _CAUTION
        counts = of_all.by_id * np.float32(min(1.0, caution * max(near, far)))
        counts[counted] = kept
        return Counts(counts), is_even

    def to_count(self, buckets: NDArray[np.int64]) -> NDArray[np.int64]:
        """In which buckets to count so that some are known: none, those that are not, or all."""
        unknown = buckets[self.by_id[buckets] < 0]
        if len(unknown) and self.n_counts >= _FEW + self.total / _DOCUMENTS_A_COUNT:
            return np.arange(len(self.by_id))
        return unknown

    def and_counted(self, buckets: NDArray[np.int64], found: Mapping[int, int]) -> "Kept":
        """With counts of some more; of those that are not among them there are none."""
        by_id = self.by_id.copy()
        by_id[buckets] = 0
        by_id[list(found)] = list(found.values())
        return replace(self, by_id=by_id, n_counts=self.n_counts + 1)


def _unevenness(expected: NDArray[np.float64], kept: NDArray[np.float64], share: float) -> float:
    """How much the share kept differs from bucket to bucket, in itself, chance taken for.

    Args:
        expected: (m,) documents, were it the same in all.
        kept: (m,) documents.
        share: of all of these.
    """
    by_chance = expected * (1.0 - share)
    excess = float(np.square(kept - expected).sum() - by_chance.sum())
    error = math.sqrt(2.0 * float(np.square(by_chance).sum()))
    return math.sqrt((max(excess, 0.0) + _ERRORS * error) / float(np.square(expected).sum()))
