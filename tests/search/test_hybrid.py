"""Words and vectors together: against the two searches made one by one and fused here."""

import asyncio
import hashlib
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gateways import ask, gateway_before

from meta4 import AsyncMeta4, Document, HashModel, Meta4
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.search import hybrid
from meta4.adapter.search.rewriter import SORT
from meta4.adapter.search.sites import find_sites
from meta4.errors import ClauseError
from meta4.ingest.hashers import DocumentHasher
from meta4.models.specs import CellsSpec

FIELD, DIMS, N = "embedding", 8, 400
WORDS = ("hotel", "quiet", "sea", "old", "town", "garden", "view", "room", "near", "station")
MATCH = {"match": {"title": "quiet hotel sea"}}
EVEN, OLD = {"term": {"half": 0}}, {"range": {"n": {"gte": 350}}}


class World:
    """One small index whose titles have many equal scores; each twentieth has no vector."""

    def __init__(self, engine, number=0, ref_model=None):
        digest = hashlib.sha256(f"hybrid {number} {os.getpid()}".encode()).hexdigest()
        self.index, self.engine, self.meta4 = f"test-{digest[:16]}", engine, Meta4(engine)
        rng = np.random.default_rng(5 + number)
        self.vectors = rng.standard_normal((N, DIMS)).astype(np.float32)
        if ref_model is None:
            model = HashModel.fit(CellsSpec(n_bits=16, n_buckets=16, iterations=3), self.vectors)
            ref_model = ModelStore(engine).push("hybrid", model), model
        self.ref_model = ref, model = ref_model
        spec = create_index(engine, self.index, field=FIELD, ref=ref, model=model, hashing="client")
        rows = [
            {"title": " ".join(rng.choice(WORDS, 3)), "n": row, "half": row % 2} for row in range(N)
        ]
        documents = (
            Document(str(row), {**rows[row], FIELD: self.vectors[row].tolist()})
            for row in range(N)
            if row % 20
        )
        assert not load_documents(
            engine, self.index, documents, DocumentHasher(model, spec)
        ).refusals
        lines = [
            line for row in range(0, N, 20) for line in ({"index": {"_id": str(row)}}, rows[row])
        ]
        engine.bulk(self.index, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        engine.refresh(self.index)
        self.query = rng.standard_normal(DIMS).astype(np.float32).tolist()

    def clause(self, **options):
        similar = {FIELD: {"vector": self.query, "recall": 1.0}}
        return {"meta4_hybrid": {"query": MATCH, "similar": similar, **options}}

    def search(self, query, **body):
        return self.meta4.search(index=self.index, body={"query": query, "_source": False, **body})

    def legs(self, window, filters=(), exclusions=(), similar=None):
        """By each leg the hits that it gives by itself."""
        page = {"size": window, "seq_no_primary_term": True, "_source": False}
        near = {"meta4_similar": {FIELD: {"vector": self.query, "recall": 1.0, **(similar or {})}}}
        near["meta4_similar"][FIELD] |= {"k": window}
        beside = {"filter": list(filters), "must_not": list(exclusions)}
        words = {"query": {"bool": {"must": [MATCH], **beside}}, "sort": SORT, **page}
        found = self.meta4.search(
            index=self.index, body={"query": {"bool": {"must": [near], **beside}}, **page}
        )
        return found["hits"]["hits"], self.engine.search(self.index, words)["hits"]["hits"]

    def expected(self, k, window, filters=(), exclusions=(), weight=None):
        """Ids and scores of the k that are put first."""
        near, matching = self.legs(window, filters, exclusions)
        order = {hit["_id"]: hit["_seq_no"] for hit in (*near, *matching)}
        if weight is None:
            ranks = [{hit["_id"]: i for i, hit in enumerate(hits, 1)} for hits in (near, matching)]
            score = {
                name: sum(1 / (60 + rank[name]) for rank in ranks if name in rank) for name in order
            }
        else:
            every = [
                {hit["_id"]: hit["_score"] / hits[0]["_score"] for hit in hits}
                for hits in self.legs(10_000, filters, exclusions)
            ]
            score = {
                name: weight * every[0].get(name, 0) + (1 - weight) * every[1].get(name, 0)
                for name in order
            }
        best = sorted(order, key=lambda name: (-np.float32(score[name]), order[name]))[:k]
        return best, [score[name] for name in best]


@pytest.fixture(scope="module")
def world(engine):
    made = World(engine)
    yield made
    engine.delete_index(made.index)


def ids(answer):
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def assert_is(answer, expected):
    """Those documents with those scores; in which order equal ones stand, too."""
    names, scores = expected
    assert np.allclose([hit["_score"] for hit in answer["hits"]["hits"]], scores, rtol=1e-6)
    assert ids(answer) == names


@pytest.mark.server
@pytest.mark.parametrize(("k", "window"), [(10, 50), (7, 7), (30, 200)])
@pytest.mark.parametrize("filtered", [False, True])
def test_it_is_the_two_searches_fused(world, k, window, filtered):
    beside = ([EVEN], [OLD]) if filtered else ((), ())
    for weight in (None, 0.0, 0.8, 1.0):
        options = {} if weight is None else {"fusion": "weighted", "weight": weight}
        query = world.clause(k=k, window=window, **options)
        if filtered:
            query = {"bool": {"must": [query], "filter": [EVEN], "must_not": [OLD]}}
        answer = world.search(query)
        assert answer["hits"]["total"] == {"value": k, "relation": "eq"}
        if weight is None:
            assert_is(answer, world.expected(k, window, *beside))
            continue
        names, scores = world.expected(k, window, *beside, weight=weight)
        found = {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}
        assert np.allclose(list(found.values()), scores, atol=1e-6)
        # What is as near as float32 tells may change places, and no other.
        assert {
            name for name, score in zip(names, scores, strict=True) if score > scores[-1] + 1e-6
        } <= set(found)


@pytest.mark.server
def test_the_window_is_twice_k_and_fifty_at_least(world):
    for k, window in ((10, 50), (40, 80)):
        assert_is(world.search(world.clause(k=k)), world.expected(k, window))


@pytest.mark.server
def test_what_the_body_says_is_about_the_k(world):
    names, _ = world.expected(12, 50)
    clause = world.clause(k=12)
    pages = [ids(world.search(clause, **{"from": start, "size": 5})) for start in (0, 5, 10, 15)]
    assert pages == [names[:5], names[5:10], names[10:], []]
    answer = world.search(
        clause, size=3, sort=[{"n": "desc"}], aggs={"halves": {"terms": {"field": "half"}}}
    )
    assert ids(answer) == sorted(names, key=int, reverse=True)[:3]
    counted = {one["key"]: one["doc_count"] for one in answer["aggregations"]["halves"]["buckets"]}
    assert counted == {half: sum(int(name) % 2 == half for name in names) for half in (0, 1)}
    assert world.search(clause, size=0)["hits"]["total"]["value"] == 12


@pytest.mark.server
def test_several_stand_beside_each_other(world):
    near = {"meta4_similar": {FIELD: {"vector": world.query, "k": 3, "recall": 1.0}}}
    clauses = [world.clause(k=5, boost=2.0, _name="both"), world.clause(k=4), near]
    answer = world.search({"bool": {"should": clauses}}, size=20)
    (fives, fours), threes = (
        (dict(zip(*world.expected(k, 50), strict=True)) for k in (5, 4)),
        {hit["_id"]: hit["_score"] for hit in world.legs(3)[0]},
    )
    expected = {
        name: 2 * fives.get(name, 0) + fours.get(name, 0) + threes.get(name, 0)
        for name in {*fives, *threes}
    }
    found = {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}
    assert found.keys() == expected.keys()
    assert all(abs(found[name] - score) < 1e-6 for name, score in expected.items())
    told = {
        hit["_id"] for hit in answer["hits"]["hits"] if "both" in hit.get("matched_queries", ())
    }
    assert told == set(fives)


@pytest.mark.server
def test_a_document_that_it_names_is_no_answer(world):
    best = ids(world.search(world.clause(k=5)))[0]
    named = {"id": best if int(best) % 20 else "1", "recall": 1.0}
    clause = {"meta4_hybrid": {"query": MATCH, "similar": {FIELD: named}, "k": 400, "window": 400}}
    assert named["id"] not in ids(world.search(clause))


@pytest.mark.server
def test_an_alias_filter_reaches_both(world):
    alias = f"{world.index}-even"
    add = {"index": world.index, "alias": alias, "filter": EVEN}
    world.engine.request("POST", "/_aliases", {"actions": [{"add": add}]})
    for options in ({}, {"fusion": "weighted", "weight": 0.5}):
        body = {"query": world.clause(k=20, **options), "_source": False}
        through = world.meta4.search(index=alias, body=body)
        beside = world.search({"bool": {"must": [world.clause(k=20, **options)], "filter": [EVEN]}})
        assert through["hits"]["hits"] == beside["hits"]["hits"]
        assert {int(name) % 2 for name in ids(through)} == {0}


@pytest.mark.server
def test_documents_of_one_id_in_two_indexes_are_two(world):
    """The same ids with other titles and vectors: each has its own score."""
    other = World(world.engine, 1, world.ref_model)
    both, beside = f"{world.index},{other.index}", {"size": 400, "_source": False}
    near = {"meta4_similar": {FIELD: {"vector": world.query, "recall": 1.0, "k": 400}}}
    try:
        legs = (
            world.meta4.search(index=both, body={"query": near, **beside}),
            world.engine.search(both, {"query": MATCH, "sort": SORT, **beside}),
        )
        answer = world.meta4.search(
            index=both, body={"query": world.clause(k=400, window=400), "_source": False}
        )
    finally:
        world.engine.delete_index(other.index)
    expected = {}
    for leg in legs:
        for rank, hit in enumerate(leg["hits"]["hits"], 1):
            key = hit["_index"], hit["_id"]
            expected[key] = expected.get(key, 0) + 1 / (60 + rank)
    scores = {(hit["_index"], hit["_id"]): hit["_score"] for hit in answer["hits"]["hits"]}
    assert len(scores) == 400 > len({name for _, name in scores})
    # Of equal scores at places of equal `_seq_no` either index may come first.
    near_to = [abs(expected[key] - score) < 1e-4 for key, score in scores.items()]
    assert np.mean(near_to) == 1.0
    assert np.mean([np.float32(expected[key]) == score for key, score in scores.items()]) > 0.5


@pytest.mark.server
def test_what_the_query_matched_is_shown(world):
    clause = world.clause(k=10)
    clause["meta4_hybrid"]["query"] = {
        "match": {"title": {"query": "quiet hotel sea", "_name": "w"}}
    }
    answer = world.search(clause, highlight={"fields": {"title": {}}})
    assert_is(answer, world.expected(10, 50))
    shown = [hit for hit in answer["hits"]["hits"] if "highlight" in hit]
    assert shown
    assert all("<em>" in hit["highlight"]["title"][0] for hit in shown)
    assert all(hit["matched_queries"] == ["w"] for hit in shown)


@pytest.mark.server
def test_by_every_way_in(world, node):
    """By `msearch`, by who does not wait, through the gateway, and by hand after `rewrite`."""
    clauses = [world.clause(k=6), world.clause(k=3, fusion="weighted")]
    bodies = [{"query": clause, "_source": False} for clause in clauses]
    expected = [ids(world.search(clause)) for clause in clauses]
    assert [ids(one) for one in world.meta4.msearch(index=world.index, bodies=bodies)] == expected
    by_hand = [world.meta4.rewrite(index=world.index, body=body) for body in bodies]
    assert [ids(world.engine.search(world.index, body)) for body in by_hand] == expected

    async def asked():
        async with AsyncMeta4(node.url) as meta4:
            return await asyncio.gather(*(meta4.search(index=world.index, body=b) for b in bodies))

    assert [ids(one) for one in asyncio.run(asked())] == expected
    headers = {"content-type": "application/json"}
    with gateway_before(node.url) as url:
        for body, names in zip(bodies, expected, strict=True):
            target = f"/{world.index}/_search"
            status, _, answer = ask(url, "POST", target, json.dumps(body), headers)
            assert status == 200, answer
            assert ids(json.loads(answer)) == names
        status, _, answer = ask(
            url, "POST", f"/{world.index}/_count", json.dumps({"query": clauses[0]}), headers
        )
        assert (status, json.loads(answer)["count"]) == (200, 6)


@pytest.mark.server
def test_both_legs_go_in_one_round_trip(world, monkeypatch):
    world.search(world.clause())  # what every request needs is read
    sent, request = [], world.engine.request

    def seen(method, path, *rest, **named):
        sent.append(path.rpartition("/")[2])
        return request(method, path, *rest, **named)

    monkeypatch.setattr(world.engine, "request", seen)
    world.search(world.clause())
    assert sent == ["_msearch", "_search"]
    sent.clear()
    world.search(world.clause(fusion="weighted"))
    assert sent == ["_msearch", "_msearch", "_search"]
    sent.clear()
    near = {"meta4_similar": {FIELD: {"vector": world.query, "k": 3}}}
    beside = {"query": {"bool": {"should": [near, world.clause()]}}}
    world.meta4.msearch(index=world.index, bodies=[{"query": world.clause()}, beside])
    assert sent == ["_msearch", "_msearch"]


@pytest.mark.server
def test_explain_tells_of_both(world):
    body = {"query": world.clause(k=30, fusion="weighted", weight=0.5)}
    told = world.meta4.explain(index=world.index, body=body)
    assert (told["requests"], told["second_for"]) == (2, "two searches that are fused")
    (clause,) = told["clauses"]
    own = {"k": 30, "fusion": "weighted", "weight": 0.5, "window": 60, "k_of_similar": 60}
    assert own.items() <= clause.items()
    assert (clause["field"], clause["recall_asked"]) == (FIELD, 1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fusion": "sum"}, "fusion: Input should be 'rrf' or 'weighted', got sum"),
        ({"fusion": "weighted", "weight": 1.5}, "weight: .* less than or equal to 1, got 1.5"),
        ({"weight": 0.5}, "'weight' needs"),
        ({"k": 60, "window": 50}, "50 are fewer than the 60 wanted"),
        ({"window": 20_000}, "window: .* less than or equal to 10000"),
        ({"query": {}}, "query: "),
        ({"query": {"meta4_similar": {"v": {"id": "a"}}}}, "'query' is one of the engine's"),
        ({"query": {"bool": {"must": [{"knn": {"v": {"k": 3}}}]}}}, "by the engine"),
        ({"similar": {"v": {"id": "a", "boost": 2.0}}}, "stand beside 'similar'"),
        ({"similar": {"v": {"id": "a"}, "w": {"id": "a"}}}, "similar: "),
        ({"similar": {"v": {}}}, "similar.v: give either 'id'"),
        ({"words": MATCH}, "words: Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused(change, said):
    clause = {"query": MATCH, "similar": {"v": {"id": "a"}}} | change
    with pytest.raises(ClauseError, match=f"meta4_hybrid at query: .*{said}"):
        find_sites({"query": {"meta4_hybrid": clause}})


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60), st.randoms())
def test_scores_are_exact_in_whichever_order_they_are_added(scores, drawn):
    hits = [{"_index": "i", "_id": str(i), "_score": score} for i, score in enumerate(scores)]
    parts = hybrid._scores_of(hits)
    drawn.shuffle(parts)
    total = np.zeros(len(scores), dtype=np.float32)
    for part in parts:
        rows = [int(name) for name in part["constant_score"]["filter"]["ids"]["values"]]
        total[rows] += np.float32(part["constant_score"]["boost"])
    assert total.tolist() == scores
