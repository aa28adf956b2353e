"""Who we are to a cluster, and how we know that it is the one: from the environment or a file.

Secrets have no place in arguments, which every user of a machine can list.
"""

import os
import stat
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from platformdirs import user_config_path

from ...errors import InputError

#: Environment variables are these names in capitals after this.
PREFIX = "META4_"
CONFIG_VARIABLE = "META4_CONFIG"
#: What says who we are.
_WHO = frozenset({"user", "password", "api_key"})
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Access:
    """How to connect; everything may be left out.

    Attributes:
        url: of the cluster, or of several of its nodes with commas between.
        user: for basic authentication.
        password: of the user.
        api_key: in place of a user: base64 of id and key, as the engine gives it.
        ca_file: certificates (PEM) that the cluster's own is signed with.
        client_cert: a certificate of ours (PEM).
        client_key: its key (PEM).
    """

    url: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    def __post_init__(self) -> None:
        if self.api_key and self.user:
            raise InputError("both a user and an API key were given; leave one of them out")
        if (self.user is None) != (self.password is None):
            raise InputError(f"{PREFIX}USER and {PREFIX}PASSWORD belong together")
        if self.client_key and not self.client_cert:
            raise InputError(f"{PREFIX}CLIENT_KEY needs {PREFIX}CLIENT_CERT")
        for name in ("ca_file", "client_cert", "client_key"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                raise InputError(f"{path}: no such file ({PREFIX}{name.upper()})")

    def for_url(self, url: str) -> "Access":
        """The same; without a user where the URL names one itself."""
        if "@" not in url:
            return self
        return replace(self, user=None, password=None, api_key=None)

    @classmethod
    def read(cls) -> "Access":
        """From the configuration file, and over it from the environment.

        The file is `config.toml` in the user's configuration folder, or what `META4_CONFIG`
        names.

        Raises:
            InputError: a file that others may read, or that is no TOML of these names.
        """
        names = {each.name for each in fields(cls)}
        said = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in names}
        given = {name: value for name, value in said.items() if value}
        of_file = _file(names)
        if "api_key" in given or "user" in given:  # who we are is said in one place
            of_file = {name: of_file[name] for name in of_file.keys() - _WHO}
        return cls(**{**of_file, **given})


def _config_path() -> Path:
    """Where the configuration file is."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else user_config_path("meta4") / "config.toml"


def _file(names: set[str]) -> dict[str, str]:
    path = _config_path()
    if not path.is_file():
        if CONFIG_VARIABLE in os.environ:
            raise InputError(f"{path}: no such file ({CONFIG_VARIABLE})")
        return {}
    if os.name == "posix" and path.stat().st_mode & _OTHERS_MAY:
        raise InputError(
            f"{path} may hold a password, and others can read it; run: chmod 600 {path}"
        )
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error})") from error
    wrong = sorted(name for name, value in said.items() if not isinstance(value, str))
    unknown = sorted(set(said) - names)
    if wrong or unknown:
        raise InputError(
            f"{path}: {', '.join(unknown or wrong)}: expected strings named "
            f"{', '.join(sorted(names))}"
        )
    return {name: str(value) for name, value in said.items()}
