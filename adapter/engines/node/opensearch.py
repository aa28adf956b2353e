"""OpenSearch with the k-NN plugin, as a node runs it."""

from pathlib import Path

from .artifacts import Artifact, DownloadProgress, ensure, fetch, unpack
from .folders import NodeFolders
from .java import Java
from .server import Server, copy_configuration, settings

VERSION = "3.6.0"
_SERVER = Artifact(
    "org.opensearch.distribution.integ-test-zip",
    "opensearch",
    VERSION,
    "zip",
    "a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
)
_KNN = Artifact(
    "org.opensearch.plugin",
    "opensearch-knn",
    f"{VERSION}.0",
    "zip",
    "ac392ca28a39b3bf290648a422ef30cb149dda2963a9d7feb26060e932341c9a",
)
_MAIN = "org.opensearch.bootstrap.OpenSearch"


class OpenSearchServer(Server):
    """See `Server`. One process without a launcher."""

    name = f"OpenSearch {VERSION}"

    def home(self, progress: DownloadProgress) -> Path:
        """See `Server`."""

        def build(staging: Path) -> None:
            unpack(fetch(_SERVER, staging, progress), staging)
            home = staging / f"opensearch-{VERSION}"
            unpack(fetch(_KNN, staging, progress), home / "plugins" / "opensearch-knn")
            home.rename(staging / "result")

        return ensure(f"opensearch-{VERSION}-knn", build)

    def configure(
        self, folders: NodeFolders, home: Path, port: int, transport_port: int, options: list[str]
    ) -> None:
        """See `Server`."""
        copy_configuration(home, folders, ("log4j2.properties", "fips_java.security"))
        (folders.config / "opensearch.yml").write_text(settings(folders, port, transport_port))

    def command(
        self, java: Java, home: Path, folders: NodeFolders, options: list[str]
    ) -> list[str]:
        """See `Server`."""
        return [
            str(java.executable),
            *options,
            f"-Dopensearch.path.home={home}",
            f"-Dopensearch.path.conf={folders.config}",
            "-Dopensearch.distribution.type=zip",
            "-Dopensearch.bundled_jdk=false",
            "-cp",
            ":".join([*(str(jar) for jar in java.locale_jars), f"{home}/lib/*"]),
            _MAIN,
        ]
