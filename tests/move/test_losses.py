"""Inputs by which documents, settings or aliases once were lost, and the right values.

Numbers are those of the list that they were gathered in.
"""

import json

import numpy as np
import pytest
from support.command_line import meta4_here
from support.drawn_indexes import (
    FIELD,
    aliases_of,
    assert_same_documents,
    documents_of,
    everything,
    field_of,
    settings_of,
    told,
    write,
)

from meta4 import Meta4
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.adapter.engines.place import Place
from meta4.adapter.fields.field import Options
from meta4.adapter.fields.kinds import new_field
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.manage.indexes import create_index, drop_index
from meta4.adapter.manage.pipelines import pipeline_name
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move.alias_move import Move, behind
from meta4.adapter.move.copy import adopt_index, copy_index
from meta4.adapter.move.rehash import make_alias, rehash_index
from meta4.adapter.searches import read_searches
from meta4.errors import ConflictError, InputError
from meta4.ingest.files.new_embeddings import NewEmbeddings
from meta4.models.kinds.minhash import MinHashSpec

pytestmark = pytest.mark.server


def simple(engine, name, model, *, n=20, hashing="client", settings=None, **mapping):
    """A hashed index with n documents."""
    made = field_of(engine, model, hashing)
    body = made.index_body(shards=1, replicas=0, pipeline=None)
    properties = {**mapping.pop("properties", {}), **body["mappings"]["properties"]}
    body["mappings"] |= {**mapping, "properties": properties}
    body["settings"]["index"] |= settings or {}
    engine.create_index(name, body)
    vectors = np.random.default_rng(3).normal(size=(n, model.dims)).round(4)
    for i, vector in enumerate(vectors.tolist()):
        write(engine, name, f"d{i}", None, {"doc": {"embedding": vector}, "tag": f"t{i}"})
    engine.refresh(name)
    return made


def live(engine, name, model, **options):
    """The same, hashed, behind an alias of the name."""
    made = simple(engine, f"{name}-1", model, **options)
    heal_index(engine, f"{name}-1")
    make_alias(engine, name, f"{name}-1")
    return made


def test_case_09_all_aliases_move(engine, node, names, small, tmp_path):
    live(engine, names, small[0], properties={"tag": {"type": "keyword"}})
    first, second = f"{names}-1", f"{names}-2"
    others = {
        f"{names}-read": {},
        f"{names}-de": {"filter": {"term": {"tag": "t3"}}, "index_routing": "a"},
        f"{names}-write": {"is_write_index": True, "is_hidden": True, "search_routing": "a,b"},
    }
    actions = [{"add": {"index": first, "alias": a, **kept}} for a, kept in others.items()]
    engine.request("POST", "/_aliases", {"actions": actions})
    before = aliases_of(engine, first)
    small[1].save(tmp_path / "model")
    arguments = ("index", "rehash", names, "--model", tmp_path / "model")
    done = meta4_here(*arguments, url=node.url)
    assert done.returncode == 0, done.stderr
    assert f"with it: {names}-de, {names}-read, {names}-write" in done.stdout
    assert (aliases_of(engine, first), aliases_of(engine, second)) == ({}, before)
    assert engine.count(f"{names}-de") == 1
    done = meta4_here("index", "rollback", names, "--json", url=node.url)
    assert json.loads(done.stdout)["aliases"] == sorted(before)
    assert (aliases_of(engine, first), aliases_of(engine, second)) == (before, {})


@pytest.mark.parametrize(
    "source", [{"excludes": [FIELD]}, {"includes": ["tag"]}, {"enabled": False}], ids=str
)
def test_case_10_what_source_lacks(engine, other_engine, names, small, source):
    settings = {}
    if not isinstance(engine, OpenSearchEngine):
        settings["mapping.exclude_source_vectors"] = False
    made = simple(engine, f"{names}-1", small[0], settings=settings, _source=source)
    make_alias(engine, names, f"{names}-1")
    ref = ModelStore(engine).push("other", small[1])
    before = everything(engine, [names])
    other = other_engine
    here = Place(engine, f"{names}-1")
    there = [Place(engine, f"{names}-2"), Place(other, f"{names}-2")]
    ways = [
        lambda: heal_index(engine, f"{names}-1"),
        lambda: rehash_index(engine, names, ref, small[1]),
        *[lambda place=place: copy_index(here, place) for place in there],
        *[lambda place=place: adopt_index(here, place, made) for place in there],
    ]
    for way in ways:
        with pytest.raises(InputError, match=r"has _source\.\w+: .* load them anew") as refused:
            way()
        assert refused.value.exit_code == 2
    assert everything(engine, [names]) == before
    assert not any(place.engine.index_exists(place.index) for place in there)
    assert any(f.what == "source" for f in examine_index(engine, names, n_queries=10))


def test_case_10_a_value_that_does_not_come_back(engine, names, small, monkeypatch):
    """Whatever the reason: it is not written back."""
    live(engine, names, small[0])
    vector = {"doc": {"embedding": [1.0, 2.0, 3.0, 4.0]}}
    write(engine, names, "d3", None, vector, pipeline="_none")
    ref = ModelStore(engine).push("other", small[1])
    real = engine.request

    def without_vectors(method, path, *args, **kwargs):
        answer = real(method, path, *args, **kwargs)
        if "_search" in path and isinstance(answer, dict):
            for hit in answer.get("hits", {}).get("hits", []):
                hit.get("_source", {}).pop("doc", None)
        return answer

    with monkeypatch.context() as context:
        context.setattr(engine, "request", without_vectors)
        for way in (
            lambda: heal_index(engine, names),
            lambda: rehash_index(engine, names, ref, small[1]),
            lambda: copy_index(Place(engine, names), Place(engine, f"{names}-copied")),
        ):
            with pytest.raises(InputError, match="its _source has none"):
                way()
    assert behind(engine, names) == f"{names}-1"
    assert engine.count(f"{names}-1", {"exists": {"field": FIELD}}) == 20
    assert "meta4" not in engine.sources(names, ["d3"])[0]


def test_case_11_no_embedding_no_move(engine, node, names, small, tmp_path):
    live(engine, names, small[0])
    small[2].save(tmp_path / "m8")
    x = np.random.default_rng(5).normal(size=(22, 8)).astype(np.float32)
    np.save(tmp_path / "new.npy", x[:18])
    (tmp_path / "ids.txt").write_text("\n".join(f"d{i}" for i in range(18)))
    (tmp_path / "five.ndjson").write_text(json.dumps({"_id": "a", "doc": {"embedding": 5}}))
    before, models = everything(engine, [names]), ModelStore(engine).list()

    def rehash(*arguments):
        model = ("--model", tmp_path / "m8")
        return meta4_here("index", "rehash", names, *model, *arguments, url=node.url)

    npy = ("--vectors", tmp_path / "new.npy")
    for arguments, said in (
        (npy, "with --ids"),
        (("--vectors", tmp_path / "five.ndjson"), "expected a list of numbers, got int"),
        ((*npy, "--ids", tmp_path / "ids.txt"), "2 documents with a vector have no new embedding"),
    ):
        done = rehash(*arguments)
        assert done.returncode == 2
        assert said in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
    assert "'d18', 'd19'" in done.stderr
    assert everything(engine, [names]) == before
    assert ModelStore(engine).list() == models
    np.save(tmp_path / "new.npy", x[:20])
    (tmp_path / "ids.txt").write_text("\n".join(f"d{i}" for i in range(20)))
    done = rehash(*npy, "--ids", tmp_path / "ids.txt", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["without_embedding"] == 0
    assert engine.count(names, {"exists": {"field": FIELD}}) == 20
    # The way back: what was written since has no embedding of the kind before.
    write(engine, names, "new", None, {"doc": {"embedding": x[20].tolist()}})
    write(engine, names, "without", None, {"tag": "no vector"})
    engine.refresh(names)
    moved = everything(engine, [names])
    done = meta4_here("index", "rollback", names, url=node.url)
    assert done.returncode == 2
    assert "1 documents with a vector have no new embedding" in " ".join(done.stderr.split())
    assert everything(engine, [names]) == moved
    line = {"_id": "new", "doc": {"embedding": [1.0, 2.0, 3.0, 4.0]}}
    (tmp_path / "old.ndjson").write_text(json.dumps(line))
    back = ("index", "rollback", names, "--vectors", tmp_path / "old.ndjson")
    done = meta4_here(*back, url=node.url)
    assert done.returncode == 0, done.stderr
    assert engine.count(names, {"exists": {"field": FIELD}}) == 21
    assert engine.count(names) == 22


def test_case_11_written_meanwhile(engine, names, small, monkeypatch, tmp_path):
    """The move ends before the alias moves; with the embedding it goes on."""
    live(engine, names, small[0])
    ref = ModelStore(engine).push("m8", small[2])
    x = np.random.default_rng(5).normal(size=(21, 8)).astype(np.float32)

    def new(n, factor=1.0):
        lines = [
            json.dumps({"_id": f"d{i}", "doc": {"embedding": (factor * x[i]).tolist()}})
            for i in range(n)
        ]
        path = tmp_path / "new.ndjson"
        path.write_text("\n".join(lines))
        return NewEmbeddings(path, FIELD)

    real = Move._drop_missing

    def somebody_writes(self):
        real(self)
        if self.state.phase == "filling":
            write(engine, names, "d20", None, {"doc": {"embedding": [1.0, 2.0, 3.0, 4.0]}})

    with monkeypatch.context() as context:
        context.setattr(Move, "_drop_missing", somebody_writes)
        with pytest.raises(ConflictError, match="the first: 'd20'"):
            rehash_index(engine, names, ref, small[2], embeddings=new(20))
    assert behind(engine, names) == f"{names}-1"
    with pytest.raises(ConflictError, match="was begun with another embedding"):
        rehash_index(engine, names, ref, small[2], embeddings=new(21, factor=-1.0))
    before = {"query": {"meta4_similar": {FIELD: {"vector": [1.0, 2.0, 3.0, 4.0], "k": 1}}}}
    Meta4(engine, keep_searches=1).search(index=names, body=before)
    assert len(read_searches(engine, names, FIELD)) == 1
    rehash_index(engine, names, ref, small[2], embeddings=new(21))
    assert behind(engine, names) == f"{names}-2"
    assert read_searches(engine, names, FIELD) == []
    assert engine.count(names, {"exists": {"field": FIELD}}) == 21


def test_case_12_settings(engine, names, small):
    ngram = {"type": "ngram", "min_gram": 1, "max_gram": 10}
    settings = {
        "max_ngram_diff": 9,
        "analysis": {
            "tokenizer": {"grams": ngram},
            "analyzer": {"ours": {"type": "custom", "tokenizer": "grams"}},
        },
        "similarity": {"mine": {"type": "BM25", "b": 0}},
        "mapping.total_fields.limit": 2000,
    }
    properties = {f"f{i}": {"type": "keyword"} for i in range(1010)}
    properties["title"] = {"type": "text", "analyzer": "ours", "similarity": "mine"}
    live(engine, names, small[0], settings=settings, properties=properties)
    before = told(engine, f"{names}-1")
    copy_index(Place(engine, names), Place(engine, f"{names}-copied"))
    rehash_index(engine, names, ModelStore(engine).push("other", small[1]), small[1])
    for index in (f"{names}-2", f"{names}-copied"):
        assert told(engine, index) == before


def test_case_13_a_pipeline_that_others_use(engine, node, names, small):
    first, clone = f"{names}-1", f"{names}-1-b"
    ref = ModelStore(engine).push("small", small[0])
    create_index(engine, first, field=FIELD, ref=ref, model=small[0], hashing="server")
    engine.request("PUT", f"/{first}/_settings", {"index.blocks.write": True})
    body = {"settings": {"index.blocks.write": None}}
    engine.request("PUT", f"/{first}/_clone/{clone}", body)
    engine.request("GET", f"/_cluster/health/{clone}", None, {"wait_for_status": "yellow"})
    done = meta4_here("index", "drop", first, "--yes", url=node.url)
    assert done.returncode == 0, done.stderr
    assert f"its pipeline meta4-{first} is kept: used by {clone}" in done.stdout
    assert not engine.index_exists(first)
    write(engine, clone, "a", None, {"doc": {"embedding": [1.0, 2.0, 3.0, 4.0]}})
    assert "meta4" in engine.sources(clone, ["a"])[0]
    dropped = drop_index(engine, clone)
    assert (dropped.pipeline, list(dropped.kept_for)) == (f"meta4-{first}", [])
    assert f"meta4-{first}" not in everything(engine, [])[1]


def test_case_13_whoever_uses_it(engine, names, small):
    """Templates and pipelines count too; an alias is no index."""
    first = f"{names}-1"
    ref = ModelStore(engine).push("small", small[0])
    create_index(engine, first, field=FIELD, ref=ref, model=small[0], hashing="server")
    make_alias(engine, names, first)
    settings = {"index.final_pipeline": pipeline_name(first)}
    template = {"index_patterns": [f"{names}-t*"], "template": {"settings": settings}}
    engine.request("PUT", f"/_index_template/{names}", template)
    calls = {"processors": [{"pipeline": {"name": pipeline_name(first)}}]}
    engine.put_pipeline(f"theirs-default-{first}", calls)
    with pytest.raises(ConflictError, match=f"meta4 index drop {first}"):
        drop_index(engine, names)
    try:
        users = drop_index(engine, first).kept_for
    finally:
        engine.request("DELETE", f"/_index_template/{names}")
    assert list(users) == [f"index template {names}", f"pipeline theirs-default-{first}"]


def test_case_14_two_fields_of_vectors(engine, other_engine, names, small):
    other = other_engine
    first = f"{names}-1"
    mapping = {"type": "dense_vector", "dims": 4, "similarity": "cosine"}
    if isinstance(engine, OpenSearchEngine):
        method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
        mapping = {"type": "knn_vector", "dimension": 4, "method": method}
    simple(engine, first, small[0], properties={"text_vec": mapping})
    for i in range(5):
        source = {"doc": {"embedding": [1.0, 2.0, i, 4.0]}, "text_vec": [0.1, 3.0, i, 4.5]}
        write(engine, first, f"d{i}", None, source)
    engine.refresh(first)
    heal_index(engine, first)
    documents = documents_of(engine, first)
    assert copy_index(Place(engine, first), Place(other, first)).is_whole
    assert_same_documents(documents, documents_of(other, first))
    assert copy_index(Place(other, first), Place(engine, f"{names}-2")).is_whole
    assert_same_documents(documents, documents_of(engine, f"{names}-2"))


def test_case_14_what_has_no_counterpart(engine, other_engine, names, small):
    other = other_engine
    odd = {"type": "dense_vector", "dims": 16, "element_type": "bit"}
    if isinstance(engine, OpenSearchEngine):
        odd = {"type": "knn_vector", "dimension": 8, "data_type": "binary"}
        odd["space_type"] = "hamming"
    simple(engine, f"{names}-1", small[0], properties={"odd": odd})
    with pytest.raises(InputError, match=r"field 'odd' is a \w+ with .*; copy within one engine"):
        copy_index(Place(engine, f"{names}-1"), Place(other, f"{names}-1"))
    assert not other.index_exists(f"{names}-1")


def test_a_stale_hash_is_not_copied(engine, names, small):
    """What was changed past the pipeline is hashed anew on its way."""
    live(engine, names, small[0])
    (source,) = engine.sources(names, ["d3"])
    source["doc"]["embedding"] = [-v for v in source["doc"]["embedding"]]
    write(engine, names, "d3", None, source, pipeline="_none")
    engine.refresh(names)
    assert heal_index(engine, names, dry_run=True) == 1
    report = copy_index(Place(engine, names), Place(engine, f"{names}-2"))
    assert (report.is_whole, report.n_hashed) == (True, 1)
    assert heal_index(engine, f"{names}-2", dry_run=True) == 0


def test_what_a_template_would_add(engine, names, small):
    """An alias would show documents twice, a final pipeline change them again."""
    live(engine, names, small[0])
    ref = ModelStore(engine).push("other", small[1])
    before = everything(engine, [names])
    for given, said in (
        ({"aliases": {f"{names}-all": {}}}, "-all'"),
        ({"settings": {"index.final_pipeline": "theirs"}}, "the final_pipeline 'theirs'"),
    ):
        template = {"index_patterns": [f"{names}-*"], "template": given, "priority": 900}
        engine.request("PUT", f"/_index_template/{names}", template)
        try:
            for way in (
                lambda: rehash_index(engine, names, ref, small[1]),
                lambda: copy_index(Place(engine, names), Place(engine, f"{names}-copied")),
            ):
                with pytest.raises(ConflictError, match=said):
                    way()
        finally:
            engine.request("DELETE", f"/_index_template/{names}")
    assert everything(engine, [names]) == before


def test_what_is_not_on_disk_yet_is_brought(engine, names, small):
    """A shard tells of an operation once it is on disk: here up to a second after it was taken."""
    translog = {"translog": {"durability": "async", "sync_interval": "1s"}}
    live(engine, names, small[0], settings=translog)
    write(engine, names, "late", None, {"doc": {"embedding": [1.0, 2.0, 3.0, 4.0]}})
    assert copy_index(Place(engine, names), Place(engine, f"{names}-copied")).n_target == 21
    write(engine, names, "later", None, {"doc": {"embedding": [1.0, 2.0, 3.0, 4.0]}})
    rehash_index(engine, names, ModelStore(engine).push("other", small[1]), small[1])
    assert engine.count(f"{names}-2") == 22


def test_a_text_field_keeps_its_mapping(engine, node, other_engine, names):
    """Analysers and multi-fields of the hashed field itself are others' too."""
    analyser = {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]}
    text = {"type": "text", "analyzer": "ours", "fields": {"raw": {"type": "keyword"}}}
    body = {
        "settings": {"index.analysis.analyzer.ours": analyser},
        "mappings": {"properties": {"doc": {"properties": {"text": text}}}},
    }
    engine.create_index(f"{names}-plain", body)
    words = "Ein langer Text über Straßen und Häuser in der Stadt, der sich oft wiederholt"
    for i in range(4):
        write(engine, f"{names}-plain", f"t{i}", None, {"doc": {"text": f"{words} {i}"}})
    engine.refresh(f"{names}-plain")
    spec = MinHashSpec()
    made = new_field(engine, "doc.text", spec, spec, Options())
    assert adopt_index(Place(engine, f"{names}-plain"), Place(engine, f"{names}-1"), made).is_whole
    make_alias(engine, names, f"{names}-1")
    other = MinHashSpec(rows=3)
    rehash_index(engine, names, other, other)
    assert copy_index(Place(engine, names), Place(other_engine, f"{names}-3")).is_whole
    for place in (
        Place(engine, f"{names}-1"),
        Place(engine, f"{names}-2"),
        Place(other_engine, f"{names}-3"),
    ):
        mapping = place.engine.mappings(place.index)[place.index]["properties"]
        assert mapping["doc"]["properties"]["text"] == text
        query = {"match": {"doc.text": "uber hauser"}}
        assert place.engine.count(place.index, query) == 4
    new = ("--vectors", "never-read.ndjson")
    done = meta4_here("index", "rehash", names, "--model", "any", *new, url=node.url)
    assert done.returncode == 2
    assert "leave --vectors out" in done.stderr


def test_a_copy_sets_what_is_in_the_way_in_the_end(engine, names, small):
    """A final pipeline does not run on copies; with a write block the copy goes on all the same."""
    first, second = f"{names}-1", f"{names}-2"
    seen = {"processors": [{"append": {"field": "seen", "value": ["once"]}}]}
    engine.put_pipeline(f"theirs-final-{first}", seen)
    simple(engine, first, small[0])
    settings = {"index.final_pipeline": f"theirs-final-{first}", "index.blocks.write": True}
    engine.request("PUT", f"/{first}/_settings", settings)
    before = settings_of(engine, first)
    copy_index(Place(engine, first), Place(engine, second))
    assert settings_of(engine, second) == before
    engine.request("PUT", f"/{first}/_settings", {"index.blocks.write": None})
    write(engine, first, "later", None, {"tag": "later"})
    assert copy_index(Place(engine, first), Place(engine, second)).is_whole
    assert settings_of(engine, second) == before
    assert engine.sources(second, ["later", "d1"])[0] == {"tag": "later", "seen": ["once"]}
    assert "seen" not in engine.sources(second, ["d1"])[0]
