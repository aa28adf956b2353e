"""A first phase by sketches: what it leaves out, who writes them, and where there is none."""

import asyncio
import threading

import numpy as np
import pytest
from support.clients import Synchronous
from support.searches import every_saving_counts, row_documents
from support.words import FIELD

from meta4 import AsyncMeta4, Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.engines.place import Place
from meta4.adapter.fields.recall import recall_by_score
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move.copy import copy_index
from meta4.adapter.search import plan
from meta4.errors import ConflictError, InputError
from meta4.ingest.documents import value_at
from meta4.ingest.hashers import DocumentHasher
from meta4.models.stopping.outlook import Outlook

pytestmark = pytest.mark.server
N = 8000


@pytest.fixture(scope="module")
def rows(vectors):
    return vectors[:N]


@pytest.fixture(scope="module")
def tuned(engine, words_model, rows):
    name = "first-phase-tuned"
    ref = ModelStore(engine).push("first-phase", words_model)
    spec = create_index(
        engine, name, field=FIELD, ref=ref, model=words_model, hashing="client",
        first_phase="projection",
    )  # fmt: skip
    load_documents(engine, name, row_documents(rows), DocumentHasher(words_model, spec))
    tune_index(engine, name, n_queries=200)
    yield name
    engine.delete_index(name)


def similar(vector, **options):
    return {"meta4_similar": {FIELD: {"vector": np.asarray(vector).tolist(), **options}}}


def found(meta4, index, query):
    return meta4.search(index=index, body={"query": query, "_source": False})["hits"]["hits"]


def truth(rows, query, k, kept=None):
    cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    scores = (1 + cosines) / 2 if kept is None else np.where(kept, (1 + cosines) / 2, -1.0)
    return np.sort(scores)[::-1][:k]


@pytest.mark.parametrize("recall", [0.9, 0.99])
@pytest.mark.parametrize("k", [1, 10, 60])
def test_what_is_promised_is_delivered(engine, tuned, rows, vectors, k, recall):
    meta4, reached = Meta4(engine), []
    for query in vectors[N : N + 150]:
        hits = found(meta4, tuned, similar(query, k=k, recall=recall))
        assert len(hits) == k
        scores = np.asarray([hit["_score"] for hit in hits])
        reached.append(recall_by_score(scores, truth(rows, query, k), k))
    assert np.mean(reached) >= recall - 2 * np.std(reached) / np.sqrt(len(reached))


def test_scores_are_those_of_exact_search(engine, tuned, rows, vectors):
    query = vectors[N + 7]
    hits = found(Meta4(engine), tuned, similar(query, k=10, recall=0.99))
    expected = truth(rows, query, N)
    assert all(np.abs(expected - hit["_score"]).min() < 1e-5 for hit in hits)
    assert [hit["_score"] for hit in hits] == sorted((h["_score"] for h in hits), reverse=True)


def test_it_is_said(engine, tuned, vectors):
    body = {"query": similar(vectors[N], k=10, recall=0.95)}
    (clause,) = Meta4(engine).explain(index=tuned, body=body)["clauses"]
    spec = read_spec(engine, tuned)
    assert clause["first_phase"]["directions"] == spec.sketch > 0
    assert 10 <= clause["first_phase"]["window"] < clause["docs_looked_into"]
    exact = {"query": similar(vectors[N], k=10, recall=1.0)}
    (clause,) = Meta4(engine).explain(index=tuned, body=exact)["clauses"]
    assert clause["first_phase"] is None


@pytest.mark.parametrize("tenths", [5, 2])
def test_under_filters(engine, tuned, rows, vectors, monkeypatch, tenths):
    every_saving_counts(monkeypatch)
    condition = {"range": {"tenth": {"lt": tenths}}}
    kept = np.arange(N) % 10 < tenths
    meta4, reached = Meta4(engine), []
    for query in vectors[N : N + 80]:
        clause = similar(query, k=10, recall=0.95)
        hits = found(meta4, tuned, {"bool": {"must": [clause], "filter": [condition]}})
        scores = np.asarray([hit["_score"] for hit in hits])
        expected = truth(rows, query, 10, kept)
        reached.append(recall_by_score(scores, expected, 10))
    assert np.mean(reached) >= 0.95 - 2 * np.std(reached) / np.sqrt(len(reached))


def test_where_everything_is_looked_into(engine, tuned, rows, vectors, monkeypatch):
    """By sketches as well: what they leave out is what a recall below 1 may miss."""
    monkeypatch.setattr(plan, "BUCKET_WORTH", N)
    meta4, reached = Meta4(engine), []
    for query in vectors[N : N + 100]:
        hits = found(meta4, tuned, similar(query, k=10, recall=0.95))
        scores = np.asarray([hit["_score"] for hit in hits])
        reached.append(recall_by_score(scores, truth(rows, query, 10), 10))
    assert np.mean(reached) >= 0.98
    body = {"query": similar(vectors[N], k=10, recall=0.95)}
    (clause,) = meta4.explain(index=tuned, body=body)["clauses"]
    assert (clause["n_probes"], clause["docs_looked_into"]) == (0, N)
    assert clause["recall_promised"] == 0.95
    assert clause["first_phase"]["window"] < N


def test_where_everything_is_looked_into_it_is_asked_once(node, tuned, vectors, monkeypatch):
    monkeypatch.setattr(plan, "BUCKET_WORTH", N)
    client = Synchronous(node.url)
    body = {"query": similar(vectors[N], k=10, recall=0.95)}
    client.search(index=tuned, body=body)
    client.sent.clear()
    client.search(index=tuned, body=body)
    client.close()
    assert sum(path.endswith("_search") for _, path in client.sent) == 1


def test_loops_are_compiled_beside_the_event_loop(node, tuned, vectors, monkeypatch):
    """Compiling takes seconds, in which a server would answer nobody."""
    seen, rehearse = [], Outlook.rehearse

    def watched(outlook):
        seen.append(threading.get_ident())
        rehearse(outlook)

    monkeypatch.setattr(Outlook, "rehearse", watched)

    async def ask():
        meta4 = AsyncMeta4(node.url)
        try:
            await meta4.search(index=tuned, body={"query": similar(vectors[N], k=3, recall=0.9)})
        finally:
            await meta4.close()

    asyncio.run(ask())
    assert seen
    assert threading.get_ident() not in seen


@pytest.mark.parametrize("hashing", ["client", "server"])
def test_both_sides_write_the_same(engine, make_index, index_name, models, vectors, hashing):
    model = models["itq"]
    spec = make_index(
        model, hashing=hashing, first_phase="projection", docs=row_documents(vectors[:400])
    )
    sketches = model.sketch(spec.sketch).sketches(vectors[:400])
    engine.refresh(index_name)
    name = f"sketch_{spec.sketch}"
    for hit in engine.scan(index_name, {"query": {"match_all": {}}}):
        hashes = value_at(hit["_source"], spec.fields.root)
        assert hashes[name] == sketches[int(hit["_id"])].tolist()


def test_a_document_without_one_is_found_and_healed(
    engine, make_index, index_name, models, vectors
):
    """As one comes to be that a version before wrote."""
    model = models["itq"]
    spec = make_index(
        model, hashing="client", first_phase="projection", docs=row_documents(vectors[:6000])
    )
    tune_index(engine, index_name, n_queries=40)
    engine.refresh(index_name)
    (source,) = engine.sources(index_name, ["17"])
    del value_at(source, spec.fields.root)[f"sketch_{spec.sketch}"]
    engine.request("PUT", f"/{index_name}/_doc/17", body=source, params={"refresh": "true"})
    meta4 = Meta4(engine)
    hits = found(meta4, index_name, similar(vectors[17], k=3, recall=0.9))
    assert hits[0]["_id"] == "17"
    assert heal_index(engine, index_name) == 1
    (healed,) = engine.sources(index_name, ["17"])
    expected = model.sketch(spec.sketch).sketches(vectors[17:18])[0].tolist()
    assert value_at(healed, spec.fields.root)[f"sketch_{spec.sketch}"] == expected


def test_a_copy_has_the_same_or_none(engine, tuned, index_name):
    here = Place(engine, tuned)
    try:
        copy_index(here, Place(engine, index_name), {"first_phase": "none"})
        assert read_spec(engine, index_name).sketch == 0
        (first,) = engine.search(index_name, {"size": 1})["hits"]["hits"]
        hashes = value_at(first["_source"], read_spec(engine, index_name).fields.root)
        assert not any(name.startswith("sketch") for name in hashes)
        engine.delete_index(index_name)
        copy_index(here, Place(engine, index_name), {})
        before, after = read_spec(engine, tuned), read_spec(engine, index_name)
        assert (after.sketch, after.windows) == (before.sketch, before.windows)
    finally:
        engine.delete_index(index_name)


def test_what_cannot_be_is_refused(engine, index_name, models):
    model = models["itq"]
    ref = ModelStore(engine).push("first-phase-refused", model)
    with pytest.raises(InputError, match="strategy script"):
        create_index(
            engine, index_name, field=FIELD, ref=ref, model=model, strategy="script",
            first_phase="projection",
        )  # fmt: skip
    before = model.manifest.model_copy(update={"sketch_windows": ()})
    old = type(model)(before, model.onnx_bytes)
    with pytest.raises(InputError, match="train it again"):
        create_index(engine, index_name, field=FIELD, ref=ref, model=old, first_phase="projection")
    assert not engine.index_exists(index_name)


def test_an_index_is_not_made_anew_with_another(engine, index_name, models):
    model = models["itq"]
    ref = ModelStore(engine).push("first-phase-again", model)
    options = {"field": FIELD, "ref": ref, "model": model, "hashing": "client"}
    try:
        create_index(engine, index_name, **options, first_phase="projection")
        create_index(engine, index_name, **options, first_phase="projection")
        with pytest.raises(ConflictError):
            create_index(engine, index_name, **options, first_phase="none")
    finally:
        engine.delete_index(index_name)
