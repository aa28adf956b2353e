"""How what a filter keeps is counted beside a search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....mappings.spec import IndexSpec
from ....models.probing.directory import Counts
from ...engines.calls import Json
from ...search.kept import Kept
from .directory import counts_in


@dataclass(frozen=True)
class Counting:
    """How what a filter keeps is counted beside a search.

    Attributes:
        kept: what was counted before.
        of_all: documents of the index.
        spec: of the field.
        terms: the buckets' keywords, by id.
        conditions: the filter, as parts of a `bool`.
        defined: fields that it may speak of.
        remember: called with what is then known.
    """

    kept: Kept
    of_all: Counts
    spec: IndexSpec
    terms: Sequence[str]
    conditions: Json
    defined: Mapping[str, Any]
    remember: Callable[[Kept], None]

    def body(self, buckets: NDArray[np.int64]) -> Json:
        """A search that counts in some buckets."""
        keyword = self.spec.fields.keyword(self.spec.home_keyword)
        filters = [*self.conditions["filter"], self.spec.hashed]
        if len(buckets) < self.spec.n_buckets:
            inside = [self.terms[bucket] for bucket in buckets.tolist()]
            filters.insert(-1, {"terms": {keyword: inside}})
        return {
            "size": 0,
            "track_total_hits": False,
            "query": {"bool": {**self.conditions, "filter": filters}},
            "aggs": {"homes": {"terms": {"field": keyword, "size": len(buckets)}}},
            **self.defined,
        }

    def counted(self, buckets: NDArray[np.int64], answer: Json) -> "Counting":
        """What is known after its answer."""
        found = counts_in(answer["aggregations"]["homes"], self.spec.n_buckets)
        kept = self.kept.and_counted(buckets, found)
        self.remember(kept)
        return replace(self, kept=kept)

    def after(self, buckets: NDArray[np.int64]) -> tuple[Counts, bool]:
        """What the filter keeps, for a request that has looked into some buckets: see `Kept`."""
        return self.kept.after(self.of_all, buckets)


def total_body(conditions: Json, defined: Mapping[str, Any]) -> Json:
    """A search that counts all that a filter keeps, and nothing else."""
    return {
        "size": 0,
        "track_total_hits": True,
        "query": {"bool": conditions},
        **defined,
    }
