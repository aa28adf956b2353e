"""A clause that asks a field of texts: what it looks into, and how that is scored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....mappings.texts import TextSpec, jaccard_query
from ...search.planned import Body, PlannedClause
from ...search.rewriter import conditions, excluded
from ...search.sites import Site


@dataclass(frozen=True)
class PlannedText(PlannedClause):
    """See `PlannedClause`.

    Attributes:
        site: the clause where it stands.
        shingles: (m,) int64 of its text, ascending.
        buckets: what is looked into; None for all documents.
        spec: of the field.
        hides: see `PlannedClause`.
    """

    site: Site
    shingles: NDArray[np.int64]
    buckets: list[str] | None
    spec: TextSpec
    hides: bool = False

    @property
    def is_cut(self) -> bool:
        """See `PlannedClause`: the script scores all that it is given."""
        return False

    def within(self) -> Body | None:
        """See `PlannedClause`."""
        own: list[Body] = []
        if self.buckets is not None:
            own.append({"terms": {self.spec.fields.bucket: self.buckets}})
        return conditions([*own, *self.site.filters], excluded(self.site))

    def query(self, within: Body | None, n: int) -> Body:
        """See `PlannedClause`."""
        return jaccard_query(self.spec, self.shingles, [] if within is None else [within])
