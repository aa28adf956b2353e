"""Where the program, a node's data and its state lie, and who may read them."""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from ....errors import NodeError

#: Servers refuse to run as root; a node started by root runs as this user.
UNPRIVILEGED = "nobody"


def is_root() -> bool:
    """Whether this process runs as root."""
    return os.name == "posix" and os.geteuid() == 0


def cache_folder() -> Path:
    """Where the program is kept; for root a folder that others can read."""
    folder = Path("/var/cache/meta4") if is_root() else user_cache_path("meta4")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def default_data() -> Path:
    """Where a node's data lies unless `--data` names another folder."""
    return Path("/var/lib/meta4/node") if is_root() else user_data_path("meta4") / "node"


@dataclass(frozen=True)
class NodeFolders:
    """The parts of a node's data folder."""

    root: Path

    @property
    def config(self) -> Path:
        """opensearch.yml and what stands beside it."""
        return self.root / "config"

    @property
    def data(self) -> Path:
        """Indexes."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """The server's logs."""
        return self.root / "logs"

    @property
    def temporary(self) -> Path:
        """java.io.tmpdir."""
        return self.root / "tmp"

    @property
    def output(self) -> Path:
        """What the server printed since it was started."""
        return self.root / "logs" / "output.log"

    @property
    def state(self) -> Path:
        """Process id and URL of the running node."""
        return self.root / "node.json"

    def make(self) -> None:
        """Create them all, for the user that the server runs as.

        Raises:
            NodeError: that user could not reach them.
        """
        for folder in (self.config, self.data, self.logs, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        if is_root():
            blocked = unreachable_part(self.root)
            if blocked is not None:
                raise NodeError(
                    f"the node runs as '{UNPRIVILEGED}', who may not enter {blocked}; "
                    f"name another data folder with --data"
                )
            user = pwd.getpwnam(UNPRIVILEGED)
            for path in [self.root, *self.root.rglob("*")]:
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def unreachable_part(path: Path) -> Path | None:
    """The first folder on the way to `path` that other users may not enter, or None."""
    for folder in [*reversed(path.resolve().parents), path.resolve()]:
        if folder.is_dir() and not folder.stat().st_mode & 0o001:
            return folder
    return None


def check_disk(folder: Path, needed: int, purpose: str) -> None:
    """Refuse to begin what the disk has no room for.

    Raises:
        NodeError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NodeError(
            f"{purpose} needs {needed / 1e6:,.0f} MB on the disk of {folder}, and "
            f"{free / 1e6:,.0f} MB are free; free some, or name a folder on another disk "
            f"(--data for the node's data, XDG_CACHE_HOME for the program)"
        )
