"""The server's pipeline and the client give the same hashes, however a document is sent."""

import os

import numpy as np
import orjson
import pytest
from support.grids import cell_weights, hard_vectors, model_of, spherical
from support.specs import SPECS
from support.words import FIELD

from meta4 import Document, DocumentHasher, HashModel
from meta4.errors import InputError
from meta4.ingest.documents import value_at
from meta4.ingest.pipeline import MAX_WEIGHTS, check_pipeline_fits
from meta4.models.embeddings import unit_float32
from meta4.models.specs import CellsSpec, LshSpec

pytestmark = pytest.mark.server


def bulk(engine, index, lines):
    payload = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    items = engine.bulk(index, payload)
    engine.refresh(index)
    return items


def stored(engine, index, identity):
    (source,) = engine.sources(index, [identity])
    return source


def client_hashes(model, spec, vector):
    document = Document("x", {FIELD: vector})
    (hashed,) = DocumentHasher(model, spec).hash([document]).documents
    return value_at(hashed.source, spec.fields.root)


def assert_same(found, expected):
    assert found["norm"] == pytest.approx(expected["norm"], rel=1e-6)
    assert {k: v for k, v in found.items() if k != "norm"} == {
        k: v for k, v in expected.items() if k != "norm"
    }


def test_thousands_of_documents_have_the_clients_bits_and_buckets(
    engine, make_index, index_name, models, vectors
):
    """Cells, the hardest of the three; a tenth is replaced by an update."""
    model = models["cells"]
    spec = make_index(model, hashing="server")
    n = 20_000 if "META4_FUZZ" in os.environ else 2_000
    for start in range(0, n, 1000):
        lines = []
        for row in range(start, start + 1000):
            lines += [{"index": {"_id": str(row)}}, {FIELD: vectors[row].tolist(), "row": row}]
        assert all(item["status"] == 201 for item in bulk(engine, index_name, lines))
    moved = np.arange(0, n, 10)
    lines = []
    for row in moved:
        doc = {FIELD: vectors[row + 20_000].tolist()}
        lines += [{"update": {"_id": str(row)}}, {"doc": doc, "doc_as_upsert": True}]
    assert all(item["status"] == 200 for item in bulk(engine, index_name, lines))
    expected = vectors[:n].copy()
    expected[moved] = vectors[moved + 20_000]
    codes, buckets = model.hash(unit_float32(expected) if spec.is_unit else expected)
    found = {
        int(hit["_id"]): hit["_source"]
        for hit in engine.scan(index_name, {"query": {"match_all": {}}, "_source": ["meta4"]})
    }
    assert len(found) == n
    terms, parts = model.terms, spec.code_storage.parts(codes, spec.n_bits)
    for row in range(n):
        hashes = found[row]["meta4"][FIELD]
        assert hashes["bucket"] == [terms[b] for b in buckets[row]]
        assert {name: hashes[name] for name in parts[row]} == parts[row]


def test_both_sides_decide_alike_where_it_is_hard(engine, make_index, index_name):
    rng = np.random.default_rng(6)
    rows = spherical(rng, 24, 10)
    model = model_of(cell_weights(rows))
    spec = make_index(model, hashing="server")
    x = hard_vectors(rng, rows)
    lengths = np.linalg.norm(x.astype(np.float64), axis=1)
    x = x[(lengths > 1e-15) & (lengths < 1e15)]  # what both engines' own fields take
    lines = []
    for row, vector in enumerate(x.tolist()):
        lines += [{"index": {"_id": str(row)}}, {FIELD: vector}]
    assert all(item["status"] == 201 for item in bulk(engine, index_name, lines))
    found = engine.sources(index_name, [str(row) for row in range(len(x))])
    for vector, source in zip(x, found, strict=True):
        assert_same(source["meta4"][FIELD], client_hashes(model, spec, vector))


@pytest.mark.parametrize("kind", SPECS)
def test_every_way_of_writing_is_hashed(engine, make_index, index_name, models, vectors, kind):
    model = models[kind]
    spec = make_index(model, hashing="server")
    x, y = vectors[41].tolist(), vectors[4711].tolist()
    hashes = {name: client_hashes(model, spec, v) for name, v in (("x", x), ("y", y))}
    path = f"/{index_name}"
    engine.request("PUT", f"{path}/_doc/a", body={FIELD: x})
    assert_same(stored(engine, index_name, "a")["meta4"][FIELD], hashes["x"])
    engine.request("PUT", f"{path}/_doc/a", body={FIELD: y})
    assert_same(stored(engine, index_name, "a")["meta4"][FIELD], hashes["y"])
    engine.request("POST", f"{path}/_update/a", body={"doc": {FIELD: x}})
    assert_same(stored(engine, index_name, "a")["meta4"][FIELD], hashes["x"])
    script = {"source": f"ctx._source.{FIELD} = params.v", "params": {"v": y}}
    engine.request("POST", f"{path}/_update/a", body={"script": script})
    assert_same(stored(engine, index_name, "a")["meta4"][FIELD], hashes["y"])
    upsert = {"doc": {FIELD: x}, "doc_as_upsert": True}
    engine.request("POST", f"{path}/_update/b", body=upsert)
    assert_same(stored(engine, index_name, "b")["meta4"][FIELD], hashes["x"])
    bulk(engine, index_name, [{"create": {"_id": "c"}}, {FIELD: y}])
    assert_same(stored(engine, index_name, "c")["meta4"][FIELD], hashes["y"])
    bulk(engine, index_name, [{"update": {"_id": "c"}}, {"doc": {FIELD: x}, "doc_as_upsert": True}])
    assert_same(stored(engine, index_name, "c")["meta4"][FIELD], hashes["x"])


@pytest.mark.parametrize("by_bulk", [False, True])
def test_an_update_of_another_field_keeps_hash_norm_and_direction(
    engine, make_index, index_name, models, vectors, by_bulk
):
    spec = make_index(models["itq"], hashing="server")
    vector = (vectors[99] * np.float32(3.5)).tolist()
    engine.request("PUT", f"/{index_name}/_doc/a", body={FIELD: vector, "n": 1})
    before = stored(engine, index_name, "a")
    if by_bulk:
        bulk(engine, index_name, [{"update": {"_id": "a"}}, {"doc": {"n": 2}}])
    else:
        engine.request("POST", f"/{index_name}/_update/a", body={"doc": {"n": 2}})
    after = stored(engine, index_name, "a")
    assert after["n"] == 2
    assert after["meta4"] == before["meta4"]
    assert after["meta4"][FIELD]["norm"] == pytest.approx(np.linalg.norm(vector), rel=1e-6)
    kept = np.array(after[spec.field])  # OpenSearch keeps the direction alone
    restored = kept / np.linalg.norm(kept) * after["meta4"][FIELD]["norm"]
    assert np.allclose(restored, vector, rtol=1e-5)


def test_taking_the_vector_away_takes_the_hash_away(
    engine, make_index, index_name, models, vectors
):
    make_index(models["lsh"], hashing="server")
    for identity in "ab":
        body = {FIELD: vectors[5].tolist(), "n": 1}
        engine.request("PUT", f"/{index_name}/_doc/{identity}", body=body)
    engine.request("POST", f"/{index_name}/_update/a", body={"doc": {FIELD: None}})
    engine.request("PUT", f"/{index_name}/_doc/b", body={"n": 2})
    engine.refresh(index_name)
    assert not (stored(engine, index_name, "a").get("meta4") or {}).get(FIELD)
    assert "meta4" not in stored(engine, index_name, "b")
    assert engine.count(index_name, {"exists": {"field": f"meta4.{FIELD}.bucket"}}) == 0


BAD = {
    "dims": ([1.0] * 7, "100 dimensions, got 7"),
    "zero": ([0.0] * 100, "zero vector"),
    "text": (["x"] * 100, "numbers"),
    "infinite": ([1e39] * 100, "finite"),
    "long": ([3e38] * 100, "too large for float32"),
    "object": ({"a": 1}, "a list of 100 numbers"),
    "number": (3.5, "a list of 100 numbers"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_vectors_are_refused_by_the_server_in_our_words(
    engine, make_index, index_name, models, vectors, bad
):
    make_index(models["cells"], hashing="server")
    value, words = BAD[bad]
    items = bulk(
        engine,
        index_name,
        [
            {"index": {"_id": "bad"}},
            {FIELD: value},
            {"index": {"_id": "good"}},
            {FIELD: vectors[0].tolist()},
        ],
    )
    assert [item["status"] for item in items] == [400, 201]
    assert words in str(items[0]["error"])
    assert engine.count(index_name) == 1


def test_a_dotted_field(engine, make_index, index_name, models, vectors):
    from meta4.adapter.manage.indexes import create_index
    from meta4.adapter.model_store import ModelStore

    model = models["cells"]
    ref = ModelStore(engine).push("dotted", model)
    spec = create_index(engine, index_name, field="text.vector", ref=ref, model=model)
    engine.request(
        "PUT", f"/{index_name}/_doc/a", body={"text": {"vector": vectors[3].tolist(), "t": "x"}}
    )
    found = stored(engine, index_name, "a")
    document = Document("a", {"text": {"vector": vectors[3]}})
    (hashed,) = DocumentHasher(model, spec).hash([document]).documents
    assert_same(found["meta4"]["text"]["vector"], hashed.source["meta4"]["text"]["vector"])
    engine.delete_index(index_name)
    engine.delete_pipeline(f"meta4-{index_name}")


def test_a_model_too_heavy_for_the_cluster_state_is_refused(engine, index_name, vectors):
    from meta4.adapter.manage.indexes import create_index
    from meta4.mappings.spec import ModelRef

    wide = np.random.default_rng(0).standard_normal((300, 2048)).astype(np.float32)
    heavy = HashModel.fit(LshSpec(n_bits=1024), wide)
    assert heavy.weights.size > MAX_WEIGHTS
    ref = ModelRef(name="heavy", version=1, sha256=heavy.manifest.sha256)
    with pytest.raises(InputError, match=r"at most\s+1,000,000.*--hashing client"):
        create_index(engine, index_name, field=FIELD, ref=ref, model=heavy)
    assert not engine.index_exists(index_name)
    light = HashModel.fit(CellsSpec(n_buckets=64), vectors[:500])
    check_pipeline_fits(light)
