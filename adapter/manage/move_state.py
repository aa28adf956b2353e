"""How far a move of an alias is, as its target's mapping tells, and whether writes wait for it."""

from dataclasses import dataclass
from typing import Any

from ..engines.engine import Engine
from ..engines.place import Place, settings_of

Json = dict[str, Any]
#: By shard, the number of the last operation that was seen.
Reached = dict[str, int]
#: The entry of a target's `_meta` that says how far a move is.
STATE = "meta4_move"
#: That which says where a copy is from and how far it is.
COPY = "meta4_copy"
#: Settings that are others while writes wait.
REPLICAS = "number_of_replicas"
WAITS_FOR = "write.wait_for_active_shards"
_CHANGED = (REPLICAS, "auto_expand_replicas", "routing.allocation.enable", WAITS_FOR)


@dataclass
class State:
    """How far a move is.

    Attributes:
        alias: what is moved.
        source: the index that it names before.
        uuid: of the source.
        phase: "filling", "moving", "late" or "done".
        reached: by shard of the source, what was brought.
        since: by shard of the target, the last operation that was ours before the alias came.
        back: whether the alias is moved to where it was.
        free: settings of the target that are others while writes wait.
        re_embedded: whether its documents have new embeddings.
    """

    alias: str
    source: str
    uuid: str
    phase: str
    reached: Reached
    since: Reached
    back: bool = False
    free: Json | None = None
    re_embedded: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether something is left to do."""
        return self.phase != "done"


def state_of(engine: Engine, index: str) -> State | None:
    """How far the move to an index is; None where there never was one."""
    (mapping,) = engine.mappings(index).values()
    return state_in(mapping)


def state_in(mapping: Json) -> State | None:
    """The same out of an index's mapping."""
    noted = mapping.get("_meta", {}).get(STATE)
    return None if noted is None else State(**noted)


def free_settings(place: Place) -> Json:
    """What the settings are that `writes_held` changes; None for the server's default."""
    settings = settings_of(place)
    return {f"index.{name}": _at(settings, name) for name in _CHANGED}


def are_held(place: Place, free: Json | None) -> bool:
    """Whether writes wait; `free` as a move has noted it, None where it holds nothing."""
    return free is not None and free_settings(place) != free


def _at(settings: Json, path: str) -> Any:
    found: Any = settings
    for step in path.split("."):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found or None
