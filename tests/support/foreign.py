"""Packages of other languages, fetched from their registries into the user's cache once."""

import os
import shutil
import subprocess

import jgo
import pytest
from platformdirs import user_cache_path

CACHE = user_cache_path("meta4") / "foreign"


def fetched(name, command, made):
    """A folder of the cache in which a command was run once, to its end."""
    folder = CACHE / name
    if not (folder / made).exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=600
        )
        if done.returncode:  # no registry within reach, say
            shutil.rmtree(folder)
            pytest.skip(f"{' '.join(command)}: {done.stderr[-200:]}")
    return folder


def has(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; what it would run was left out")


def of_npm(package):
    """A folder that has a package among its `node_modules`."""
    has("npm")
    name = package.replace("/", "-").replace("@", "-").strip("-")
    return fetched(name, ["npm", "install", "--silent", "--no-save", package], "node_modules")


def of_maven(coordinates):
    """The class path of `group:artifact:version` and of all that it needs."""
    try:
        return os.pathsep.join(map(str, jgo.build(coordinates).path.rglob("*.jar")))
    except Exception as error:  # requests', urllib3's and jgo's own, with no common root
        pytest.skip(f"{coordinates}: {str(error)[-200:]}")
