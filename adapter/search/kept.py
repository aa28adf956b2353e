"""What a filter keeps: how much in all, and bucket by bucket where a request has looked.

To count all that it keeps by bucket takes longer than a search, and the longer the more there is:
it is counted beside the search, in the buckets that are looked into. What other requests have
counted elsewhere is not made use of, so that a request gets the same answer whatever was asked
before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...models.probing.directory import Counts

#: A bucket that was not counted may hold so many times what others do, in proportion.
_CAUTION = 3.0


@dataclass(frozen=True)
class Kept:
    """What was counted.

    Attributes:
        total: documents that it keeps.
        by_id: (n_buckets,) float32, of these in each bucket; negative where they were not counted.
    """

    total: float
    by_id: NDArray[np.float32]

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
        return Counts(of_all.by_id * np.float32(share))

    def after(self, of_all: Counts, counted: NDArray[np.int64]) -> Counts:
        """With what was counted, and what the rest may hold: that is some caution.

        It may keep elsewhere what it does not keep here.

        Args:
            of_all: documents of the index.
            counted: buckets whose counts are made use of.
        """
        there = float(of_all.by_id[counted].sum(dtype=np.float64))
        kept = float(self.by_id[counted].sum(dtype=np.float64))
        near = kept / max(there, 1.0)
        far = max(self.total - kept, 0.0) / max(of_all.total - there, 1.0)
        counts = of_all.by_id * np.float32(min(1.0, _CAUTION * max(near, far)))
        counts[counted] = self.by_id[counted]
        return Counts(counts)

    def missing(self, buckets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some buckets that were not counted."""
        return buckets[self.by_id[buckets] < 0]

    def and_counted(self, buckets: NDArray[np.int64], found: Mapping[int, int]) -> "Kept":
        """With counts of some more; of those that are not among them there are none."""
        by_id = self.by_id.copy()
        by_id[buckets] = 0
        for bucket, count in found.items():
            by_id[bucket] = count
        return replace(self, by_id=by_id)
