"""A memory cgroup for a node, version 1 or 2, or none where neither can be written to."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PROCESSES = "cgroup.procs"
_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Usage:
    """Bytes that a group is charged with.

    Attributes:
        all: what its limit is held against.
        cache: of them pages of files.
    """

    all: int
    cache: int

    @property
    def rest(self) -> int:
        """What is no page of a file: heap, other memory of the process, the kernel's for it."""
        return self.all - self.cache


class Group(ABC):
    """Processes whose memory is counted and limited together.

    A page of a file is charged to the group whose process first touched it, so a node must be
    started inside, when no page of its files is in memory.
    """

    #: Whether there is one at all.
    limits = True
    name: str

    @abstractmethod
    def limit(self, most: int | None) -> None:
        """Charge it with so many bytes at most from now on; what is beyond is reclaimed."""

    @abstractmethod
    def usage(self) -> Usage:
        """What it is charged with."""

    @abstractmethod
    def reclaim(self) -> None:
        """Take all pages of files away from it that can be."""

    @abstractmethod
    def entered(self) -> AbstractContextManager[None]:
        """Have this process inside for as long as the context; what it starts then stays."""

    @abstractmethod
    def remove(self) -> None:
        """When no process is inside any more."""


class _Folder(Group):
    """What both versions have in common: a folder of files."""

    def __init__(self, folder: Path, own: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._own = own

    @contextmanager
    def entered(self) -> Iterator[None]:
        """See `Group`. 0 is who writes it, with all threads."""
        (self.folder / _PROCESSES).write_text("0")
        try:
            yield
        finally:
            (self._own / _PROCESSES).write_text("0")

    def remove(self) -> None:
        """See `Group`."""
        with suppress(OSError):
            self.reclaim()
        with suppress(OSError):
            self.folder.rmdir()

    def _read(self, name: str) -> int:
        return int((self.folder / name).read_text())

    def _stat(self) -> dict[str, int]:
        return parsed((self.folder / "memory.stat").read_text())


class Version1(_Folder):
    """https://docs.kernel.org/admin-guide/cgroup-v1/memory.html."""

    name = "memory cgroup, version 1"

    def limit(self, most: int | None) -> None:
        """See `Group`. The kernel refuses a limit that it cannot reclaim down to."""
        file = self.folder / "memory.limit_in_bytes"
        try:
            file.write_text(str(-1 if most is None else most))
        except OSError:
            self.reclaim()
            file.write_text(str(most))

    def usage(self) -> Usage:
        """See `Group`."""
        return Usage(self._read("memory.usage_in_bytes"), self._stat()["cache"])

    def reclaim(self) -> None:
        """See `Group`."""
        (self.folder / "memory.force_empty").write_text("0")


class Version2(_Folder):
    """https://docs.kernel.org/admin-guide/cgroup-v2.html; `memory.reclaim` is of Linux 5.19."""

    name = "memory cgroup, version 2"

    def limit(self, most: int | None) -> None:
        """See `Group`. Beyond memory.max processes are killed: first reclaimed, then limited."""
        if most is not None and (over := self.usage().all - most) > 0:
            self._reclaim(over)
        (self.folder / "memory.max").write_text("max" if most is None else str(most))

    def usage(self) -> Usage:
        """See `Group`."""
        return Usage(self._read("memory.current"), self._stat()["file"])

    def reclaim(self) -> None:
        """See `Group`."""
        self._reclaim(self.usage().cache)

    def _reclaim(self, most: int) -> None:
        with suppress(OSError):  # EAGAIN: less could be reclaimed
            (self.folder / "memory.reclaim").write_text(str(most))


class NoGroup(Group):
    """Where none can be written to: nothing is limited."""

    limits = False
    name = "no memory cgroup"

    def limit(self, most: int | None) -> None:
        """See `Group`."""

    def usage(self) -> Usage:
        """See `Group`."""
        return Usage(0, 0)

    def reclaim(self) -> None:
        """See `Group`."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """See `Group`."""
        yield

    def remove(self) -> None:
        """See `Group`."""


def new_group(root: Path = ROOT, membership: Path = _MEMBERSHIP) -> Group:
    """A new group of the version that is there, or `NoGroup`.

    Args:
        root: where cgroups are mounted.
        membership: what says in which groups this process is.
    """
    name = f"meta4-bench-{os.getpid()}"
    try:
        if (root / "memory" / _PROCESSES).exists():
            own = own_folder(root / "memory", "memory", membership.read_text())
            return Version1(root / "memory" / name, own)
        controllers = root / "cgroup.controllers"
        if controllers.exists() and "memory" in controllers.read_text().split():
            (root / "cgroup.subtree_control").write_text("+memory")
            return Version2(root / name, own_folder(root, "", membership.read_text()))
    except OSError:
        pass
    return NoGroup()


def own_folder(root: Path, controller: str, membership: str) -> Path:
    """The group that this process is in; the root where its path is of another namespace.

    Args:
        root: of a hierarchy.
        controller: of version 1; empty for version 2.
        membership: /proc/self/cgroup, with lines of "number:controllers:path".
    """
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            folder = root / path.lstrip("/")
            if (folder / _PROCESSES).exists():
                return folder
    return root


def parsed(stat: str) -> dict[str, int]:
    """memory.stat: a name and a number a line."""
    return {name: int(value) for name, value in map(str.split, stat.splitlines())}
