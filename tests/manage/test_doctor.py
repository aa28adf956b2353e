"""`meta4 index doctor`: each illness made, found, and cured by what it says."""

import json

import numpy as np
import pytest
from support.command_line import meta4_here
from support.words import FIELD, word_documents

from meta4 import Document, HashModel
from meta4.adapter.fields.vectors.findings import excess_variation
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.measure.tune import tune_index
from meta4.models.specs import CellsSpec

pytestmark = pytest.mark.server
N = 3000


@pytest.fixture(scope="module")
def fitting(vectors):
    """A model of just these words."""
    return HashModel.fit(CellsSpec(n_bits=64, n_buckets=64, iterations=5), vectors[:N])


def looked_at(engine, index):
    return {finding.what: finding for finding in examine_index(engine, index, n_queries=50)}


def test_an_index_in_good_health_and_each_illness(
    node, engine, make_index, index_name, fitting, sample, vectors
):
    make_index(fitting, docs=word_documents(sample, range(N)))
    untuned = looked_at(engine, index_name)
    assert (untuned["promise"].level, untuned["promise"].todo) == (
        "act",
        f"meta4 index tune {index_name}",
    )
    tune_index(engine, index_name, n_queries=100)
    healthy = looked_at(engine, index_name)
    assert {what: finding.todo for what, finding in healthy.items()} == dict.fromkeys(healthy, "")
    assert set(healthy) == {"documents", "buckets", "drift", "promise", "shards", "segments"}
    fine = meta4_here("index", "doctor", index_name, "--queries", 20, url=node.url)
    assert fine.returncode == 0, fine.stdout

    lines = [{"update": {"_id": sample.words[0]}}, {"doc": {FIELD: vectors[9000].tolist()}}]
    engine.bulk(index_name, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    stray = {FIELD: vectors[9001].tolist()}
    engine.request("PUT", f"/{index_name}/_doc/x", body=stray, params={"pipeline": "_none"})
    ill = meta4_here("index", "doctor", index_name, "--queries", 20, "--json", url=node.url)
    assert ill.returncode == 1
    documents = json.loads(ill.stdout)[0]
    assert documents["figures"]["stale"] == 2
    assert documents["figures"]["of_no_or_another_model"] == 1
    assert documents["todo"].endswith(f"meta4 index heal {index_name}")
    heal_index(engine, index_name)
    assert looked_at(engine, index_name)["documents"].level == "fine"


def test_drift_and_giant_buckets(engine, make_index, index_name, fitting, sample, vectors):
    make_index(fitting, docs=word_documents(sample, range(N)))
    assert looked_at(engine, index_name)["drift"].level == "fine"
    elsewhere = vectors[7] + np.random.default_rng(0).normal(scale=0.02, size=(2400, 100))
    for start in range(0, 2400, 400):
        lines = []
        for row in range(start, start + 400):
            lines += [{"index": {"_id": f"e{row}"}}, {FIELD: elsewhere[row].tolist()}]
        engine.bulk(index_name, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    ill = looked_at(engine, index_name)
    assert ill["drift"].level == "act"
    assert ill["drift"].figures["drift"] > 0.5
    assert ill["buckets"].level == "act"
    assert "rehash" in ill["buckets"].todo


def test_an_index_that_grew_is_to_be_tuned_again(engine, make_index, index_name, fitting, sample):
    make_index(fitting, docs=word_documents(sample, range(600)))
    tune_index(engine, index_name, n_queries=50)
    lines = []
    for document in word_documents(sample, range(600, 930)):
        lines += [{"index": {"_id": document.id}}, document.source]
    engine.bulk(index_name, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert looked_at(engine, index_name)["promise"].level == "act"


def test_an_empty_index(engine, make_index, index_name, fitting):
    make_index(fitting, docs=[Document("a", {"title": "no vector"})])
    found = looked_at(engine, index_name)
    assert (found["buckets"].level, found["drift"].level) == ("act", "fine")


def test_excess_variation_is_none_by_chance_and_one_when_apart():
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(500))
    excess, error = excess_variation(rng.multinomial(2000, shares), rng.multinomial(9000, shares))
    assert abs(excess) < 4 * error
    apart = np.zeros((2, 500), dtype=np.int64)
    apart[0, :250], apart[1, 250:] = 8, 40
    assert excess_variation(*apart)[0] > 0.7
