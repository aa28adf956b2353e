"""Loading under faults that are really caused: nothing lost, nothing twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from benchmarks.faults import Fault
from support.command_line import command, meta4_here
from support.servers import on_one_engine, proxy_before, running
from support.words import FIELD, assert_all_there, word_documents

from meta4 import Document, DocumentHasher, Meta4
from meta4.adapter.engines import elasticsearch, opensearch
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.load import bulk_sender as sending
from meta4.adapter.load.bulk_sender import Throttle
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import NotFoundError, PushedBackError, RefusedError, UnreachableError

pytestmark = pytest.mark.server
N = 3000
#: Bulk requests at once.
MANY = 8


@pytest.fixture(autouse=True)
def many_at_once(monkeypatch):
    monkeypatch.setattr(sending, "MOST_AT_ONCE", MANY)


@pytest.fixture
def proxy(node):
    with proxy_before(node) as made:
        yield made


@pytest.mark.parametrize("way", ["up", "down"])
def test_cut_connections_lose_nothing(
    engine, proxy, make_index, index_name, models, sample, monkeypatch, way
):
    """Before the server has a request whole, and after it has done it."""
    monkeypatch.setattr(sending, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sending, "_LONGEST_PAUSE", 0.1)
    spec = make_index(models["lsh"], hashing="client")
    generator = random.Random(7)
    furthest = 200_000 if way == "up" else 2_000
    proxy.follow(Fault(way, generator.randrange(1, furthest)) for _ in range(30))
    through = type(engine).at(proxy.url)
    report = load_documents(
        through, index_name, word_documents(sample, range(N)), DocumentHasher(models["lsh"], spec)
    )
    through.close()
    assert proxy.n_cut >= 5
    assert (report.n_indexed, report.n_refused, report.n_settled) == (N, 0, N)
    assert_all_there(engine, index_name, sample, N)


def test_a_search_that_is_cut_off_is_asked_again(proxy, words):
    through = type(words.meta4.engine).at(proxy.url)
    meta4 = Meta4(through)
    body = {"query": {"meta4_similar": {FIELD: {"id": words.words[3], "k": 5}}}}
    meta4.plan(index=words.index, body=body)
    proxy.follow([Fault("up", 30), Fault("down", 30)])
    proxy.shut()
    proxy.reopen()
    assert len(meta4.search(index=words.index, body=body)["hits"]["hits"]) == 5
    assert proxy.n_cut == 2
    through.close()


def test_answers_that_come_too_late_lose_nothing(
    engine, proxy, make_index, index_name, models, sample, monkeypatch
):
    for module in (opensearch, elasticsearch):
        monkeypatch.setattr(module, "TIMEOUT", 1)
    spec = make_index(models["lsh"], hashing="client")
    proxy.follow(Fault(delay=1.5) for _ in range(2))
    through = type(engine).at(proxy.url)
    report = load_documents(
        through, index_name, word_documents(sample, range(500)), DocumentHasher(models["lsh"], spec)
    )
    through.close()
    assert report.n_indexed == 500
    assert_all_there(engine, index_name, sample, 500)


def test_a_server_that_stays_away_ends_the_load(
    engine, proxy, make_index, index_name, models, sample, monkeypatch
):
    monkeypatch.setattr(sending, "PATIENCE", 0.5)
    spec = make_index(models["lsh"], hashing="client")
    through = type(engine).at(proxy.url)
    proxy.close()
    settled = []
    with pytest.raises(UnreachableError):
        load_documents(
            through,
            index_name,
            word_documents(sample, range(N)),
            DocumentHasher(models["lsh"], spec),
            settled=settled.append,
        )
    through.close()
    assert not settled


class Narrow(OpenSearchServer):
    """Takes two bulk requests at once, and turns others away with 429."""

    def configure(self, folders, *others):
        super().configure(folders, *others)
        config = folders.config / "opensearch.yml"
        config.write_text(config.read_text() + "indexing_pressure.memory.limit: 4mb\n")


def test_a_cluster_that_pushes_back_is_asked_less(models, vectors, monkeypatch):
    model = models["lsh"]
    turned_away = []
    real = Throttle.pushed_back
    monkeypatch.setattr(
        Throttle, "pushed_back", lambda self: (turned_away.append(self.limit), real(self))
    )
    documents = [
        Document(str(i), {FIELD: vectors[i % 5000].tolist(), "text": "x" * 2000})
        for i in range(20_000)
    ]
    with running(Narrow()) as node:
        engine = connect(node.url)
        ref = ModelStore(engine).push("narrow", model)
        spec = create_index(engine, "narrow", field=FIELD, ref=ref, model=model, hashing="client")
        report = load_documents(engine, "narrow", documents, DocumentHasher(model, spec))
        engine.refresh("narrow")
        assert engine.count("narrow") == report.n_indexed == len(documents)
        engine.close()
    assert turned_away, "the cluster took everything"
    assert max(turned_away) <= MANY


def test_the_throttle_opens_slowly_and_closes_fast():
    throttle = Throttle()
    assert throttle.limit == 1
    for _ in range(100):
        throttle.went_well()
    assert throttle.limit == MANY
    throttle.pushed_back()
    assert throttle.limit == MANY // 2


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (429, "queue full", PushedBackError),
        (503, "no master", PushedBackError),
        (429, "index has read-only-allow-delete block", RefusedError),
        (403, "no permissions", RefusedError),
        (404, "no such index", NotFoundError),
    ],
)
def test_answers_for_items_are_those_of_requests(
    engine, make_index, index_name, models, sample, monkeypatch, status, reason, kind
):
    """What no item can help ends the load; what may pass is waited for."""
    monkeypatch.setattr(sending, "PATIENCE", 0.3)
    spec = make_index(models["lsh"], hashing="client")
    monkeypatch.setattr(
        engine,
        "bulk",
        lambda *_, **__: [{"status": status, "error": {"reason": reason}}] * 40,
    )
    documents = word_documents(sample, range(40))
    with pytest.raises(kind, match=reason[:10]):
        load_documents(engine, index_name, documents, DocumentHasher(models["lsh"], spec))


def test_documents_that_spoil_a_request_are_found(engine, make_index, index_name, models, vectors):
    """One id that the engines refuse for the whole bulk request, one that is no JSON."""
    spec = make_index(models["lsh"], hashing="client")
    nested = {}
    for _ in range(300):
        nested = {"a": nested}
    good = [Document(str(i), {FIELD: vectors[i]}) for i in range(60)]
    bad = [
        Document("x" * 513, {FIELD: vectors[1]}),
        Document("", {FIELD: vectors[1]}),
        Document("set", {FIELD: vectors[1], "s": {1}}),
        Document("deep", {FIELD: vectors[1], "s": nested}),
        Document("large", {FIELD: vectors[1], "s": 2**70}),
    ]
    hasher = DocumentHasher(models["lsh"], spec)
    report = load_documents(engine, index_name, [*good[:30], *bad, *good[30:]], hasher)
    engine.refresh(index_name)
    assert engine.count(index_name) == report.n_indexed == 60
    assert {refusal.id for refusal in report.refusals} == {d.id for d in bad}


def rows_with_faults(path, vectors):
    """Documents without ids, every hundredth refused."""
    with path.open("w") as file:
        for i in range(N):
            vector = [1.0] if i % 100 == 50 else np.round(vectors[i].astype(float), 4).tolist()
            file.write(json.dumps({FIELD: vector, "rank": i}) + "\n")


#: Small batches, each written to the checkpoint, and time enough to be killed.
SLOWLY = """
import time
from meta4.adapter.load import loader as loading
from meta4.ingest.files import checkpoint
checkpoint._EVERY = 0
loading._BATCH = loading._FIRST_BATCH = 50
real = loading.to_action
loading.to_action = lambda document: (time.sleep(0.002), real(document))[1]
"""


@on_one_engine
def test_a_load_killed_at_any_moment_goes_on(
    node, engine, make_index, index_name, models, vectors, tmp_path
):
    """kill -9, three times; ids are given by where a document stands."""
    make_index(models["lsh"], hashing="client")
    rows_with_faults(tmp_path / "rows.ndjson", vectors)
    letters = tmp_path / "letters.ndjson"
    ingest = command("ingest", tmp_path / "rows.ndjson", "--index", index_name, "--checkpoint",
                     tmp_path / "c.json", "--dead-letters", letters)  # fmt: skip
    environment = {**os.environ, "META4_URL": node.url}
    ingest[2] = SLOWLY + ingest[2]
    killed = 0
    for seed in range(3):
        process = subprocess.Popen(ingest, env=environment)
        deadline = time.monotonic() + 30
        before = (tmp_path / "c.json").read_text() if seed else ""
        while time.monotonic() < deadline and process.poll() is None:
            if (tmp_path / "c.json").exists() and (tmp_path / "c.json").read_text() != before:
                time.sleep(random.Random(seed).random())
                break
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed == 3
    done = subprocess.run(ingest, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "going on after" in done.stderr
    assert not (tmp_path / "c.json").exists()
    engine.refresh(index_name)
    hits = engine.scan(index_name, {"query": {"match_all": {}}, "_source": ["rank"]})
    refused = list(range(50, N, 100))
    assert sorted(hit["_source"]["rank"] for hit in hits) == sorted(set(range(N)) - set(refused))
    written = [json.loads(line) for line in letters.read_text().splitlines()]
    assert [letter["document"]["rank"] for letter in written] == refused


def test_refused_documents_are_corrected_and_replayed(
    node, engine, make_index, index_name, models, vectors, tmp_path
):
    make_index(models["lsh"], hashing="client")
    good = json.dumps({"_id": "a", FIELD: vectors[0].tolist()})
    short = json.dumps({"_id": "b", FIELD: [1, 2], "title": "b"})
    (tmp_path / "rows.ndjson").write_text(f"{good}\n{short}\n{{broken\n")
    letters = tmp_path / "letters.ndjson"
    loaded = meta4_here("ingest", tmp_path / "rows.ndjson", "--index", index_name, "--dead-letters",
                   letters, url=node.url)  # fmt: skip
    assert loaded.returncode == 2
    assert f"meta4 ingest --replay {letters}" in " ".join(loaded.stderr.split())
    second, first = (json.loads(line) for line in letters.read_text().splitlines())
    assert (first["_id"], first["document"]) == ("b", {FIELD: [1, 2], "title": "b"})
    assert (second["text"], second["reason"][:8]) == ("{broken", "not JSON")
    first["document"][FIELD] = vectors[1].tolist()
    letters.write_text(f"{json.dumps(second)}\n{json.dumps(first)}\n")
    replayed = meta4_here(
        "ingest", "--replay", letters, "--index", index_name, "--json", url=node.url
    )
    assert replayed.returncode == 2, replayed.stderr
    assert json.loads(replayed.stdout)["indexed"] == 1
    (left,) = (json.loads(line) for line in letters.read_text().splitlines())
    assert left["text"] == "{broken"
    left["text"] = json.dumps({"_id": "c", FIELD: vectors[2].tolist()})
    letters.write_text(json.dumps(left))
    replayed = meta4_here("ingest", "--replay", letters, "--index", index_name, url=node.url)
    assert replayed.returncode == 0, replayed.stderr
    assert not letters.exists()
    engine.refresh(index_name)
    hits = engine.scan(index_name, {"query": {"match_all": {}}})
    assert {hit["_id"] for hit in hits} == {"a", "b", "c"}
    for bad in ("[1]", "{}", "nonsense"):
        letters.write_text(bad)
        refused = meta4_here("ingest", "--replay", letters, "--index", index_name, url=node.url)
        assert refused.returncode == 2
        assert "letters.ndjson line 1" in refused.stderr.replace("\n", " ")
    both = meta4_here("ingest", "--replay", letters, "--index", index_name, "--id-field", "x")
    assert (both.returncode, "leave out" in both.stderr) == (2, True)


def test_a_checkpoint_of_something_else_is_refused(
    node, make_index, index_name, models, vectors, tmp_path
):
    make_index(models["lsh"], hashing="client")
    np.save(tmp_path / "v.npy", vectors[:10])
    checkpoint = tmp_path / "c.json"
    asked = ["ingest", tmp_path / "v.npy", "--index", index_name, "--checkpoint", checkpoint]
    load = {"index": [], "files": {}, "ids": None, "id_field": None}
    checkpoint.write_text(json.dumps({"load": load, "n_settled": 3, "dead_letters": 0}))
    refused = meta4_here(*asked, url=node.url)
    assert refused.returncode == 2
    assert "other files, index" in refused.stderr.replace("\n", " ")
    checkpoint.write_text("{}")
    refused = meta4_here(*asked, url=node.url)
    assert (refused.returncode, "is no checkpoint" in refused.stderr) == (2, True)


MEMORY = """
import resource, sys
from meta4 import Document
from meta4.adapter.engines.connection import connect
from meta4.adapter.load.loader import load_documents
engine = connect(sys.argv[1])
documents = (Document(None, {"n": i, "text": "x" * 2000}) for i in range(int(sys.argv[3])))
assert load_documents(engine, sys.argv[2], documents, None).n_refused == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@on_one_engine
def test_memory_does_not_grow_with_the_input(node, engine, index_name):
    def peak_mb(n):
        name = f"{index_name}-{n}"
        arguments = [sys.executable, "-c", MEMORY, node.url, name, str(n)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        engine.delete_index(name)
        return int(done.stdout)

    assert peak_mb(25_000) - peak_mb(2_500) < 40
