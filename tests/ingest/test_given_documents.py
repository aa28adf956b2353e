"""What is given to be hashed is not changed, and what is refused is refused as it was given."""

import json

import pytest
from support.inputs import VECTOR, small_model
from support.texts import TEXTS

from meta4 import Document, DocumentHasher
from meta4.ingest.documents import Refusal, value_at
from meta4.ingest.files.dead_letters import DeadLetters
from meta4.ingest.hashers import HasherChain
from meta4.ingest.text_hasher import TextHasher
from meta4.mappings.spec import IndexSpec, ModelRef

OLD = {"bucket": ["0"], "model": "old@1", "norm": 7.0, "more": 1}
SOURCES = [
    {"doc": {"embedding": VECTOR, "x": {"y": 1}}, "meta4": {"doc": {"embedding": OLD, "z": 1}}},
    {"doc.embedding": VECTOR, "meta4.doc": {"embedding": OLD}},
    {"doc": [{"x": 1}, {"embedding": VECTOR}], "meta4": [{"doc": [{"embedding.model": "old@1"}]}]},
    {"doc": {"embedding": None}, "meta4": {"doc": {"embedding": OLD}}},
    {"x": [[{"y": 1}]], "meta4": {"doc": {"embedding": OLD}}},
]
TEXT = "once upon a time there was a text that was long enough to have some shingles"


@pytest.fixture(scope="module")
def hasher():
    model = small_model()
    spec = IndexSpec(
        field="doc.embedding",
        dims=model.dims,
        n_bits=model.manifest.n_bits,
        n_buckets=model.n_buckets,
        model=ModelRef(name="m", version=1, sha256="0" * 64),
    )
    return HasherChain([DocumentHasher(model, spec), TextHasher(TEXTS)])


@pytest.mark.parametrize("source", SOURCES, ids=json.dumps)
def test_hashing_changes_a_copy(hasher, source):
    before = json.dumps(source)
    given = Document("a", {**source, TEXTS.field: TEXT})
    for _ in range(2):
        (hashed,) = hasher.hash([given]).documents
        hashes = value_at(hashed.source, "meta4.doc.embedding")
        has_vector = value_at(source, "doc.embedding") is not None
        assert (hashes is not None) == has_vector
        assert not has_vector or hashes["model"] == "m@1"
        assert value_at(hashed.source, f"meta4.{TEXTS.field}.model") is not None
        assert json.dumps(source) == before
        assert given.source == {**source, TEXTS.field: TEXT}
        assert hashed.given is given.source


def test_what_stays_is_not_copied(hasher):
    long = {"y": list(range(5))}
    source = {"doc": {"embedding": VECTOR, "x": long}, TEXTS.field: TEXT, "meta4": {"other": long}}
    (hashed,) = hasher.hash([Document("a", source)]).documents
    assert hashed.source["doc"]["x"] is long
    assert hashed.source["meta4"]["other"] is long


def test_a_list_of_any_depth_is_copied(hasher):
    deep = {"embedding": VECTOR}
    for _ in range(5000):
        deep = [deep]
    (hashed,) = hasher.hash([Document("a", {"doc": deep, TEXTS.field: TEXT})]).documents
    assert hashed.source["doc"] is not deep
    assert value_at(hashed.source, "doc.embedding") == VECTOR


def test_a_refusal_has_the_document_as_it_was_given(hasher, tmp_path):
    """One that was hashed already, too: another hasher, or the server, may refuse it."""
    source = {"doc": {"embedding": VECTOR}, TEXTS.field: "", "meta4": {"doc": {"embedding": OLD}}}
    before = json.dumps(source)
    batch = hasher.hash([Document("a", source)])
    assert batch.documents == []
    (refusal,) = batch.refusals
    (hashed,) = hasher.hash([Document("a", {**source, TEXTS.field: TEXT})]).documents
    for one in (refusal, Refusal.of(hashed, "no")):
        assert json.dumps({**one.source, TEXTS.field: ""}) == before
    letters = DeadLetters(tmp_path / "letters")
    letters.add(refusal)
    assert json.loads(letters.path.read_text())["document"] == source
