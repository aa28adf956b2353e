"""`meta4 embed words`: words that belong together lie together, each time the same."""

import json
import sys
from itertools import chain
from pydoc_data.topics import topics

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from support.command_line import meta4_here
from support.servers import on_one_engine

from meta4.ingest.files.sources import read_embeddings

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 14), reason="gensim has no wheels for it")
#: Of the language reference, which every Python has: words of which another is to be near.
NEAR = {"true": "false", "float": "complex", "keyword": "positional", "break": "continue"}
SIDES = (("tea", "milk", "sugar", "cup"), ("sail", "mast", "rope", "keel"))


def embed_words(*arguments):
    return meta4_here("embed", "words", *arguments)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def sentences(n=300):
    """Each of the words of one side alone."""
    draw = np.random.default_rng(0)
    return [" ".join(draw.choice(SIDES[i % 2], 6)) for i in range(n)]


def sides_are_apart(words, vectors):
    e = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    side = np.array([word in SIDES[0] for word in words])
    same = side[:, None] == side[None]
    cosines = e @ e.T
    return cosines[same].min() > cosines[~same].max()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The words of Python's language reference, as documents with vectors."""
    folder = tmp_path_factory.mktemp("words")
    paragraphs = chain.from_iterable(text.split("\n\n") for text in topics.values())
    lines = "".join(" ".join(one.split()) + "\n" for one in paragraphs)
    (folder / "reference.txt").write_text(lines)
    done = embed_words(folder / "reference.txt", "--dims", 50, "--out", folder / "words.ndjson")
    assert done.returncode == 0, done.stderr
    assert "words of 50 dimensions are in" in done.stdout
    assert "that occur less than 5 times left out" in done.stdout
    return folder / "words.ndjson"


def test_nearest_words_of_real_text_make_sense(reference):
    rows = rows_of(reference)
    words = [row["_id"] for row in rows]
    counts = [row["count"] for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 5
    vectors = np.array([row["embedding"] for row in rows])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for word, other in NEAR.items():
        nearest = np.argsort(-(vectors @ vectors[words.index(word)]))[1:6]
        assert other in [words[i] for i in nearest]


@pytest.mark.server
@on_one_engine
def test_train_and_ingest_take_them(reference, node, index_name, tmp_path):
    model = tmp_path / index_name  # pushed under the folder's name
    for arguments in (
        ("train", reference, "--model", "cells", "--buckets", 16, "--out", model),
        ("index", "create", index_name, "--model", model, "--field", "embedding"),
        ("ingest", reference, "--index", index_name),
    ):
        done = meta4_here(*arguments, url=node.url)
        assert done.returncode == 0, done.stderr
    done = meta4_here("similar", "true", "--index", index_name, "-k", 5, "--json", url=node.url)
    assert "false" in [hit["id"] for hit in json.loads(done.stdout)["hits"]]


def test_kinds_of_corpus_and_of_file_agree(tmp_path):
    texts = sentences()
    (tmp_path / "a.txt").write_text("\n\n".join(texts).upper())
    documents = ({"_id": str(i), "body": {"text": text}} for i, text in enumerate(texts))
    (tmp_path / "b.ndjson").write_text("".join(json.dumps(one) + "\n" for one in documents))
    table = pa.table({"body": [{"text": text} for text in texts]})
    pyarrow.parquet.write_table(table, tmp_path / "c.parquet")
    (tmp_path / "d").write_text("\n".join(texts[:100]))
    (tmp_path / "e").write_text("\r\n".join(texts[100:]))
    # Of eight words each is a common one, of which most occurrences are passed over.
    options = ("--dims", 8, "--min-count", 2, "--epochs", 100)
    for corpus, out in (
        (("a.txt",), "a.ndjson"),
        (("b.ndjson", "--field", "body.text"), "b-out.ndjson"),
        (("c.parquet", "--field", "body.text"), "c.ndjson"),
    ):
        first, *rest = corpus
        done = embed_words(tmp_path / first, *rest, *options, "--out", tmp_path / out)
        assert (done.returncode, done.stdout) == (
            0,
            f"8 words of 8 dimensions are in {tmp_path / out}\n",
        )
    two = (tmp_path / "d", tmp_path / "e")
    done = embed_words(*two, *options, "--out", tmp_path / "d.npy", "--json")
    assert json.loads(done.stdout) == {
        "file": str(tmp_path / "d.npy"),
        "words": 8,
        "dims": 8,
        "texts": 300,
        "rare": 0,
        "refused": 0,
    }
    same = (tmp_path / "a.ndjson").read_text()
    assert (tmp_path / "b-out.ndjson").read_text() == same
    assert (tmp_path / "c.ndjson").read_text() == same
    vectors, words = np.load(tmp_path / "d.npy"), (tmp_path / "d.txt").read_text().split()
    assert np.array_equal(vectors, read_embeddings(tmp_path / "a.ndjson", "embedding"))
    assert words == [row["_id"] for row in rows_of(tmp_path / "a.ndjson")]
    assert sides_are_apart(words, vectors)
    embed_words(*two, *options, "--seed", 1, "--out", tmp_path / "s.npy")
    assert not np.array_equal(np.load(tmp_path / "s.npy"), vectors)


def test_documents_without_a_text_are_said(tmp_path):
    lines = [json.dumps({"text": text}) for text in sentences(50)]
    (tmp_path / "x.ndjson").write_text("\n".join([*lines, '{"text": 7}', "nothing"]))
    options = ("--field", "text", "--dims", 4, "--out", tmp_path / "y.ndjson")
    done = embed_words(tmp_path / "x.ndjson", *options)
    assert done.returncode == 2
    assert done.stdout.endswith("y.ndjson, 2 documents left out\n")
    assert "x.ndjson line 51: text: expected a text, got int" in done.stderr
    assert "x.ndjson line 52: not JSON" in done.stderr
    assert len(rows_of(tmp_path / "y.ndjson")) == 8


def test_what_cannot_be_done_leaves_nothing(tmp_path):
    (tmp_path / "x.txt").write_text("\n".join(sentences(9)))
    (tmp_path / "empty.txt").write_text(" \n -- \n")
    (tmp_path / "latin.txt").write_bytes("süß\n".encode("latin-1"))
    (tmp_path / "wide.txt").write_bytes("süß\n".encode("utf-16"))
    (tmp_path / "x.ndjson").write_text('{"text": "tea"}\n')
    there = sorted(tmp_path.iterdir())
    for files, options, words in (
        (["empty.txt"], [], "no words in 2 texts"),
        (["x.ndjson"], ["--field", "body"], "no words in 0 texts"),
        (["x.txt"], ["--min-count", 99], "of which the most frequent occurs"),
        (["x.ndjson"], ["--field", "text", "--min-count", 1], "got 1 among 1 different words"),
        (["latin.txt"], [], "cannot be read as text, in line 1"),
        (["wide.txt"], [], "expected UTF-8, got UTF-16"),
        (["none.txt"], [], "cannot be read"),
        (["none.ndjson"], ["--field", "text"], "no such file"),
        (["x.txt", "x.txt"], [], "is given twice"),
        (["x.txt"], ["--field", "text"], "lines of text have no fields; leave out --field"),
        (["x.ndjson"], [], "name the field of their text: --field"),
        (["x.txt"], ["--out", tmp_path / "y.csv"], "ending in .ndjson or .npy"),
        (["x.txt"], ["--out", tmp_path / "none" / "y.npy"], "there is no folder"),
        (["x.txt"], ["--out", tmp_path / "x.npy"], "would be written while it is read"),
    ):
        out = [] if "--out" in options else ["--out", tmp_path / "out.ndjson"]
        done = embed_words(*(tmp_path / file for file in files), *options, *out)
        assert (done.returncode, words in done.stderr) == (2, True), (files, done.stderr)
    assert sorted(tmp_path.iterdir()) == there
