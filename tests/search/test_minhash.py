"""MinHash: shingles and buckets by themselves, and near-duplicates in an index of both engines."""

import json

import numpy as np
import orjson
import pytest
from support.command_line import meta4_here
from support.servers import on_one_engine
from support.texts import SPEC, TEXTS, create_text_index

from meta4 import Document, Meta4
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import drop_index, list_indexes, show_index
from meta4.adapter.measure.tune import tune_index
from meta4.errors import ClauseError, ConflictError, InputError, NotFoundError
from meta4.ingest.text_hasher import TextHasher
from meta4.models.kinds.minhash import (
    MOST_SHINGLES,
    MinHasher,
    MinHashSpec,
    as_longs,
    choose_bands,
    jaccard,
    load_minhash,
    save_minhash,
)


def test_shingles_are_the_sets_of_substrings():
    hasher = MinHasher(MinHashSpec(shingle=3))
    assert len(hasher.shingles("abcabcabc")) == 3
    one, other = hasher.shingles("the cat sat"), hasher.shingles("the cat ran")
    sets = [{t[i : i + 3] for i in range(9)} for t in ("the cat sat", "the cat ran")]
    assert jaccard(one, other) == len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert (hasher.shingles("ab") == hasher.shingles(" AB ")).all()
    assert jaccard(hasher.shingles("ab"), hasher.shingles("abc")) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße  nach\nRom", "strasse nach rom"),
        ("ﬁne 𝟜²", "FINE 42"),
        ("a\ud800b c", "A\ud800B C"),
    ],
)
def test_case_space_and_forms_of_letters_do_not_matter(one, other):
    hasher = MinHasher(SPEC)
    assert (hasher.shingles(one) == hasher.shingles(other)).all()


def test_hashes_are_the_same_on_every_machine():
    hasher = MinHasher(MinHashSpec(shingle=4, bands=3, rows=2, seed=7))
    shingles = hasher.shingles("meta4")
    assert as_longs(shingles).tolist() == [-6372289299543749850, 4764125113392725075]
    buckets = ["00bc20cbef0f7362ee", "0129690e2868481c7f", "02a3fe10355233e953"]
    assert hasher.buckets(shingles) == buckets


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.9])
def test_buckets_are_shared_as_often_as_the_formula_says(similarity):
    """On random sets: within four standard errors of 1 - (1 - s ** r) ** b."""
    spec = MinHashSpec(bands=10, rows=4)
    rng = np.random.default_rng(0)
    n_both, n_trials = round(200 * similarity), 400
    n_own = (200 - n_both) // 2
    found = 0
    for trial in range(n_trials):
        hasher = MinHasher(spec.model_copy(update={"seed": trial}))
        numbers = rng.integers(0, 1 << 63, n_both + 2 * n_own).astype(np.uint64)
        one, other = numbers[: n_both + n_own], np.delete(numbers, slice(n_both, n_both + n_own))
        found += bool(set(hasher.buckets(one)) & set(hasher.buckets(other)))
    expected = spec.found(n_both / (n_both + 2 * n_own))
    error = (expected * (1 - expected) / n_trials) ** 0.5
    assert found / n_trials == pytest.approx(expected, abs=4 * error + 1e-9)


def test_bands_are_the_fewest_that_find_enough():
    for similarity, recall in ((0.5, 0.95), (0.7, 0.95), (0.9, 0.999)):
        bands, rows = choose_bands(similarity, recall)
        assert MinHashSpec(bands=bands, rows=rows).found(similarity) >= recall
        longer = 128 // (rows + 1)
        assert MinHashSpec(bands=longer, rows=rows + 1).found(similarity) < recall
    with pytest.raises(InputError, match="higher --similarity"):
        choose_bands(0.01, 0.99)


def test_texts_that_cannot_be_hashed_are_refused():
    hasher = MinHasher(SPEC)
    with pytest.raises(InputError, match="without a letter"):
        hasher.shingles(" \n\t")
    with pytest.raises(InputError, match="more than 100,000 shingles"):
        hasher.shingles("x" * (MOST_SHINGLES + 10))


def test_a_folder_keeps_the_spec(tmp_path):
    save_minhash(SPEC, tmp_path / "m")
    assert load_minhash(tmp_path / "m") == SPEC
    assert load_minhash(tmp_path) is None


def ask(engine, index, within=(), **clause):
    similar = {"meta4_similar": {TEXTS.field: clause}}
    body = {"query": {"bool": {"must": [similar], "filter": list(within)}}}
    return Meta4(engine).search(index=index, body=body)["hits"]["hits"]


@pytest.mark.server
def test_near_duplicates_are_found_and_scored_exactly(engine, text_index, texts):
    shingles = [MinHasher(SPEC).shingles(text) for text in texts]
    expected = found = 0
    for row in range(0, 60, 3):
        truth = {str(i): jaccard(shingles[row], own) for i, own in enumerate(shingles) if i != row}
        hits = ask(engine, text_index, id=str(row), k=10)
        assert hits
        for hit in hits:
            assert hit["_score"] == pytest.approx(truth[hit["_id"]], abs=1e-6)
            assert "sort" not in hit
        scores = [hit["_score"] for hit in hits]
        assert scores == sorted(scores, reverse=True)
        near = {i for i, s in truth.items() if s >= 0.8}
        expected += len(near)
        found += len(near & {hit["_id"] for hit in hits})
        everything = ask(engine, text_index, id=str(row), k=10, recall=1.0)
        best = sorted(truth.values(), reverse=True)[:10]
        assert [hit["_score"] for hit in everything] == pytest.approx(best, abs=1e-6)
    assert expected > 10
    assert found >= 0.99 * expected


@pytest.mark.server
def test_a_text_is_asked_with_and_filters_hold(engine, text_index, texts):
    (first, *_) = ask(engine, text_index, text=texts[4].upper(), k=3)
    assert (first["_id"], first["_score"]) == ("4", 1.0)
    for hit in ask(engine, text_index, [{"term": {"third": 2}}], text=texts[4], k=50, recall=1):
        assert hit["_source"]["third"] == 2
    body = {"query": {"meta4_similar": {TEXTS.field: {"id": "3", "k": 5}}}}
    explained = Meta4(engine).explain(index=text_index, body=body)
    (clause,) = explained["clauses"]
    assert clause["n_probes"] == SPEC.bands
    assert 0 < clause["docs_looked_into"] < len(texts) / 2
    assert clause["recall_by_similarity"]["0.9"] > 0.99
    rewritten = Meta4(engine).rewrite(index=text_index, body=body)
    assert engine.search(text_index, rewritten)["hits"]["hits"]


@pytest.mark.server
def test_the_index_is_shown_listed_and_guarded(engine, text_index, texts):
    shown = show_index(engine, text_index)
    assert (shown["documents"], shown["without_hash"]) == (len(texts), 0)
    (entry,) = [e for e in list_indexes(engine) if e["index"] == text_index]
    assert entry["model"] == str(SPEC)
    create_text_index(engine, text_index, TEXTS)
    with pytest.raises(ConflictError, match="choose another name"):
        other = TEXTS.model_copy(update={"minhash": MinHashSpec(seed=1)})
        create_text_index(engine, text_index, other)
    with pytest.raises(InputError, match="nothing is to be measured"):
        tune_index(engine, text_index, plan="centroid")
    assert tune_index(engine, text_index) == SPEC
    with pytest.raises(ClauseError, match="have no direction"):
        ask(engine, text_index, vector=[1.0, 2.0])
    with pytest.raises(ClauseError, match="is not hashed in index"):
        body = {"query": {"meta4_similar": {"other": {"id": "3"}}}}
        Meta4(engine).search(index=text_index, body=body)
    with pytest.raises(NotFoundError, match="is not in index"):
        ask(engine, text_index, id="nowhere")
    with pytest.raises(InputError, match="without a letter"):
        ask(engine, text_index, text="  ")


@on_one_engine
def test_an_index_of_vectors_takes_no_text(engine, make_index, index_name, models):
    make_index(models["cells"])
    with pytest.raises(ClauseError, match="holds vectors"):
        body = {"query": {"meta4_similar": {"embedding": {"text": "a"}}}}
        Meta4(engine).search(index=index_name, body=body)


@on_one_engine
def test_documents_without_a_text_or_with_something_else(engine, text_index):
    odd = [
        Document("none", {"third": 1}),
        Document("number", {"body": {"text": 7}}),
        Document("empty", {"body": {"text": ""}}),
        Document("fine", {"body": {"text": "a text of its own"}}),
    ]
    report = load_documents(engine, text_index, odd, TextHasher(TEXTS))
    assert (report.n_indexed, report.n_without_vector, report.n_refused) == (2, 1, 2)
    reasons = {refusal.id: refusal.reason for refusal in report.refusals}
    assert "expected a text, got int" in reasons["number"]
    assert "without a letter" in reasons["empty"]


@on_one_engine
def test_from_the_command_line(engine, index_name, originals, texts, tmp_path):
    rows = ({"_id": str(i), "text": text} for i, text in enumerate(texts))
    (tmp_path / "t.ndjson").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    (tmp_path / "blank.ndjson").write_text('{"text": " "}')
    refused = meta4_here(
        "train", tmp_path / "blank.ndjson", "--model", "minhash", "--out", tmp_path / "m"
    )
    assert (refused.returncode, "line 1: text: a text without" in refused.stderr) == (2, True)
    trained = meta4_here(
        "train", tmp_path / "t.ndjson", "--model", "minhash", "--out", tmp_path / "m"
    )
    assert trained.returncode == 0, trained.stderr
    assert "minhash-5-25x5@0" in trained.stdout
    at = ["--url", engine.url]
    made = meta4_here("index", "create", index_name, "--model", tmp_path / "m", *at)
    assert made.returncode == 0, made.stderr
    loaded = meta4_here("ingest", tmp_path / "t.ndjson", "--index", index_name, *at)
    assert loaded.returncode == 0, loaded.stderr
    for asked in (["0"], ["--text", texts[0]]):
        found = meta4_here("similar", *asked, "--index", index_name, "--json", *at)
        assert found.returncode == 0, found.stderr
        hits = json.loads(found.stdout)["hits"]
        # Its own duplicate is the first after those.
        assert str(len(originals)) in [hit["id"] for hit in hits][:3]
    assert meta4_here("index", "show", index_name, *at).returncode == 0
    assert "25, of 5 minima" in meta4_here("model", "show", tmp_path / "m").stdout
    refused = meta4_here("model", "push", tmp_path / "m", *at)
    assert (refused.returncode, "lies in its index" in refused.stderr) == (2, True)
    refused = meta4_here(
        "index", "create", "x", "--model", tmp_path / "m", "--plan", "centroid", *at
    )
    assert (refused.returncode, "leave --strategy and --plan out" in refused.stderr) == (2, True)
    refused = meta4_here("index", "tune", index_name, "--queries", 100, *at)
    assert (refused.returncode, "a formula" in refused.stderr) == (2, True)
    promised = meta4_here("index", "tune", index_name, *at)
    assert (promised.returncode, f"{SPEC.found(0.7):.2%}" in promised.stdout) == (0, True)
    refused = meta4_here(
        "train", tmp_path / "t.ndjson", "--model", "minhash", "--bits", 8, "--out", "x"
    )
    assert (refused.returncode, "leave the other options out" in refused.stderr) == (2, True)
    drop_index(engine, index_name)
