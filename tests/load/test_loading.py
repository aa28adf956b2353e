import json

import elasticsearch.helpers
import numpy as np
import opensearchpy
import pytest
from support.words import FIELD, word_documents

from meta4 import Document, DocumentHasher, Meta4
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.heal import heal_index
from meta4.errors import EmbeddingError, InputError, RefusedError, UnreachableError
from meta4.ingest.documents import Refusal
from meta4.ingest.files import sources
from meta4.ingest.files.sources import read_documents, read_embeddings


def write_ndjson(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_three_kinds_of_file_give_the_same_documents(tmp_path, vectors):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"_id": f"w{i}", FIELD: vectors[i].tolist()} for i in range(5)]
    write_ndjson(tmp_path / "a.ndjson", rows)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", vectors[:5])
    (tmp_path / "ids.txt").write_text("\n".join(f"w{i}" for i in range(5)))
    for name, ids in (("a.ndjson", None), ("a.parquet", None), ("a.npy", tmp_path / "ids.txt")):
        documents = list(read_documents(tmp_path / name, field=FIELD, ids=ids))
        assert [d.id for d in documents] == [f"w{i}" for i in range(5)]
        assert np.allclose([d.source[FIELD] for d in documents], vectors[:5])
        assert np.allclose(read_embeddings(tmp_path / name, FIELD), vectors[:5])


def test_a_line_that_is_too_long_is_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 40)
    lines = ['{"_id": "a"}', json.dumps({"x": "y" * 200}), '{"_id": "b"}', "z" * 41, "z" * 120]
    (tmp_path / "d.ndjson").write_text("\n".join(lines))
    read = list(read_documents(tmp_path / "d.ndjson", field=FIELD))
    assert [item.id for item in read] == ["a", None, "b", None, None]
    assert [item.origin[-1] for item in read] == ["1", "2", "3", "4", "5"]
    assert "more than 40 bytes" in read[1].reason
    assert len(read[1].text) == 41


def test_bad_files(tmp_path, vectors):
    with pytest.raises(InputError, match="no such file"):
        list(read_documents(tmp_path / "none.npy", field=FIELD))
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(InputError, match=r"expected a file ending in \.npy"):
        list(read_documents(tmp_path / "a.csv", field=FIELD))
    np.save(tmp_path / "a.npy", vectors[:5])
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "half.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"):
        read_embeddings(tmp_path / "half.npy", FIELD)
    (tmp_path / "ids.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"has 2 lines, and a\.npy has 5"):
        list(read_documents(tmp_path / "a.npy", field=FIELD, ids=tmp_path / "ids.txt"))
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        list(read_documents(tmp_path / "b.parquet", field=FIELD))
    write_ndjson(tmp_path / "c.ndjson", [{"x": 1}])
    with pytest.raises(InputError, match="no document has a field"):
        read_embeddings(tmp_path / "c.ndjson", FIELD)
    (tmp_path / "d.ndjson").write_text('{"a": 1}\n[1]\n{bad\n\n')
    read = list(read_documents(tmp_path / "d.ndjson", field=FIELD))
    assert isinstance(read[0], Document)
    assert [r.origin for r in read[1:]] == ["d.ndjson line 2", "d.ndjson line 3"]
    assert all(isinstance(r, Refusal) for r in read[1:])


@pytest.mark.server
@pytest.mark.parametrize("hashing", ["server", "client"])
def test_good_documents_are_indexed_and_bad_ones_reported(
    engine, make_index, index_name, models, vectors, hashing
):
    model = models["cells"]
    spec = make_index(model, hashing=hashing)
    nan = [*vectors[0].tolist()[:99], float("nan")]
    documents = [
        Document("good", {FIELD: vectors[0].tolist()}),
        Document("short", {FIELD: [1.0, 2.0]}),
        Document("zero", {FIELD: [0.0] * 100}),
        Document("text", {FIELD: ["a"] * 100}),
        Document("huge", {FIELD: [1e39] * 100}),
        Document("none", {"title": "no vector"}),
        Document("good", {FIELD: vectors[1].tolist()}, "line 7"),
        Document(None, {FIELD: vectors[2].tolist()}),
        Refusal(None, "line 9", "not JSON"),
    ]
    if hashing == "client":
        documents.append(Document("nan", {FIELD: nan}))
    hasher = DocumentHasher(model, spec) if hashing == "client" else None
    report = load_documents(engine, index_name, documents, hasher)
    engine.refresh(index_name)
    assert report.n_indexed == engine.count(index_name) == 3
    reasons = {refusal.id: refusal.reason for refusal in report.refusals}
    assert "expected 100 dimensions, got 2" in reasons["short"]
    assert "zero vector" in reasons["zero"]
    assert "expected 100 numbers" in reasons["text"]
    assert "finite" in reasons["huge"]
    assert "id 'good' came before" in reasons["good"]
    assert reasons[None] == "not JSON"
    if hashing == "client":
        assert "position 99" in reasons["nan"]
        assert report.n_without_vector == 1


@pytest.mark.server
def test_pushed_back_items_are_sent_again(
    engine, make_index, index_name, models, sample, monkeypatch
):
    """429 for half of the items the first two times: a load that no idle node gives."""
    model = models["lsh"]
    spec = make_index(model, hashing="client")
    real, calls = engine.bulk, []

    def moody(index, payload, params):
        calls.append(payload.count(b"\n") // 2)
        if len(calls) == 1:
            raise UnreachableError("cut")
        items = real(index, payload, params)
        if len(calls) == 2:
            for item in items[::2]:
                item["status"], item["error"] = 429, {"reason": "queue full"}
        return items

    monkeypatch.setattr(engine, "bulk", moody)
    documents = word_documents(sample, range(40))
    report = load_documents(engine, index_name, documents, DocumentHasher(model, spec))
    assert calls == [40, 40, 20]
    assert report.n_indexed == 40
    assert not report.refusals


@pytest.mark.server
def test_a_read_only_index_says_so_and_takes_nothing(
    engine, make_index, index_name, models, sample
):
    model = models["lsh"]
    spec = make_index(model, hashing="client")
    block = {"index.blocks.read_only_allow_delete": True}
    engine.request("PUT", f"/{index_name}/_settings", body=block)
    documents = list(word_documents(sample, range(3)))
    with pytest.raises(RefusedError, match=r"read-only.*takes no writes"):
        load_documents(engine, index_name, documents, DocumentHasher(model, spec))
    with pytest.raises(RefusedError, match="takes no writes"):
        engine.request("PUT", f"/{index_name}/_doc/a", body={})
    unblock = {"index.blocks.read_only_allow_delete": None}
    engine.request("PUT", f"/{index_name}/_settings", body=unblock)


@pytest.mark.server
def test_what_went_past_the_pipeline_is_healed(engine, make_index, index_name, models, vectors):
    model = models["cells"]
    make_index(model, hashing="server")

    def bulk(*lines):
        items = engine.bulk(index_name, b"".join(json.dumps(x).encode() + b"\n" for x in lines))
        assert all(item["status"] < 300 for item in items)

    for row in range(200):
        bulk({"index": {"_id": str(row)}}, {FIELD: vectors[row].tolist()})
    assert heal_index(engine, index_name, dry_run=True) == 0
    # The engine runs no pipeline for this one.
    bulk({"update": {"_id": "0"}}, {"doc": {FIELD: vectors[300].tolist()}})
    script = {"source": f"ctx._source.{FIELD} = params.v", "params": {"v": vectors[301].tolist()}}
    bulk({"update": {"_id": "1"}}, {"script": script})
    engine.request(
        "PUT",
        f"/{index_name}/_doc/2",
        body={FIELD: vectors[302].tolist()},
        params={"pipeline": "_none"},
    )
    assert heal_index(engine, index_name, dry_run=True) == 3
    assert heal_index(engine, index_name) == 3
    assert heal_index(engine, index_name, dry_run=True) == 0
    buckets = model.buckets(vectors[300:303])
    for row in range(3):
        source = engine.request("GET", f"/{index_name}/_doc/{row}")["_source"]
        expected = [model.terms[bucket] for bucket in buckets[row]]
        assert source["meta4"][FIELD]["bucket"] == expected


@pytest.mark.server
def test_loading_from_ones_own_code(engine, node, make_index, index_name, models, sample):
    """`Meta4.load`, and the same documents through the client's own helper."""
    make_index(models["cells"], hashing="server")
    if isinstance(engine, OpenSearchEngine):
        client, bulk = opensearchpy.OpenSearch(node.url), opensearchpy.helpers.bulk
    else:
        client, bulk = elasticsearch.Elasticsearch(node.url), elasticsearch.helpers.bulk
    meta4 = Meta4(client)
    report = meta4.load(index=index_name, documents=word_documents(sample, range(30)))
    assert report.n_indexed == 30
    actions = meta4.actions(index=index_name, documents=word_documents(sample, range(30, 50)))
    done, _ = bulk(client, actions, pipeline="_none")
    assert done == 20
    engine.refresh(index_name)
    assert heal_index(engine, index_name, dry_run=True) == 0
    body = {"query": {"meta4_similar": {FIELD: {"id": sample.words[40], "k": 3}}}}
    assert len(meta4.search(index=index_name, body=body)["hits"]["hits"]) == 3
    bad = [Document("bad", {FIELD: [1.0]})]
    with pytest.raises(EmbeddingError, match="document 'bad'"):
        list(meta4.actions(index=index_name, documents=bad))
    client.close()
