"""Compiled loops: made anew where they change, and made at all where nothing can be kept."""

import ast
from pathlib import Path

import numpy as np
import pytest

import meta4.models
from meta4.models import compiled as compiling
from meta4.models.compiled import compiled, rehearsed

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


def test_what_cannot_be_kept_is_compiled_all_the_same(monkeypatch):
    @compiled
    def doubled(values):
        return values * 2.0

    monkeypatch.setattr(compiling, "_MADE", [doubled])

    class Full:
        """A disk without room."""

        def load_overload(self, *_):
            return None

        def save_overload(self, *_):
            raise OSError("no space left on device")

    doubled._cache = Full()
    found = []
    rehearsed(lambda: found.append(doubled(np.ones(3))))
    assert found[-1].tolist() == [2.0, 2.0, 2.0]
    assert doubled(np.ones(2, dtype=np.float32)).tolist() == [2.0, 2.0]
