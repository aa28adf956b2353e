"""`meta4 index tune`: what is looked into for a recall, measured or said."""

from collections.abc import Callable
from typing import Any

from ..catalog import read_field
from ..engines.engine import Engine
from ..engines.names import check_index
from ..fields.promise import TuneOptions


def tune_index(
    engine: Engine,
    index: str,
    *,
    field: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
    **options: Any,
) -> Any:
    """Calibrate a field of an index as it is now.

    Args:
        engine: where.
        index: which index.
        field: which of its fields; its only one by default.
        progress: called with the number of queries done since the last call.
        options: of `TuneOptions`.

    Returns:
        See `Promise.tune`.

    Raises:
        NotFoundError: no such index, or not one of ours.
        InputError: no documents yet, no queries, or an option without a meaning for the field.
        EmbeddingError: a given vector that cannot be searched for.
    """
    engine.refresh(check_index(index))
    promise = read_field(engine, index, field).promise
    return promise.tune(engine, index, TuneOptions(**options), progress)
