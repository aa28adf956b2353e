"""Writes to an index that wait, without failing, until they may go on.

No engine has a lock that waits: a write block refuses. But a write waits for as many copies of its
shard as the index asks for. So the index gets one copy more than there is room for, and asks for
all of them; who asks for one copy (`AT_ONCE`) does not wait. Servers wait a minute before they
refuse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..engines.place import Place
from ..manage.move_state import REPLICAS, WAITS_FOR

Json = dict[str, Any]
#: Parameters of a write that does not wait.
AT_ONCE = {"wait_for_active_shards": "1"}


@contextmanager
def writes_held(place: Place, free: Json) -> Iterator[None]:
    """Let writes of others wait until the end of the context.

    Where this process is killed within, they wait until `free` is set again.

    Args:
        place: an index.
        free: its settings from before, by `free_settings`.
    """
    held = dict.fromkeys(free)
    held |= {
        f"index.{REPLICAS}": int(free[f"index.{REPLICAS}"]) + 1,
        "index.auto_expand_replicas": "false",
        "index.routing.allocation.enable": "none",  # so that there is no room
        f"index.{WAITS_FOR}": "all",
    }
    try:
        _put(place, held)
        yield
    finally:
        _put(place, free)


def _put(place: Place, settings: Json) -> None:
    place.engine.request("PUT", f"/{place.index}/_settings", settings)
