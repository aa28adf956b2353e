"""Requests against the shared, tuned index, compared with NumPy over the same words."""

import time

import numpy as np
import pytest
from support.searches import every_saving_counts
from support.servers import on_one_engine
from support.words import FIELD, N_SHARED, word_documents

from meta4 import Meta4
from meta4.adapter.fields.recall import recall_by_score
from meta4.adapter.fields.vectors import request as asking
from meta4.adapter.measure.evaluation import evaluate_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.search import plan as planning
from meta4.errors import ClauseError, EmbeddingError, InputError, NotFoundError

pytestmark = pytest.mark.server


def similar(vector, **options):
    return {"meta4_similar": {FIELD: {"vector": np.asarray(vector).tolist(), **options}}}


def run(words, query, **body):
    answer = words.meta4.search(index=words.index, body={"query": query, "_source": False, **body})
    return answer["hits"]["hits"]


def test_all_buckets_is_exact_search(words):
    for query in words.held_out[:20]:
        hits = run(words, similar(query, k=25, recall=1.0))
        expected = np.sort(words.scores(query))[::-1][:25]
        assert np.allclose([hit["_score"] for hit in hits], expected, atol=1e-5)


@pytest.mark.parametrize("recall", [0.90, 0.95, 0.99])
def test_the_promised_recall_holds_on_queries_never_seen(words, recall):
    """300 held-out words; the promise may miss by two standard errors, no more."""
    reached = []
    for query in words.held_out:
        found = np.array([hit["_score"] for hit in run(words, similar(query, k=25, recall=recall))])
        truth = np.sort(words.scores(query))[::-1][:25]
        reached.append(recall_by_score(found, truth, 25))
    error = np.std(reached) / np.sqrt(len(reached))
    assert np.mean(reached) >= recall - 2 * error
    looked = words.meta4.explain(
        index=words.index, body={"query": similar(words.held_out[0], k=25, recall=recall)}
    )["clauses"][0]
    assert looked["share_looked_into"] < 0.6


FILTERS = {
    "30%": ({"terms": {"tenth": [1, 4, 7]}}, lambda i: np.isin(i % 10, [1, 4, 7])),
    "10%": ({"term": {"tenth": 3}}, lambda i: i % 10 == 3),
    "1%": ({"range": {"rank": {"lt": 120}}}, lambda i: i < 120),
}


@pytest.mark.parametrize("name", FILTERS)
def test_the_promised_recall_holds_under_filters(words, monkeypatch, name):
    every_saving_counts(monkeypatch)
    condition, keep = FILTERS[name]
    kept = keep(np.arange(N_SHARED))
    reached = []
    for query in words.held_out[:150]:
        clause = similar(query, k=25, recall=0.95)
        hits = run(words, {"bool": {"must": [clause], "filter": [condition]}})
        assert len(hits) == 25
        truth = np.sort(words.scores(query, kept))[::-1][:25]
        reached.append(recall_by_score(np.array([h["_score"] for h in hits]), truth, 25))
    assert np.mean(reached) >= 0.95 - 2 * np.std(reached) / np.sqrt(len(reached))


def test_a_narrow_filter_is_searched_exactly(words):
    clause = similar(words.held_out[0], k=25, recall=0.9)
    body = {"query": {"bool": {"must": [clause], "filter": [FILTERS["1%"][0]]}}}
    (explained,) = words.meta4.explain(index=words.index, body=body)["clauses"]
    assert explained["n_probes"] == 0
    assert explained["recall_promised"] == 1.0
    assert explained["docs_looked_into"] == 120
    assert explained["filter_selectivity"] == pytest.approx(0.01)


def test_a_filter_that_needs_many_buckets_names_none(words, monkeypatch):
    """Naming a bucket costs as well: what they spare must be worth their number.

    By the first phase, which may leave out a part of what was not asked for; without one, exactly.
    """
    clause = similar(words.held_out[0], k=25, recall=0.9)
    body = {"query": {"bool": {"must": [clause], "filter": [FILTERS["30%"][0]]}}}
    every_saving_counts(monkeypatch)
    (few,) = words.meta4.explain(index=words.index, body=body)["clauses"]
    kept = few["filter_selectivity"] * N_SHARED
    spared = kept - few["docs_looked_into"]
    monkeypatch.setattr(planning, "BUCKET_WORTH", 2 * spared / few["n_probes"])
    (everywhere,) = words.meta4.explain(index=words.index, body=body)["clauses"]
    assert few["n_probes"] > 0
    assert everywhere["n_probes"] == 0
    assert everywhere["docs_looked_into"] == pytest.approx(kept)
    assert everywhere["recall_promised"] == 0.9
    assert everywhere["first_phase"]["window"] >= 25
    monkeypatch.setattr(asking, "MOST_RESCORED", 0)
    (exact,) = words.meta4.explain(index=words.index, body=body)["clauses"]
    assert exact["n_probes"] == 0
    assert exact["recall_promised"] == 1.0
    assert exact["first_phase"] is None


def test_never_fewer_than_k_when_k_match(words, monkeypatch):
    every_saving_counts(monkeypatch)
    condition = {"range": {"rank": {"gte": 5000, "lt": 5030}}}
    for query in words.held_out[:30]:
        clause = similar(query, k=30, recall=0.9)
        hits = run(words, {"bool": {"must": [clause], "filter": [condition]}})
        assert len(hits) == 30


def test_a_short_page_widens_by_itself(words, monkeypatch):
    """The plan is made to look into one bucket; the page comes back whole all the same."""
    from meta4.adapter.fields.vectors import planning as field

    real = field.plan_by_outlook

    def stingy(*args, **kwargs):
        from dataclasses import replace

        from meta4.models.probing.ranking import Probes

        plan = real(*args, **kwargs)
        if plan.probes is None:
            return plan
        return replace(plan, probes=Probes(plan.probes.buckets[:1], 0))

    monkeypatch.setattr(field, "plan_by_outlook", stingy)
    query = words.held_out[3]
    hits = run(words, similar(query, k=900, recall=0.9))
    expected = np.sort(words.scores(query))[::-1][:900]
    assert np.allclose([hit["_score"] for hit in hits], expected, atol=1e-5)


def test_by_id_leaves_the_document_itself_out(words):
    hits = run(words, {"meta4_similar": {FIELD: {"id": "berlin", "k": 5, "recall": 1.0}}})
    names = [hit["_id"] for hit in hits]
    row = words.words.index("berlin")
    scores = words.scores(words.vectors[row])
    scores[row] = -1
    assert names == [words.words[i] for i in np.argsort(-scores)[:5]]


def test_analogies_are_the_brute_force_ones(words):
    for a, b, c in (("berlin", "germany", "paris"), ("man", "king", "woman")):
        ia, ib, ic = (words.words.index(word) for word in (a, b, c))
        unit = words.vectors / np.linalg.norm(words.vectors, axis=1, keepdims=True)
        operands = {x: {"id": word} for x, word in zip("abc", (a, b, c), strict=True)}
        target = unit[ib] - unit[ia] + unit[ic]
        add = words.scores(target)
        shifted = (1 + unit @ unit[[ia, ib, ic]].T) / 2
        mul = shifted[:, 1] * shifted[:, 2] / (shifted[:, 0] + 0.001)
        for method, scores in (("3cosadd", add), ("3cosmul", mul)):
            scores = scores.copy()
            best_scores = np.sort(np.delete(scores, [ia, ib, ic]))[::-1][:5]
            clause = {**operands, "k": 5, "method": method, "recall": 1.0}
            hits = run(words, {"meta4_analogy": {FIELD: clause}})
            assert np.allclose([h["_score"] for h in hits], best_scores, rtol=1e-4)
            assert not {h["_id"] for h in hits} & {a, b, c}
    hits = run(
        words,
        {
            "meta4_analogy": {
                FIELD: {
                    x: {"id": w} for x, w in zip("abc", ("berlin", "germany", "paris"), strict=True)
                }
            }
        },
    )
    assert hits[0]["_id"] == "france"


@pytest.mark.parametrize("strategy", ["script", "hamming"])
def test_every_strategy_gives_the_same_scores(
    engine, words, make_index, index_name, sample, monkeypatch, strategy
):
    make_index(
        words.model,
        docs=word_documents(sample, range(6000)),
        hashing="client",
        strategy=strategy,
    )
    tune_index(engine, index_name, n_queries=60)
    meta4 = Meta4(engine)
    unit = words.vectors[:6000] / np.linalg.norm(words.vectors[:6000], axis=1, keepdims=True)
    reached = []
    for query in words.held_out[:25]:
        truth = np.sort((1 + unit @ (query / np.linalg.norm(query))) / 2)[::-1][:10]
        body = {"query": similar(query, k=10, recall=1.0)}
        hits = meta4.search(index=index_name, body=body)["hits"]["hits"]
        found = np.array([hit["_score"] for hit in hits])
        assert (found <= truth + 1e-5).all()
        reached.append(recall_by_score(found, truth, 10))
    assert np.mean(reached) == 1.0
    phased = []
    for query in words.held_out[:100]:
        truth = np.sort((1 + unit @ (query / np.linalg.norm(query))) / 2)[::-1][:10]
        body = {"query": similar(query, k=10, recall=0.95)}
        hits = meta4.search(index=index_name, body=body)["hits"]["hits"]
        found = np.array([hit["_score"] for hit in hits])
        assert (found <= truth + 1e-5).all()
        phased.append(recall_by_score(found, truth, 10))
    assert np.mean(phased) >= 0.95 - 2 * np.std(phased) / 10
    if strategy == "hamming":
        assert "rescore" in meta4.rewrite(index=index_name, body=body)
        # Codes may leave something out where all buckets are looked into, too.
        monkeypatch.setattr(planning, "BUCKET_WORTH", 6000)
        (clause,) = meta4.explain(index=index_name, body=body)["clauses"]
        assert (clause["n_probes"], clause["recall_promised"]) == (0, 0.95)


@pytest.mark.parametrize("strategy", ["native", "script", "hamming"])
def test_only_the_direction_of_a_query_counts(
    engine, words, make_index, index_name, sample, strategy
):
    """Engines square in float32: as it came, a query of 1e-30 or 1e25 would be zero or infinite."""
    make_index(
        words.model, docs=word_documents(sample, range(300)), hashing="client", strategy=strategy
    )
    # One that no model hashed, so that a script runs beside the native query.
    stray = {FIELD: words.vectors[300].tolist()}
    path, params = f"/{index_name}/_doc/stray", {"refresh": "true", "pipeline": "_none"}
    engine.request("PUT", path, stray, params)
    meta4 = Meta4(engine)
    query, *operands = (row / np.linalg.norm(row) for row in words.held_out[:4])

    def scores(clause, field):
        body = {"query": {clause: {FIELD: {**field, "k": 301, "recall": 1.0}}}, "size": 301}
        hits = meta4.search(index=index_name, body=body)["hits"]["hits"]
        return {hit["_id"]: hit["_score"] for hit in hits}

    def of_length(length, vector):
        return {"vector": (vector * length).tolist()}

    def asked(length):
        three = {x: of_length(length, row) for x, row in zip("abc", operands, strict=True)}
        yield scores("meta4_similar", of_length(length, query))
        for method in ("3cosadd", "3cosmul"):
            yield scores("meta4_analogy", {**three, "method": method})

    plain = list(asked(1.0))
    assert all(len(found) == 301 for found in plain)
    for length in (1e-30, 1e25):
        for found, right in zip(asked(length), plain, strict=True):
            assert found == pytest.approx(right, abs=1e-6)


@on_one_engine
@pytest.mark.parametrize("plan", ["bitwise", "margin", "centroid"])
def test_every_plan_keeps_its_promise(engine, models, make_index, index_name, sample, words, plan):
    make_index(models["itq"], docs=word_documents(sample, range(4000)), hashing="client", plan=plan)
    meta4 = Meta4(engine)
    body = {"query": similar(words.held_out[0], k=10)}
    (before,) = meta4.explain(index=index_name, body=body)["clauses"]
    # Not tuned: Algorithm 1 looks until k are found and promises nothing; others look everywhere.
    assert before["recall_promised"] == (None if plan == "bitwise" else 1.0)
    tune_index(engine, index_name, n_queries=150)
    meta4 = Meta4(engine)
    result = evaluate_index(meta4, index_name, n_queries=100, k=10, recall=0.9)
    assert result.recall_at_k >= 0.87
    assert result.docs_looked_into <= 1.0


def test_beside_filters_pages_sources_and_aggregations(words):
    query = words.held_out[8]
    clause = similar(query, k=20, recall=1.0)
    bool_query = {"bool": {"must": [clause], "filter": [{"term": {"colour": "red"}}]}}
    body = {
        "query": bool_query,
        "size": 5,
        "from": 5,
        "_source": ["colour"],
        "aggs": {"colours": {"terms": {"field": "colour.keyword"}}},
    }
    answer = words.meta4.search(index=words.index, body=body)
    first = words.meta4.search(index=words.index, body=body | {"from": 0, "size": 20})
    page = [hit["_id"] for hit in answer["hits"]["hits"]]
    assert page == [hit["_id"] for hit in first["hits"]["hits"]][5:10]
    assert all(hit["_source"] == {"colour": "red"} for hit in answer["hits"]["hits"])
    buckets = answer["aggregations"]["colours"]["buckets"]
    assert [(b["key"], b["doc_count"]) for b in buckets] == [("red", 20)]
    last = words.meta4.search(index=words.index, body=body | {"from": 18})
    assert len(last["hits"]["hits"]) == 2


def test_inside_a_should_it_adds_its_score(words):
    query = words.held_out[9]
    plain = run(words, similar(query, k=5, recall=1.0))
    mixed = run(
        words,
        {"bool": {"should": [similar(query, k=5, recall=1.0), {"term": {"rank": 11}}]}},
        size=6,
    )
    assert {hit["_id"] for hit in plain} <= {hit["_id"] for hit in mixed} | {plain[-1]["_id"]}
    assert words.words[11] in {hit["_id"] for hit in mixed}


def test_the_same_request_gives_the_same_answer(words):
    for query in words.held_out[:20]:
        bodies = [
            [(hit["_id"], hit["_score"]) for hit in run(words, similar(query, k=25))]
            for _ in range(5)
        ]
        assert all(body == bodies[0] for body in bodies)


def test_equal_scores_come_in_the_order_of_writing(engine, models, make_index, index_name, vectors):
    from meta4 import Document

    docs = [Document(f"d{i:02d}", {FIELD: vectors[1].tolist()}) for i in range(30)]
    make_index(models["cells"], docs=docs, hashing="client")
    meta4 = Meta4(engine)
    for k in (3, 10):
        body = {"query": similar(vectors[1], k=k)}
        hits = meta4.search(index=index_name, body=body)["hits"]["hits"]
        assert [hit["_id"] for hit in hits] == [f"d{i:02d}" for i in range(k)]


def test_bodies_without_clauses_pass_through(words):
    body = {"query": {"term": {"rank": 7}}}
    assert words.meta4.rewrite(index=words.index, body=body) == body
    assert (
        words.meta4.search(index=words.index, body=body)["hits"]["hits"][0]["_id"]
        == (words.words[7])
    )


def test_documents_of_another_model_are_found(engine, models, make_index, index_name, vectors):
    """Written without a hash, by a client that went round the pipeline."""
    make_index(models["cells"], hashing="server")
    path = f"/{index_name}/_doc"
    for row in range(20):
        engine.request("PUT", f"{path}/h{row}", body={FIELD: vectors[row].tolist()})
    engine.request(
        "PUT", f"{path}/stray", body={FIELD: vectors[1].tolist()}, params={"pipeline": "_none"}
    )
    engine.refresh(index_name)
    meta4 = Meta4(engine)
    directory = directory_of(meta4, index_name)
    assert (directory.n_documents, directory.n_strays) == (21, 1)
    body = {"query": similar(vectors[1], k=2)}
    hits = meta4.search(index=index_name, body=body)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["h1", "stray"]


def directory_of(meta4, index):
    field = meta4.engine.run(meta4.core.catalog.get(index)).field()
    return meta4.engine.run(field.directory(index))


def test_the_directory_is_kept_fresh(engine, models, make_index, index_name, vectors):
    make_index(models["cells"], hashing="server")
    meta4 = Meta4(engine, fresh_for=0.2)
    assert directory_of(meta4, index_name).n_documents == 0
    engine.request("PUT", f"/{index_name}/_doc/a", body={FIELD: vectors[0].tolist()})
    engine.refresh(index_name)
    deadline = time.monotonic() + 10
    while directory_of(meta4, index_name).n_documents != 1:
        assert time.monotonic() < deadline


def test_search_across_shards(engine, models, make_index, index_name, sample, words):
    make_index(
        models["cells"], docs=word_documents(sample, range(3000)), hashing="client", shards=3
    )
    meta4 = Meta4(engine)
    unit = words.vectors[:3000] / np.linalg.norm(words.vectors[:3000], axis=1, keepdims=True)
    for query in words.held_out[:10]:
        body = {"query": similar(query, k=12, recall=1.0)}
        hits = meta4.search(index=index_name, body=body)["hits"]["hits"]
        truth = np.sort((1 + unit @ (query / np.linalg.norm(query))) / 2)[::-1][:12]
        assert np.allclose([hit["_score"] for hit in hits], truth, atol=1e-5)


def test_what_cannot_be_searched(words):
    def search(query, index=words.index):
        words.meta4.search(index=index, body={"query": query})

    with pytest.raises(EmbeddingError, match="expected 100 dimensions, got 3"):
        search(similar([1.0, 2.0, 3.0]))
    with pytest.raises(EmbeddingError, match="zero vector"):
        search(similar([0.0] * 100))
    with pytest.raises(ClauseError, match="its hashed field is 'embedding'"):
        search({"meta4_similar": {"other": {"id": "berlin"}}})
    with pytest.raises(NotFoundError, match="'no-such-word' is not in index"):
        search({"meta4_similar": {FIELD: {"id": "no-such-word"}}})
    with pytest.raises(NotFoundError, match="does not exist"):
        search(similar(words.held_out[0]), index="no-such-index")
    same = {x: {"id": "berlin"} for x in "ab"} | {"c": {"id": "paris"}}
    assert words.meta4.search(index=words.index, body={"query": {"meta4_analogy": {FIELD: same}}})[
        "hits"
    ]["hits"]


def test_eval_measures_what_it_says(words):
    result = evaluate_index(words.meta4, words.index, n_queries=80, k=10, recall=0.95)
    assert result.n_queries == 80
    assert 0.92 <= result.recall_at_k <= 1.0
    assert 0 < result.docs_looked_into < 0.6
    assert 0 < result.p50_ms <= result.p95_ms
    exact = evaluate_index(words.meta4, words.index, n_queries=20, k=10, recall=1.0)
    assert exact.recall_at_k == 1.0
    assert exact.docs_looked_into == pytest.approx(1.0, abs=1e-3)  # the query itself is left out


@on_one_engine
def test_a_promise_for_queries_unlike_documents_is_kept(
    engine, words, make_index, index_name, sample
):
    """Mixtures of words lie between the cells, where the nearest are spread over more of them."""
    make_index(words.model, docs=word_documents(sample, range(9000)), hashing="client")
    rng = np.random.default_rng(5)
    unit = words.vectors[:9000] / np.linalg.norm(words.vectors[:9000], axis=1, keepdims=True)
    mixed = sum(unit[rng.integers(0, 9000, 320)] for _ in range(4))

    def reached():
        return evaluate_index(
            Meta4(engine), index_name, n_queries=120, given=mixed[:120], k=10, recall=0.95
        ).recall_at_k

    assert tune_index(engine, index_name, n_queries=200).queries == "documents"
    assert reached() >= 0.94
    outlook = tune_index(engine, index_name, n_queries=200, given=mixed[120:])
    assert outlook.queries == "given"
    assert {one.queries for one in outlook.delivered} == {"documents", "over buckets", "given"}
    assert reached() >= 0.94


def test_given_queries_are_checked(engine, words):
    with pytest.raises(EmbeddingError, match="query 1: expected 100 dimensions, got 3"):
        tune_index(engine, words.index, given=[np.ones(100), np.ones(3)])
    with pytest.raises(InputError, match="no vectors"):
        tune_index(engine, words.index, given=np.empty((0, 100)))
