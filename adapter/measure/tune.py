"""`meta4 index tune`: what is looked into for a recall, measured or said."""

from collections.abc import Callable
from typing import Any

from ...models.probing.ranking import Plan
from ..catalog import read_field
from ..engines.engine import Engine
from ..engines.names import check_index


def tune_index(
    engine: Engine,
    index: str,
    *,
    plan: Plan | None = None,
    n_queries: int | None = None,
    given: Any = None,
    seed: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Any:
    """Calibrate the field of an index as it is now; see `Promise.tune`.

    Args:
        engine: where.
        index: which index.
        plan: change the field's plan to this one.
        n_queries: documents drawn as queries, or how many of `given`.
        given: queries to be used instead.
        seed: which of them.
        progress: called with the number of queries done since the last call.

    Raises:
        NotFoundError: no such index, or not one of ours.
        InputError: no documents yet, no queries, or an option without a meaning for the field.
        EmbeddingError: a given vector that cannot be searched for.
    """
    engine.refresh(check_index(index))
    promise = read_field(engine, index).promise
    return promise.tune(
        engine,
        index,
        plan=plan,
        n_queries=n_queries,
        given=given,
        seed=seed,
        progress=progress,
    )
