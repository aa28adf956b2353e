"""Three nodes of which one is killed, cut off, stopped or full, while clients load and search."""

import threading
import time
from contextlib import contextmanager

import pytest
from benchmarks.cluster import N_NODES, Cluster
from support.words import FIELD, assert_all_there, word_documents

from meta4 import DocumentHasher, Meta4
from meta4.adapter.engines.connection import connect
from meta4.adapter.load import bulk_sender as sending
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import RefusedError

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
#: Documents that are there before, and that come while something befalls a node.
N_THERE, N = 2_000, 14_000
INDEX = "words"
FLOOD = "cluster.routing.allocation.disk.watermark"


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as made:
        yield made


@pytest.fixture
def spec(cluster, models, sample, monkeypatch):
    """An index with copies on all nodes."""
    monkeypatch.setattr(sending, "MOST_AT_ONCE", 4)
    engine, model = cluster.engine, models["cells"]
    ref = ModelStore(engine).push("cluster", model)
    made = create_index(
        engine, INDEX, field=FIELD, ref=ref, model=model, shards=2, replicas=2, hashing="client"
    )
    hasher = DocumentHasher(model, made)
    load_documents(engine, INDEX, word_documents(sample, range(N_THERE)), hasher)
    engine.refresh(INDEX)
    tune_index(engine, INDEX, n_queries=50)
    cluster.wait_until_green()
    yield made
    engine.delete_index(INDEX)


@contextmanager
def searching(cluster, vectors):
    """Queries all the while; gives the number of those answered and the failures of the others."""
    ended = threading.Event()
    answered, failed = [], []

    def search():
        engine = connect(cluster.url)
        meta4 = Meta4(engine)
        row = 0
        while not ended.is_set():
            row += 1
            clause = {"vector": vectors[row % len(vectors)].tolist(), "k": 5}
            body = {"query": {"meta4_similar": {FIELD: clause}}, "_source": False}
            try:
                hits = meta4.search(index=INDEX, body=body)["hits"]["hits"]
                answered.append(len(hits))
            except Exception as error:
                failed.append(repr(error))
            time.sleep(0.01)
        engine.close()

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield answered, failed
    finally:
        ended.set()
        thread.join()


def slowly(documents, seconds):
    """Documents over so many seconds, as they come from a queue."""
    started = time.monotonic()
    for i, document in enumerate(documents):
        if i % 200 == 0:
            due = started + seconds * i / (N - N_THERE)
            time.sleep(max(0.0, due - time.monotonic()))
        yield document


def befall(cluster, spec, models, sample, what, seconds=15):
    """Load and search while `what` happens; everything is acknowledged, found, and once."""
    result = []

    def load():
        engine = connect(cluster.url)
        documents = slowly(word_documents(sample, range(N_THERE, N)), seconds)
        hasher = DocumentHasher(models["cells"], spec)
        result.append(load_documents(engine, INDEX, documents, hasher))
        engine.close()

    thread = threading.Thread(target=load)
    with searching(cluster, sample.vectors[:500]) as (answered, failed):
        thread.start()
        time.sleep(1)
        what()
        thread.join()
        cluster.wait_until_green()
    (report,) = result
    assert (report.n_indexed, report.n_refused) == (N - N_THERE, 0)
    assert failed == []
    assert set(answered) == {5}
    assert_all_there(cluster.engine, INDEX, sample, N)
    assert_same_on_every_copy(cluster, spec, sample)


def assert_same_on_every_copy(cluster, spec, sample):
    """The same ids, order and scores, whichever node is asked for its copies."""
    nodes = list(cluster.engine.request("GET", "/_nodes/_all/_none")["nodes"])
    assert len(nodes) == N_NODES
    meta4 = Meta4(cluster.engine)
    for row in range(0, 200, 10):
        clause = {"vector": sample.vectors[row].tolist(), "k": 25}
        body = meta4.rewrite(index=INDEX, body={"query": {"meta4_similar": {FIELD: clause}}})
        answers = [
            cluster.engine.search(INDEX, body, params={"preference": f"_only_nodes:{node}"})
            for node in nodes
        ]
        first, *others = (
            [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]] for answer in answers
        )
        assert len(first) == 25
        assert all(other == first for other in others)


def test_kill_9_of_one_node(cluster, spec, models, sample):
    def what():
        cluster.kill(1)
        cluster.wait_until_missed(1)
        time.sleep(1)  # the others go on by themselves
        cluster.start(1)

    befall(cluster, spec, models, sample, what)


def test_a_partition(cluster, spec, models, sample):
    def what():
        cluster.part(2)
        cluster.wait_until_missed(2)
        time.sleep(3)
        cluster.join(2)

    befall(cluster, spec, models, sample, what)


def test_a_rolling_restart(cluster, spec, models, sample):
    def what():
        for number in range(N_NODES):
            cluster.stop(number)
            cluster.start(number)
            cluster.wait_until_green()

    befall(cluster, spec, models, sample, what, seconds=40)


def test_a_full_disk(cluster, spec, models, sample):
    """Writes end where they can go on, searches go on, and afterwards nothing is missing."""
    engine = cluster.engine
    hasher = DocumentHasher(models["cells"], spec)
    marks = {f"{FLOOD}.{name}": "100000gb" for name in ("low", "high", "flood_stage")}
    engine.request("PUT", "/_cluster/settings", {"persistent": marks})
    n_there = N_THERE
    try:
        with searching(cluster, sample.vectors[:500]) as (answered, failed):
            with pytest.raises(RefusedError, match="disk is nearly full"):
                while True:  # until the cluster looks at its disks
                    batch = word_documents(sample, range(n_there, n_there + 10))
                    n_there += load_documents(engine, INDEX, batch, hasher).n_indexed
                    time.sleep(0.3)
            time.sleep(1)
        assert failed == []
        assert set(answered) == {5}
    finally:
        engine.request("PUT", "/_cluster/settings", {"persistent": dict.fromkeys(marks)})
    engine.request("PUT", f"/{INDEX}/_settings", {"index.blocks.read_only_allow_delete": None})
    engine.refresh(INDEX)
    assert n_there <= engine.count(INDEX) <= n_there + 10  # a batch may be taken in part
    documents = word_documents(sample, range(n_there, N))
    assert load_documents(engine, INDEX, documents, hasher).n_refused == 0
    engine.refresh(INDEX)
    assert engine.count(INDEX) == N
