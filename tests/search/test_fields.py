"""What `_meta` keeps: fields by name, of several kinds; and indexes from before there were any."""

import pytest
from support.words import FIELD, word_documents

from meta4 import Document, Meta4
from meta4.adapter.catalog import read_index, read_spec
from meta4.adapter.fields.field import Options
from meta4.adapter.fields.kinds import new_field
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.manage.indexes import list_indexes
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import ClauseError, ConflictError
from meta4.mappings.dialect import merged
from meta4.models.kinds.minhash import MinHashSpec

pytestmark = pytest.mark.server
TITLE = "title"


@pytest.fixture
def two_fields(engine, index_name, models, sample):
    """An index with a hashed field of vectors and one of texts, as a later command may make it."""
    model, minhash = models["cells"], MinHashSpec()
    ref = ModelStore(engine).push("two-fields", model)
    fields = [
        new_field(engine, FIELD, ref, model, Options(hashing="client")),
        new_field(engine, TITLE, minhash, minhash, Options()),
    ]
    bodies = [field.index_body(shards=1, replicas=0, pipeline=None) for field in fields]
    engine.create_index(index_name, merged(*bodies))
    documents = list(word_documents(sample, range(200)))
    for document in documents:
        document.source[TITLE] = f"the word {document.id} and what is to be said of it"
    documents.append(Document("bad", {FIELD: documents[0].source[FIELD], TITLE: 7}))
    report = Meta4(engine).load(index=index_name, documents=documents)
    assert (report.n_indexed, report.n_refused) == (200, 1)
    assert report.refusals[0].reason == "title: expected a text, got int"
    engine.refresh(index_name)
    yield index_name
    engine.delete_index(index_name)


def test_each_clause_asks_its_own_field(engine, two_fields, sample):
    meta4 = Meta4(engine)
    vector = {"meta4_similar": {FIELD: {"id": sample.words[3], "k": 5, "recall": 1.0}}}
    text = {"meta4_similar": {TITLE: {"id": sample.words[3], "k": 5, "recall": 1.0}}}
    found = {}
    for name, query in (("vector", vector), ("text", text)):
        hits = meta4.search(index=two_fields, body={"query": query})["hits"]["hits"]
        found[name] = {hit["_id"]: hit["_score"] for hit in hits}
        assert len(hits) == 5
        explained = meta4.explain(index=two_fields, body={"query": query})
        assert explained["clauses"][0]["docs_looked_into"] == 199
    both = {"query": {"bool": {"should": [vector, text]}}, "size": 5}
    first = meta4.search(index=two_fields, body=both)["hits"]["hits"][0]
    expected = found["vector"].get(first["_id"], 0.0) + found["text"].get(first["_id"], 0.0)
    assert first["_score"] >= max(expected, max(found["vector"].values())) - 1e-5
    with pytest.raises(ClauseError, match="its hashed field is 'embedding', 'title'"):
        meta4.search(index=two_fields, body={"query": {"meta4_similar": {"other": {"id": "a"}}}})


def test_commands_name_the_field(engine, two_fields):
    assert heal_index(engine, two_fields, dry_run=True) == 0
    what = [finding.what for finding in examine_index(engine, two_fields)]
    assert {f"{FIELD}: documents", f"{TITLE}: documents", f"{TITLE}: buckets"} <= set(what)
    listed = [entry["field"] for entry in list_indexes(engine) if entry["index"] == two_fields]
    assert listed == [FIELD, TITLE]
    with pytest.raises(ConflictError, match="has the hashed fields 'embedding', 'title'; name one"):
        tune_index(engine, two_fields)


def test_an_index_from_before_is_read_and_written(engine, make_index, index_name, models, sample):
    spec = make_index(models["cells"], docs=word_documents(sample, range(300)), hashing="client")
    before = {"format": 1, **{k: v for k, v in spec.entry().items() if k != "kind"}}
    engine.put_meta(index_name, {"meta4": {**before, "field": FIELD}})
    assert read_spec(engine, index_name) == spec
    body = {"query": {"meta4_similar": {FIELD: {"id": "the", "k": 5}}}}
    assert len(Meta4(engine).search(index=index_name, body=body)["hits"]["hits"]) == 5
    calibration = tune_index(engine, index_name, n_queries=50)
    (mapping,) = engine.mappings(index_name).values()
    assert mapping["_meta"]["meta4"]["fields"][FIELD]["kind"] == "vectors"
    assert read_spec(engine, index_name).calibration.n_queries == calibration.n_queries == 50
    report = load_documents(engine, index_name, [Document("x", {"rank": 1})], None)
    assert report.n_indexed == 1


@pytest.mark.parametrize(
    "meta",
    [
        {"fields": {FIELD: {"kind": "pictures", "format": 9}}},
        {"fields": {}},
        {"fields": {FIELD: 3}},
        {"format": 7},
        ["fields"],
    ],
)
def test_what_another_version_wrote_is_refused(engine, make_index, index_name, models, meta):
    make_index(models["cells"], hashing="client")
    engine.put_meta(index_name, {"meta4": meta})
    with pytest.raises(ConflictError, match="is not what this version writes"):
        read_index(engine, index_name)
