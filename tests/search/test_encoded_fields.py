"""Fields bound to an encoder: vectors that follow their texts, and questions in words."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.command_line import meta4_here
from support.encoders import TABLE, WORDS, mean_of_words, write_encoder
from support.gateways import ask, gateway_before

from meta4 import Document, DocumentHasher, HashModel, Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.encoders import bound_encoder, encoder_of
from meta4.adapter.manage.doctor import examine_index
from meta4.adapter.manage.heal import heal_index
from meta4.errors import ClauseError, ConflictError
from meta4.ingest.documents import value_at
from meta4.ingest.embedding import EmbeddingHasher
from meta4.mappings.spec import IndexSpec, ModelRef
from meta4.models.specs import CellsSpec

FIELD, TEXT = "vec", "text"
ENGLISH = WORDS[2:]
OTHER = np.random.default_rng(11).normal(size=(len(WORDS), 6)).astype(np.float32)


def texts_of(n):
    words = np.random.default_rng(1).choice(ENGLISH, size=(n, 4))
    return [" ".join(row) for row in words]


def fitted(table=TABLE):
    vectors = [mean_of_words(text, table) for text in texts_of(400)]
    return HashModel.fit(CellsSpec(n_bits=64, n_buckets=8, iterations=3), np.float32(vectors))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def model():
    return fitted()


@pytest.fixture(scope="module")
def hashers(encoder, model):
    """What hashes for an index of one encoder, and for one of another."""

    def of(folder):
        bound = bound_encoder(str(folder), TEXT)
        spec = IndexSpec(
            field=FIELD, dims=6, n_bits=64, n_buckets=8, encoder=bound, is_unit=True,
            model=ModelRef(name="m", version=1, sha256=model.manifest.sha256),
        )  # fmt: skip
        return EmbeddingHasher(DocumentHasher(model, spec), spec, bound, encoder_of(bound))

    other = write_encoder(encoder.parent / "other", table=OTHER)
    return of(encoder), of(other)


def is_of(vector, wanted):
    return np.abs(np.asarray(vector) - wanted).max() < 1e-6


GIVEN = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
TEXTS = st.none() | st.sampled_from(["berlin", "paris is in france", "  ", "germany"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.sampled_from(["as it is", "given", "taken"]), st.booleans())))
def test_a_vector_follows_its_text_unless_it_was_given(hashers, edits):
    """A document that is read, changed and written again, any number of times, by two encoders."""
    tables, source, is_given = (TABLE, OTHER), {}, False
    for text, vector, by_other in edits:
        source = {**source, TEXT: text}
        if vector == "given":
            source[FIELD] = GIVEN
            source.pop("meta4", None)
            is_given = True
        elif vector == "taken":
            source.pop(FIELD, None)
            is_given = False
        before = json.dumps(source)
        (written,) = hashers[by_other].hash([Document("x", source)]).documents
        assert json.dumps(source) == before
        source = json.loads(json.dumps(written.source))
        found, says = source.get(FIELD), text is not None and bool(text.strip())
        if is_given:
            assert found == GIVEN
        elif says:
            assert is_of(found, mean_of_words(text, tables[by_other]))
        else:
            assert found is None
            assert value_at(source, f"meta4.{FIELD}") is None


def test_a_text_that_is_none_is_refused(hashers):
    batch = hashers[0].hash([Document("a", {TEXT: 7}), Document("b", {TEXT: ["x", "y"]})])
    assert not batch.documents
    assert [one.reason for one in batch.refusals] == [
        "text: expected a text, got int",
        "text: expected a text, got list",
    ]


@pytest.fixture
def made(node, engine, index_name, encoder, model, tmp_path):
    """An index bound to the encoder, and its documents by id: text and vector wanted."""
    model.save(tmp_path / "model")
    done = meta4_here(
        "index", "create", index_name, "--model", tmp_path / "model", "--field", FIELD,
        "--embedder", encoder, "--from", TEXT, url=node.url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hashing by client" in done.stdout
    lines = [{"_id": str(i), TEXT: text} for i, text in enumerate(texts_of(60))]
    lines += [{"_id": "given", TEXT: "berlin", FIELD: GIVEN}, {"_id": "none", "n": 1}]
    (tmp_path / "x.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = meta4_here("ingest", tmp_path / "x.ndjson", "--index", index_name, url=node.url)
    assert done.returncode == 0, done.stderr
    wanted = {str(i): mean_of_words(text) for i, text in enumerate(texts_of(60))}
    yield wanted | {"given": np.array(GIVEN)}
    engine.delete_index(index_name)


def vectors_in(engine, index):
    engine.refresh(index)
    hits = engine.scan(index, {"query": {"match_all": {}}})
    found = {hit["_id"]: hit["_source"].get(FIELD) for hit in hits}
    return {name: vector for name, vector in found.items() if vector is not None}


def assert_as_wanted(engine, index, wanted):
    found = vectors_in(engine, index)
    assert found.keys() == wanted.keys()
    assert all(is_of(found[name], vector) for name, vector in wanted.items())


def ids(answer):
    return [hit["_id"] for hit in answer["hits"]["hits"]]


@pytest.mark.server
def test_documents_and_questions_in_words(node, engine, index_name, made):
    assert_as_wanted(engine, index_name, made)
    meta4, text = Meta4(engine), "paris is in france"

    def asked(operand, **more):
        clause = {"meta4_similar": {FIELD: {**operand, "k": 5, "recall": 1.0}}}
        return meta4.search(index=index_name, body={"query": {"bool": {"must": clause, **more}}})

    by_text, by_vector = asked({"text": text}), asked({"vector": mean_of_words(text).tolist()})
    assert ids(by_text) == ids(by_vector)
    cosines = {name: vector @ mean_of_words(text) for name, vector in made.items()}
    best = max(cosines, key=cosines.__getitem__)
    top = by_text["hits"]["hits"][0]
    assert top["_score"] == pytest.approx((1 + cosines[best]) / 2, abs=1e-6)
    within = {"filter": {"ids": {"values": ["3", "4"]}}}
    assert set(ids(asked({"text": text}, **within))) == {"3", "4"}
    analogy = {"a": {"text": "germany"}, "b": {"text": "berlin"}, "c": {"text": "france"}, "k": 3}
    body = {"query": {"meta4_analogy": {FIELD: analogy}}}
    assert len(ids(meta4.search(index=index_name, body=body))) == 3
    told = meta4.explain(
        index=index_name, body={"query": {"meta4_similar": {FIELD: {"text": text}}}}
    )
    assert told["clauses"][0]["k"] == 10
    with pytest.raises(ClauseError, match="says nothing"):
        asked({"text": " "})
    shown = meta4_here("similar", "--index", index_name, "--text", text, "-k", 3, url=node.url)
    assert shown.returncode == 0, shown.stderr
    assert "encoder" in meta4_here("index", "show", index_name, url=node.url).stdout


@pytest.mark.server
def test_a_text_that_changed_is_found_and_healed(engine, index_name, made):
    """By clients who know nothing of encoders."""
    engine.request("POST", f"/{index_name}/_update/3", {"doc": {TEXT: "germany"}})
    engine.request("POST", f"/{index_name}/_update/4", {"doc": {TEXT: None}})
    engine.request("PUT", f"/{index_name}/_doc/new", {TEXT: "berlin berlin"})
    engine.refresh(index_name)
    findings = {one.what: one for one in examine_index(engine, index_name, n_queries=5)}
    assert findings["documents"].figures["stale"] == 3
    assert findings["encoder"].figures == {"made": 60, "of_another": 0, "given": 1}
    assert heal_index(engine, index_name) == 3
    made |= {"3": mean_of_words("germany"), "new": mean_of_words("berlin")}
    del made["4"]
    assert_as_wanted(engine, index_name, made)
    assert heal_index(engine, index_name) == 0


@pytest.mark.server
def test_through_the_gateway(node, engine, index_name, made):
    with gateway_before(node.url) as url:
        headers = {"content-type": "application/json"}

        def send(method, target, body):
            status, _, answer = ask(
                url, method, f"/{index_name}/{target}", json.dumps(body), headers
            )
            assert status in (200, 201), answer
            return json.loads(answer)

        send("PUT", "_doc/new", {TEXT: "in paris"})
        send("POST", "_update/3", {"doc": {TEXT: "germany"}})
        send("POST", "_update/4", {"doc": {FIELD: GIVEN}})
        send("POST", "_update/5", {"doc": {FIELD: None, TEXT: None}})
        send("POST", "_update/6", {"doc": {"n": 3}})
        send("POST", "_update/given", {"doc": {TEXT: "paris"}})
        made |= {"new": mean_of_words("in paris"), "3": mean_of_words("germany")}
        made |= {"4": np.array(GIVEN), "given": mean_of_words("paris")}
        del made["5"]
        assert_as_wanted(engine, index_name, made)
        assert heal_index(engine, index_name, dry_run=True) == 0
        gone = json.dumps({"doc": {TEXT: None}})
        status, told, _ = ask(url, "POST", f"/{index_name}/_update/7", gone, headers)
        assert status == 200
        assert "a text was taken away" in told["warning"]
        assert heal_index(engine, index_name) == 1
        clause = {"query": {"meta4_similar": {FIELD: {"text": "in paris", "k": 3}}}}
        assert len(ids(send("POST", "_search", clause))) == 3
        status, _, page = ask(url, "GET", f"/_meta4/search/{index_name}?text=berlin&k=3")
        assert status == 200
        assert b"or like the text" in page
        assert b"or like the vector" in page


@pytest.mark.server
def test_another_encoder_under_its_name_is_refused(engine, index_name, made, encoder):
    tokenizer = encoder / "tokenizer.json"
    before = tokenizer.read_text()
    tokenizer.write_text(before.replace('"berlin"', '"bern"'))
    try:
        encoder_of.__globals__["_loaded"].cache_clear()
        with pytest.raises(ConflictError, match="vectors of two encoders cannot be compared"):
            Meta4(engine).search(
                index=index_name, body={"query": {"meta4_similar": {FIELD: {"text": "berlin"}}}}
            )
    finally:
        tokenizer.write_text(before)


@pytest.mark.server
def test_an_index_moves_to_another_encoder(node, engine, index_name, made, encoder, tmp_path):
    other = write_encoder(tmp_path / "other", table=OTHER)
    fitted(OTHER).save(tmp_path / "model-2")
    alias = f"{index_name}-live"
    assert meta4_here("index", "alias", alias, index_name, url=node.url).returncode == 0

    def rehash(*options):
        model = ("--model", tmp_path / "model-2")
        return meta4_here("index", "rehash", alias, *model, *options, url=node.url)

    engine.request("PUT", f"/{index_name}/_doc/bare", {FIELD: GIVEN}, params={"refresh": "true"})
    refused = rehash("--embedder", other)
    assert refused.returncode == 2
    assert "'bare'" in refused.stderr and "have no text in 'text'" in refused.stderr
    engine.request("DELETE", f"/{index_name}/_doc/bare", params={"refresh": "true"})
    done = rehash("--embedder", other)
    assert done.returncode == 0, done.stderr
    texts = dict(enumerate(texts_of(60)))
    wanted = {str(i): mean_of_words(text, OTHER) for i, text in texts.items()}
    wanted["given"] = mean_of_words("berlin", OTHER)
    assert_as_wanted(engine, alias, wanted)
    assert read_spec(engine, alias).encoder.name == str(other)
    clause = {"meta4_similar": {FIELD: {"text": "berlin", "k": 1}}}
    found = Meta4(engine).search(index=alias, body={"query": clause})["hits"]["hits"]
    assert found[0]["_score"] == pytest.approx(1.0, abs=1e-6)
    back = meta4_here("index", "rollback", alias, url=node.url)
    assert back.returncode == 0, back.stderr
    assert_as_wanted(engine, alias, made)
    engine.delete_index(f"{index_name}-2")


@pytest.mark.server
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--embedder", "nothing", "--from", TEXT), "expected minilm-l6 or a folder"),
        (("--from", TEXT), "--embedder and --from belong together"),
        (("--embedder", "ENCODER", "--from", FIELD), "the texts are in the field"),
        (("--embedder", "ENCODER", "--from", f"{FIELD}.text"), "or one is inside the other"),
        (("--embedder", "ENCODER", "--from", TEXT, "--hashing", "server"), "no pipeline runs"),
        (("--embedder", "OTHER", "--from", TEXT), "its vectors have 5 dimensions"),
    ],
)
def test_what_cannot_be_is_refused(
    node, engine, index_name, encoder, model, tmp_path, options, words
):
    model.save(tmp_path / "model")
    shorter = write_encoder(tmp_path / "short", table=TABLE[:, :5])
    given = [{"ENCODER": encoder, "OTHER": shorter}.get(one, one) for one in options]
    done = meta4_here(
        "index", "create", index_name, "--model", tmp_path / "model", "--field", FIELD, *given,
        url=node.url,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stderr
    assert not engine.index_exists(index_name)
