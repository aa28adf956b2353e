"""Three OpenSearch nodes on this machine, and what befalls them."""

import os
import shutil
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.adapter.engines.node import EmbeddedNode
from meta4.adapter.engines.node.folders import NodeFolders
from meta4.adapter.engines.node.node import status
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import LOOPBACK, free_port
from meta4.errors import Meta4Error

from .faults import Proxy

N_NODES = 3
_HEAP_MB = 512
_WITHIN = 150.0
#: Notice within two seconds that a node is away; the default is half a minute.
_FAULT_DETECTION = """
cluster.fault_detection.follower_check.interval: 500ms
cluster.fault_detection.follower_check.timeout: 1s
cluster.fault_detection.follower_check.retry_count: 2
cluster.fault_detection.leader_check.interval: 500ms
cluster.fault_detection.leader_check.timeout: 1s
cluster.fault_detection.leader_check.retry_count: 2
cluster.info.update.interval: 10s
"""


class _Member(OpenSearchServer):
    """One of several; the others find it where its proxy listens."""

    def __init__(self, number: int, transport_port: int, published: list[int]) -> None:
        self._number = number
        self._transport_port = transport_port
        self._published = published

    def configure(
        self, folders: NodeFolders, home: Path, port: int, _port: int, options: list[str]
    ) -> None:
        super().configure(folders, home, port, self._transport_port, options)
        config = folders.config / "opensearch.yml"
        alone = ("node.name:", "discovery.type:")
        lines = [line for line in config.read_text().splitlines() if not line.startswith(alone)]
        seeds = ", ".join(f'"{LOOPBACK}:{port}"' for port in self._published)
        names = ", ".join(f"node-{i}" for i in range(len(self._published)))
        lines += [
            f"node.name: node-{self._number}",
            f"transport.publish_port: {self._published[self._number]}",
            f"discovery.seed_hosts: [{seeds}]",
            f"cluster.initial_cluster_manager_nodes: [{names}]",
        ]
        config.write_text("\n".join(lines) + _FAULT_DETECTION)


class Cluster:
    """Three nodes as a context; what one says to another goes through that one's proxy.

    Attributes:
        url: all three, with commas between.
        nodes: each by itself.
        engine: talks to all three.
    """

    engine: Engine

    def __init__(self) -> None:
        self._stack = ExitStack()
        ports = [free_port(0) for _ in range(N_NODES)]
        self._proxies = [self._stack.enter_context(Proxy(port)) for port in ports]
        published = [proxy.port for proxy in self._proxies]
        self._root = Path(tempfile.mkdtemp(prefix="meta4-cluster-"))
        self._root.chmod(0o755)
        self.nodes = [
            EmbeddedNode(
                _Member(i, port, published),
                data=self._root / f"node-{i}",
                heap_mb=_HEAP_MB,
                port=free_port(0),
                quick_start=True,
            )
            for i, port in enumerate(ports)
        ]

    def __enter__(self) -> "Cluster":
        self._stack.callback(shutil.rmtree, self._root, ignore_errors=True)
        for node in self.nodes:
            self._stack.callback(node.stop)
        with ThreadPoolExecutor(N_NODES) as pool:
            list(pool.map(EmbeddedNode.start, self.nodes))
        self.engine = connect(self.url)
        self._stack.callback(self.engine.close)
        self.wait_until_green()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """All three."""
        return ",".join(node.url for node in self.nodes)

    def kill(self, number: int) -> None:
        """End a node as a power cut does."""
        running = status(self.nodes[number].folders.root)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        self.nodes[number].stop()

    def stop(self, number: int) -> None:
        """End a node in order."""
        self.nodes[number].stop()

    def start(self, number: int) -> None:
        """Start it again on what it has."""
        self.nodes[number].start()

    def part(self, number: int) -> None:
        """Cut a node off from the other two: they reach it no more. Clients still do."""
        self._proxies[number].shut()

    def join(self, number: int) -> None:
        """End that."""
        self._proxies[number].reopen()

    def wait_until_green(self) -> float:
        """Seconds until all copies of all shards are there on all nodes.

        Raises:
            TimeoutError: they are not.
        """
        return _wait(self.engine, N_NODES, "green")

    def wait_until_missed(self, number: int) -> float:
        """Seconds until the others have noticed that a node is away, and go on without it.

        Raises:
            TimeoutError: they have not.
        """
        engine = connect(self.nodes[number - 1].url)
        try:
            return _wait(engine, N_NODES - 1, "yellow")
        finally:
            engine.close()


def _wait(engine: Engine, n_nodes: int, status: str) -> float:
    started = time.monotonic()
    params = {"wait_for_status": status, "wait_for_nodes": str(n_nodes), "timeout": "5s"}
    while time.monotonic() - started < _WITHIN:
        try:
            answer = engine.request("GET", "/_cluster/health", params=params)
        except Meta4Error:  # no manager elected yet, or 408 after its time
            time.sleep(0.2)
            continue
        if not answer["timed_out"]:
            return time.monotonic() - started
        # A copy that could not be made five times is left until somebody asks for it.
        engine.request("POST", "/_cluster/reroute", params={"retry_failed": "true"})
    raise TimeoutError(f"not {n_nodes} nodes and {status} within {_WITHIN:.0f} s")
