"""Compiled loops: made anew where they change, and made at all where nothing can be kept."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import meta4.models
from meta4.models.compiled import compiled

MODELS = Path(meta4.models.__file__).parent
FILES = [file for file in sorted(MODELS.rglob("*.py")) if "\n@compiled" in file.read_text()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_compiled_loop_takes_nothing_from_other_modules_of_ours(file):
    """It is compiled anew where its own module changes, and keeps what others had."""
    tree = ast.parse(file.read_text())
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
        for name in node.names
    }
    loops = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(getattr(one, "id", None) == "compiled" for one in node.decorator_list)
    ]
    assert loops
    for loop in loops:
        inside = (node for line in loop.body for node in ast.walk(line))
        used = {node.id for node in inside if isinstance(node, ast.Name)}
        assert not used & imported, f"{loop.name} of {file.name}"


class Full:
    """A disk without room, on which what was kept before is cut off."""

    def load_overload(self, *_):
        raise EOFError

    def save_overload(self, *_):
        raise OSError("no space left on device")


def test_what_cannot_be_kept_is_compiled_all_the_same():
    @compiled
    def doubled(values):
        return values * 2.0

    made = doubled.dispatcher
    made._cache = type(made._cache)(Full())
    assert doubled(np.ones(3)).tolist() == [2.0, 2.0, 2.0]
    assert doubled(np.ones(2, dtype=np.float32)).tolist() == [2.0, 2.0]
    assert len(made.signatures) == 2


def test_what_was_compiled_is_kept(tmp_path):
    """By a process, for the next one."""
    code = (
        "import numpy as np; from meta4.models.stopping import shapes;"
        "shapes._products(shapes._in_quarters(np.ones((3, 8), np.int8)), np.ones(3, np.float32),"
        " np.ones((4, 2), np.float32) / 8);"
        "print(sum(shapes._products.stats.cache_hits.values()))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    hits = [
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, text=True,
                       capture_output=True).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    assert hits == ["0", "1"]
