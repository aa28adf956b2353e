"""Documents drawn as queries."""

from typing import Any

from ...errors import InputError
from ...ingest.documents import value_at
from ..engines.calls import Json
from ..engines.engine import Engine


def sample_documents(
    engine: Engine, index: str, field: str, n: int, seed: int, within: Json | None = None
) -> list[tuple[str, Any]]:
    """Ids and values of at most `n` documents with a field.

    The same documents for the same seed and the same index.

    Args:
        engine: where.
        index: which index.
        field: a dotted field.
        n: how many.
        seed: which of them.
        within: a filter.

    Raises:
        InputError: no document has it, or `_source` has it of none.
    """
    conditions = [{"exists": {"field": field}}, *([] if within is None else [within])]
    body = {
        "size": min(n, 10_000),
        "_source": [field],
        "query": shuffled(conditions, seed),
    }
    hits = engine.search(index, body, params=engine.vectors_in_source())["hits"]["hits"]
    if not hits:
        raise InputError(
            f"index {index!r} has no document with a {field!r} yet; load some first: "
            f"meta4 ingest FILE --index {index}"
        )
    drawn = [(hit["_id"], value_at(hit.get("_source", {}), field)) for hit in hits]
    kept = [(identity, value) for identity, value in drawn if value is not None]
    if not kept:
        raise InputError(
            f"the documents of index {index!r} do not have their {field!r} in _source, where "
            f"queries are drawn from; give some with --query-file"
        )
    return kept


def shuffled(conditions: list[Json], seed: int) -> Json:
    """The documents that match, in an order that the seed draws."""
    return {
        "function_score": {
            "query": {"bool": {"filter": conditions}},
            "random_score": {"seed": seed, "field": "_seq_no"},
            "boost_mode": "replace",
        }
    }
