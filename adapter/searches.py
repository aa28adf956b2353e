"""Searches that clients keep some of: hidden index `meta4-searches`, of each its vector alone.

A field of an index has so many places there. What is kept takes one of them at random, so that
there are never more, and most are of the last while.
"""

import hashlib
import random
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError, InputError, NotFoundError, RefusedError
from ..models.embeddings import packed, unpacked
from .engines.calls import Call, Steps, make_own_index
from .engines.engine import Engine
from .engines.faults import root_cause

SEARCHES_INDEX = "meta4-searches"
#: Of each field of an index.
PLACES = 1_000
#: How long a search waits for being kept, and seconds until another is, where that failed.
_TIMEOUT, _PAUSE = "1s", 60.0
_MAPPINGS: dict[str, Any] = {"dynamic": False}


class SearchKeeper:
    """Keeps a random share of one client's searches.

    Args:
        share: in [0, 1].

    Raises:
        InputError: another share.
    """

    def __init__(self, share: float) -> None:
        if (
            isinstance(share, bool)
            or not isinstance(share, int | float | np.floating)
            or not 0 <= float(share) <= 1
        ):
            raise InputError(f"keep_searches: expected a share from 0 to 1, got {share!r}")
        self._share = float(share)
        self._drawn = random.Random()
        self._is_there = self._has_warned = False
        self._not_before = 0.0

    def draws(self) -> bool:
        """Whether the next search is to be kept."""
        if self._share == 0.0 or self._drawn.random() >= self._share:
            return False
        return time.monotonic() >= self._not_before

    def keep(self, index: str, field: str, vector: NDArray[np.float32]) -> Steps[None]:
        """Keep a search; what keeps it from being kept is a warning, and no error.

        Args:
            index: the name that was asked.
            field: which.
            vector: (dims,) float32 that it asked with.
        """
        place = _place(_origin(index, field), self._drawn.randrange(PLACES))
        try:
            if not self._is_there:
                yield from make_own_index(SEARCHES_INDEX, _MAPPINGS)
                self._is_there = True
            # In the path: OpenSearch's client would take a parameter for its own, in seconds.
            path = f"/{SEARCHES_INDEX}/_doc/{place}?timeout={_TIMEOUT}"
            yield Call("PUT", path, {"vector": packed(vector)})
        except (EngineError, NotFoundError) as error:
            self._is_there = False
            self._not_before = time.monotonic() + _PAUSE
            has_warned, self._has_warned = self._has_warned, True
            if not has_warned:
                warnings.warn(f"searches are not kept: {error}", stacklevel=2)


def read_searches(engine: Engine, index: str, field: str) -> list[NDArray[np.float32]]:
    """The vectors that were kept, asked of an index by any of its names: each (dims,) float32."""
    found = []
    for places in _all_places(engine, index, field):
        try:
            kept = engine.mget(SEARCHES_INDEX, dict.fromkeys(places))
        except NotFoundError:
            return []
        for one in kept:
            vector = unpacked(one["_source"].get("vector")) if one["found"] else None
            if isinstance(vector, np.ndarray):
                found.append(vector)
    return found


def forget_searches(engine: Engine, index: str, field: str) -> None:
    """Delete them; what keeps them from being deleted is a warning, and no error.

    Who may not see that index leaves them.
    """
    try:
        if not engine.index_exists(SEARCHES_INDEX):
            return
    except RefusedError:
        return
    try:
        for places in _all_places(engine, index, field):
            lines = (f'{{"delete": {{"_id": "{place}"}}}}\n' for place in places)
            items = engine.bulk(SEARCHES_INDEX, "".join(lines).encode())
            if failed := [item for item in items if "error" in item]:
                raise EngineError(root_cause(failed[0]))
    except EngineError as error:
        warnings.warn(f"searches of before stay in {SEARCHES_INDEX}: {error}", stacklevel=2)


def _all_places(engine: Engine, index: str, field: str) -> Iterator[Sequence[str]]:
    """Ids of what may be kept, by each name of an index."""
    aliases = engine.run(engine.calls.aliases(index))
    for name in sorted({index, *aliases, *(alias for own in aliases.values() for alias in own)}):
        origin = _origin(name, field)
        yield [_place(origin, number) for number in range(PLACES)]


def _origin(index: str, field: str) -> str:
    return hashlib.sha256(f"{index}\n{field}".encode()).hexdigest()[:40]


def _place(origin: str, number: int) -> str:
    return f"{origin}-{number}"
