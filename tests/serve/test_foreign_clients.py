"""Clients that nobody here wrote, unchanged, in four languages; `meta4 serve` is all they get.

Their packages come from the registries into the user's cache once; where a language is not
installed its tests say so.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.foreign import CACHE, fetched, has, of_maven, of_npm
from support.words import FIELD

from meta4 import Meta4
from meta4.adapter.engines.elasticsearch import ElasticsearchEngine
from meta4.adapter.measure.tune import tune_index

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]
HERE = Path(__file__).parent / "foreign"
K, N = 7, 300
PACKAGES = {
    "@opensearch-project/opensearch@3.5.1": "opensearch",
    "@elastic/elasticsearch@9.1.1": "elasticsearch",
    "@elastic/elasticsearch@8.19.1": "elasticsearch",
}
#: By whether it is Elasticsearch: where its client is, that client's package, and its hosts'.
JAVA = {
    False: (
        "org.opensearch.client:opensearch-rest-client:3.3.0",
        "org.opensearch.client",
        "org.apache.hc.core5.http",
    ),
    True: (
        "org.elasticsearch.client:elasticsearch-rest-client:9.1.4",
        "org.elasticsearch.client",
        "org.apache.http",
    ),
}
GO = "github.com/opensearch-project/opensearch-go/v4@v4.5.0"


@pytest.fixture
def task(gateway, engine, make_index, index_name, models, vectors):
    make_index(models["itq"], hashing="client")
    query = {"meta4_similar": {FIELD: {"vector": vectors[900].tolist(), "k": K, "recall": 1.0}}}
    documents = [{"name": f"d{i}", FIELD: vectors[i].tolist()} for i in range(N)]
    documents.append({"name": "short", FIELD: [1.0, 2.0]})
    return {"url": gateway, "index": index_name, "query": query, "k": K, "documents": documents}


@pytest.fixture
def check(engine, task):
    """What a client said, beside what a client of ours finds."""

    def checked(said):
        answer = Meta4(engine).search(index=task["index"], body={"query": task["query"]})
        nearest = [hit["_id"] for hit in answer["hits"]["hits"]]
        assert len(nearest) == K
        assert said["searched"] == nearest
        assert said["paged"] == nearest[: len(said["paged"])]
        assert said.get("scrolled", nearest) == nearest
        assert said.get("counted", K) == K
        assert said["bulk"] == [N, 1]
        assert said["error"] == [400, "illegal_argument_exception"]
        tune_index(engine, task["index"], n_queries=20)  # which refuses an index that is not hashed

    return checked


def said_by(command, folder, task, **options):
    (folder / "task.json").write_text(json.dumps(task))
    done = subprocess.run(
        [*command], capture_output=True, text=True, timeout=600, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("package", PACKAGES)
def test_node(engine, task, check, tmp_path, package):
    is_elastic = PACKAGES[package] == "elasticsearch"
    if is_elastic != isinstance(engine, ElasticsearchEngine):
        return  # of the other engine
    folder = of_npm(package)
    script = HERE / f"{PACKAGES[package]}.mjs"
    command = ["node", str(script), str(tmp_path / "task.json"), f"{folder}/"]
    check(said_by(command, tmp_path, task))


def test_go(engine, task, check, tmp_path):
    if isinstance(engine, ElasticsearchEngine):
        return
    has("go")
    folder = CACHE / "go"
    if not (folder / "go.sum").exists():
        fetched("go", ["go", "mod", "init", "foreign"], "go.mod")
        shutil.copy(HERE / "main.go", folder)
        fetched("go", ["go", "get", GO], "go.sum")
    shutil.copy(HERE / "main.go", folder)
    command = ["go", "run", ".", str(tmp_path / "task.json")]
    environment = {**os.environ, "GOFLAGS": "-mod=mod"}
    check(said_by(command, tmp_path, task, cwd=folder, env=environment))


@pytest.fixture
def written(task, tmp_path):
    """A folder with the task as files, for those who only send them."""
    lines = [line for one in task["documents"] for line in ({"index": {"_id": one["name"]}}, one)]
    (tmp_path / "document.json").write_text(json.dumps(task["documents"][0]))
    (tmp_path / "bulk.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "search.json").write_text(json.dumps({"query": task["query"]}))
    wrong = {"query": {"meta4_similar": {"nothing": {"id": "x"}}}}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    return tmp_path


def said_in(folder):
    """What stands in the answers that were left there."""
    found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.out")}
    items = [item["index"]["status"] for item in found["bulk"]["items"]]
    ids = {
        name: [hit["_id"] for hit in found[name]["hits"]["hits"]]
        for name in ("searched", "paged", "scrolled")
    }
    assert ids["scrolled"] == ids["searched"][:3]
    return {
        "searched": ids["searched"],
        "paged": ids["paged"],
        "counted": found["counted"]["count"],
        "bulk": [sum(status < 300 for status in items), sum(status >= 300 for status in items)],
        "error": [found["status"], found["error"]["error"]["type"]],
    }


def test_curl(task, written, check):
    has("curl")
    command = ["bash", str(HERE / "curl.sh"), str(written), f"{task['url']}/{task['index']}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    check(said_in(written))


def test_java(engine, task, written, check):
    """Each engine's low-level client, compiled and run by the JDK that is there."""
    has("javac")
    coordinates, client, http = JAVA[isinstance(engine, ElasticsearchEngine)]
    source = (HERE / "Foreign.java").read_text().replace("CLIENT", client).replace("HTTP", http)
    (written / "Foreign.java").write_text(source)
    command = ["java", "-cp", of_maven(coordinates), str(written / "Foreign.java"), str(written)]
    done = subprocess.run(
        [*command, task["url"], task["index"]],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check(said_in(written))
