"""The directory of an index: which buckets hold how many documents."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Counts:
    """Documents by bucket, under a filter or of all.

    Attributes:
        by_id: (n_buckets,) float32; an estimate where they were not counted.
    """

    by_id: NDArray[np.float32]

    @cached_property
    def total(self) -> float:
        """Documents in all."""
        return float(self.by_id.sum(dtype=np.float64))

    @cached_property
    def filled(self) -> NDArray[np.int64]:
        """Buckets that hold any."""
        return np.flatnonzero(self.by_id)

    def scaled(self, share: float) -> "Counts":
        """A share of them, the same of each bucket."""
        scaled = Counts(self.by_id * np.float32(share))
        if share > 0.0:  # found out once for all filters
            scaled.__dict__["filled"] = self.filled
        return scaled

    def without(self, buckets: NDArray[np.int64]) -> "Counts":
        """The same where these hold nothing."""
        left = self.by_id.copy()
        left[buckets] = 0
        return Counts(left)


@dataclass(frozen=True)
class Directory:
    """Non-empty buckets and their sizes, of all documents or of those that a filter keeps.

    Attributes:
        buckets: (m,) int64 ids, ascending.
        counts: (m,) int64, documents in each; a document counts in each of its buckets that are
            looked into.
        n_buckets: possible buckets, m or more.
        n_documents: documents that have a vector (and match the filter).
        n_strays: those among them that the current model did not hash. They are in no
            bucket that can be trusted, so every request looks into all of them.
    """

    buckets: NDArray[np.int64]
    counts: NDArray[np.int64]
    n_buckets: int
    n_documents: int
    n_strays: int = 0

    @cached_property
    def n_postings(self) -> int:
        """Sum of the counts."""
        return int(self.counts.sum())

    @cached_property
    def by_id(self) -> NDArray[np.int64]:
        """(n_buckets,) int64, the counts of all possible buckets."""
        counts = np.zeros(self.n_buckets, dtype=np.int64)
        counts[self.buckets] = self.counts
        return counts

    @cached_property
    def as_counts(self) -> Counts:
        """The same for outlooks."""
        return Counts(self.by_id.astype(np.float32))

    @property
    def overlap(self) -> float:
        """Buckets that a hashed document counts in, on average, and 1 at least."""
        return max(1.0, self.n_postings / max(1, self.n_documents - self.n_strays))


@cache
def term_width(n_buckets: int) -> int:
    """Hexadecimal digits of a bucket's keyword."""
    return len(f"{n_buckets - 1:x}")


def bucket_terms(n_buckets: int) -> list[str]:
    """The buckets' keywords, by id: hexadecimal of one width, so that terms sort as ids do."""
    width = term_width(n_buckets)
    return [f"{bucket:0{width}x}" for bucket in range(n_buckets)]


def bucket_id(term: object, n_buckets: int) -> int | None:
    """The bucket that a keyword names; None where it names none.

    A document of another model, or of somebody else, may name buckets that there are not, or in
    other digits than a model of so many writes.
    """
    if not isinstance(term, str) or len(term) != term_width(n_buckets):
        return None
    bucket = int(term, 16) if _DIGITS.issuperset(term) else n_buckets
    return bucket if bucket < n_buckets else None


def bucket_ids(terms: Iterable[object], n_buckets: int) -> NDArray[np.int64]:
    """The buckets that keywords name; what names none is passed over."""
    ids = (bucket_id(term, n_buckets) for term in terms)
    return np.asarray([bucket for bucket in ids if bucket is not None], dtype=np.int64)
