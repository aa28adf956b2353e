"""The vectors that clauses ask with; those of documents fetched, all in one round trip."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ClauseError, NotFoundError
from ....ingest.documents import value_at
from ....mappings.spec import IndexSpec
from ....models.embeddings import as_embedding
from ...engines.calls import Calls, Steps
from ...search.clauses import AnalogyClause, Operand, Site


def operands_of(site: Site) -> tuple[Operand, ...]:
    """What a clause names: one thing, or the three of an analogy."""
    clause = site.clause
    return clause.operands if isinstance(clause, AnalogyClause) else (clause,)


def ids_in(site: Site) -> list[str]:
    """The documents that a clause names."""
    return [operand.id for operand in operands_of(site) if operand.id is not None]


def vectors_of(
    calls: Calls, index: str, spec: IndexSpec, sites: Sequence[Site]
) -> Steps[list[NDArray[np.float32]]]:
    """(1, dims) for each clause, or (3, dims) for an analogy.

    Raises:
        ClauseError: something else than a document or a vector.
        NotFoundError: a document that is not there, or has no vector.
        EmbeddingError: what cannot be searched for.
    """
    ids = list(dict.fromkeys(identity for site in sites for identity in ids_in(site)))
    found: dict[str, Any] = {}
    if ids:
        sources = yield from calls.sources(index, ids, spec.field)
        found = dict(zip(ids, sources, strict=True))

    def vector(operand: Operand) -> NDArray[np.float32]:
        if operand.id is None and operand.vector is None:
            raise ClauseError(
                f"field {spec.field!r} of index {index!r} holds vectors; ask with 'id' or 'vector'"
            )
        if operand.id is None:
            # Validated to be floats already: an array is checked without a loop over them.
            numbers = np.asarray(operand.vector, dtype=np.float64)
            return as_embedding(numbers, spec.dims, what="query vector")
        source = found[operand.id]
        if source is None:
            raise NotFoundError(f"document {operand.id!r} is not in index {index!r}")
        values = value_at(source, spec.field)
        if values is None:
            raise NotFoundError(f"document {operand.id!r} of index {index!r} has no {spec.field!r}")
        return as_embedding(values, spec.dims, what=f"document {operand.id!r}")

    return [np.stack([vector(operand) for operand in operands_of(site)]) for site in sites]
