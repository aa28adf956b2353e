"""Searches that clients keep: bounded, vectors alone, and what is made of them."""

import asyncio
import json

import numpy as np
import pytest
from support.command_line import meta4_here
from support.words import FIELD, word_documents

from meta4 import AsyncMeta4, HashModel, Meta4
from meta4.adapter import searches
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.indexes import drop_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.searches import SEARCHES_INDEX, forget_searches, read_searches
from meta4.errors import InputError
from meta4.models.embeddings import unit
from meta4.models.specs import CellsSpec

pytestmark = pytest.mark.server
N = 6_000


@pytest.fixture(scope="module")
def fitting(vectors):
    return HashModel.fit(CellsSpec(n_bits=64, n_buckets=128, iterations=5), vectors[:N])


def clause(**what):
    return {"query": {"meta4_similar": {FIELD: {"k": 3, **what}}}}


def sorted_rows(found):
    return np.asarray(
        sorted(unit(one).tolist() for one in found)
    )  # OpenSearch has those of length 1


def test_what_is_searched_for_is_kept_and_nothing_else(
    engine, make_index, index_name, fitting, sample, vectors
):
    make_index(fitting, docs=word_documents(sample, range(200)))
    engine.request("POST", "/_aliases", {"actions": [
        {"add": {"index": index_name, "alias": f"{index_name}-alias"}}
    ]})  # fmt: skip
    keeping, other = Meta4(engine, keep_searches=1), Meta4(engine)
    asked = [clause(vector=vectors[row].tolist()) for row in range(300, 304)]
    secret = {"bool": {"must": [asked[0]["query"]], "filter": [{"term": {"word": "secret"}}]}}
    keeping.search(index=index_name, body=asked[1])
    keeping.search(index=f"{index_name}-alias", body={"query": secret})
    keeping.msearch(index=index_name, bodies=asked[2:])
    keeping.search(index=index_name, body=clause(id=sample.words[7]))
    other.search(index=index_name, body=clause(vector=vectors[310].tolist()))
    keeping.explain(index=index_name, body=clause(vector=vectors[311].tolist()))
    keeping.search(index=index_name, body={"query": {"match_all": {}}})
    rows = [300, 301, 302, 303, 7]
    for name in (index_name, f"{index_name}-alias"):
        found = read_searches(engine, name, FIELD)
        np.testing.assert_allclose(sorted_rows(found), sorted_rows(vectors[rows]), atol=1e-6)
    engine.refresh(SEARCHES_INDEX)
    for hit in engine.search(SEARCHES_INDEX, {"size": 1000})["hits"]["hits"]:
        assert set(hit["_source"]) == {"vector"}
    assert read_searches(engine, index_name, "other") == []
    forget_searches(engine, index_name, FIELD)
    assert read_searches(engine, index_name, FIELD) == []


def test_an_asynchronous_client_keeps_too(
    node, engine, make_index, index_name, fitting, sample, vectors
):
    make_index(fitting, docs=word_documents(sample, range(200)))

    async def search():
        async with AsyncMeta4(node.url, keep_searches=1.0) as meta4:
            await meta4.search(index=index_name, body=clause(vector=vectors[300].tolist()))

    asyncio.run(search())
    (found,) = read_searches(engine, index_name, FIELD)
    np.testing.assert_allclose(found, vectors[300], atol=1e-6)


def test_there_are_never_more_than_places(
    engine, make_index, index_name, fitting, sample, vectors, monkeypatch
):
    monkeypatch.setattr(searches, "PLACES", 5)
    make_index(fitting, docs=word_documents(sample, range(200)))
    meta4 = Meta4(engine, keep_searches=1)
    for row in range(300, 340):
        meta4.search(index=index_name, body=clause(vector=vectors[row].tolist()))
    assert 3 <= len(read_searches(engine, index_name, FIELD)) <= 5


def test_a_share_of_them_is_kept(engine, make_index, index_name, fitting, sample, vectors):
    make_index(fitting, docs=word_documents(sample, range(200)))
    meta4 = Meta4(engine, keep_searches=0.3)
    for row in range(300, 400):
        meta4.search(index=index_name, body=clause(vector=vectors[row].tolist()))
    assert 10 <= len(read_searches(engine, index_name, FIELD)) <= 50


def test_a_search_does_not_fail_where_it_cannot_be_kept(
    engine, make_index, index_name, fitting, sample, vectors, monkeypatch
):
    make_index(fitting, docs=word_documents(sample, range(200)))
    monkeypatch.setattr(searches, "SEARCHES_INDEX", "Not-An-Index")
    meta4 = Meta4(engine, keep_searches=1)
    with pytest.warns(UserWarning, match="searches are not kept: .*Not-An-Index"):
        answer = meta4.search(index=index_name, body=clause(vector=vectors[300].tolist()))
    assert len(answer["hits"]["hits"]) == 3
    meta4.search(index=index_name, body=clause(vector=vectors[300].tolist()))  # warns once
    monkeypatch.undo()
    assert read_searches(engine, index_name, FIELD) == []  # and waits before it tries again


def test_what_cannot_be_forgotten_is_told(engine, make_index, index_name, fitting, sample, vectors):
    make_index(fitting, docs=word_documents(sample, range(200)))
    keeping = Meta4(engine, keep_searches=np.float32(1))
    keeping.search(index=index_name, body=clause(vector=vectors[300].tolist()))
    settings = f"/{SEARCHES_INDEX}/_settings"
    engine.request("PUT", settings, {"index.blocks.write": True})
    try:
        with pytest.warns(UserWarning, match="searches of before stay in meta4-searches"):
            forget_searches(engine, index_name, FIELD)
    finally:
        engine.request("PUT", settings, {"index.blocks.write": None})
    assert len(read_searches(engine, index_name, FIELD)) == 1


@pytest.mark.parametrize("share", [-0.1, 1.1, "0.1", True, float("nan")])
def test_another_share_is_refused(engine, share):
    with pytest.raises(InputError, match="keep_searches: expected a share from 0 to 1"):
        Meta4(engine, keep_searches=share)


def test_tuning_and_a_look_at_them(node, engine, make_index, index_name, fitting, sample, vectors):
    make_index(fitting, docs=word_documents(sample, range(N)))
    none = meta4_here("index", "tune", index_name, "--from-searches", url=node.url)
    assert none.returncode == 2
    assert "no searches of field 'embedding'" in none.stderr
    tune_index(engine, index_name, n_queries=100)
    assert "searches" not in {one.what for one in examine_index(engine, index_name, n_queries=20)}
    meta4 = Meta4(engine, keep_searches=1)
    rng = np.random.default_rng(0)
    for row in range(40):
        noisy = vectors[row] + 0.3 * rng.normal(size=100)
        meta4.search(index=index_name, body=clause(vector=noisy.tolist()))
    n = len(read_searches(engine, index_name, FIELD))
    assert n >= 30
    found = {one.what: one for one in examine_index(engine, index_name, n_queries=20)}["searches"]
    assert found.figures["kept"] == n
    assert found.found.startswith(f"of {n} that clients kept 20 get recall@25")
    both = ("--from-searches", "--query-file", "x.npy")
    assert "give one of them" in meta4_here("index", "tune", index_name, *both, url=node.url).stderr
    tuned = meta4_here(
        "index", "tune", index_name, "--from-searches", "--queries", 100, "--json", url=node.url
    )
    assert tuned.returncode == 0, tuned.stderr
    delivered = json.loads(tuned.stdout)["delivered"]
    assert {one["queries"] for one in delivered} == {"documents", "over buckets", "given"}
    measured = meta4_here("eval", index_name, "--from-searches", "--json", url=node.url)
    assert json.loads(measured.stdout)[0]["n_queries"] == n
    engine.refresh(SEARCHES_INDEX)
    before = engine.count(SEARCHES_INDEX)
    drop_index(engine, index_name)
    engine.refresh(SEARCHES_INDEX)
    assert engine.count(SEARCHES_INDEX) == before - n
    assert meta4_here("index", "tune", index_name, "--from-searches", url=node.url).returncode == 2
