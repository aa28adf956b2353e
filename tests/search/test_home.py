"""The bucket that a document has for a home: the index lies by it, and is looked into by it."""

import numpy as np
import pytest
from support.searches import best_of, every_saving_counts, row_documents, search
from support.words import FIELD

from meta4.adapter.catalog import read_spec
from meta4.adapter.engines.place import Place
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move.copy import copy_index
from meta4.adapter.search import plan as planning
from meta4.ingest.hashers import DocumentHasher
from meta4.mappings.fields import HashedField

pytestmark = pytest.mark.server
FIELDS = HashedField(FIELD)
WAYS = ("bucket", "home")
N = 3000
#: Of so many words and one more that one is asked for.
STEP = 40


@pytest.fixture(scope="module")
def rows(vectors):
    return np.delete(vectors[: N + N // STEP], slice(None, None, STEP + 1), axis=0)[:N]


@pytest.fixture(scope="module")
def asked(vectors):
    """Words that are no documents, as frequent as those that are."""
    return vectors[: N + N // STEP : STEP + 1]


@pytest.fixture(scope="module")
def tuned(engine, words_model, rows):
    name = "homes-tuned"
    ref = ModelStore(engine).push("homes", words_model)
    spec = create_index(engine, name, field=FIELD, ref=ref, model=words_model, hashing="client")
    load_documents(engine, name, row_documents(rows), DocumentHasher(words_model, spec))
    tune_index(engine, name, n_queries=200)
    yield name
    engine.delete_index(name)


def only(monkeypatch, way):
    """Let the other way cost more than anything."""
    (other,) = set(WAYS) - {way}
    monkeypatch.setitem(planning._KEYWORD_WORTH, other, 10**9)


@pytest.mark.parametrize("hashing", ["client", "server"])
def test_it_is_the_first_of_a_document_s_buckets(
    engine, make_index, index_name, models, vectors, hashing
):
    make_index(models["cells"], hashing=hashing, docs=row_documents(vectors[:300]))
    firsts = models["cells"].buckets(vectors[:300])[:, 0]
    hits = engine.scan(index_name, {"query": {"match_all": {}}})
    written = {int(hit["_id"]): hit["_source"]["meta4"][FIELD] for hit in hits}
    for row, first in enumerate(firsts):
        assert written[row]["home"] == written[row]["bucket"][0] == models["cells"].terms[first]


def test_documents_of_one_home_lie_together(engine, tuned):
    engine.request("POST", f"/{tuned}/_forcemerge?max_num_segments=1")
    engine.refresh(tuned)
    body = {"size": N, "_source": False, "docvalue_fields": [FIELDS.home], "sort": ["_doc"]}
    hits = engine.search(tuned, {**body, "query": {"match_all": {}}})["hits"]["hits"]
    homes = [hit["fields"][FIELDS.home][0] for hit in hits]
    assert homes == sorted(homes)


def test_a_document_of_one_bucket_has_no_home(engine, make_index, index_name, models, vectors):
    spec = make_index(models["itq"], docs=row_documents(vectors[:50]), hashing="client")
    assert not spec.has_home
    assert spec.sorted_by == FIELDS.bucket
    tune_index(engine, index_name, n_queries=20)
    assert read_spec(engine, index_name).calibration.home is None


@pytest.mark.parametrize("way", WAYS)
def test_each_way_keeps_its_promise(engine, tuned, rows, asked, monkeypatch, way):
    every_saving_counts(monkeypatch)
    only(monkeypatch, way)
    found = []
    for query in asked:
        ids, explained = search(engine, tuned, query, recall=0.95)
        assert explained["looked_for_by"] == way
        assert explained["n_probes"] > 0
        found.append(len(set(ids) & set(best_of(rows, query))) / 25)
    assert np.mean(found) >= 0.95 - 2 * np.std(found) / np.sqrt(len(found))


def test_under_a_filter_the_home_alone_is_counted_and_looked_into(
    engine, tuned, rows, asked, monkeypatch
):
    every_saving_counts(monkeypatch)
    only(monkeypatch, "bucket")
    found = []
    within = [{"range": {"tenth": {"lt": 5}}}]
    for query in asked:
        ids, explained = search(engine, tuned, query, within, recall=0.95)
        assert explained["looked_for_by"] == "home"
        truth = best_of(rows, query, rows=np.arange(N) % 10 < 5)
        found.append(len(set(ids) & set(truth)) / 25)
    assert np.mean(found) >= 0.95 - 2 * np.std(found) / np.sqrt(len(found))


def test_what_costs_less_is_chosen(engine, tuned, asked, monkeypatch):
    every_saving_counts(monkeypatch)
    chosen = {}
    for worth in (0.0, 10.0):
        monkeypatch.setitem(planning._KEYWORD_WORTH, "bucket", 0)
        monkeypatch.setitem(planning._ENTRY_WORTH, "bucket", worth)
        chosen[worth] = search(engine, tuned, asked[0], recall=0.9)[1]["looked_for_by"]
    assert chosen == {0.0: "bucket", 10.0: "home"}


def test_a_document_whose_home_is_not_told_is_found_and_healed(engine, tuned, asked, monkeypatch):
    """As another client may write one, that knows of buckets only."""
    every_saving_counts(monkeypatch)
    query = asked[7]
    known = engine.request("GET", f"/{tuned}/_doc/0")["_source"]["meta4"][FIELD]
    hashes = {key: value for key, value in known.items() if key != "home"}
    source = {FIELD: query.tolist(), "meta4": {FIELD: hashes}}
    engine.request("PUT", f"/{tuned}/_doc/without", body=source)

    def first_by(way):
        with monkeypatch.context() as patch:
            only(patch, way)
            ids, explained = search(engine, tuned, query, recall=0.9)
        assert (explained["n_probes"] > 0, explained["looked_for_by"]) == (True, way)
        return ids[0]

    engine.refresh(tuned)
    assert [first_by(way) for way in WAYS] == ["without"] * 2
    assert heal_index(engine, tuned) == 1
    engine.refresh(tuned)
    healed = engine.request("GET", f"/{tuned}/_doc/without")["_source"]["meta4"][FIELD]
    assert healed["home"] == healed["bucket"][0]
    assert [first_by(way) for way in WAYS] == ["without"] * 2
    engine.request("DELETE", f"/{tuned}/_doc/without")
    engine.refresh(tuned)


def test_an_index_from_before_there_were_homes(
    engine, make_index, index_name, words_model, rows, asked, monkeypatch
):
    """It is searched, loaded, tuned and asked for again as it is; a copy of it has homes."""
    every_saving_counts(monkeypatch)
    with monkeypatch.context() as before:
        before.setattr(type(words_model), "has_home", False)
        old = make_index(words_model, hashing="client", docs=row_documents(rows))
    assert make_index(words_model, hashing="client") == old
    old_calibration = tune_index(engine, index_name, n_queries=100)
    for within in ([], [{"range": {"tenth": {"lt": 5}}}]):
        ids, explained = search(engine, index_name, asked[0], within, recall=0.95)
        assert (len(ids), explained["looked_for_by"]) == (25, "bucket")
        assert explained["n_probes"] > 0
    assert heal_index(engine, index_name, dry_run=True) == 0
    assert copy_index(Place(engine, index_name), Place(engine, f"{index_name}-copy")).is_whole
    copied = read_spec(engine, f"{index_name}-copy")
    assert copied.has_home
    assert copied.calibration.model_dump() == old_calibration.model_dump()
    assert heal_index(engine, f"{index_name}-copy", dry_run=True) == 0
    engine.delete_index(f"{index_name}-copy")
