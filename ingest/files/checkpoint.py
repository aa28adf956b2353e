"""How far a load is, in a file: what is killed at any moment goes on from there."""

import os
import time
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import ConflictError, InputError

#: Seconds between two writings.
_EVERY = 1.0


class Progress(BaseModel):
    """What the file says.

    Attributes:
        load: what is loaded where: files with size and time, index with its UUID.
        n_settled: documents from the beginning that need not be sent again.
        dead_letters: bytes of the file of refused documents that belong to these.
    """

    model_config = ConfigDict(extra="forbid")

    load: dict[str, Any]
    n_settled: int = Field(ge=0)
    dead_letters: int = Field(ge=0)


class Checkpoint:
    """One load's progress; the file is replaced whole, and removed when all is loaded.

    Args:
        path: the file.
        load: see `Progress`.

    Raises:
        ConflictError: the file is another load's.
        InputError: the file is no checkpoint.
    """

    def __init__(self, path: Path, load: dict[str, Any]) -> None:
        self._path = path
        self._written_at = time.monotonic()
        self.progress: Progress | None = None
        load = orjson.loads(orjson.dumps(load))
        self._load = load
        if not path.exists():
            return
        try:
            self.progress = Progress.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{path} is no checkpoint of 'meta4 ingest'; name another file, or remove it"
            ) from error
        if self.progress.load != load:
            differing = sorted(key for key in load if self.progress.load.get(key) != load.get(key))
            raise ConflictError(
                f"{path} is the checkpoint of another load (other {', '.join(differing)}); "
                f"remove it to load from the beginning"
            )

    def save(self, n_settled: int, dead_letters: int, *, now: bool = False) -> None:
        """Note how far it is, at most once a second unless `now`."""
        if not now and time.monotonic() - self._written_at < _EVERY:
            return
        self._written_at = time.monotonic()
        said = Progress(load=self._load, n_settled=n_settled, dead_letters=dead_letters)
        beside = self._path.with_name(self._path.name + ".new")
        try:
            with beside.open("wb") as file:
                file.write(said.model_dump_json().encode())
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written ({error})") from error

    def remove(self) -> None:
        """All is loaded."""
        self._path.unlink(missing_ok=True)
