"""Every command on an index in which there is little: it works, or says in a line why not."""

import json
import re

import numpy as np
import pytest
from support.command_line import meta4_here

from meta4 import Document, HashModel
from meta4.adapter.catalog import read_field
from meta4.models.kinds.minhash import MinHashSpec, save_minhash
from meta4.models.specs import CellsSpec

pytestmark = pytest.mark.server
TEXT = "It is a truth universally acknowledged, that a single man in possession of a fortune"
#: Of each kind of field: its name, a document's value, and a hash that no model of ours made.
KINDS = {
    "vectors": (
        "embedding",
        lambda rng: rng.standard_normal(4).tolist(),
        {"model": "old@1", "bucket": ["fff", "2f"]},
    ),
    "texts": (
        "text",
        lambda rng: f"{TEXT} of {rng.integers(10, 99)}",
        {"model": "old", "bucket": ["0-ffff"], "shingle": [1, 2, 3]},
    ),
}
#: Of each index: documents without a value, hashed ones, strays, and such without a hash.
STATES = {
    "nothing": (0, 0, 0, 0),
    "one document": (0, 1, 0, 0),
    "two documents": (0, 2, 0, 0),
    "no value": (2, 0, 0, 0),
    "one stray": (0, 0, 1, 0),
    "strays": (0, 0, 5, 0),
    "none hashed": (0, 0, 0, 30),
    "one hashed of many": (0, 1, 5, 5),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two models of each kind."""
    made = tmp_path_factory.mktemp("little")
    x = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
    for name, n_buckets in (("vectors", 16), ("vectors-2", 32)):
        HashModel.fit(CellsSpec(n_bits=64, n_buckets=n_buckets, iterations=3), x).save(made / name)
    for name, seed in (("texts", 0), ("texts-2", 1)):
        save_minhash(MinHashSpec(seed=seed), made / name)
    return made


def sent(*arguments, url, stdin=None):
    """What a command did: well, or in one line why not; and no figure that is none."""
    done = meta4_here(*arguments, url=url, stdin=stdin)
    shown = f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode in (0, 1, 2), shown
    assert "Traceback" not in done.stderr, shown
    assert not re.search(r"\b(nan|inf|NaN|Infinity)\b", done.stdout), shown
    if done.returncode and not done.stdout:
        assert re.fullmatch(r"meta4: [^\n]+\n", done.stderr), shown
    return done


def found(*arguments, **options):
    """What a command that does well says as JSON."""
    done = sent(*arguments, "--json", **options)
    assert done.returncode in (0, 1), (arguments, done.stderr)
    return json.loads(done.stdout)


def fill(engine, index, sources, *, prefix=""):
    """Past the pipeline; ids are `0`, `1` and so on."""
    lines = []
    for row, source in enumerate(sources):
        lines += [{"index": {"_id": f"{prefix}{row}"}}, source]
    if lines:
        payload = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        items = engine.bulk(index, payload, {"pipeline": "_none", "refresh": "true"})
        assert all(item["status"] == 201 for item in items), items[:1]


def hashed(engine, index, sources):
    """The same with the hashes that the index's model makes."""
    documents = [Document(str(row), source) for row, source in enumerate(sources)]
    return [
        each.source for each in engine.run(read_field(engine, index).hasher()).hash(documents)[0]
    ]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def little(node, engine, index_name, kind, folders):
    """Fill an index as one of `STATES` says, hashed documents first."""
    field, value, stray = KINDS[kind]
    made = sent("index", "create", index_name, "--model", folders / kind, url=node.url)
    assert made.returncode == 0, made.stderr
    rng = np.random.default_rng(3)

    def filled(n_without, n_hashed, n_strays, n_unhashed):
        sources = hashed(engine, index_name, [{field: value(rng)} for _ in range(n_hashed)])
        sources += [{field: value(rng), "meta4": {field: stray}} for _ in range(n_strays)]
        sources += [{field: value(rng)} for _ in range(n_unhashed)]
        sources += [{"title": "no value"} for _ in range(n_without)]
        fill(engine, index_name, sources)

    yield filled
    for name in (index_name, f"{index_name}-2", f"{index_name}-copy"):
        engine.delete_index(name)
        engine.delete_pipeline(f"meta4-{name}")


@pytest.mark.parametrize("state", STATES)
def test_looking_at_little(node, index_name, kind, little, state):
    url, (n_without, n_hashed, n_strays, n_unhashed) = node.url, STATES[state]
    n_with = n_hashed + n_strays + n_unhashed
    little(*STATES[state])
    (entry,) = [e for e in found("index", "list", url=url) if e["index"] == index_name]
    assert entry["documents"] == n_without + n_with
    assert index_name in sent("index", "list", url=url).stdout

    shown = found("index", "show", index_name, url=url)
    assert shown["documents"] == n_without + n_with
    if kind == "vectors":
        assert (shown["without_vector"], shown["strays"]) == (n_without, n_strays + n_unhashed)
    else:
        assert shown["without_hash"] == n_without + n_strays + n_unhashed
    assert sent("index", "show", index_name, url=url).returncode == 0

    figures = found("index", "doctor", index_name, url=url)[0]["figures"]
    assert figures == {
        "documents": n_without + n_with,
        "without_vector": n_without,
        "of_no_or_another_model": n_strays + n_unhashed,
        "stale": n_strays + n_unhashed,
    }
    sent("index", "doctor", index_name, url=url)
    healed = found("index", "heal", index_name, "--dry-run", url=url)
    assert healed["stale"] == n_strays + n_unhashed

    tuned = sent("index", "tune", index_name, url=url)
    if kind == "texts":
        assert (tuned.returncode, tuned.stderr) == (0, "")  # no bar: nothing is measured
    else:
        assert tuned.returncode == (0 if n_hashed >= 2 else 2)

    evaluated = sent("eval", index_name, "--json", url=url)
    assert evaluated.returncode == (0 if n_with else 2)
    if n_with and kind == "vectors":
        (first, _) = json.loads(evaluated.stdout)
        assert first["n_to_find"] == n_with * min(25, n_with - 1)
        assert first["recall_at_k"] == (None if n_with == 1 else 1.0)
    elif n_with:
        (only,) = json.loads(evaluated.stdout)
        assert (only["recall_at_k"] is None) == (not only["n_to_find"])
    sent("eval", index_name, url=url)


@pytest.mark.parametrize("state", STATES)
def test_asking_of_little(node, index_name, kind, little, state):
    url, (_, n_hashed, n_strays, n_unhashed) = node.url, STATES[state]
    n_with = n_hashed + n_strays + n_unhashed
    little(*STATES[state])
    at = ["--index", index_name]
    near = sent("similar", "0", *at, "--json", url=url)
    assert near.returncode == (0 if n_with else 2)
    if n_with:
        hits = json.loads(near.stdout)["hits"]
        n_found = min(10, n_with - 1) if kind == "vectors" else max(0, n_hashed - 1)
        assert len(hits) >= n_found
        assert "0" not in [hit["id"] for hit in hits]
    assert sent("similar", "no-such", *at, url=url).returncode == 2
    field, *_ = KINDS[kind]
    option, given = ("--vector", "[1, 0, 0, 0]") if kind == "vectors" else ("--text", TEXT)
    asked = found("similar", option, given, *at, url=url)["hits"]
    if kind == "vectors":
        assert len(asked) == min(10, n_with)
    analogy = sent("analogy", "0", "0", "0", *at, url=url)
    assert analogy.returncode == (0 if n_with and kind == "vectors" else 2)
    body = {"query": {"meta4_similar": {field: {option[2:]: json.loads(given) if kind == "vectors"
                                                else given, "k": 3}}}}  # fmt: skip
    explained = found("explain", "-", *at, url=url, stdin=json.dumps(body))
    assert 0 <= explained["clauses"][0]["share_looked_into"] <= 1
    assert sent("explain", "-", *at, url=url, stdin=json.dumps(body)).returncode == 0


@pytest.mark.parametrize("state", ["nothing", "no value", "one stray", "none hashed"])
def test_moving_and_healing_little(
    node, engine, index_name, kind, folders, little, state, tmp_path
):
    url, (n_without, n_hashed, n_strays, n_unhashed) = node.url, STATES[state]
    n_with = n_hashed + n_strays + n_unhashed
    n = n_without + n_with
    little(*STATES[state])
    copy = f"{index_name}-copy"
    copied = found("copy", f"{url}/{index_name}", f"{url}/{copy}", url=url)
    assert (copied["copied"], copied["hashed"]) == (n, n_strays + n_unhashed)
    assert sent("index", "drop", copy, "--yes", url=url).returncode == 0
    assert found("index", "heal", index_name, url=url)["healed"] == n_strays + n_unhashed
    assert found("index", "heal", index_name, url=url)["healed"] == 0

    alias = f"{index_name}-live"
    assert sent("index", "rollback", alias, url=url).returncode == 2
    assert sent("index", "alias", alias, index_name, url=url).returncode == 0
    moved = found("index", "rehash", alias, "--model", folders / f"{kind}-2", url=url)
    assert (moved["documents"], moved["refused"], moved["recall"]) == (n, 0, None)
    back = found("index", "rollback", alias, url=url)
    assert (back["now"], back["refused"]) == (index_name, 0)
    assert sent("index", "tune", index_name, url=url).returncode == (
        0 if kind == "texts" or n_with >= 2 else 2
    )

    (tmp_path / "none.ndjson").touch()
    loaded = found("ingest", tmp_path / "none.ndjson", "--index", index_name, url=url)
    assert (loaded["indexed"], loaded["refused"]) == (0, 0)
    (tmp_path / "one.ndjson").write_text('{"_id": "added"}\n')
    loaded = found("ingest", tmp_path / "one.ndjson", "--index", index_name, url=url)
    assert (loaded["indexed"], loaded["without_vector"]) == (1, 1)
    assert engine.count(index_name) == n + 1
    assert sent("index", "drop", index_name, "--yes", url=url).returncode == 0
    assert sent("index", "show", index_name, url=url).returncode == 2


@pytest.fixture
def of_vectors(node, engine, index_name, folders):
    """An index of vectors, and vectors."""
    made = sent("index", "create", index_name, "--model", folders / "vectors", url=node.url)
    assert made.returncode == 0, made.stderr
    rng = np.random.default_rng(4)
    yield [{"embedding": rng.standard_normal(4).tolist()} for _ in range(100)]
    engine.delete_index(index_name)
    engine.delete_pipeline(f"meta4-{index_name}")


def test_case_22_tune_with_exactly_one_document(node, engine, index_name, of_vectors, tmp_path):
    fill(engine, index_name, hashed(engine, index_name, of_vectors[:1]))
    done = sent("index", "tune", index_name, url=node.url)
    assert done.returncode == 2
    assert "1 of the 1 that have a vector; expected at least two" in done.stderr
    # What is asked for is no document, so that the one is an answer.
    np.save(tmp_path / "asked.npy", np.ones((20, 4), np.float32))
    asked = ["--query-file", tmp_path / "asked.npy"]
    tuned = found("index", "tune", index_name, *asked, url=node.url)
    assert (tuned["depths"], tuned["n_queries"]) == ([1], 20)


def test_case_22_tune_with_none_hashed(node, engine, index_name, of_vectors):
    fill(engine, index_name, of_vectors)
    done = sent("index", "tune", index_name, url=node.url)
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"0 of the 100 that have a vector; expected at least two, each of which asks for the "
        f"other; hash what is there: meta4 index heal {index_name}\n"
    )
    assert found("index", "heal", index_name, url=node.url)["healed"] == 100
    assert found("index", "tune", index_name, url=node.url)["n_queries"] == 100


def test_case_22_tune_beside_a_stray_of_a_larger_model(node, engine, index_name, of_vectors):
    """Its bucket is none of ours; and a stray costs no bucket, as it is in every answer."""
    clean = hashed(engine, index_name, of_vectors[:90])
    fill(engine, index_name, clean)
    before = found("index", "tune", index_name, url=node.url)
    old = {"embedding": {"model": "old@1", "bucket": ["fff", "0a1"]}}
    strays = [source | {"meta4": old} for source in of_vectors[90:]]
    odd = {"embedding": {"model": "old@1", "bucket": ["zz", "-1", "0", ""]}}
    strays.append(of_vectors[0] | {"meta4": odd})
    fill(engine, index_name, strays, prefix="stray-")
    after = found("index", "tune", index_name, url=node.url)
    assert after["shares"] == before["shares"]
