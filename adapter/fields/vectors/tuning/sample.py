"""Documents drawn at random, with their vectors and buckets."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....errors import InputError
from .....ingest.documents import value_at
from .....mappings.spec import IndexSpec
from .....models.embeddings import as_embedding, embedding_fault, unit
from .....models.probing.directory import bucket_id
from ....engines.engine import Engine
from ...queries import shuffled

#: Numbers that are asked for in one response.
_AT_ONCE = 4_000_000


def sample_hashed(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    n: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[list[str], NDArray[np.float32], NDArray[np.int64]]:
    """Ids, directions and homes of hashed documents, drawn; of all where they are no more.

    Args:
        engine: where.
        index: which index.
        spec: of the field.
        n: documents, at most.
        seed: which are drawn.
        progress: called with the documents read since the last call.

    Returns:
        m ids, (m, dims) float32 of length 1, and (m,) int64.

    Raises:
        InputError: there are none.
    """
    path = spec.fields.bucket
    body = {"_source": [spec.field, path], "query": spec.hashed}
    n_hashed = engine.count(index, spec.hashed)
    found: dict[str, tuple[NDArray[np.float32], int]] = {}
    few = n_hashed <= n
    hits = engine.scan(index, body) if few else _drawn(engine, index, spec, body, seed, n)
    for hit in hits:
        terms = value_at(hit.get("_source", {}), path)
        bucket = bucket_id(first_of(terms), spec.n_buckets)
        vector = value_at(hit.get("_source", {}), spec.field)
        if bucket is None or embedding_fault(vector, spec.dims) is not None:
            continue
        progress(hit["_id"] not in found)
        found[hit["_id"]] = (as_embedding(vector, spec.dims), bucket)
        if len(found) == n:
            break
    if not found:
        raise InputError(
            f"index {index!r} has no document whose vector and whose hash by its model can be "
            f"read; load some with: meta4 ingest, or hash them with: meta4 index heal"
        )
    vectors = np.stack([vector for vector, _ in found.values()])
    homes = np.asarray([bucket for _, bucket in found.values()], dtype=np.int64)
    return list(found), unit(vectors).astype(np.float32), homes


def first_of(terms: Any) -> Any:
    """A document's first bucket, as its source has it; None where somebody wrote none."""
    if isinstance(terms, list):
        return terms[0] if terms else None
    return terms


def _drawn(
    engine: Engine, index: str, spec: IndexSpec, body: Any, seed: int, n: int
) -> Iterator[Any]:
    """Hits of random documents, some of them more than once."""
    size = max(1, min(10_000, _AT_ONCE // spec.dims))
    for turn in range(2 * -(-n // size)):
        scored = shuffled([body["query"]], seed * 1000 + turn)
        asked = {**body, "size": size, "query": scored, "track_total_hits": False}
        answer = engine.search(index, asked, params=engine.vectors_in_source())
        yield from answer["hits"]["hits"]
