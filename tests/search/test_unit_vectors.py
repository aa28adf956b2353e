"""Vectors of any length: scored by cosine, scaled only in the index, and none of it is lost."""

import json

import numpy as np
import pytest
from support.searches import every_saving_counts
from support.vectors import unit
from support.words import FIELD

from meta4 import Document, HashModel, Meta4
from meta4.adapter.catalog import read_field, read_spec
from meta4.adapter.fields.vectors import stale
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage import indexes
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.measure.evaluation import evaluate_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move.rehash import make_alias, rehash_index
from meta4.errors import ConflictError, RefusedError
from meta4.ingest.documents import value_at
from meta4.mappings.spec import IndexSpec
from meta4.models.specs import CellsSpec, LshSpec

pytestmark = pytest.mark.server
DIMS, N = 8, 300
HASHINGS = ["client", "server"]


@pytest.fixture(scope="module")
def x():
    """Of lengths from 0.001 to 1,000, and in all directions."""
    rng = np.random.default_rng(11)
    lengths = 10.0 ** rng.uniform(-3, 3, (N, 1))
    return (unit(rng.standard_normal((N, DIMS))) * lengths).astype(np.float32)


@pytest.fixture(scope="module")
def small(x):
    return HashModel.fit(CellsSpec(n_bits=64, n_buckets=16, iterations=4, seed=1), x)


@pytest.fixture(scope="module")
def other(x):
    return HashModel.fit(LshSpec(n_bits=48, bits_per_table=3, n_tables=2, seed=2), x)


def documents(x):
    return [Document(str(row), {FIELD: vector.tolist()}) for row, vector in enumerate(x)]


def scored(meta4, index, clause, k):
    body = {"query": {f"meta4_{clause}": {FIELD: k}}, "size": k["k"], "_source": False}
    return [(h["_id"], h["_score"]) for h in meta4.search(index=index, body=body)["hits"]["hits"]]


def assert_scores(meta4, index, x, queries, **options):
    """All documents, each scored (1 + cosine) / 2."""
    for query in queries:
        clause = {"vector": query.tolist(), "k": len(x), "recall": 1.0, **options}
        found = dict(scored(meta4, index, "similar", clause))
        right = (1 + unit(x.astype(float)) @ unit(query[None].astype(float))[0]) / 2
        assert set(found) == {str(row) for row in range(len(x))}
        assert [found[str(row)] for row in range(len(x))] == pytest.approx(right, abs=1e-6)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert all(0 <= score <= 1 for score in found.values())


def kept(engine, index):
    """By id, what the index has of each vector: itself, and its length before."""
    engine.refresh(index)
    body = {"query": {"match_all": {}}}
    hits = {hit["_id"]: hit["_source"] for hit in engine.scan(index, body)}
    return {
        name: (
            np.array(source[FIELD], np.float32).astype(float),
            value_at(source, f"meta4.{FIELD}")["norm"],
        )
        for name, source in hits.items()
    }


def assert_nothing_lost(engine, index, x):
    """Length and direction give back what was loaded, and OpenSearch has vectors of length 1."""
    found = kept(engine, index)
    assert len(found) == len(x)
    for row, given in enumerate(x):
        vector, norm = found[str(row)]
        length = np.linalg.norm(vector)
        assert vector / length * norm == pytest.approx(given, rel=1e-5, abs=1e-6 * norm)
        if not engine.dialect.normalises:
            assert length == pytest.approx(1.0, abs=1e-7)


def written_past(engine, index, lines):
    payload = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    items = engine.bulk(index, payload, {"pipeline": "_none", "refresh": "true"})
    assert all(item["status"] < 300 for item in items), items[:1]


@pytest.mark.parametrize("hashing", HASHINGS)
def test_scores_are_cosines(engine, make_index, index_name, x, small, hashing, monkeypatch):
    given = documents(x)
    before = json.dumps([vars(document) for document in given])
    spec = make_index(small, docs=given, hashing=hashing)
    assert json.dumps([vars(document) for document in given]) == before
    assert spec.is_unit == (not engine.dialect.normalises)
    assert_nothing_lost(engine, index_name, x)
    meta4 = Meta4(engine)
    queries = [*x[:4], -x[4], x[5] * 1e4]
    assert_scores(meta4, index_name, x, queries)

    for rows in ([0, 1, 2], [7, 250, 31]):
        a, b, c = units = unit(x[rows].astype(float))
        operands = {name: {"id": str(row)} for name, row in zip("abc", rows, strict=True)}
        clause = {**operands, "k": N, "recall": 1.0, "method": "3cosadd"}
        found = dict(scored(meta4, index_name, "analogy", clause))
        target = unit((b - a + c)[None])[0]
        right = (1 + unit(x.astype(float)) @ target) / 2
        assert len(found) == N - 3
        assert [found[i] for i in found] == pytest.approx([right[int(i)] for i in found], abs=1e-6)
        shifted = (1 + unit(x.astype(float)) @ units.T) / 2
        right = shifted[:, 1] * shifted[:, 2] / (shifted[:, 0] + 0.001)
        found = dict(scored(meta4, index_name, "analogy", {**clause, "method": "3cosmul"}))
        assert [found[i] for i in found] == pytest.approx([right[int(i)] for i in found], rel=1e-4)

    tune_index(engine, index_name, n_queries=100)
    every_saving_counts(monkeypatch)
    meta4 = Meta4(engine)
    clause = {"vector": x[9].tolist(), "k": 10, "recall": 0.9}
    body = {"query": {"meta4_similar": {FIELD: clause}}}
    (explained,) = meta4.explain(index=index_name, body=body)["clauses"]
    assert explained["n_probes"] > 0
    cosines = unit(x.astype(float)) @ unit(x[9:10].astype(float))[0]
    for name, score in scored(meta4, index_name, "similar", clause):
        assert score == pytest.approx((1 + cosines[int(name)]) / 2, abs=1e-6)


def test_what_was_written_past_us_is_scored_right_at_any_length(
    engine, make_index, index_name, x, small, monkeypatch
):
    """Before it is counted as a stray, as a stray, and where its clause is not alone."""
    hashed, strays = x[:200], x[200:]
    make_index(small, docs=documents(hashed))
    tune_index(engine, index_name, n_queries=100)
    every_saving_counts(monkeypatch)
    meta4 = Meta4(engine)
    assert_scores(meta4, index_name, hashed, x[:1])
    lines = []
    for row, vector in enumerate(strays, start=200):
        lines += [{"index": {"_id": str(row)}}, {FIELD: vector.tolist()}]
    written_past(engine, index_name, lines)
    assert_scores(meta4, index_name, x, x[:3])
    meta4.forget(index_name)
    assert_scores(meta4, index_name, x, x[:3])
    query, k = -x[3], 40
    clause = {"vector": query.tolist(), "k": k, "recall": 0.9}
    body = {"query": {"meta4_similar": {FIELD: clause}}}
    (explained,) = meta4.explain(index=index_name, body=body)["clauses"]
    assert explained["n_probes"] > 0
    right = (1 + unit(x.astype(float)) @ unit(query[None].astype(float))[0]) / 2
    alone = scored(meta4, index_name, "similar", clause)
    assert {name for name, _ in alone} & {str(row) for row in range(200, N)}
    both = {"bool": {"should": [body["query"], {"match_all": {}}]}}
    hits = meta4.search(index=index_name, body={"query": both, "size": k})["hits"]["hits"]
    for found, more in ((alone, 0), ([(hit["_id"], hit["_score"]) for hit in hits], 1)):
        assert len(found) == k
        for name, score in found:
            assert score - more == pytest.approx(right[int(name)], abs=1e-6)
    assert heal_index(engine, index_name) == len(strays)
    assert_scores(Meta4(engine), index_name, x, x[:2])
    assert_nothing_lost(engine, index_name, x)


def test_a_zero_vector_that_was_written_past_us_is_near_nothing(
    engine, make_index, index_name, x, small
):
    """Where the engine takes it: no cosine is defined, and no other document suffers."""
    make_index(small, docs=documents(x[:20]), hashing="client")
    if engine.dialect.normalises:
        return
    written_past(engine, index_name, [{"index": {"_id": "zero"}}, {FIELD: [0.0] * DIMS}])
    clause = {"vector": x[3].tolist(), "k": 21, "recall": 1.0}
    found = dict(scored(Meta4(engine), index_name, "similar", clause))
    right = (1 + unit(x[:20].astype(float)) @ unit(x[3:4].astype(float))[0]) / 2
    assert found.pop("zero") == 0.0
    assert [found[str(row)] for row in range(20)] == pytest.approx(right, abs=1e-6)
    with pytest.raises(RefusedError, match=r"'zero'.* a zero vector has no direction"):
        heal_index(engine, index_name)


@pytest.mark.parametrize("by_script", [True, False])
def test_a_vector_that_was_replaced_past_us_is_healed(
    engine, make_index, index_name, x, small, by_script, monkeypatch
):
    """Though its code may be the same: it points where the one before did."""
    make_index(small, docs=documents(x[:20]), hashing="client")
    now = x[:20].copy()
    lines = []
    for row in range(5):
        now[row] *= 3
        lines += [{"update": {"_id": str(row)}}, {"doc": {FIELD: now[row].tolist()}}]
    written_past(engine, index_name, lines)
    if not by_script:
        monkeypatch.setattr(stale, "_by_script", lambda *_: False)
    for query in (x[0], -x[0]):  # until then it may be ranked wrongly, but harms no other
        clause = {"vector": query.tolist(), "k": 20, "recall": 1.0}
        found = dict(scored(Meta4(engine), index_name, "similar", clause))
        assert len(found) == 20
        assert all(0 <= score <= 1 for score in found.values())
        right = (1 + unit(now.astype(float)) @ unit(query[None].astype(float))[0]) / 2
        assert [found[str(row)] for row in range(5, 20)] == pytest.approx(right[5:], abs=1e-6)
    healed = 0 if engine.dialect.normalises else 5
    assert heal_index(engine, index_name, dry_run=True) == healed
    assert heal_index(engine, index_name) == healed
    assert heal_index(engine, index_name, dry_run=True) == 0
    assert_scores(Meta4(engine), index_name, now, x[:2])
    if not engine.dialect.normalises:
        assert_nothing_lost(engine, index_name, now)


@pytest.mark.parametrize("node", ["opensearch"], indirect=True)
def test_a_vector_of_any_length_is_scored_by_its_direction(
    engine, make_index, index_name, x, small
):
    """Written past the hash it is as it came, and engines square in float32.

    Elasticsearch refuses vectors whose square it takes for zero.
    """
    make_index(small, docs=documents(x[:20]), hashing="client")
    now = unit(x[:20].astype(float))
    lines = []
    for row, length in enumerate((1e-36, 1e-30, 1e-24, 1e-21, 1e-18, 1e18, 1e22, 1e30, 1e37)):
        now[row] *= length
        lines += [{"index": {"_id": str(row)}}, {FIELD: now[row].tolist()}]
    written_past(engine, index_name, lines)
    meta4 = Meta4(engine)
    assert_scores(meta4, index_name, now, [x[0], -x[0], x[5], x[50]])
    three = {name: {"vector": x[50 + i].tolist()} for i, name in enumerate("abc")}
    cosines = (1 + unit(now) @ unit(x[50:53].astype(float)).T) / 2
    right = cosines[:, 1] * cosines[:, 2] / (cosines[:, 0] + 0.001)
    found = dict(scored(meta4, index_name, "analogy", {**three, "k": 20, "method": "3cosmul"}))
    assert [found[str(row)] for row in range(20)] == pytest.approx(right, abs=1e-5)
    assert evaluate_index(meta4, index_name, n_queries=9, k=5).recall_at_k == 1.0


def test_an_update_keeps_the_length_or_brings_a_new_one(engine, make_index, index_name, x, small):
    make_index(small, docs=documents(x[:3]), hashing="server")
    now = x[:3].copy()
    for doc in ({"n": 1}, {"n": 2}):
        engine.request("POST", f"/{index_name}/_update/0", {"doc": doc})
    now[1] = unit(x[7:8])[0]
    now[2] = x[8]
    for row in (1, 2):
        doc = {"doc": {FIELD: now[row].tolist()}}
        engine.request("POST", f"/{index_name}/_update/{row}", doc)
    assert_nothing_lost(engine, index_name, now)
    assert_scores(Meta4(engine), index_name, now, x[:2])


def test_documents_out_of_the_index_keep_their_length(engine, make_index, index_name, x, small):
    """Loaded again, by a client that hashes, with what stands beside their vectors."""
    spec = make_index(small, docs=documents(x[:20]), hashing="client")
    hasher = engine.run(read_field(engine, index_name).hasher())
    for _ in range(2):
        found = [Document.of(hit) for hit in engine.scan(index_name, {"query": {"match_all": {}}})]
        assert load_documents(engine, index_name, found, hasher).n_indexed == 20
        assert_nothing_lost(engine, index_name, x[:20])
    replaced = [Document(d.id, {**d.source, FIELD: unit(x[20:21])[0].tolist()}) for d in found]
    (hashed, *_) = hasher.hash(replaced).documents
    assert value_at(hashed.source, spec.fields.norm) == pytest.approx(1.0, abs=1e-6)


@pytest.fixture
def moved(engine, index_name):
    """What an alias of that name has moved through is gone afterwards."""
    yield index_name
    for name in engine.mappings(f"{index_name}*"):
        engine.delete_index(name)
        engine.delete_pipeline(f"meta4-{name}")


def made(engine, name, model, *, is_unit=None):
    """An index; of a version before vectors were scaled, where that is said."""
    ref = ModelStore(engine).push("lengths", model)
    with pytest.MonkeyPatch.context() as patch:
        if is_unit is not None:
            own = type(engine.dialect)
            patch.setattr(own, "normalises", not is_unit)
        return indexes.create_index(engine, name, field=FIELD, ref=ref, model=model)


def test_two_rehashes_keep_lengths(engine, moved, x, small, other):
    first = f"{moved}-1"
    made(engine, first, small)
    load_documents(engine, first, documents(x), None)
    engine.refresh(first)
    make_alias(engine, moved, first)
    for model in (other, small):
        ref = ModelStore(engine).push("lengths", model)
        report = rehash_index(engine, moved, ref, model)
        assert report.loaded.n_indexed == N
        assert_nothing_lost(engine, report.target, x)
        assert_scores(Meta4(engine), moved, x, x[:2])
    assert heal_index(engine, report.target, dry_run=True) == 0


def test_an_index_from_before_goes_on_and_comes_along(engine, moved, x, small):
    """It has no unit vectors by its spec: it is searched as ever, but not with newer ones."""
    first = f"{moved}-1"
    spec = made(engine, first, small, is_unit=False)
    assert not spec.is_unit
    assert made(engine, first, small) == spec
    load_documents(engine, first, documents(x), None)
    engine.refresh(first)
    assert_scores(Meta4(engine), first, x, x[:2])
    make_alias(engine, moved, first)
    report = rehash_index(engine, moved, ModelStore(engine).push("lengths", small), small)
    assert_nothing_lost(engine, report.target, x)
    assert_scores(Meta4(engine), moved, x, x[:2])
    assert read_spec(engine, report.target).is_unit == (not engine.dialect.normalises)
    together = f"{first},{report.target}"
    clause = {"vector": x[0].tolist(), "k": 5}
    if engine.dialect.normalises:
        assert len(scored(Meta4(engine), together, "similar", clause)) == 5
        return
    with pytest.raises(ConflictError, match="search them one by one, or rehash those that differ"):
        scored(Meta4(engine), together, "similar", clause)


def test_a_spec_from_before_is_read(engine, make_index, index_name, small):
    spec = make_index(small)
    entry = {name: value for name, value in spec.entry().items() if name not in ("is_unit", "kind")}
    assert not IndexSpec.model_validate({"field": FIELD, **entry}).is_unit
