"""`meta4 embed text`: which documents come through, in which files, and what is said."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from support.command_line import meta4_here
from support.encoders import mean_of_words, write_encoder

from meta4.adapter.cli.model import embed


@pytest.fixture
def encoder(tmp_path):
    return write_encoder(tmp_path / "encoder")


def embed_text(source, out, encoder, *options, field="text"):
    options = ("--field", field, "--out", out, "--model", encoder, *options)
    return meta4_here("embed", "text", source, *options)


def write(path, *documents):
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_documents_keep_ids_fields_and_order(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(embed, "_WINDOW", 3)
    texts = [
        "berlin",
        "berlin is in germany",
        "paris",
        "in france",
        "france is france",
        "germany",
        "is",
    ]
    documents = [
        {"_id": str(i), "text": text, "row": i, "deep": {"a": [i, None]}}
        for i, text in enumerate(texts)
    ]
    documents[2] |= {"_routing": "r", "_op_type": "create"}
    del documents[4]["_id"]
    done = embed_text(write(tmp_path / "x.ndjson", *documents), tmp_path / "y.ndjson", encoder)
    assert (done.returncode, done.stdout) == (
        0,
        f"7 embeddings of 6 dimensions are in {tmp_path / 'y.ndjson'}\n",
    )
    rows = rows_of(tmp_path / "y.ndjson")
    vectors = np.array([row.pop("embedding") for row in rows])
    assert rows == documents
    assert np.abs(vectors - [mean_of_words(text) for text in texts]).max() < 1e-6
    assert not (tmp_path / "y.partial").exists()


def test_what_has_no_text_is_said_and_left_out(tmp_path, encoder):
    source = write(
        tmp_path / "x.ndjson",
        {"_id": "a", "text": "paris"},
        {"_id": "b", "body": "paris"},
        {"_id": "c", "text": ""},
        {"_id": "d", "text": " \n"},
        {"_id": "e", "text": ["paris", "berlin"]},
        {"_id": "f", "text": 7},
        {"_id": "g", "text": "berlin"},
    )
    with source.open("a") as file:
        file.write('nothing\n{"_id": "h", "text": "paris", "n": "\\ud800", "m": 1e999}\n')
    done = embed_text(source, tmp_path / "y.ndjson", encoder)
    assert done.returncode == 2
    assert "2 embeddings of 6 dimensions" in done.stdout
    assert "7 documents left out" in done.stdout
    assert [row["_id"] for row in rows_of(tmp_path / "y.ndjson")] == ["a", "g"]
    for words in (
        "x.ndjson line 2: no field 'text'",
        "line 3: text: an empty text",
        "line 4: text: an empty text",
        "line 5: text: expected a text, got list",
        "line 6: text: expected a text, got int",
        "line 8: not JSON",
        "x.ndjson line 9: ",
    ):
        assert words in done.stderr


def test_npy_has_its_ids_beside_it(tmp_path, encoder):
    texts = ("berlin", "paris in france", "is")
    source = write(tmp_path / "x.ndjson", *({"text": text} for text in texts))
    assert embed_text(source, tmp_path / "y.npy", encoder).returncode == 0
    found = np.load(tmp_path / "y.npy")
    assert (found.shape, found.dtype) == ((3, 6), np.float32)
    assert np.abs(found - [mean_of_words(text) for text in texts]).max() < 1e-6
    assert (tmp_path / "y.txt").read_text() == "0\n1\n2\n"
    source = write(tmp_path / "x.ndjson", {"_id": "a\nb", "text": "is"})
    done = embed_text(source, tmp_path / "z.npy", encoder)
    assert (done.returncode, "write an .ndjson file" in done.stderr) == (2, True)
    assert not (tmp_path / "z.npy").exists()


def test_parquet_and_dotted_fields(tmp_path, encoder):
    table = pa.table({"_id": [1, 2], "body": [{"text": "paris"}, {"text": "berlin"}]})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    done = embed_text(tmp_path / "x.parquet", tmp_path / "y.ndjson", encoder, field="body.text")
    assert done.returncode == 0
    rows = rows_of(tmp_path / "y.ndjson")
    assert [(row["_id"], row["body"]) for row in rows] == [
        ("1", {"text": "paris"}),
        ("2", {"text": "berlin"}),
    ]


def test_how_many_were_cut_is_said(tmp_path, encoder):
    (encoder / "sentence_bert_config.json").write_text('{"max_seq_length": 3}')
    source = write(
        tmp_path / "x.ndjson",
        {"text": "paris is in france"},
        {"text": "paris"},
        {"text": "is " * 9},
    )
    done = embed_text(source, tmp_path / "y.ndjson", encoder)
    assert done.returncode == 0
    assert done.stdout.endswith("y.ndjson, 2 texts cut at 3 tokens (--chunk takes all of them)\n")
    done = embed_text(source, tmp_path / "y.npy", encoder, "--json")
    assert json.loads(done.stdout) == {
        "file": str(tmp_path / "y.npy"),
        "texts": 3,
        "dims": 6,
        "cut": 2,
        "refused": 0,
    }


def test_what_cannot_be_done_leaves_nothing(tmp_path, encoder):
    source = write(tmp_path / "x.ndjson", {"_id": "a", "text": "paris"})
    np.save(tmp_path / "v.npy", np.ones((2, 2)))
    for path, out, model, field, words in (
        (source, "y.csv", encoder, "text", "ending in .ndjson or .npy"),
        (source, "x.ndjson", encoder, "text", "would be written while it is read"),
        (source, "y.ndjson", encoder, "body", "none of 1 documents has a text in 'body'"),
        (source, "y.ndjson", tmp_path / "none", "text", "there is no model.onnx"),
        (tmp_path / "none.ndjson", "y.ndjson", encoder, "text", "no such file"),
        (tmp_path / "v.npy", "y.ndjson", encoder, "text", "rows of .npy have no texts"),
    ):
        done = embed_text(path, tmp_path / out, model, field=field)
        assert done.returncode == 2
        assert words in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder", "v.npy", "x.ndjson"]
    assert rows_of(source) == [{"_id": "a", "text": "paris"}]


def test_the_published_encoder_is_the_default(tmp_path):
    source = write(
        tmp_path / "x.ndjson",
        {"_id": "cat", "title": "a kitten sleeps"},
        {"_id": "law", "title": "the court dismissed the appeal"},
        {"_id": "cats", "title": "young cats are asleep"},
    )
    options = ("--field", "title", "--out", tmp_path / "y.npy")
    done = meta4_here("embed", "text", source, *options)
    assert done.returncode == 0
    assert "3 embeddings of 384 dimensions" in done.stdout
    cat, law, cats = np.load(tmp_path / "y.npy")
    assert cat @ cats > 0.6 > 0.3 > cat @ law


def test_chunks_are_documents_with_the_fields_of_theirs(tmp_path, encoder):
    (encoder / "sentence_bert_config.json").write_text('{"max_seq_length": 3}')
    long = {"_id": "a", "_routing": "r", "body": {"text": "paris is in france is"}, "n": 7}
    source = write(
        tmp_path / "x.ndjson",
        long,
        {"_id": "b", "body.text": "berlin"},
        {"body": {"text": "paris"}},
        {"_id": "c", "body": {"text": "paris"}, "chunk_of": "x"},
    )
    out, options = tmp_path / "y.ndjson", ("--chunk", 3, "--overlap", 1)
    done = embed_text(source, out, encoder, *options, field="body.text")
    assert (done.returncode, done.stdout) == (
        2,
        f"3 embeddings of 6 dimensions are in {out}, chunks of 2 texts, 2 documents left out\n",
    )
    assert "line 3: no _id, after which its chunks would be named" in done.stderr
    assert "line 4: has a field 'chunk_of', which its chunks would have" in done.stderr
    rows = rows_of(out)
    texts = ["paris is in", "in france is", "berlin"]
    vectors = np.array([row.pop("embedding") for row in rows])
    assert rows == [
        long | {"_id": "a#0", "body": {"text": texts[0]}, "chunk_of": "a"},
        long | {"_id": "a#1", "body": {"text": texts[1]}, "chunk_of": "a"},
        {"_id": "b#0", "body.text": "berlin", "chunk_of": "b"},
    ]
    assert np.abs(vectors - [mean_of_words(text) for text in texts]).max() < 1e-6
    done = embed_text(source, out, encoder, "--chunk", 3, "--json", field="body.text")
    counts = {"texts": 2, "chunks": 3, "dims": 6, "cut": 0, "refused": 2}
    assert json.loads(done.stdout) == {"file": str(out), **counts}


def test_chunks_that_cannot_be_leave_nothing(tmp_path, encoder):
    source = write(tmp_path / "x.ndjson", {"text": "paris"})
    for options, words in (
        (("--overlap", 1), "--overlap is that of chunks; give --chunk, too"),
        (("--chunk", 257), "--chunk: expected 1 to 256 tokens"),
        (("--chunk", 4, "--overlap", 4), "--overlap: expected fewer than the 4 tokens"),
        (("--chunk", 4), "none of 1 documents has an _id and a text in 'text'"),
    ):
        done = embed_text(source, tmp_path / "y.ndjson", encoder, *options)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "y.ndjson").exists()
