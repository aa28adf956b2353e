"""The gateway, run by uvicorn in a thread as `meta4 serve` runs it."""

import asyncio
import http.client
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn

from meta4.adapter.engines.access import Access
from meta4.adapter.engines.node.server import free_port
from meta4.serve import app


@contextmanager
def gateway_before(url, access=None):
    """As a context it listens; gives its URL."""
    port = free_port(0)
    config = uvicorn.Config(
        app(url, access or Access()), host="127.0.0.1", port=port, access_log=False,
        date_header=False, server_header=False, log_config=None, log_level="warning",
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the gateway did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the gateway did not end"


def ask(url, method, target, body=None, headers=None):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()
