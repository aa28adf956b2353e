"""What requests remember between them, each thing for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from threading import Lock
from typing import Any, TypeVar

from ..engines.calls import Steps

#: Seconds until something is read again. Counts only steer how far a plan reaches; a document in
#: a bucket that is known is found the moment the engine makes it visible.
FRESH_FOR = 30.0
#: Things kept: an index takes two, and each filter one.
_KEPT = 512
T = TypeVar("T")
#: What is kept, of which index (empty where that is no matter), and more.
Key = tuple[str, str, Any]


class Shelf:
    """Values by key, those least used let go.

    Args:
        fresh_for: seconds.
    """

    def __init__(self, fresh_for: float = FRESH_FOR) -> None:
        self._fresh_for = fresh_for
        self._kept: OrderedDict[Key, tuple[float, Any]] = OrderedDict()
        #: By index, how often it was forgotten.
        self._eras: dict[str, int] = {}
        self._lock = Lock()

    def take(self, key: Key, read: Callable[[], Steps[T]], *, forever: bool = False) -> Steps[T]:
        """A value that is fresh, read where it is not.

        While one reads it again, others go on with what it was.

        Args:
            key: of the value.
            read: steps that give it.
            forever: whether it cannot change.
        """
        now = time.monotonic()
        with self._lock:
            read_at, value = self._kept.get(key, (-inf, None))
            if read_at != -inf:
                self._kept.move_to_end(key)
            if now - read_at < (inf if forever else self._fresh_for):
                return value  # type: ignore[no-any-return]
            if read_at != -inf:
                self._kept[key] = (now, value)
            era = self._eras.get(key[1], 0)
        try:
            value = yield from read()
        except BaseException:
            with self._lock:
                self._kept.pop(key, None)
            raise
        with self._lock:  # what was forgotten meanwhile is read anew by who comes next
            if era == self._eras.get(key[1], 0):
                self._put(key, value, now)
        return value

    def put(self, key: Key, value: Any) -> None:
        """Keep a value as of now."""
        with self._lock:
            self._put(key, value, time.monotonic())

    def _put(self, key: Key, value: Any, read_at: float) -> None:
        self._kept[key] = (read_at, value)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def grow(self, key: Key, value: Any) -> None:
        """Keep what a value has become, for as long as it would have been kept."""
        with self._lock:
            read_at, _ = self._kept.get(key, (-inf, None))
            now = time.monotonic()
            is_fresh = now - read_at < self._fresh_for
            self._put(key, value, read_at if is_fresh else now)

    def peek(self, key: Key) -> Any:
        """A value however old; None where there is none."""
        with self._lock:
            return self._kept.get(key, (0.0, None))[1]

    def forget(self, index: str) -> None:
        """Let go all that is of an index."""
        with self._lock:
            self._eras[index] = self._eras.get(index, 0) + 1
            for key in [key for key in self._kept if key[1] == index]:
                del self._kept[key]
