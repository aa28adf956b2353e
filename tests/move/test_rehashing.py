"""An alias that is searched and written while what it names is made anew."""

import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import quote

import numpy as np
import pytest
from support.command_line import meta4_here
from support.specs import SPECS
from support.words import FIELD, word_documents

from meta4 import Document, DocumentHasher, HashModel, Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.place import Place
from meta4.adapter.fields.vectors import findings
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.manage.move_state import free_settings
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move import alias_move as moving
from meta4.adapter.move import rehash as rehashing
from meta4.adapter.move.alias_move import behind, state_of
from meta4.adapter.move.copy import copy_index
from meta4.adapter.move.rehash import make_alias, rehash_index, roll_back
from meta4.adapter.move.write_hold import AT_ONCE, writes_held
from meta4.errors import ConflictError, EngineError, InputError, RefusedError
from meta4.ingest.files.new_embeddings import NewEmbeddings
from meta4.models.specs import cells_for

pytestmark = pytest.mark.server
#: Documents: fewer than a move is measured with, which costs as much as the rest of it; and as
#: many as that takes.
N, N_MEASURED = 900, 1500
measured = pytest.mark.parametrize("alias", [N_MEASURED], indirect=True, ids=["measured"])


@pytest.fixture(scope="module")
def other(vectors):
    """Another model of the same dimensions."""
    return HashModel.fit(
        SPECS["cells"].model_copy(update={"seed": 9, "n_bits": 64}), vectors[:4000]
    )


@pytest.fixture(scope="module")
def shorter(vectors):
    """One of 50 dimensions."""
    return HashModel.fit(SPECS["cells"], vectors[:4000, :50])


@pytest.fixture(autouse=True)
def few_queries(monkeypatch):
    monkeypatch.setattr(rehashing, "tune_index", partial(tune_index, n_queries=100))
    monkeypatch.setattr(moving, "_PASSES", 5)


@pytest.fixture
def alias(request, engine, index_name, models, sample):
    """Words behind an alias, tuned; their index is NAME-1 and hashes on the server."""
    model = models["cells"]
    ref = ModelStore(engine).push("live", model)
    first = f"{index_name}-1"
    spec = create_index(engine, first, field=FIELD, ref=ref, model=model, shards=2)
    documents = word_documents(sample, range(getattr(request, "param", N)))
    load_documents(engine, first, documents, DocumentHasher(model, spec))
    engine.refresh(first)
    tune_index(engine, first, n_queries=60)
    make_alias(engine, index_name, first)
    yield index_name
    for name in engine.mappings(f"{index_name}*"):
        engine.delete_index(name)
        engine.delete_pipeline(f"meta4-{name}")


class Clients:
    """Threads that write, delete and search behind an alias, and remember what must be there."""

    def __init__(self, url, alias, vectors, words):
        self.url, self.alias, self.vectors = url, alias, vectors
        self.words = words
        self.expected = {word: (rank, rank) for rank, word in enumerate(words[:N_MEASURED])}
        self.failed = []
        self.n_writes = self.n_queries = self.n_conflicts = 0
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,))
            for work in (self._write, self._search)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work):
        engine = connect(self.url)
        searching = Meta4(engine)
        generator = random.Random(5)
        while not self._ended.is_set():
            try:
                work(engine, searching, generator)
            except Exception as error:
                self.failed.append(repr(error))
        engine.close()

    def _write(self, engine, _, generator):
        """New documents, changed ones, partly changed ones, deleted ones, each acknowledged."""
        word = self.words[generator.randrange(N_MEASURED + 500)]
        row = generator.randrange(len(self.vectors))
        quoted = quote(word, safe="")
        path = f"/{self.alias}/_doc/{quoted}"
        kind = generator.random()
        if kind < 0.2 and word in self.expected:
            engine.request("DELETE", path)
            del self.expected[word]
        elif kind < 0.4 and word in self.expected:
            body = {"doc": {"rank": row}}
            try:
                engine.request("POST", f"/{self.alias}/_update/{quoted}", body)
            except RefusedError as error:
                # Its document was read in one index, and it was written in the other.
                if error.status != 409:
                    raise
                self.n_conflicts += 1
                engine.request("POST", f"/{self.alias}/_update/{quoted}", body)
            self.expected[word] = (self.expected[word][0], row)
        else:
            body = {FIELD: self.vectors[row].tolist(), "rank": row}
            engine.request("PUT", path, body)
            self.expected[word] = (row, row)
        self.n_writes += 1
        time.sleep(0.002)

    def _search(self, _, searching, generator):
        row = generator.randrange(len(self.vectors))
        clause = {"vector": self.vectors[row].tolist(), "k": 5}
        body = {"_source": False, "query": {"meta4_similar": {FIELD: clause}}}
        hits = searching.search(index=self.alias, body=body)["hits"]["hits"]
        assert len(hits) == 5
        self.n_queries += 1


def assert_as_expected(engine, index, clients, vectors, model_ref):
    engine.refresh(index)
    found = {hit["_id"]: hit["_source"] for hit in engine.scan(index, {"query": {"match_all": {}}})}
    assert set(clients.expected) - set(found) == set(), "lost"
    assert set(found) - set(clients.expected) == set(), "not deleted"
    for word, (row, rank) in clients.expected.items():
        source = found[word]
        assert source["rank"] == rank
        a, b = np.asarray(source[FIELD]), vectors[row]
        assert a @ b > (1 - 1e-5) * np.linalg.norm(a) * np.linalg.norm(b)
        assert source["meta4"][FIELD]["model"] == model_ref
    assert heal_index(engine, index, dry_run=True) == 0


@measured
def test_a_new_hash_under_load_and_the_way_back(node, engine, alias, other, vectors, sample):
    """No query fails, no document is lost, stale or back from the dead."""
    ref = ModelStore(engine).push("newer", other)
    before = behind(engine, alias)
    with Clients(node.url, alias, vectors[:5000], sample.words) as clients:
        report = rehash_index(engine, alias, ref, other)
        assert behind(engine, alias) == report.target != before
        time.sleep(0.5)
    assert not clients.failed
    assert clients.n_conflicts <= 1
    assert clients.n_writes > 50
    assert clients.n_queries > 20
    assert_as_expected(engine, alias, clients, vectors, str(ref))
    assert report.evaluation.recall_at_k >= 0.93
    assert read_spec(engine, alias).calibration is not None
    with clients.__class__(node.url, alias, vectors[:5000], sample.words) as later:
        later.expected = clients.expected
        back = roll_back(engine, alias)
    assert not later.failed
    assert behind(engine, alias) == back.target == before
    assert_as_expected(engine, alias, later, vectors, str(read_spec(engine, before).model))


def test_an_index_that_grew_gets_buckets_for_what_it_has(node, engine, alias, vectors, monkeypatch):
    """It began with a model of few buckets; what doctor says is done, and cures it."""
    few = HashModel.fit(SPECS["cells"].model_copy(update={"n_buckets": 4}), vectors[:1000])
    monkeypatch.setattr(findings, "CHOSEN_FROM", N // 2)
    rehash_index(engine, alias, ModelStore(engine).push("live", few), few)
    (ill,) = [one for one in examine_index(engine, alias, n_queries=20) if one.what == "buckets"]
    assert ill.level == "act"
    assert "index rehash ALIAS --auto" in ill.todo
    done = meta4_here("index", "rehash", alias, "--auto", "--json", url=node.url)
    assert done.returncode == 0, done.stderr
    spec = read_spec(engine, alias)
    assert spec.model.name == "live"
    assert spec.n_buckets == cells_for(N) == 16
    assert json.loads(done.stdout)["documents"] == N
    (well,) = [one for one in examine_index(engine, alias, n_queries=20) if one.what == "buckets"]
    assert well.level == "fine"


def test_a_move_with_a_trained_model_goes_on_with_it(engine, alias, monkeypatch):
    def cut(*_):
        raise KeyboardInterrupt

    ref, model = rehashing.retrained(engine, alias, lambda *_: None)
    with monkeypatch.context() as patched:
        patched.setattr(moving.Move, "fill", cut)
        with pytest.raises(KeyboardInterrupt):
            rehash_index(engine, alias, ref, model)
    heal_index(engine, alias)
    again, _ = rehashing.retrained(engine, alias, lambda *_: None)
    assert again == ref


def test_nothing_is_trained_on_nothing(node, engine, alias):
    engine.request("POST", f"/{alias}/_delete_by_query", {"query": {"match_all": {}}})
    engine.refresh(alias)
    refused = meta4_here("index", "rehash", alias, "--auto", url=node.url)
    assert refused.returncode == 2
    assert "meta4 ingest" in refused.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--auto", "--model", "m"), ("--auto", "--vectors", "some.npy")]
)
def test_one_new_model_is_to_be_named(node, arguments):
    refused = meta4_here("index", "rehash", "nothing", *arguments, url=node.url)
    assert refused.returncode == 2
    assert "--auto" in refused.stderr


@pytest.mark.parametrize("phase", ["filling", "moving", "late"])
def test_a_move_that_was_cut_off_goes_on(engine, alias, other, sample, monkeypatch, phase):
    ref = ModelStore(engine).push("newer", other)
    real = moving.Move._note

    def cut(self):
        real(self)
        if self.state.phase == phase:
            raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(moving.Move, "_note", cut)
        with pytest.raises(KeyboardInterrupt):
            rehash_index(engine, alias, ref, other)
    target = f"{alias}-2"
    assert state_of(engine, target).phase == phase
    move = examine_index(engine, target, n_queries=10)[0]
    assert (move.what, move.level, phase in move.found) == ("move", "act", True)
    assert f"meta4 index rehash {alias}" in move.todo
    assert move.figures["writes_wait"] == 0  # an end that is seen lets them go on
    engine.request("PUT", f"/{behind(engine, alias)}/_doc/written-late", body={"rank": -1})
    engine.request("DELETE", f"/{alias}/_doc/of")
    report = rehash_index(engine, alias, ref, other)
    assert (report.target, behind(engine, alias)) == (target, target)
    assert all(finding.what != "move" for finding in examine_index(engine, alias, n_queries=10))
    engine.refresh(alias)
    assert engine.count(alias) == N
    assert engine.sources(alias, ["written-late", "of"]) == [{"rank": -1}, None]


def test_writes_that_wait_for_a_move_that_was_killed_are_told(engine, alias, other, monkeypatch):
    ref = ModelStore(engine).push("newer", other)

    begun = []

    def killed(place, free):
        begun.append(writes_held(place, free))
        begun[0].__enter__()
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(moving, "writes_held", killed)
        with pytest.raises(KeyboardInterrupt):
            rehash_index(engine, alias, ref, other)
    target = f"{alias}-2"
    move = examine_index(engine, target, n_queries=10)[0]
    assert "and writes to it wait" in move.found
    assert move.figures["writes_wait"] == 1
    rehash_index(engine, alias, ref, other)
    assert examine_index(engine, alias, n_queries=10)[0].what != "move"
    begun[0].__exit__(None, None, None)


def test_new_embeddings_of_other_dimensions(
    node, engine, alias, shorter, vectors, sample, tmp_path
):
    np.save(tmp_path / "short.npy", vectors[:N, :50])
    (tmp_path / "ids.txt").write_text("\n".join(sample.words[:N]))
    shorter.save(tmp_path / "model")
    searching = Meta4(engine)
    by_id = {"query": {"meta4_similar": {FIELD: {"id": sample.words[7], "k": 5}}}}
    searching.search(index=alias, body=by_id)
    new = ["--vectors", tmp_path / "short.npy", "--ids", tmp_path / "ids.txt"]
    model = tmp_path / "model"
    done = meta4_here("index", "rehash", alias, "--model", model, *new, "--json", url=node.url)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["documents"], report["without_embedding"]) == (N, 0)
    assert read_spec(engine, alias).dims == 50
    # The same client, which knows the index as it was.
    hits = searching.search(index=alias, body=by_id)["hits"]["hits"]
    truth = vectors[:N, :50] / np.linalg.norm(vectors[:N, :50], axis=1)[:, None]
    nearest = np.argsort(-(truth @ truth[7]))[1:6]
    assert len({hit["_id"] for hit in hits} & {sample.words[row] for row in nearest}) >= 4
    back = meta4_here("index", "rollback", alias, url=node.url)
    assert back.returncode == 0, back.stderr
    assert f"{alias} names {alias}-1" in back.stdout
    assert read_spec(engine, alias).dims == 100
    assert engine.count(alias, {"exists": {"field": FIELD}}) == N


def test_writes_wait_and_go_on(node, engine, alias):
    place = Place(engine, behind(engine, alias))
    free = free_settings(place)
    elsewhere = connect(node.url)
    body = {"rank": -1}
    with ThreadPoolExecutor(3) as pool:
        with writes_held(place, free):
            waiting = [
                pool.submit(elsewhere.request, "PUT", f"/{alias}/_doc/of", body),
                pool.submit(elsewhere.request, "POST", f"/{alias}/_update/the", {"doc": body}),
                pool.submit(elsewhere.request, "DELETE", f"/{alias}/_doc/and"),
            ]
            engine.request("PUT", f"/{alias}/_doc/to", body, AT_ONCE)
            assert engine.sources(alias, ["to"]) == [body]
            assert not any(write.done() for write in waiting)
            assert None not in engine.sources(alias, ["of", "the", "and"])
        assert [write.result()["result"] for write in waiting] == ["updated", "updated", "deleted"]
    assert free_settings(place) == free
    elsewhere.close()


@measured
def test_an_old_client_s_documents_are_found_and_hashed_again(
    engine, alias, models, other, vectors
):
    ref = ModelStore(engine).push("newer", other)
    spec = read_spec(engine, alias)
    rehash_index(engine, alias, ref, other)
    searching = Meta4(engine)
    clause = {"vector": vectors[4500].tolist(), "k": 1, "recall": 0.9}
    body = {"query": {"meta4_similar": {FIELD: clause}}}
    searching.search(index=alias, body=body)  # its count of strays is none, and kept
    document = Document("from an old client", {FIELD: vectors[4500].tolist()})
    load_documents(engine, alias, [document], DocumentHasher(models["cells"], spec))
    engine.refresh(alias)
    (hit,) = searching.search(index=alias, body=body)["hits"]["hits"]
    assert hit["_id"] == "from an old client"
    assert heal_index(engine, alias) == 1
    source = engine.sources(alias, ["from an old client"])[0]
    assert source["meta4"][FIELD]["model"] == str(ref)


def test_what_lies_by_another_routing_stays_there(engine, alias, other, vectors):
    """Healed, moved and copied documents are found by their routing, once."""
    first = behind(engine, alias)
    for row in range(40):
        path = f"/{alias}/_doc/routed-{row}"
        engine.request("PUT", path, {FIELD: vectors[row].tolist()}, {"routing": f"user-{row % 7}"})
    # As an old client would leave it: without its hash, and nobody's pipeline was asked.
    stale = {"pipeline": "_none", "routing": "user-3"}
    engine.request("PUT", f"/{alias}/_doc/routed-3", {FIELD: vectors[3].tolist()}, stale)
    assert heal_index(engine, alias) == 1
    ref = ModelStore(engine).push("newer", other)
    rehash_index(engine, alias, ref, other)
    copied = f"{alias}-copied"
    assert copy_index(Place(engine, alias), Place(engine, copied)).differing == []
    wanted = {f"routed-{row}": f"user-{row % 7}" for row in range(40)}
    for index in (first, alias, copied):
        engine.refresh(index)
        assert engine.count(index) == N + 40
        assert None not in engine.sources(index, wanted)


@measured
def test_what_cannot_be_moved(engine, alias, other, shorter, monkeypatch):
    ref = ModelStore(engine).push("newer", other)
    first = behind(engine, alias)
    with pytest.raises(ConflictError, match="is an index itself"):
        rehash_index(engine, first, ref, other)
    with pytest.raises(InputError, match="hashes 50 dimensions, and the vectors have 100"):
        rehash_index(engine, alias, ref, shorter)
    with pytest.raises(ConflictError, match="has not been moved"):
        roll_back(engine, alias)
    assert list(engine.mappings(f"{alias}-*")) == [first]
    monkeypatch.setattr(rehashing, "evaluate_index", lambda *_, **__: Low())
    with pytest.raises(EngineError, match="stays where it is"):
        rehash_index(engine, alias, ref, other)
    assert behind(engine, alias) == first


class Low:
    recall_at_k = 0.5
    recall_asked = 0.95


def test_a_file_of_embeddings(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors[:3])
    (tmp_path / "ids.txt").write_text("a\nb\nc")
    new = NewEmbeddings(tmp_path / "v.npy", FIELD, tmp_path / "ids.txt")
    assert new.dims == 100
    found = new.of(["b", "d"])
    assert set(found) == {"b"}
    assert np.allclose(found["b"], vectors[1])
    (tmp_path / "bad.ndjson").write_text(json.dumps({FIELD: [1.0, 2.0]}))
    with pytest.raises(InputError, match="without its document's id"):
        NewEmbeddings(tmp_path / "bad.ndjson", FIELD)
