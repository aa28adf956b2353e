"""Writes to an index that wait, without failing, until they may go on.

No engine has a lock that waits: a write block refuses. But a write waits for as many copies of its
shard as the index asks for. So the index gets one copy more than there is room for, and asks for
all of them; who asks for one copy (`AT_ONCE`) does not wait. Servers wait a minute before they
refuse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..engines.place import Place, settings_of

Json = dict[str, Any]
#: Parameters of a write that does not wait.
AT_ONCE = {"wait_for_active_shards": "1"}
_REPLICAS = "number_of_replicas"
_WAITS_FOR = "write.wait_for_active_shards"
_CHANGED = (_REPLICAS, "auto_expand_replicas", "routing.allocation.enable", _WAITS_FOR)


def free_settings(place: Place) -> Json:
    """What the settings are that `writes_held` changes; None for the server's default."""
    settings = settings_of(place)
    return {f"index.{name}": _at(settings, name) for name in _CHANGED}


def are_held(place: Place, free: Json | None) -> bool:
    """Whether writes wait; `free` as a move has noted it, None where it holds nothing."""
    return free is not None and free_settings(place) != free


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
        f"index.{_REPLICAS}": int(free[f"index.{_REPLICAS}"]) + 1,
        "index.auto_expand_replicas": "false",
        "index.routing.allocation.enable": "none",  # so that there is no room
        f"index.{_WAITS_FOR}": "all",
    }
    try:
        _put(place, held)
        yield
    finally:
        _put(place, free)


def _put(place: Place, settings: Json) -> None:
    place.engine.request("PUT", f"/{place.index}/_settings", settings)


def _at(settings: Json, path: str) -> Any:
    found: Any = settings
    for step in path.split("."):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found or None
