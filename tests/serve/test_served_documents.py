"""Documents of clients that know nothing of hashes, on their way through the gateway."""

import gzip
import json

import numpy as np
import pytest
from support.gateways import ask
from support.words import FIELD

from meta4 import Document, DocumentHasher
from meta4.adapter.load.loader import load_documents
from meta4.adapter.serve import hashing
from meta4.errors import RefusedError
from meta4.ingest.documents import value_at

pytestmark = pytest.mark.server
NDJSON = {"content-type": "application/x-ndjson"}


def sources(engine, index):
    engine.refresh(index)
    return {hit["_id"]: hit["_source"] for hit in engine.scan(index, {"query": {"match_all": {}}})}


def lines_of(documents):
    return b"".join(
        json.dumps({"index": {"_id": name}}).encode() + b"\n" + json.dumps(source).encode() + b"\n"
        for name, source in documents.items()
    )


@pytest.fixture
def documents(vectors):
    made = {str(i): {FIELD: vectors[i].tolist(), "n": i} for i in range(40)}
    return made | {"none": {"n": -1}, "null": {FIELD: None, "m": 1.10}}


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_bulk_is_hashed_as_by_the_loader(
    gateway, engine, make_index, index_name, models, documents, squeezed
):
    model, other = models["itq"], f"{index_name}-other"
    spec = make_index(model, hashing="client", first_phase="projection")
    twin = make_index(model, name=other, hashing="client", first_phase="projection")
    load_documents(
        engine, other, [Document(name, source) for name, source in documents.items()],
        DocumentHasher(model, twin),
    )  # fmt: skip
    body, headers = lines_of(documents), dict(NDJSON)
    if squeezed:
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    status, _, answer = ask(gateway, "POST", f"/{index_name}/_bulk", body, headers)
    assert status == 200
    assert not json.loads(answer)["errors"]
    assert sources(engine, index_name) == sources(engine, other)
    assert value_at(sources(engine, index_name)["3"], spec.fields.root)["bucket"]


def test_what_cannot_be_hashed_gets_its_own_error(
    gateway, engine, make_index, index_name, models, vectors
):
    make_index(models["itq"], hashing="client")
    good = {FIELD: vectors[0].tolist()}
    given = {"a": good, "short": {FIELD: [1.0]}, "b": good, "zero": {FIELD: [0.0] * 100}}
    body = lines_of(given) + b'{"delete": {"_id": "none"}}\n'
    status, _, answer = ask(gateway, "POST", f"/{index_name}/_bulk?refresh=true", body, NDJSON)
    said = json.loads(answer)
    assert status == 200
    assert said["errors"]
    found = [
        (name, one["_id"], one["status"]) for item in said["items"] for name, one in item.items()
    ]
    assert found == [
        ("index", "a", 201),
        ("index", "short", 400),
        ("index", "b", 201),
        ("index", "zero", 400),
        ("delete", "none", 404),
    ]
    assert "100" in said["items"][1]["index"]["error"]["reason"]
    assert sources(engine, index_name).keys() == {"a", "b"}
    body = lines_of({"short": {FIELD: [1.0]}})
    said = json.loads(ask(gateway, "POST", f"/{index_name}/_bulk", body, NDJSON)[2])
    assert said["errors"]
    assert len(said["items"]) == 1


@pytest.mark.filterwarnings("ignore:a script changed documents")
def test_one_document_and_parts_of_it(client, engine, make_index, index_name, models, vectors):
    model = models["itq"]
    spec = make_index(model, hashing="client")
    root = spec.fields.root

    def bucket(i):
        (buckets,) = model.hash(np.asarray(vectors[i : i + 1]))[1].tolist()
        return [model.terms[j] for j in buckets]

    def kept(name):
        return value_at(sources(engine, index_name)[name], root)

    client.request("PUT", f"/{index_name}/_doc/a", {FIELD: vectors[1].tolist(), "n": 1})
    client.request("PUT", f"/{index_name}/_create/b", {FIELD: vectors[2].tolist()})
    made = client.request("POST", f"/{index_name}/_doc", {FIELD: vectors[3].tolist()})
    assert kept("a")["bucket"] == bucket(1)
    assert kept("b")["bucket"] == bucket(2)
    assert kept(made["_id"])["bucket"] == bucket(3)
    client.request("POST", f"/{index_name}/_update/a", {"doc": {"n": 2}})
    assert kept("a")["bucket"] == bucket(1)
    client.request("POST", f"/{index_name}/_update/a", {"doc": {FIELD: vectors[4].tolist()}})
    assert kept("a")["bucket"] == bucket(4)
    body = {"doc": {FIELD: vectors[5].tolist()}, "doc_as_upsert": True}
    client.request("POST", f"/{index_name}/_update/c", body)
    assert kept("c")["bucket"] == bucket(5)
    body = {"script": "ctx.op = 'none'", "upsert": {FIELD: vectors[6].tolist()}}
    if engine.has_scripts():
        client.request("POST", f"/{index_name}/_update/d", body)
        assert kept("d")["bucket"] == bucket(6)
    client.request("POST", f"/{index_name}/_update/a", {"doc": {FIELD: None}})
    assert not kept("a")
    lines = [{"update": {"_id": "b"}}, {"doc": {FIELD: vectors[7].tolist()}}]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    assert not client.request("POST", f"/{index_name}/_bulk", text)["errors"]
    assert kept("b")["bucket"] == bucket(7)
    with pytest.raises(RefusedError, match="100"):
        client.request("PUT", f"/{index_name}/_doc/e", {FIELD: [1.0, 2.0]})
    assert "e" not in sources(engine, index_name)


def test_the_server_hashes_what_is_the_server_s(
    client, engine, make_index, index_name, models, vectors
):
    if not engine.has_scripts():
        pytest.skip("this server runs no scripts")
    spec = make_index(models["itq"], hashing="server")
    client.request("PUT", f"/{index_name}/_doc/a", {FIELD: vectors[1].tolist()})
    assert value_at(sources(engine, index_name)["a"], spec.fields.root)["bucket"]


def test_a_body_that_is_no_gzip_is_the_sender_s_fault(gateway, make_index, index_name, models):
    make_index(models["itq"], hashing="client")
    headers = {**NDJSON, "content-encoding": "gzip"}
    for body in (b"nothing of the kind", gzip.compress(b'{"index": {}}\n' * 1000)[:-9]):
        status, _, answer = ask(gateway, "POST", f"/{index_name}/_bulk", body, headers)
        assert status == 400
        assert "content-encoding" in json.loads(answer)["error"]["reason"]


def test_where_no_item_can_be_told_of_nothing_is_written(
    gateway, engine, make_index, index_name, models, vectors
):
    """In YAML there is no place for an error of ours."""
    make_index(models["itq"], hashing="client")
    body = lines_of({"a": {FIELD: vectors[0].tolist()}, "short": {FIELD: [1.0]}})
    target = f"/{index_name}/_bulk?format=yaml&refresh=true"
    status, _, answer = ask(gateway, "POST", target, body, NDJSON)
    assert status == 400
    assert b"ask for JSON" in answer
    assert sources(engine, index_name) == {}


def test_by_whatever_name_an_index_is_written_to(
    client, gateway, engine, make_index, index_name, models, vectors
):
    """An alias over several, the query string, a line that names none; an id like a command."""
    spec = make_index(models["itq"], hashing="client")
    old, alias = f"{index_name}-old", f"{index_name}-alias"
    engine.request("PUT", f"/{old}", {})
    try:
        both = [
            {"add": {"index": old, "alias": alias}},
            {"add": {"index": index_name, "alias": alias, "is_write_index": True}},
        ]
        engine.request("POST", "/_aliases", {"actions": both})
        document = {FIELD: vectors[0].tolist()}
        client.request("PUT", f"/{alias}/_doc/by-alias", document)
        client.request("PUT", f"/{index_name}/_doc/_update", document)
        text = json.dumps(document).encode()
        for path, header in (
            (f"/_bulk?index={index_name}", {"_id": "by-query"}),
            (f"/{index_name}/_bulk", {"_index": None, "_id": "by-null"}),
            ("/_bulk", {"_index": alias, "_id": "by-line"}),
        ):
            body = json.dumps({"index": header}).encode() + b"\n" + text + b"\n"
            said = json.loads(ask(gateway, "POST", path, body, NDJSON)[2])
            assert not said["errors"], said
        found = sources(engine, index_name)
        assert found.keys() == {"by-alias", "_update", "by-query", "by-null", "by-line"}
        assert all(value_at(one, spec.fields.root)["bucket"] for one in found.values())
    finally:
        engine.delete_index(old)


def test_an_index_that_cannot_be_looked_up_is_written_to_all_the_same(gateway, engine, index_name):
    """A date in its name, say; the answer says that nothing was hashed."""
    named = f"<{index_name}-{{now/d}}>"
    body = json.dumps({"index": {"_index": named}}).encode() + b'\n{"a": 1}\n'
    status, headers, answer = ask(gateway, "POST", "/_bulk", body, NDJSON)
    (item,) = json.loads(answer)["items"]
    try:
        assert (status, item["index"]["status"]) == (200, 201)
        assert "not looked up" in headers["warning"]
    finally:
        engine.delete_index(item["index"]["_index"])


def test_blank_lines_are_no_operations(gateway, make_index, index_name, models):
    make_index(models["itq"], hashing="client")
    deletions = "".join(f'{{"delete": {{"_id": "{i}"}}}}\n' for i in "xyz").encode()
    body = b"\n\n" + lines_of({"short": {FIELD: [1.0]}}) + deletions
    said = json.loads(ask(gateway, "POST", f"/{index_name}/_bulk", body, NDJSON)[2])
    if "items" in said:  # Elasticsearch takes none
        found = [one["_id"] for item in said["items"] for one in item.values()]
        assert found == ["short", "x", "y", "z"]


def test_what_a_body_may_hold_is_bounded(gateway, words):
    """A small one that is very large when it is decoded, and names of codings in capitals."""
    headers = {"content-type": "application/json", "content-encoding": "GZIP"}
    bomb = gzip.compress(b" " * 150_000_000 + b'{"query": "meta4_similar"}')
    status, _, answer = ask(gateway, "POST", f"/{words.index}/_search", bomb, headers)
    assert status == 400
    assert b"decoded" in answer
    small = gzip.compress(b'{"size": 0}')
    assert ask(gateway, "POST", f"/{words.index}/_search", small, headers)[0] == 200


@pytest.mark.parametrize(
    ("part", "path", "says"),
    [
        ({"n": 1}, "a.b", False),
        ({"a": {"c": 1}}, "a.b", False),
        ({"a": {"b": [1]}}, "a.b", True),
        ({"a.b": [1]}, "a.b", True),
        ({"a": [{"b": [1]}]}, "a.b", True),
        ({"a": None}, "a.b", True),
        ({"a.b": {"c": [1]}}, "a.b.c", True),
        ({"a": {"b.c": [1]}}, "a.b.c", True),
        ({"ab": 1}, "a.b", False),
    ],
)
def test_whether_a_part_changes_a_field(part, path, says):
    assert hashing._says(part, path) == says
