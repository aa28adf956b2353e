"""Between the engines, whole, cut off, and out of an index that knows nothing of meta4."""

import itertools
import json

import numpy as np
import pytest
from support.command_line import meta4_here
from support.vectors import unit
from support.words import FIELD, word_documents

from meta4 import Document, DocumentHasher, Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.place import Place
from meta4.adapter.fields.field import Options
from meta4.adapter.fields.kinds import new_field
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move import changes
from meta4.adapter.move import copy as copying
from meta4.adapter.move.copy import adopt_index, copy_index
from meta4.errors import ConflictError, InputError, NotFoundError

pytestmark = pytest.mark.server
N = 3000
WAYS = list(itertools.permutations(("opensearch", "elasticsearch")))

OPTIONS = Options(hashing="client")


@pytest.fixture(params=WAYS, ids="-to-".join)
def ends(request, nodes, index_name):
    """A place on each engine, not made yet."""
    places = [Place(connect(nodes(name).url), index_name) for name in request.param]
    yield places
    for place in places:
        place.engine.delete_index(place.index)
        place.engine.delete_pipeline(f"meta4-{place.index}")
        place.engine.close()


@pytest.fixture
def filled(ends, models, sample):
    """The source with words, tuned; one document has no vector, one no hash."""
    source, _ = ends
    model = models["cells"]
    ref = ModelStore(source.engine).push("copied", model)
    spec = create_index(source.engine, source.index, field=FIELD, ref=ref, model=model, shards=2)
    hasher = DocumentHasher(model, spec)
    load_documents(source.engine, source.index, word_documents(sample, range(N)), hasher)
    path = f"/{source.index}/_doc"
    source.engine.request("PUT", f"{path}/no%20vector", body={"rank": -1})
    stray = {FIELD: sample.vectors[1].tolist(), "rank": -2}
    source.engine.request("PUT", f"{path}/no%20hash", body=stray, params={"pipeline": "_none"})
    source.engine.refresh(source.index)
    tune_index(source.engine, source.index, n_queries=30)
    return source


def everything(place):
    """All documents by id, without what differs between engines: how code and vector are kept."""
    place.engine.refresh(place.index)
    spec = read_spec(place.engine, place.index)
    found = {}
    for hit in place.engine.scan(place.index, {"query": {"match_all": {}}}):
        source = hit["_source"]
        vector = source.pop(FIELD, None)
        hashes = source.get("meta4", {}).get(FIELD, {})
        hashes.pop("model", None)
        code = spec.code_storage.code(hashes, spec.n_bits)
        if code is not None:
            for name in spec.code_storage.mapping(spec.n_bits):
                del hashes[name]
            hashes["code"] = code.tolist()
        found[hit["_id"]] = (source, vector)
    return found


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for identity, (source, vector) in ours.items():
        other, other_vector = theirs[identity]
        assert source == other
        if vector is not None:
            a, b = (np.asarray(v) / np.linalg.norm(v) for v in (vector, other_vector))
            assert np.allclose(a, b, atol=1e-6)


def test_a_copy_is_whole(ends, filled, sample):
    source, target = ends
    report = copy_index(source, target)
    assert report.is_whole
    assert (report.loaded.n_indexed, report.n_hashed) == (N + 2, 1)
    originals, copies = everything(source), everything(target)
    originals.pop("no hash")
    hashes = copies.pop("no hash")[0]["meta4"][FIELD]
    assert hashes["bucket"] == copies[sample.words[1]][0]["meta4"][FIELD]["bucket"]
    assert_same(originals, copies)
    specs = [read_spec(place.engine, place.index) for place in ends]
    assert specs[0].model.sha256 == specs[1].model.sha256
    assert specs[0].calibration.model_dump() == specs[1].calibration.model_dump()
    body = {
        "query": {"meta4_similar": {FIELD: {"id": "berlin", "k": 25}}},
        "_source": False,
    }
    answers = [
        [
            (hit["_id"], round(hit["_score"], 5))
            for hit in Meta4(place.engine).search(index=place.index, body=body)["hits"]["hits"]
            if hit["_id"] != "no hash"
        ]
        for place in ends
    ]
    assert answers[0] == answers[1]


def test_a_copy_has_each_vectors_length(ends, small):
    """Of vectors that were replaced past the hash, too; OpenSearch has them scaled."""
    source, target = ends
    model = small[0]
    rng = np.random.default_rng(3)
    x = rng.standard_normal((60, model.dims)) * 10.0 ** rng.uniform(-3, 3, (60, 1))
    ref = ModelStore(source.engine).push("lengths", model)
    create_index(source.engine, source.index, field=FIELD, ref=ref, model=model)
    given = [Document(str(row), {FIELD: vector.tolist()}) for row, vector in enumerate(x)]
    load_documents(source.engine, source.index, given, None)
    x[:3] *= 7
    lines = []
    for row in range(3):
        lines += [{"update": {"_id": str(row)}}, {"doc": {FIELD: x[row].tolist()}}]
    payload = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    source.engine.bulk(source.index, payload)
    report = copy_index(source, target)
    assert report.is_whole
    target.engine.refresh(target.index)
    is_scaled = not target.engine.dialect.normalises
    for hit in target.engine.scan(target.index, {"query": {"match_all": {}}}):
        vector = np.array(hit["_source"][FIELD], np.float32).astype(float)
        length, norm = np.linalg.norm(vector), hit["_source"]["meta4"][FIELD]["norm"]
        if is_scaled or int(hit["_id"]) >= 3:
            assert vector / length * norm == pytest.approx(x[int(hit["_id"])], rel=1e-5)
        if is_scaled:
            assert length == pytest.approx(1.0, abs=1e-7)
    query = {"vector": (-x[5]).tolist(), "k": 60, "recall": 1.0}
    body = {"query": {"meta4_similar": {FIELD: query}}}
    hits = Meta4(target.engine).search(index=target.index, body=body)["hits"]["hits"]
    right = (1 - unit(x) @ unit(x)[5]) / 2
    assert len(hits) == 60
    for hit in hits:
        assert hit["_score"] == pytest.approx(right[int(hit["_id"])], abs=1e-6)
    assert heal_index(target.engine, target.index, dry_run=True) == 0


def test_a_copy_that_was_cut_off_goes_on(ends, filled, monkeypatch):
    source, target = ends
    monkeypatch.setattr(changes, "_PAGE", 500)
    monkeypatch.setattr(copying, "_NOTED_EVERY", 0.0)
    real, calls = target.engine.bulk, itertools.count()

    def cut(*args, **kwargs):
        if next(calls) == 5:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(target.engine, "bulk", cut)
    with pytest.raises(KeyboardInterrupt):
        copy_index(source, target)
    target.engine.refresh(target.index)
    written = target.engine.count(target.index)
    assert 1000 < written <= 1500
    monkeypatch.setattr(target.engine, "bulk", real)
    report = copy_index(source, target)
    assert report.is_whole
    assert report.loaded.n_indexed == N + 2 - 1000  # two pages were whole
    # What is written later comes with the same command.
    source.engine.request("PUT", f"/{source.index}/_doc/new%20one", body={"rank": 1})
    source.engine.refresh(source.index)
    assert copy_index(source, target).is_whole
    assert_same(everything(source), everything(target) | {"no hash": everything(source)["no hash"]})


def test_a_target_that_is_something_else_is_not_touched(ends, filled):
    source, target = ends
    target.engine.create_index(target.index, {"mappings": {"properties": {}}})
    with pytest.raises(ConflictError, match="is no copy of"):
        copy_index(source, target)
    assert target.engine.count(target.index) == 0
    with pytest.raises(NotFoundError, match="does not exist"):
        copy_index(Place(source.engine, "no-such-index"), Place(target.engine, "never-made"))
    assert not target.engine.index_exists("never-made")


def test_an_index_with_vectors_is_adopted(ends, models, sample):
    """What a user of the engine alone has: a graph, text with an analyser, an inner object."""
    source, target = ends
    body = plain_body(source.engine)
    source.engine.create_index(source.index, body)
    documents = list(word_documents(sample, range(N)))
    for document in documents:
        document.source["title"] = f"The {document.id}"
    load_documents(source.engine, source.index, documents, None)
    source.engine.refresh(source.index)
    before = source.engine.mappings(source.index)
    model = models["cells"]
    ref = ModelStore(target.engine).push("adopted", model)
    for place in (Place(source.engine, f"{target.index}-here"), target):
        if place is not target:
            ModelStore(place.engine).push("adopted", model)
        field = new_field(place.engine, FIELD, ref, model, OPTIONS)
        report = adopt_index(source, place, field)
        assert report.is_whole
        assert report.n_hashed == N
        tune_index(place.engine, place.index, n_queries=20)
        clause = {"meta4_similar": {FIELD: {"id": "berlin", "k": 5}}}
        filtered = {"bool": {"must": [clause], "filter": [{"match": {"title": "THE"}}]}}
        hits = Meta4(place.engine).search(index=place.index, body={"query": filtered})["hits"]
        assert len(hits["hits"]) == 5
        mapping = place.engine.mappings(place.index)[place.index]["properties"]
        assert mapping["title"]["analyzer"] == "ours"
        assert adopt_index(source, place, field).loaded.n_indexed == 0
        assert read_spec(place.engine, place.index).calibration is not None
        if place is not target:
            place.engine.delete_index(place.index)
    assert source.engine.mappings(source.index) == before
    with pytest.raises(InputError, match="has no document with a 'other'"):
        adopt_index(source, target, new_field(target.engine, "other", ref, model, OPTIONS))


def plain_body(engine):
    body = engine.dialect.graph_index_body(FIELD, 100, engine.dialect.graphs[0])
    body["mappings"]["properties"]["title"] = {"type": "text", "analyzer": "ours"}
    analyser = {"type": "custom", "tokenizer": "standard", "filter": ["lowercase"]}
    body["settings"]["index"]["analysis"] = {"analyzer": {"ours": analyser}}
    return body


def test_the_command(ends, filled):
    _, target = ends
    urls = [f"{place.engine.url}/{place.index}" for place in ends]
    done = meta4_here("copy", *urls, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["copied"], report["source_documents"], report["differing"]) == (N + 2, N + 2, [])
    again = meta4_here("copy", *urls)
    assert again.returncode == 0, again.stderr
    assert f"{N + 2:,} in the source" in again.stdout
    # A document more in the target: the count tells.
    target.engine.request("PUT", f"/{target.index}/_doc/new%20one", body={"rank": 1})
    done = meta4_here("copy", *urls)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert meta4_here("copy", "words", urls[1]).returncode == 2
    assert "belong together" in meta4_here("copy", *urls, "--field", FIELD).stderr
