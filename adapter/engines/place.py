"""One index of one cluster."""

from dataclasses import dataclass
from typing import Any

from ...errors import ConflictError
from .engine import Engine
from .names import check_index


@dataclass(frozen=True)
class Place:
    """An index of a cluster."""

    engine: Engine
    index: str

    def __str__(self) -> str:
        return f"{self.engine.url}/{self.index}"


def settings_of(place: Place) -> dict[str, Any]:
    """The settings of the one index that is meant, under `index.`.

    Raises:
        NotFoundError: no such index.
        ConflictError: an alias or pattern of several.
    """
    settings: dict[str, Any] = _settings(place, {})["index"]
    return settings


def flat_settings_of(place: Place) -> dict[str, Any]:
    """The same by their whole names; raises as `settings_of` does."""
    return _settings(place, {"flat_settings": "true"})


def _settings(place: Place, params: dict[str, str]) -> dict[str, Any]:
    path = f"/{check_index(place.index)}/_settings"
    answer = place.engine.request("GET", path, params=params)
    if len(answer) != 1:
        raise ConflictError(f"{place} names {len(answer)} indexes; name one of them")
    (entry,) = answer.values()
    settings: dict[str, Any] = entry["settings"]
    return settings
