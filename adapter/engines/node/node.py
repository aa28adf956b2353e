"""Starting, finding and stopping a node."""

import atexit
import contextlib
import os
import pwd
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ....errors import NodeError
from .artifacts import DownloadProgress, silent
from .folders import UNPRIVILEGED, NodeFolders, check_disk, default_data, is_root
from .java import find_java
from .opensearch import OpenSearchServer
from .server import DEFAULT_PORT, LOOPBACK, Server, free_port, jvm_options

DEFAULT_HEAP_MB = 1024
#: What a server takes beside its heap.
_OVERHEAD_MB = 400
_DISK_NEEDED = 300_000_000
_READY_WITHIN = 180.0
_STOPPED_WITHIN = 30.0
_LAST_WORDS = 15


@dataclass(frozen=True)
class NodeStatus:
    """A running node, as `node.json` in its data folder has it."""

    pid: int
    url: str
    data: Path


class EmbeddedNode:
    """A node that lives as long as a `with` block.

    >>> with EmbeddedNode(data=Path("/tmp/words")) as node:
    ...     Meta4(node.url)

    Args:
        server: what is run; OpenSearch by default.
        data: the data folder; the user's own by default. Indexes are there again the next time.
        heap_mb: the server's heap in MiB.
        port: HTTP port; 9200 by default, or any free one where that is taken.
        quick_start: compile less: starts sooner, runs slower. For tests.
        progress: shows downloads.
    """

    def __init__(
        self,
        server: Server | None = None,
        *,
        data: Path | None = None,
        heap_mb: int = DEFAULT_HEAP_MB,
        port: int | None = None,
        quick_start: bool = False,
        progress: DownloadProgress = silent,
    ) -> None:
        self.folders = NodeFolders((data or default_data()).absolute())
        self.server = server or OpenSearchServer()
        self.url = ""
        self._heap_mb = heap_mb
        self._port = port
        self._quick_start = quick_start
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "EmbeddedNode":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, keep: bool = False) -> NodeStatus:
        """Fetch what is missing, start, and wait until the node answers.

        Args:
            keep: leave it running when this process ends.

        Raises:
            NodeError: already running on this data, a port that is taken, no memory, disk or
                network, or the server ended; its own last words are in the message.
        """
        running = status(self.folders.root)
        if running is not None:
            raise NodeError(
                f"a node runs on {self.folders.root} already, at {running.url}; "
                f"stop it with: meta4 node stop, or name another folder with --data"
            )
        port = self._port or free_port(DEFAULT_PORT)
        if free_port(port) != port:
            raise NodeError(
                f"port {port} is taken by another server, or not ours to take; name another with "
                f"--port, or leave it out"
            )
        home = self.server.home(self._progress)
        java = find_java(self._progress, self.server.java_modules)
        _check_memory(self._heap_mb)
        self.folders.root.mkdir(parents=True, exist_ok=True)
        check_disk(self.folders.root, _DISK_NEEDED, "a node")
        self.folders.make()
        options = jvm_options(
            java, home, self.folders, self._heap_mb, quick_start=self._quick_start
        )
        self.server.configure(self.folders, home, port, _transport_port(port), options)
        command = self.server.command(java, home, self.folders, options)
        environment = self.server.environment(java, home, self.folders)
        self._process = _spawn(command, home, self.folders, environment)
        self.url = f"http://{LOOPBACK}:{port}"
        state = {"pid": self._process.pid, "url": self.url}
        self.folders.state.write_bytes(orjson.dumps(state))
        if not keep:
            atexit.register(self.stop)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return NodeStatus(self._process.pid, self.url, self.folders.root)

    def stop(self) -> None:
        """End the server and wait for it; does nothing if it does not run."""
        atexit.unregister(self.stop)
        if self._process is None:
            return
        _end(self._process.pid)
        # The exit code was reaped by `_end` where the process is our child.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_STOPPED_WITHIN)
        self._process = None
        self.folders.state.unlink(missing_ok=True)

    def wait(self) -> None:
        """Block until the server ends by itself."""
        if self._process is not None:
            self._process.wait()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                raise NodeError(
                    f"the server ended with code {code} while it was starting; "
                    f"its last words:\n{last_words(self.folders.root)}"
                )
            if self._listens() and _answers(self.url):
                return
            time.sleep(0.2)
        raise NodeError(
            f"the server did not answer within {_READY_WITHIN:.0f} s; "
            f"its last words:\n{last_words(self.folders.root)}"
        )

    def _listens(self) -> bool:
        """Whether this server has the port: another may have taken it meanwhile, and answer."""
        said = self.folders.output.read_text(errors="replace")
        return f"publish_address {{{self.url.removeprefix('http://')}}}" in said


def status(data: Path | None = None) -> NodeStatus | None:
    """The node that runs on a data folder, or None; a stale state file is passed over."""
    folders = NodeFolders((data or default_data()).absolute())
    try:
        state: Any = orjson.loads(folders.state.read_bytes())
        found = NodeStatus(int(state["pid"]), str(state["url"]), folders.root)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if _is_ours(found.pid, folders) else None


def running_url() -> str | None:
    """The URL of the node on the default data folder, if one runs."""
    found = status()
    return None if found is None else found.url


def stop(data: Path | None = None) -> NodeStatus | None:
    """Stop the node on a data folder; None if none runs.

    Raises:
        NodeError: it does not end.
    """
    found = status(data)
    if found is None:
        return None
    _end(found.pid)
    NodeFolders(found.data).state.unlink(missing_ok=True)
    return found


def last_words(data: Path | None = None, lines: int = _LAST_WORDS) -> str:
    """The end of what the server printed, without the frames of stack traces."""
    folders = NodeFolders((data or default_data()).absolute())
    try:
        text = folders.output.read_text(errors="replace")
    except OSError:
        return "(the server printed nothing)"
    said = [line for line in text.splitlines() if not line.lstrip().startswith(("at ", "... "))]
    return "\n".join(said[-lines:])


def _spawn(
    command: list[str], home: Path, folders: NodeFolders, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {}
    if is_root():
        group = pwd.getpwnam(UNPRIVILEGED).pw_gid
        identity = {"user": UNPRIVILEGED, "group": group, "extra_groups": []}
    with folders.output.open("wb") as output:
        # A session of its own: Ctrl-C at the terminal reaches us, and we end it in order.
        return subprocess.Popen(
            command,
            cwd=home,  # both engines look for their parts from there
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **identity,
        )


def _answers(url: str) -> bool:
    """Whether the cluster has a state and takes requests."""
    try:
        with urllib.request.urlopen(
            f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5
        ) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _is_ours(pid: int, folders: NodeFolders) -> bool:
    """Whether the process lives and is the server of these folders, not a later namesake."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        command = shown.stdout
    return str(folders.config) in command


def _end(pid: int) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        deadline = time.monotonic() + _STOPPED_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
    raise NodeError(f"process {pid} does not end; end it by hand with: kill -9 {pid}")


def _check_memory(heap_mb: int) -> None:
    try:
        meminfo = Path("/proc/meminfo").read_text()
    except OSError:
        return
    available = next(
        int(line.split()[1]) // 1024
        for line in meminfo.splitlines()
        if line.startswith("MemAvailable")
    )
    needed = heap_mb + _OVERHEAD_MB
    if available < needed:
        raise NodeError(
            f"a node with {heap_mb} MB of heap needs about {needed} MB of memory, and "
            f"{available} MB are available; close something, or ask for less with --heap 512"
        )


def _transport_port(http_port: int) -> int:
    """A free port for the transport layer that is not the HTTP port."""
    while (port := free_port(0)) == http_port:
        pass
    return port
