"""Named queries by the gateway: in the address, in a body, and what it says to those who err."""

import json
from urllib.parse import quote

import pytest
from support.gateways import ask
from support.servers import on_one_engine
from support.words import FIELD

from meta4.adapter.definitions.definition import read_definition
from meta4.adapter.definitions.store import Definitions

pytestmark = [pytest.mark.server, on_one_engine]


@pytest.fixture
def query(engine, words, index_name):
    raw = {
        "index": words.index,
        "parameters": {"like": {"type": "vector"}, "k": {"type": "integer", "default": 3},
                       "colour": {"type": "string", "default": "red"}},
        "body": {"_source": False, "query": {"bool": {
            "must": [{"meta4_similar": {FIELD: {"vector": "{{like}}", "k": "{{k}}"}}}],
            "filter": [{"term": {"colour.keyword": "{{colour}}"}}]}}},
    }  # fmt: skip
    store = Definitions(engine.calls)
    engine.run(store.put(index_name, read_definition(json.dumps(raw), "it")))
    yield index_name
    engine.run(store.drop(index_name))


def told(gateway, method, target, body=None):
    headers = {"content-type": "application/json"} if body is not None else {}
    status, _, answer = ask(gateway, method, f"/_meta4/query/{target}", body, headers)
    return status, json.loads(answer)


def test_in_the_address_or_in_a_body(gateway, words, query):
    vector = words.held_out[5].tolist()
    expected = words.meta4.run(query, like=vector, k=4, colour="grey")["hits"]
    assert len(expected["hits"]) == 4
    address = f"like={quote(json.dumps(vector))}&k=4&colour=grey"
    values = {"like": vector, "k": 4, "colour": "grey"}
    for method, target, body in (
        ("GET", f"{query}?{address}", None),
        ("GET", f"{query}@1?{address}&pretty", None),
        ("POST", query, json.dumps(values)),
        ("GET", query, json.dumps(values)),
        ("POST", f"{query}?colour=grey", json.dumps({"like": vector, "k": 4})),
    ):
        status, answer = told(gateway, method, target, body)
        assert status == 200, answer
        assert answer["hits"] == expected


def test_what_cannot_be_is_said_as_engines_do(gateway, query):
    vector = "like=[1,2]"
    for target, body, status, words in (
        (query, None, 400, "parameter 'like' (vector) is missing"),
        (f"{query}?{vector}&k=x", None, 400, "parameter 'k': expected a whole number"),
        (f"{query}?{vector}&k=1&k=2", None, 400, "parameter 'k' is given twice"),
        (f"{query}?{vector}", '{"like": [1]}', 400, "parameter 'like' is given twice"),
        (f"{query}?{vector}&size=3", None, 400, "no parameter is called 'size'"),
        (query, '{"like": "[1]"}', 400, "expected an array of finite numbers"),
        (query, '{"like": [1], "colour": {"exists": 1}}', 400, "expected a text"),
        (query, "[1]", 400, "expected an object of parameters, got list"),
        (query, "{", 400, "expected an object of parameters in JSON"),
        (f"{query}@2?{vector}", None, 404, "no query is kept as"),
        (f"{query}-not", None, 404, "no query is kept as"),
    ):
        said, answer = told(gateway, "POST", target, body)
        assert said == status, answer
        assert answer["status"] == status
        assert words in answer["error"]["reason"]
