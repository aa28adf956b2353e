"""Which pages of files are in memory, and what processes read."""

import ctypes
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meta4.adapter.engines.engine import Engine

_LIBC = ctypes.CDLL(None, use_errno=True)
#: Of /proc/PID/stat behind the name in brackets: majflt, the twelfth of all.
_MAJOR_FAULTS = 9


def evict(folder: Path) -> None:
    """Drop the pages of all files in a folder that nobody has mapped."""
    os.sync()  # what is not yet written cannot be dropped
    for _, descriptor in _opened(folder):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def resident(folder: Path) -> int:
    """Bytes of a folder's files that are in memory, whoever is charged with them."""
    pages = sum(_resident_pages(fd, size) for size, fd in _opened(folder) if size)
    return pages * mmap.PAGESIZE


@dataclass(frozen=True)
class Reads:
    """What processes have read from disks since they were started.

    Attributes:
        bytes: also those of pages that a fault brought in.
        faults: that waited for a disk.
        requests: that the disk has answered, whoever asked: what an engine has read ahead of its
            need (madvise(2), WILLNEED) is no fault.
    """

    bytes: int
    faults: int
    requests: int

    def since(self, before: "Reads") -> "Reads":
        """What came after another."""
        return Reads(
            self.bytes - before.bytes,
            self.faults - before.faults,
            self.requests - before.requests,
        )


def server_processes(engine: Engine) -> list[int]:
    """Of an engine's nodes, which are on this machine."""
    nodes = engine.request("GET", "/_nodes/process")["nodes"].values()
    return [int(node["process"]["id"]) for node in nodes]


def reads(processes: Sequence[int], folder: Path) -> Reads:
    """Of all their threads, those that have ended too; and of the disk that has a folder."""
    total, faults = 0, 0
    for process in processes:
        about = Path("/proc", str(process))
        total += read_bytes((about / "io").read_text())
        faults += major_faults((about / "stat").read_text())
    disk = _disk(folder) / "stat"
    return Reads(total, faults, int(disk.read_text().split()[0]) if disk.exists() else 0)


def read_bytes(io: str) -> int:
    """Of /proc/PID/io: what storage had to deliver; without what only memory had to."""
    lines = dict(line.split(": ") for line in io.splitlines())
    return int(lines["read_bytes"])


def major_faults(stat: str) -> int:
    """Of /proc/PID/stat; the name of a process may have spaces and brackets."""
    return int(stat.rpartition(")")[2].split()[_MAJOR_FAULTS])


def read_ahead_kb(folder: Path) -> int | None:
    """What the disk of a folder reads ahead where it is not told how it is read."""
    block = _disk(folder)
    for queue in (block / "queue", block.resolve().parent / "queue"):  # a part's is the whole's
        if (queue / "read_ahead_kb").exists():
            return int((queue / "read_ahead_kb").read_text())
    return None


def _disk(folder: Path) -> Path:
    """What the kernel says of the disk, or the part of one, that has a folder."""
    device = folder.stat().st_dev
    return Path("/sys/dev/block", f"{os.major(device)}:{os.minor(device)}")


def _opened(folder: Path) -> Iterator[tuple[int, int]]:
    """Of each file its size and a descriptor."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.is_symlink():
            continue
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except FileNotFoundError:  # merged away meanwhile
            continue
        try:
            yield os.fstat(descriptor).st_size, descriptor
        finally:
            os.close(descriptor)


def _resident_pages(descriptor: int, size: int) -> int:
    """By mincore(2), which reads nothing in."""
    found = np.zeros(-(-size // mmap.PAGESIZE), dtype=np.uint8)
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) as mapped:
        start = ctypes.c_char.from_buffer(mapped)
        failed = _LIBC.mincore(
            ctypes.c_void_p(ctypes.addressof(start)),
            ctypes.c_size_t(size),
            found.ctypes.data_as(ctypes.c_void_p),
        )
        del start  # or the mapping could not be closed
        if failed:
            raise OSError(ctypes.get_errno(), "mincore")
    return int((found & 1).sum())
