"""Real servers of both engines, and a proxy before one of them."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.faults import Proxy

from meta4 import EmbeddedNode
from meta4.adapter.engines.node.elasticsearch import ElasticsearchServer
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import free_port

#: Tests that ask for `engine` or `node` run on both of these.
BOTH = ("opensearch", "elasticsearch")
SERVERS = {
    "opensearch": OpenSearchServer(),
    "elasticsearch": ElasticsearchServer("9.4.3"),
    "elasticsearch 8": ElasticsearchServer("8.19.13"),
    "elasticsearch bare": ElasticsearchServer("9.2.0"),
}
#: For a test of what no engine has a part in: plans, promises, training.
on_one_engine = pytest.mark.parametrize("node", BOTH[:1], indirect=True)


@contextmanager
def running(server):
    """A real server, started by the project itself."""
    # Not pytest's own folder: that is closed to the unprivileged user that root starts it as.
    folder = Path(tempfile.mkdtemp(prefix="meta4-tests-"))
    folder.chmod(0o755)
    node = EmbeddedNode(
        server, data=folder / "node", heap_mb=1024, port=free_port(0), quick_start=True
    )
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def proxy_before(node, tls=None):
    """As a context it listens."""
    return Proxy(int(node.url.rpartition(":")[2]), tls=tls)
