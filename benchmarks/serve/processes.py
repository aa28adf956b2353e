"""The gateway and what stands beside it, each in a process of its own."""

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meta4.adapter.engines.node.folders import NodeFolders
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import free_port
from meta4.errors import InputError


class Server(OpenSearchServer):
    """Takes a `_bulk` of half a gigabyte."""

    def configure(self, folders: NodeFolders, *others: Any) -> None:
        """See `OpenSearchServer`."""
        super().configure(folders, *others)
        config = folders.config / "opensearch.yml"
        more = "http.max_content_length: 1gb\nindexing_pressure.memory.limit: 40%\n"
        config.write_text(f"{config.read_text()}\n{more}")


@contextmanager
def gateway(url: str) -> Iterator[tuple[str, int]]:
    """A process of its own; gives where it listens, and its number."""
    port = free_port(0)
    command = [str(Path(sys.executable).with_name("meta4")), "serve", "--engine", url, "--quiet"]
    process = subprocess.Popen([*command, "--port", str(port)])
    through = f"http://127.0.0.1:{port}"
    try:
        await_answer(through)
        yield through, process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def nginx(url: str, folder: Path) -> Iterator[str]:
    """One worker that keeps its connections, and logs nothing."""
    port, where = free_port(0), urlsplit(url).netloc
    config = folder / "nginx.conf"
    config.write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; upstream engine {{ server {where}; keepalive 64; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://engine;\n"
        'proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n'
    )
    process = subprocess.Popen(["nginx", "-c", str(config)])
    proxy = f"http://127.0.0.1:{port}"
    try:
        await_answer(proxy)
        yield proxy
    finally:
        process.terminate()
        process.wait(60)


def await_answer(url: str) -> None:
    """Wait until something answers there.

    Raises:
        InputError: nothing does.
    """
    parts = urlsplit(url)
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.close()
            return
        except OSError:
            time.sleep(0.1)
    raise InputError(f"{url} does not answer")


def status(process: int, name: str) -> int:
    """Of /proc/PID/status, in kB."""
    lines = Path("/proc", str(process), "status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1])
