"""The own tests of a client that nobody here wrote, directly and through the gateway.

Those of opensearch-go, which its module brings along: some hundred requests of its API, each with
what it is to answer. What fails at the engine itself (the suite is of an older server) may fail
through the gateway too, in the same place.
"""

import json
import os
import re
import shutil
import subprocess

import pytest
from support.foreign import has
from support.gateways import gateway_before
from support.servers import running

from meta4.adapter.engines.node.opensearch import OpenSearchServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(1500)]
MODULE = "github.com/opensearch-project/opensearch-go/v4@v4.5.0"


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """The module's source, where its tests can be compiled, once."""
    has("go")
    done = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"{MODULE}: {done.stderr[-200:]}")
    folder = tmp_path_factory.mktemp("suite") / "source"
    shutil.copytree(json.loads(done.stdout)["Dir"], folder)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    client = folder / "opensearchapi" / "opensearchapi.go"  # whose address alone is another
    source = client.read_text().replace("import (", 'import (\n\t"os"', 1)
    client.write_text(source.replace('"http://localhost:9200"', 'os.Getenv("OPENSEARCH_URL")'))
    command = ["go", "test", "-c", "-tags", "integration,core", "-o", "suite", "./opensearchapi"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=900)
    return folder


def outcomes(suite, url):
    """By test, whether it passed at a URL. Each runs by itself: some panic, and end all after."""
    environment = {**os.environ, "OPENSEARCH_URL": url}

    def ran(*arguments):
        return subprocess.run(
            ["../suite", *arguments], cwd=suite / "opensearchapi", env=environment,
            capture_output=True, text=True, check=False, timeout=300,
        ).stdout  # fmt: skip

    found = {}
    for name in re.findall(r"^Test\w+$", ran("-test.list", "."), re.MULTILINE):
        said = ran("-test.v", "-test.run", f"^{name}$")
        found |= {test: how for how, test in re.findall(r"--- (\w+): (\S+)", said)}
    return found


def test_opensearch_go_finds_no_difference(suite):
    with running(OpenSearchServer()) as node, gateway_before(node.url) as gateway:
        direct = outcomes(suite, node.url)
        through = outcomes(suite, gateway)
        again = outcomes(suite, node.url)  # what a first run leaves behind changes some
    assert sum(outcome == "PASS" for outcome in direct.values()) > 400
    differences = {
        name: (direct.get(name), through[name], again.get(name))
        for name in through
        if through[name] not in (direct.get(name), again.get(name))
    }
    assert differences == {}
    assert through.keys() >= direct.keys() & again.keys()
