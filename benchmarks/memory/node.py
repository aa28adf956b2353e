"""A node in a memory cgroup, and the room that its page cache has there."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from meta4 import EmbeddedNode
from meta4.adapter.cli.common import downloading
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.adapter.engines.node.folders import NodeFolders
from meta4.adapter.engines.node.java import Java
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import Server

from ..contest import SERVERS
from . import page_cache
from .groups import Group, new_group
from .page_cache import Reads

HEAP_MB = 1024
#: What a limit has beyond the room: each CPU takes 64 pages of charge in advance, the kernel
#: reclaims 32 pages before the limit is reached, and threads of a process that is warm still grow.
SLACK = 4 << 20
#: Of other indexes that may be in memory when one was emptied.
_ELSEWHERE = 16 << 20


@dataclass(frozen=True)
class Room:
    """What a node had while it was asked, in bytes.

    Attributes:
        asked: for pages of the index.
        limit: of all that the group is charged with.
        rest: of it what is no page of a file.
        charged: pages of files that the group is charged with.
        held: pages of indexes that were in memory, whoever is charged with them.
    """

    asked: int
    limit: int
    rest: int
    charged: int
    held: int

    @property
    def other(self) -> int:
        """Pages that the group is charged with and that are of no index: the program's."""
        return max(0, self.charged - self.held)

    @property
    def free(self) -> int:
        """Pages of indexes that another group is charged with: as if the room were larger."""
        return max(0, self.held - self.charged)


class _OpenSearch(OpenSearchServer):
    """All of its heap is touched at the start, as Elasticsearch's is: else it takes the room."""

    def __init__(self, java: Sequence[str]) -> None:
        self._java = java

    def command(
        self, java: Java, home: Path, folders: NodeFolders, options: list[str]
    ) -> list[str]:
        options = [*options, "-XX:+AlwaysPreTouch", *self._java]
        return super().command(java, home, folders, options)


class LimitedNode:
    """A running node; see `limited_node`.

    Attributes:
        engine: talks to it.
        limits: whether it can be limited.
    """

    def __init__(self, engine: Engine, group: Group, data: Path) -> None:
        self.engine = engine
        self.limits = group.limits
        self._group = group
        self._data = data
        self._processes = page_cache.server_processes(engine)
        self._asked = self._limit = 0

    def reads(self) -> Reads:
        """What it has read so far."""
        return page_cache.reads(self._processes, self._data)

    def empty(self, index: str) -> None:
        """Leave no page of an index in memory but what opening it reads.

        Closing it unmaps its files: pages that are mapped can neither be dropped by who advises so
        nor by /proc/sys/vm/drop_caches.

        Raises:
            AssertionError: some would be left, and be free riders.
        """
        self.engine.request("POST", f"/{index}/_close")
        page_cache.evict(self._data)
        self._group.reclaim()
        left = page_cache.resident(self._data)
        assert left < _ELSEWHERE or not self.limits, f"{left / 1e6:.0f} MB are still in memory"
        self.engine.request("POST", f"/{index}/_open")
        health = {"wait_for_status": "yellow", "wait_for_no_initializing_shards": "true"}
        self.engine.request("GET", f"/_cluster/health/{index}", params=health)

    def held(self) -> int:
        """Bytes of the index in memory."""
        return page_cache.resident(self._data)

    def give_room(self, room: int) -> None:
        """Limit all to what is no page of an index now, and so many bytes beside it."""
        self._asked = room
        other = self.room().other
        for _ in range(2):  # reclaiming gives some of the kernel's own memory back too
            self._limit = self._group.usage().rest + other + room + SLACK
            self._group.limit(self._limit)

    def room(self) -> Room:
        """As it is now."""
        held, usage = self.held(), self._group.usage()
        return Room(self._asked, self._limit, usage.rest, usage.cache, held)


@contextmanager
def limited_node(
    server: str, data: Path, java: Sequence[str] = (), heap_mb: int = HEAP_MB
) -> Iterator[LimitedNode]:
    """A node that is started in a group of its own, with no page of its data in memory.

    It is ended with us, by SIGTERM too.

    Args:
        server: one of `SERVERS`.
        data: its folder, with indexes.
        java: further options of the JVM, for OpenSearch.
        heap_mb: of the JVM.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    group = new_group()
    program: Server = _OpenSearch(java) if server == "opensearch" else SERVERS[server]
    node = EmbeddedNode(program, data=data, heap_mb=heap_mb, progress=downloading)
    folders = NodeFolders(data).data
    page_cache.evict(folders)
    left = page_cache.resident(folders)
    assert not left, f"{left / 1e6:.0f} MB of {folders} are kept in memory by another process"
    try:
        with group.entered():
            node.start()
        engine = connect(node.url)
        try:
            yield LimitedNode(engine, group, folders)
        finally:
            engine.close()
    finally:
        node.stop()
        group.remove()
