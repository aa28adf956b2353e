"""The vectors that clauses ask with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ClauseError
from ....mappings.spec import IndexSpec
from ....models.embeddings import as_embedding
from ...search.clauses import Operand
from ...search.sites import Site

#: Characters of a text in a message.
_SHOWN = 40


def vectors_of(
    site: Site,
    named: Mapping[str, Any],
    texts: Mapping[str, NDArray[np.float32]],
    spec: IndexSpec,
    index: str,
) -> NDArray[np.float32]:
    """(n, dims): of a clause's operands, in their order.

    Args:
        site: the clause.
        named: by id, the vectors of documents.
        texts: by text, the vectors that an encoder made.
        spec: of the field.
        index: for messages.

    Raises:
        ClauseError: something else than a document or a vector.
        EmbeddingError: what cannot be searched for.
    """

    def vector(operand: Operand) -> NDArray[np.float32]:
        if operand.id is not None:
            return as_embedding(named[operand.id], spec.dims, what=f"document {operand.id!r}")
        if operand.text is not None:
            if spec.encoder is None:
                raise ClauseError(
                    f"field {spec.field!r} of index {index!r} holds vectors, and no encoder is "
                    f"bound to it that makes them of texts; ask with 'id' or 'vector', or make the "
                    f"index with: meta4 index create --embedder"
                )
            what = f"text {operand.text[:_SHOWN]!r}"
            return as_embedding(texts[operand.text], spec.dims, what=what)
        return as_embedding(operand.vector, spec.dims, what="query vector")

    return np.array([vector(operand) for operand in site.clause.operands])
