"""Searches with our clauses, from clients that know nothing of them."""

import json

import numpy as np
import pytest
from support.words import FIELD

from meta4 import Document, DocumentHasher
from meta4.adapter.engines.elasticsearch import ElasticsearchEngine
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import NotFoundError, RefusedError

pytestmark = pytest.mark.server
K = 7


def similar(vector, **options):
    return {"meta4_similar": {FIELD: {"vector": np.asarray(vector).tolist(), "k": K, **options}}}


def ids(answer):
    return [hit["_id"] for hit in answer["hits"]["hits"]]


@pytest.fixture
def query(words):
    return similar(words.held_out[3], recall=1.0)


@pytest.fixture
def nearest(words, query):
    return ids(words.meta4.search(index=words.index, body={"query": query}))


def post(client, path, body=None, params=None, method="POST"):
    return client.request(method, path, body, params)


@pytest.mark.parametrize("recall", [0.9, 1.0])
def test_a_search_is_answered_as_by_meta4(client, words, recall):
    for vector in words.held_out[:10]:
        body = {"query": similar(vector, recall=recall), "_source": False}
        here = words.meta4.search(index=words.index, body=body)["hits"]
        there = post(client, f"/{words.index}/_search", body)["hits"]
        assert there == here


@pytest.mark.parametrize(
    "params",
    [
        {"size": 3},
        {"typed_keys": "true"},
        {"filter_path": "hits.hits._id"},
        {"rest_total_hits_as_int": "true"},
        {"preference": "_local"},
        {"preference": "somebody"},
        {"ignore_unavailable": "true"},
        {"scroll": "1m"},
        {"request_cache": "false"},
    ],
    ids=lambda params: "-".join(map(str, *params.items())),
)
def test_whatever_the_query_string_says(client, words, query, nearest, params):
    answer = post(client, f"/{words.index}/_search", {"query": query}, params)
    assert ids(answer) == nearest[: params.get("size", K)]
    if "rest_total_hits_as_int" in params:
        assert answer["hits"]["total"] == K
    if "scroll" in params:
        again = post(client, "/_search/scroll", {"scroll": "1m", "scroll_id": answer["_scroll_id"]})
        assert ids(again) == []
        post(client, "/_search/scroll", {"scroll_id": answer["_scroll_id"]}, method="DELETE")


def test_a_sort_of_the_query_string(client, words, query, nearest):
    answer = post(client, f"/{words.index}/_search", {"query": query}, {"sort": "rank:desc"})
    ranks = [hit["sort"] for hit in answer["hits"]["hits"]]
    assert ranks == sorted(ranks, reverse=True)
    assert sorted(ids(answer)) == sorted(nearest)


def test_a_body_in_the_query_string(client, words, query, nearest):
    params = {"source": json.dumps({"query": query}), "source_content_type": "application/json"}
    assert ids(post(client, f"/{words.index}/_search", params=params, method="GET")) == nearest


def test_what_a_query_string_spells_is_read_once(client, words, query):
    """A plus sign and a percent sign of the body's own stay what they are."""
    kept = {"bool": {"must": [query], "must_not": [{"match": {"word": "a+b %41"}}]}}
    text = json.dumps({"query": kept})
    params = {"source": text, "source_content_type": "application/json"}
    here = words.meta4.search(index=words.index, body={"query": kept})
    assert ids(post(client, f"/{words.index}/_search", params=params, method="GET")) == ids(here)


def test_names_with_letters_written_as_numbers(client, words, query, nearest):
    text = json.dumps({"query": query}).replace("meta4_similar", "met\\u0061\\u0034_similar")
    params = {"source": text, "source_content_type": "application/json"}
    assert ids(post(client, f"/{words.index}/_search", params=params, method="GET")) == nearest


def test_aggregations_sorts_and_pages(client, words, query, nearest):
    body = {
        "query": query,
        "size": 3,
        "sort": [{"rank": "desc"}],
        "aggs": {"n": {"value_count": {"field": "rank"}}},
    }
    first = post(client, f"/{words.index}/_search", body)
    assert first["aggregations"]["n"]["value"] == K
    seen = ids(first)
    while hits := first["hits"]["hits"]:
        first = post(client, f"/{words.index}/_search", {**body, "search_after": hits[-1]["sort"]})
        seen += ids(first)
    assert sorted(seen) == sorted(nearest)
    typed = post(client, f"/{words.index}/_search", body, {"typed_keys": "true"})
    assert typed["aggregations"]["value_count#n"]["value"] == K


def test_whatever_else_has_a_query(client, engine, words, query, nearest):
    assert post(client, f"/{words.index}/_count", {"query": query})["count"] == K
    assert post(client, f"/{words.index}/_validate/query", {"query": query})["valid"]
    told = post(client, f"/{words.index}/_explain/{nearest[0]}", {"query": query})
    assert told["matched"]
    try:
        engine.request("POST", f"/{words.index}/_async_search", {})
    except RefusedError:  # a part of Elasticsearch's that is not free in the way of the rest
        return
    answer = post(client, f"/{words.index}/_async_search", {"query": query})
    assert ids(answer["response"]) == nearest


def test_several_searches_fail_each_by_itself(client, words, query, nearest):
    lines = [
        {"index": words.index}, {"query": query},
        {"index": words.index}, {"query": {"match_all": {}}, "size": 1},
        {"index": words.index}, {"query": {"meta4_similar": {"nothing": {"id": "a"}}}},
        {}, {"query": query},
        {"index": "nothing-of-that-name"}, {"query": query},
        {"index": words.index, "ignore_unavailable": True}, {"query": query},
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    found = post(client, f"/{words.index}/_msearch", text)["responses"]
    assert [one["status"] for one in found] == [200, 200, 400, 200, 404, 200]
    assert ids(found[0]) == ids(found[3]) == ids(found[5]) == nearest
    assert len(ids(found[1])) == 1
    assert "nothing" in found[2]["error"]["reason"]


def test_a_point_in_time(client, engine, words, query, nearest):
    elastic = isinstance(engine, ElasticsearchEngine)
    path = "_pit" if elastic else "_search/point_in_time"
    opened = post(client, f"/{words.index}/{path}", params={"keep_alive": "1m"})
    pit = opened["id" if elastic else "pit_id"]
    body = {"query": query, "pit": {"id": pit, "keep_alive": "1m"}}
    assert ids(post(client, "/_search", body)) == nearest
    body["query"] = {"bool": {"should": [query, similar(np.ones(100), recall=1.0)]}}
    body["size"] = 20
    assert set(nearest) < set(ids(post(client, "/_search", body)))
    with pytest.raises(RefusedError, match="opened here"):
        post(client, "/_search", {"query": query, "pit": {"id": "b3RoZXI="}})


def test_no_index_is_all_that_have_the_field(client, engine, index_name, models, vectors):
    """Others, hashed or not, are passed over; where none has it that is said."""
    field, model = "only_here", models["itq"]
    ref = ModelStore(engine).push("no-index", model)
    spec = create_index(engine, index_name, field=field, ref=ref, model=model, hashing="client")
    try:
        documents = (Document(str(i), {field: vectors[i].tolist()}) for i in range(50))
        load_documents(engine, index_name, documents, DocumentHasher(model, spec))
        engine.refresh(index_name)
        clause = {"meta4_similar": {field: {"id": "7", "k": 3, "recall": 1.0}}}
        found = post(client, "/_search", {"query": clause})
        assert ids(found) == ids(post(client, f"/{index_name}/_search", {"query": clause}))
        assert len(ids(found)) == 3
        with pytest.raises(NotFoundError, match="no index has"):
            post(client, "/_search", {"query": {"meta4_similar": {"nowhere": {"id": "7"}}}})
    finally:
        engine.delete_index(index_name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "_delete_by_query"),
        ("POST", "_update_by_query"),
        ("POST", "_rank_eval"),
        ("POST", "_search/template"),
    ],
)
def test_where_a_clause_cannot_be_served_nothing_is_done(
    client, engine, words, query, method, path
):
    before = engine.count(words.index)
    body = {"query": query}
    if path == "_search/template":
        body = {"source": json.dumps(body)}
    with pytest.raises(RefusedError, match="cannot be served in"):
        client.request(method, f"/{words.index}/{path}", body)
    engine.refresh(words.index)
    assert engine.count(words.index) == before


def test_what_is_wrong_with_a_clause_is_said_as_the_engine_would(client, words):
    for body, status in (
        ({"query": {"meta4_similar": {FIELD: {"vector": [1.0]}}}}, 400),
        ({"query": {"meta4_similar": {"nothing": {"vector": [1.0]}}}}, 400),
        ({"query": {"span_near": {"meta4_similar": {}}}}, 400),
    ):
        with pytest.raises(RefusedError) as caught:
            post(client, f"/{words.index}/_search", body)
        assert caught.value.status == status
    with pytest.raises(NotFoundError):
        post(client, "/nothing-of-that-name/_search", {"query": similar([1.0])})


def test_explained_and_rewritten(client, words, query):
    body = {"query": query}
    told = post(client, f"/_meta4/explain/{words.index}", body)
    assert told["clauses"][0]["recall_promised"] == 1.0
    assert post(client, f"/_meta4/rewrite/{words.index}", body) == told["body"]
