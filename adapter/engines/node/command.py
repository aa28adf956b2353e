"""The server's configuration and command line."""

import re
import socket
from pathlib import Path

from .folders import NodeFolders
from .java import Java

_LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 9200
_MAIN = "org.opensearch.bootstrap.OpenSearch"
#: Options of config/jvm.options that are replaced by ours, or write where they should not.
_DROPPED = ("-Xms", "-Xmx", "-Xlog:", "-XX:HeapDumpPath", "-XX:ErrorFile", "-Djava.io.tmpdir")
_OPTION = re.compile(r"^(?:(?P<first>\d+)(?P<range>-)?(?P<last>\d+)?:)?(?P<option>-.+)$")


def free_port(preferred: int) -> int:
    """The preferred port if nothing listens there, or any free one; 0 prefers none."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def write_config(folders: NodeFolders, home: Path, port: int, transport_port: int) -> None:
    """Our own opensearch.yml, and the other files that the server wants beside it."""
    for name in ("log4j2.properties", "fips_java.security"):
        source = home / "config" / name
        if source.exists():
            (folders.config / name).write_bytes(source.read_bytes())
    (folders.config / "opensearch.yml").write_text(
        f"cluster.name: meta4\n"
        f"node.name: meta4\n"
        f"path.data: {folders.data}\n"
        f"path.logs: {folders.logs}\n"
        f"network.host: {_LOOPBACK}\n"
        f"http.port: {port}\n"
        f"transport.port: {transport_port}\n"
        f"discovery.type: single-node\n"
        # Absolute marks: a small disk that is 95% full still has room for a demo.
        f"cluster.routing.allocation.disk.watermark.low: 1gb\n"
        f"cluster.routing.allocation.disk.watermark.high: 500mb\n"
        f"cluster.routing.allocation.disk.watermark.flood_stage: 200mb\n"
    )


def server_command(
    java: Java, home: Path, folders: NodeFolders, heap_mb: int, *, quick_start: bool
) -> list[str]:
    """The command line of the server, one process without a launcher.

    Args:
        java: which Java.
        home: the server's program.
        folders: the node's.
        heap_mb: heap in MiB.
        quick_start: compile less; saves 3 s of the start and costs speed afterwards.
    """
    class_path = ":".join([*(str(jar) for jar in java.locale_jars), f"{home}/lib/*"])
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
    return [
        str(java.executable),
        *options,
        *_options_of(home / "config" / "jvm.options", java, home),
        f"-Dopensearch.path.home={home}",
        f"-Dopensearch.path.conf={folders.config}",
        "-Dopensearch.distribution.type=zip",
        "-Dopensearch.bundled_jdk=false",
        "-cp",
        class_path,
        _MAIN,
    ]


def _options_of(file: Path, java: Java, home: Path) -> list[str]:
    """The options in a jvm.options file that hold for this Java."""
    options: list[str] = []
    for line in file.read_text().splitlines():
        match = _OPTION.match(line.strip())
        if match is None or match["option"].startswith(_DROPPED):
            continue
        if match["first"] is not None:
            first = int(match["first"])
            last = first if match["range"] is None else int(match["last"] or 10_000)
            if not first <= java.major <= last:
                continue
        option = match["option"]
        if "jdk.incubator.vector" in option and not java.has_vector:
            continue
        options.append(option.replace("-javaagent:agent/", f"-javaagent:{home}/agent/"))
    return options
