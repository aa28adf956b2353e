"""`meta4 duplicates`: pairs of real words on both engines, against NumPy."""

import json

import numpy as np
import pytest
from support.command_line import meta4_here
from support.vectors import unit
from support.words import FIELD, word_documents

from meta4 import Document, Meta4
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import InputError
from meta4.ingest.hashers import DocumentHasher
from meta4.models.probing import pair_search

pytestmark = pytest.mark.server
_N, _COSINE = 4_000, 0.75


@pytest.fixture(scope="module")
def index(engine, sample, words_model):
    """Real words, of which none is written."""
    name = "words-with-duplicates"
    ref = ModelStore(engine).push("words", words_model)
    options = {"field": FIELD, "ref": ref, "model": words_model, "hashing": "client"}
    spec = create_index(engine, name, **options)
    hasher = DocumentHasher(words_model, spec)
    assert load_documents(engine, name, word_documents(sample, range(_N)), hasher).n_indexed == _N
    engine.refresh(name)
    yield name
    engine.delete_index(name)


@pytest.fixture(scope="module")
def truth(sample):
    x = unit(sample.vectors[:_N].astype(np.float64))
    cosines = x @ x.T
    a, b = np.nonzero(np.triu(cosines >= _COSINE, 1))
    names = sample.words
    return {tuple(sorted((names[i], names[j]))): cosines[i, j] for i, j in zip(a, b, strict=True)}


def run(node, *arguments):
    done = meta4_here("duplicates", *arguments, url=node.url)
    assert done.returncode == 0, done.stderr
    return done


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_all_pairs_of_an_index(node, index, truth):
    done = run(node, index, "--min-cosine", _COSINE, "--recall", 1)
    found = {(one["a"], one["b"]): one["cosine"] for one in lines(done.stdout)}
    assert found.keys() == truth.keys()
    assert all(abs(found[pair] - truth[pair]) < 1e-6 for pair in found)
    assert len(found) == len(lines(done.stdout)) > 100
    assert "every document was compared with every other" in done.stderr


def test_by_buckets_and_into_a_file(node, index, truth, tmp_path, monkeypatch):
    monkeypatch.setattr(pair_search, "FEW", 100)
    out = tmp_path / "pairs.ndjson"
    done = run(node, index, "--min-cosine", _COSINE, "--recall", 0.9, "--out", out, "--json")
    figures = json.loads(done.stdout)
    found = {(one["a"], one["b"]) for one in lines(out.read_text())}
    assert figures["documents"] == _N
    assert figures["pairs"] == len(found)
    assert figures["compared"] < 0.25
    assert found <= truth.keys()
    assert len(found) >= 0.89 * len(truth)
    assert figures["recall_at_least"] <= figures["recall"]
    assert abs(figures["recall"] - len(found) / len(truth)) < 0.03
    assert "of all pairs were compared" in " ".join(done.stderr.split())
    assert not list(tmp_path.glob("*.new"))


def test_groups_hang_together(node, index, truth):
    done = run(node, index, "--min-cosine", _COSINE, "--recall", 1, "--groups")
    groups = [one["ids"] for one in lines(done.stdout)]
    assert [len(group) for group in groups] == sorted(map(len, groups), reverse=True)
    place = {name: i for i, group in enumerate(groups) for name in group}
    assert len(place) == sum(map(len, groups))
    assert place.keys() == {name for pair in truth for name in pair}
    assert all(place[a] == place[b] for a, b in truth)


def test_documents_that_were_not_hashed_or_have_no_vector(
    engine, node, make_index, index_name, words_model, monkeypatch
):
    monkeypatch.setattr(pair_search, "FEW", 10)
    x = np.random.default_rng(0).standard_normal((600, words_model.dims)).astype(np.float32)
    hashed = [Document(f"h{i}", {FIELD: row.tolist()}) for i, row in enumerate(x)]
    make_index(words_model, docs=hashed, hashing="client")
    meta4 = Meta4(engine)
    bare = [{FIELD: (row / np.linalg.norm(row)).tolist()} for row in x[:50]]
    for i, source in enumerate([*bare, {"title": "none"}]):
        engine.request("PUT", f"/{index_name}/_doc/s{i}", source)
    engine.refresh(index_name)
    found = meta4.duplicates(index=index_name, min_cosine=0.999, recall=0.9)
    assert {(one.a, one.b) for one in found} == {(f"h{i}", f"s{i}") for i in range(50)}
    assert (len(found.read.ids), found.read.n_without) == (650, 1)
    done = run(node, index_name, "--min-cosine", 1)
    assert "1 documents have no vector" in done.stderr


def test_an_empty_index(node, make_index, index_name, words_model):
    make_index(words_model, docs=[])
    done = run(node, index_name, "--min-cosine", 0.9)
    assert done.stdout == ""


def test_what_cannot_be_is_refused(engine, node, index, text_index, tmp_path):
    for arguments, words_of_it in (
        ([text_index, "--min-cosine", 0.9], "meta4 similar"),
        ([index, "--min-cosine", 0.9, "--json"], "--out"),
        ([index, "--min-cosine", 0], "min-cosine"),
        ([index, "--min-cosine", 1.5], "min-cosine"),
        (["no-such-index", "--min-cosine", 0.9], "does not exist"),
    ):
        done = meta4_here("duplicates", *arguments, url=node.url)
        assert done.returncode == 2
        assert words_of_it in done.stderr
    with pytest.raises(InputError, match="min_cosine: expected more than 0"):
        Meta4(engine).duplicates(index=index, min_cosine=-1)
    out = tmp_path / "no" / "such.ndjson"
    done = meta4_here("duplicates", index, "--min-cosine", 0.9, "--out", out, url=node.url)
    assert done.returncode == 2
