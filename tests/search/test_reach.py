"""How far a request looks is told from its query, its filter and what it found, on real engines."""

import numpy as np
import pytest
from support.words import FIELD, N_SHARED, word_documents

from meta4 import Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import ClauseError
from meta4.ingest.hashers import DocumentHasher
from meta4.models.stopping.adjusting import ASKED, KS

pytestmark = pytest.mark.server
K = 25
ALL = np.arange(N_SHARED)
FILTERS = {
    "thin": ({"term": {"tenth": 3}}, ALL % 10 == 3),
    "rare words": ({"range": {"rank": {"gte": 6000}}}, ALL >= 6000),
    "frequent words": ({"range": {"rank": {"lt": 5000}}}, ALL < 5000),
    "nothing": ({"term": {"tenth": 11}}, ALL < 0),
}


def asked(query, recall, within=None, k=K):
    conditions = {"must": [{"meta4_similar": {FIELD: {"vector": query, "k": k, "recall": recall}}}]}
    if within is not None:
        conditions["filter"] = [within]
    return {"_source": False, "query": {"bool": conditions}}


def recalls(words, meta4, queries, recall, within=None, keep=None, k=K):
    found = []
    for query in queries:
        hits = meta4.search(index=words.index, body=asked(query.tolist(), recall, within, k))
        scores = np.array([hit["_score"] for hit in hits["hits"]["hits"]])
        truth = np.sort(words.scores(query, keep))[::-1][:k]
        truth = truth[truth >= 0]
        assert len(scores) == len(truth)
        found.append(1.0 if not len(truth) else (scores >= truth[-1] - 1e-5).sum() / len(truth))
    return np.minimum(found, 1.0)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("recall", [0.9, 0.99])
def test_a_new_filter_and_a_known_one_keep_the_promise(engine, words, name, recall):
    within, keep = FILTERS[name]
    meta4 = Meta4(engine)
    new = []
    for query in words.held_out[:40]:  # each under a filter that nobody has asked under
        meta4.forget(words.index)
        new += recalls(words, meta4, [query], recall, within, keep).tolist()
    known = recalls(words, meta4, words.held_out[:40], recall, within, keep)
    for found in (np.asarray(new), known):
        assert found.mean() + 2 * found.std() / np.sqrt(len(found)) >= recall - 0.01


def test_what_was_tuned_says_what_is_delivered(engine, words):
    outlook = read_spec(engine, words.index).outlook
    assert outlook == words.calibration
    assert outlook.n_documents == outlook.n_sampled == N_SHARED
    told = {(one.queries, one.k, one.asked) for one in outlook.delivered}
    assert told == {
        (queries, k, asked)
        for queries in ("documents", "over buckets")
        for k in KS
        for asked in ASKED
    }
    for one in outlook.delivered:
        assert one.mean >= one.asked - 0.03


def test_an_explanation_says_what_is_expected(engine, words):
    body = asked(words.held_out[0].tolist(), 0.9)
    (clause,) = Meta4(engine).explain(index=words.index, body=body)["clauses"]
    assert clause["recall_promised"] == 0.9
    assert clause["recall_expected"] >= 0.8
    assert clause["rounds"] >= 1
    assert "of the nearest are expected in these buckets" in clause["reason"]
    assert 0 < clause["docs_looked_into"] < N_SHARED


def test_so_many_queries_have_at_least_so_much(words, engine):
    found = recalls(words, Meta4(engine), words.held_out[:100], {"at_least": 0.9, "for": 0.9})
    assert (found >= 0.9 - 1e-9).mean() >= 0.85


@pytest.mark.parametrize("recall", [{"at_least": 0.9}, {"at_least": 2, "for": 0.5}, {}, "much"])
def test_half_a_promise_is_refused(engine, words, recall):
    with pytest.raises(ClauseError):
        Meta4(engine).search(index=words.index, body=asked([1.0] * 100, recall))


def test_a_page_and_its_beginning_are_judged_alike(engine, words):
    """`from` and `size` show other hits of the same k."""
    meta4 = Meta4(engine)
    for query in words.held_out[:20]:
        body = asked(query.tolist(), 0.99)
        whole = meta4.search(index=words.index, body=body)["hits"]["hits"]
        for start, size in ((0, 5), (10, 5), (20, 25)):
            page = meta4.search(index=words.index, body={**body, "from": start, "size": size})
            ids = [hit["_id"] for hit in page["hits"]["hits"]]
            right = [hit["_id"] for hit in whole[start : start + size]]
            assert len(set(ids) & set(right)) >= len(right) - 1


def test_indexes_that_were_tuned_apart_are_asked_together(
    engine, words, sample, words_model, index_name
):
    """Each by its own outlook, the more careful of which decides."""
    ref = ModelStore(engine).push("words", words_model)
    spec = create_index(
        engine, index_name, field=FIELD, ref=ref, model=words_model, hashing="client"
    )
    try:
        rows = range(N_SHARED + 300, N_SHARED + 6300)
        load_documents(
            engine, index_name, word_documents(sample, rows), DocumentHasher(words_model, spec)
        )
        tune_index(engine, index_name, n_queries=100)
        meta4 = Meta4(engine)
        names = f"{words.index},{index_name}"
        vectors = np.concatenate([words.vectors, sample.vectors[rows.start : rows.stop]])
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        found = []
        for query in words.held_out[:60]:
            hits = meta4.search(index=names, body=asked(query.tolist(), 0.95))["hits"]["hits"]
            truth = np.sort((1 + unit @ (query / np.linalg.norm(query))) / 2)[-K]
            found.append(sum(hit["_score"] >= truth - 1e-5 for hit in hits) / K)
        assert np.mean(found) + 2 * np.std(found) / np.sqrt(60) >= 0.94
        (clause,) = meta4.explain(index=names, body=asked(words.held_out[0].tolist(), 0.95))[
            "clauses"
        ]
        assert clause["n_probes"] > 0
    finally:
        engine.delete_index(index_name)


def test_what_a_filter_keeps_is_counted_once(engine, words, monkeypatch):
    """Beside the search, in the buckets that are looked into; then it is known."""
    meta4 = Meta4(engine)
    body = asked(words.held_out[3].tolist(), 0.9, {"range": {"rank": {"gte": 17}}})
    meta4.search(index=words.index, body=asked(words.held_out[3].tolist(), 0.9))  # all else is read
    asked_for = []
    search = type(engine.calls).search

    def watched(self, index, body, *rest):
        asked_for.append(body)
        return search(self, index, body, *rest)

    monkeypatch.setattr(type(engine.calls), "search", watched)
    meta4.search(index=words.index, body=body)
    counts = [one for one in asked_for if "aggs" in one]
    assert len(counts) >= 1
    terms = [part for part in counts[0]["query"]["bool"]["filter"] if "terms" in part]
    assert terms
    asked_for.clear()
    meta4.search(index=words.index, body=body)
    assert [one for one in asked_for if "aggs" in one] == []
    assert len(asked_for) == 1
