"""Documents drawn as queries."""

from typing import Any

from ...errors import InputError
from ...ingest.documents import value_at
from ..engines.engine import Engine


def sample_documents(
    engine: Engine, index: str, field: str, n: int, seed: int
) -> list[tuple[str, Any]]:
    """Ids and values of at most `n` documents with a field.

    The same documents for the same seed and the same index.

    Raises:
        InputError: no document has it.
    """
    body = {
        "size": min(n, 10_000),
        "_source": [field],
        "query": {
            "function_score": {
                "query": {"bool": {"filter": [{"exists": {"field": field}}]}},
                "random_score": {"seed": seed, "field": "_seq_no"},
                "boost_mode": "replace",
            }
        },
    }
    hits = engine.search(index, body, params=engine.vectors_in_source())["hits"]["hits"]
    if not hits:
        raise InputError(
            f"index {index!r} has no document with a {field!r} yet; load some first: "
            f"meta4 ingest FILE --index {index}"
        )
    return [(hit["_id"], value_at(hit["_source"], field)) for hit in hits]
