"""What manages an index does so with texts too: eval, heal, rehash, copy, doctor."""

import json

import pytest
from support.command_line import meta4_here
from support.servers import on_one_engine
from support.texts import SPEC, TEXTS, create_text_index, text_documents

from meta4 import Document, Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.place import Place
from meta4.adapter.fields.field import Options
from meta4.adapter.fields.kinds import new_field
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.measure.evaluation import evaluate_index
from meta4.adapter.move.copy import adopt_index, copy_index
from meta4.adapter.move.rehash import make_alias, rehash_index, roll_back
from meta4.errors import InputError
from meta4.ingest.text_hasher import TextHasher
from meta4.models.kinds.minhash import MinHashSpec, save_minhash

pytestmark = pytest.mark.server
#: Fewer bands than are needed: what is far is missed.
NARROW = MinHashSpec(bands=2, rows=8)
OTHER = MinHashSpec(bands=42, rows=3)


def ids(engine, index, **clause):
    body = {"query": {"meta4_similar": {TEXTS.field: {"k": 5, **clause}}}}
    return [hit["_id"] for hit in Meta4(engine).search(index=index, body=body)["hits"]["hits"]]


def put(engine, index, identity, text):
    """As a client that hashes nothing."""
    engine.request("PUT", f"/{index}/_doc/{identity}", {"body": {"text": text}})
    engine.refresh(index)


def test_recall_is_measured_against_exact_jaccard(engine, text_index, texts):
    measured = evaluate_index(Meta4(engine), text_index, n_queries=120, k=10)
    assert abs(measured.recall_at_k - measured.recall_asked) <= 4 * measured.recall_error + 0.02
    assert 0 < measured.docs_looked_into < 0.5
    near = measured.details[-1]
    assert (near["similarity_from"], near["pairs"] > 5, near["found"] >= 0.99) == (0.9, True, True)
    assert sum(part["pairs"] for part in measured.details) > near["pairs"]
    given = [text.upper() for text in texts[:20]]
    asked = evaluate_index(Meta4(engine), text_index, given=given, k=3)
    assert (asked.n_queries, asked.details[-1]["found"]) == (20, 1.0)
    with pytest.raises(InputError, match="leave --recall out"):
        evaluate_index(Meta4(engine), text_index, recall=0.99)


def test_bands_that_find_too_little_are_told(engine, index_name, texts):
    spec = TEXTS.model_copy(update={"minhash": NARROW})
    create_text_index(engine, index_name, spec)
    load_documents(engine, index_name, text_documents(texts), TextHasher(spec))
    engine.refresh(index_name)
    measured = evaluate_index(Meta4(engine), index_name, n_queries=150, k=10)
    assert measured.recall_asked < 0.6
    assert abs(measured.recall_at_k - measured.recall_asked) < 0.15
    engine.delete_index(index_name)


def test_texts_written_past_whoever_hashes_are_healed(engine, text_index, texts):
    assert heal_index(engine, text_index, dry_run=True) == 0
    put(engine, text_index, "new", texts[7])
    put(engine, text_index, "0", texts[8])  # its hash is gone
    changed = {"doc": {"body": {"text": texts[9]}}}
    engine.request("POST", f"/{text_index}/_update/1", changed)  # its hash is another text's
    engine.refresh(text_index)
    assert "new" not in ids(engine, text_index, id="7")
    assert heal_index(engine, text_index, dry_run=True) == 3
    assert heal_index(engine, text_index) == 3
    assert heal_index(engine, text_index) == 0
    for identity, row in (("new", "7"), ("0", "8"), ("1", "9")):
        assert identity in ids(engine, text_index, id=row)[:2]


def test_other_bands_behind_an_alias_and_the_way_back(engine, index_name, texts):
    first, alias = f"{index_name}-1", index_name
    create_text_index(engine, first, TEXTS)
    load_documents(engine, first, text_documents(texts), TextHasher(TEXTS))
    engine.refresh(first)
    make_alias(engine, alias, first)
    report = rehash_index(engine, alias, OTHER, OTHER)
    assert report.loaded.n_indexed == len(texts)
    assert read_spec(engine, alias).minhash == OTHER
    assert ids(engine, alias, text=texts[4])[0] == "4"
    load_documents(
        engine, alias, [Document("late", {"body": {"text": texts[3]}})], TextHasher(TEXTS)
    )
    engine.refresh(report.target)
    assert heal_index(engine, report.target) == 1
    back = roll_back(engine, alias)
    assert (back.target, read_spec(engine, alias).minhash) == (first, SPEC)
    assert "late" in ids(engine, alias, id="3")
    with pytest.raises(InputError, match="has texts, and words@1 hashes something else"):
        rehash_index(engine, alias, "words@1", object())
    for name in (first, report.target):
        engine.delete_index(name)


@pytest.mark.parametrize("node", ["opensearch", "elasticsearch"], indirect=True)
def test_a_copy_on_the_other_engine_keeps_hashes(node, engine, nodes, text_index, texts):
    (other,) = {"opensearch", "elasticsearch"} - {type(engine.dialect).__name__[:-7].lower()}
    target = Place(connect(nodes(other).url), f"{text_index}-copy")
    source = Place(engine, text_index)
    report = copy_index(source, target)
    assert (report.is_whole, report.n_hashed, report.n_target) == (True, 0, len(texts))
    assert read_spec(target.engine, target.index) == TEXTS
    for row in ("0", "9", "30"):
        assert ids(target.engine, target.index, id=row) == ids(engine, text_index, id=row)
    with pytest.raises(InputError, match="leave --strategy and --plan out"):
        copy_index(source, Place(target.engine, "other"), {"plan": "centroid"})
    with pytest.raises(InputError, match="leave --hashing server out"):
        copy_index(source, Place(target.engine, "other"), {"hashing": "server"})
    changed = {"doc": {"body": {"text": texts[9]}}}
    engine.request("POST", f"/{text_index}/_update/1", changed)  # its hash is another text's
    engine.refresh(text_index)
    assert copy_index(source, target).n_hashed == 1
    assert heal_index(target.engine, target.index, dry_run=True) == 0
    target.engine.delete_index(target.index)
    target.engine.close()


@on_one_engine
def test_any_index_of_texts_becomes_a_hashed_one(engine, index_name, texts):
    plain, hashed = f"{index_name}-plain", f"{index_name}-hashed"
    engine.create_index(plain, {})
    load_documents(engine, plain, text_documents(texts), None)
    engine.refresh(plain)
    field = new_field(engine, TEXTS.field, SPEC, SPEC, Options(hashing="client"))
    other = new_field(engine, "third", SPEC, SPEC, Options())
    with pytest.raises(InputError, match="expected a text, got int; name another field"):
        adopt_index(Place(engine, plain), Place(engine, hashed), other)
    assert not engine.index_exists(hashed)
    report = adopt_index(Place(engine, plain), Place(engine, hashed), field)
    assert (report.is_whole, report.n_hashed) == (True, len(texts))
    assert ids(engine, hashed, text=texts[4])[0] == "4"
    for name in (plain, hashed):
        engine.delete_index(name)


def test_the_doctor_looks_at_texts(engine, text_index, texts):
    findings = {
        finding.what: finding for finding in examine_index(engine, text_index, n_queries=60)
    }
    assert {"documents", "buckets", "promise", "shards", "segments"} == set(findings)
    assert {finding.level for finding in findings.values()} == {"fine"}, findings
    put(engine, text_index, "new", texts[7])
    findings = {
        finding.what: finding for finding in examine_index(engine, text_index, n_queries=60)
    }
    assert findings["documents"].level == "act"
    assert f"no request finds them: meta4 index heal {text_index}" in findings["documents"].todo


@on_one_engine
def test_commands_take_an_index_of_texts(engine, text_index, tmp_path, texts):
    at = ["--url", engine.url]
    measured = meta4_here("eval", text_index, "--queries", 40, "--json", *at)
    assert measured.returncode == 0, measured.stderr
    (result,) = json.loads(measured.stdout)
    assert result["details"]
    shown = meta4_here("eval", text_index, "--queries", 20, *at)
    assert "similarity_from" in shown.stdout
    refused = meta4_here("eval", text_index, "--recall", 0.9, *at)
    assert (refused.returncode, "leave --recall out" in refused.stderr) == (2, True)
    for command in ("heal", "show", "tune", "doctor --queries 20"):
        done = meta4_here("index", *command.split(), text_index, *at)
        assert done.returncode == 0, done.stderr
    save_minhash(OTHER, tmp_path / "m")
    (tmp_path / "v.ndjson").write_text(json.dumps({"_id": "0", "body": {"text": [1.0]}}))
    make_alias(engine, f"{text_index}-alias", text_index)
    vectors = ["--vectors", tmp_path / "v.ndjson"]
    model = ["--model", tmp_path / "m"]
    refused = meta4_here("index", "rehash", f"{text_index}-alias", *model, *vectors, *at)
    assert (refused.returncode, "leave --vectors out" in refused.stderr) == (2, True)
