"""Fetching programs: pinned versions, verified checksums, nothing half-done is ever used."""

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
#: An archive, its contents, and what a first start writes.
_DISK_NEEDED = 900_000_000
#: Seconds without a byte.
_TIMEOUT = 60
_PIECE = 1 << 20


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


@dataclass(frozen=True)
class ZipPart:
    """A folder of a zip in the Maven repository that lies in one stretch of its bytes.

    Attributes:
        artifact: the zip; its checksum is that of the stretch and the directory, in this order.
        size: of the whole file, in bytes.
        start: of the stretch.
        end: of the stretch; exclusive.
        directory: where the zip's directory begins, which goes on to the file's end.
        folder: the folder's path in the zip.
    """

    artifact: Artifact
    size: int
    start: int
    end: int
    directory: int
    folder: str


@contextmanager
def silent(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
    """The download progress that shows nothing."""
    yield lambda _n: None


def ensure(name: str, build: Callable[[Path], None]) -> Path:
    """`cache/name`: what `build` left as `result` in a staging folder, moved there when complete.

    Raises:
        NodeError: no room.
    """
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


def fetch(artifact: Artifact, staging: Path, progress: DownloadProgress) -> Path:
    """The file, fetched and verified.

    Raises:
        NodeError: no network, or a file that is not the pinned one.
        MissingExtraError: jgo is not installed.
    """
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise MissingExtraError("jgo", "node", "fetching the server") from error
    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress),
        repo_cache=staging / "download",
        local_repos=[],
        timeout=_TIMEOUT,
    )
    component = context.project(artifact.group, artifact.name).at_version(artifact.version)
    try:
        path: Any = component.artifact(packaging=artifact.packaging).resolve()
    except Exception as error:  # requests', urllib3's and jgo's own, with no common root
        raise _unfetched(artifact, error) from error
    fetched = Path(path)
    with fetched.open("rb") as file:
        _verify(hashlib.file_digest(file, "sha256").hexdigest(), artifact)
    return fetched


def fetch_part(part: ZipPart, staging: Path, progress: DownloadProgress) -> Path:
    """The folder, unpacked out of the two stretches that hold it; the rest is never fetched.

    Raises:
        NodeError: no network, or bytes that are not the pinned ones.
        MissingExtraError: jgo is not installed.
    """
    try:
        import requests
        from jgo.constants import MAVEN_CENTRAL_URL
    except ImportError as error:
        raise MissingExtraError("jgo", "node", "fetching the server") from error
    one = part.artifact
    url = "/".join(
        [MAVEN_CENTRAL_URL, one.group.replace(".", "/"), one.name, one.version, one.file]
    )
    archive = staging / one.file
    digest = hashlib.sha256()
    stretches = ((part.start, part.end), (part.directory, part.size))
    total = sum(end - start for start, end in stretches)
    try:
        with archive.open("wb") as file, progress(one.file, total) as advance:
            for start, end in stretches:
                file.seek(start)
                wanted = {"Range": f"bytes={start}-{end - 1}"}
                with requests.get(url, headers=wanted, timeout=_TIMEOUT, stream=True) as answer:
                    answer.raise_for_status()
                    for piece in answer.iter_content(_PIECE):
                        file.write(piece)
                        digest.update(piece)
                        advance(len(piece))
    except requests.RequestException as error:
        raise _unfetched(one, error) from error
    _verify(digest.hexdigest(), one)
    # Between the stretches the file is empty; zipfile reads the directory at its end and then
    # only what lies in the folder.
    with zipfile.ZipFile(archive) as files:
        inside = [name for name in files.namelist() if name.startswith(part.folder)]
        files.extractall(staging, inside)
    archive.unlink()
    return staging / part.folder


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip and remove it."""
    with zipfile.ZipFile(archive) as files:
        files.extractall(target)
    archive.unlink()


def _unfetched(artifact: Artifact, error: Exception) -> NodeError:
    return NodeError(
        f"cannot fetch {artifact.file}: {error}; check the network and try again "
        f"(nothing half-fetched is kept)"
    )


def _verify(found: str, artifact: Artifact) -> None:
    if found != artifact.sha256:
        raise NodeError(
            f"{artifact.file} is not the file it should be (SHA-256 expected "
            f"{artifact.sha256[:12]}…, got {found[:12]}…); it was thrown away, try again"
        )


def _make_readable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            executable = path.is_dir() or mode & 0o100
            os.chmod(path, mode | (0o755 if executable else 0o644))  # noqa: PTH101 - one call
