"""What is shown is what is there, whoever wrote it; what is asked oddly is refused in a line."""

import json

import numpy as np
import pytest
from support.command_line import meta4_here

from meta4 import HashModel
from meta4.adapter.cli.common import counting, notes, print_table, stages
from meta4.adapter.model_store import STORE_INDEX
from meta4.models.specs import CellsSpec

ODD = ["pages/[slug].tsx", "[red]apple", ":smile:", "[/b]", "{0}", "日本語", "می‌خواهم"]
MOVING = "a\nb\x1b[31m\u202e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    x = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
    made = tmp_path_factory.mktemp("shown") / "Odd Model"
    HashModel.fit(CellsSpec(n_bits=64, n_buckets=16, iterations=3), x).save(made)
    return made


@pytest.fixture(scope="module")
def index(node, engine, folder):
    """A document of each odd name is there; who changes it sets it back."""
    name = "shown"
    assert meta4_here("index", "create", name, "--model", folder, url=node.url).returncode == 0
    rng = np.random.default_rng(0)
    lines = []
    for odd in (*ODD, MOVING):
        lines += [{"index": {"_id": odd}}, {"embedding": rng.standard_normal(4).tolist()}]
    payload = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    engine.bulk(name, payload, {"refresh": "true"})
    yield name
    engine.delete_index(name)
    engine.delete_pipeline(f"meta4-{name}")


@pytest.mark.server
def test_case_23_ids_are_shown_as_they_are(node, index):
    done = meta4_here("similar", "--vector", "[1, 0, 0, 0]", "--index", index, url=node.url)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    shown = {row.split(maxsplit=1)[1].rsplit(maxsplit=1)[0] for row in rows[1:]}
    assert shown == {*ODD, r"a\nb\x1b[31m\u202e"}
    answer = meta4_here("similar", "[/b]", "--index", index, "--json", url=node.url)
    assert {hit["id"] for hit in json.loads(answer.stdout)["hits"]} == {*ODD, MOVING} - {"[/b]"}


@pytest.mark.parametrize("text", [*ODD, "dir[1]/x.ndjson", "[bold]"])
def test_case_23_in_notes_bars_titles_and_headers_too(text, capsys):
    notes.print(text)
    print_table([text], [["x"]], title=f"of {text}")
    with counting(f"loading {text}", 1, "documents") as advance:
        advance(1)
    with stages() as show:
        show(f"fitting: {text}", 1, 1)
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:2] == [f"of {text}", text]
    assert shown.err.splitlines()[0] == text
    assert f"loading {text}" in shown.err
    assert f"fitting: {text}" in shown.err


def test_what_would_move_the_cursor_is_written_out(capsys):
    notes.print(MOVING)
    print_table(["id"], [[MOVING]], title=MOVING)
    with counting(MOVING, 1, "documents") as advance:
        advance(1)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert text.count(r"a\nb\x1b[31m\u202e") == 2
        assert "\x1b[31m" not in text


def test_numbers_stand_to_the_right_where_one_is_missing(capsys):
    print_table(["n"], [[1000], [None], [0.5]])
    assert capsys.readouterr().out.splitlines() == ["    n", "1,000", "    -", "  0.5"]


@pytest.mark.server
def test_case_24_a_model_is_pushed_by_a_name_that_can_be_one(node, engine, folder):
    def names():
        listed = meta4_here("model", "list", "--json", url=node.url)
        return {entry["name"] for entry in json.loads(listed.stdout)}

    before = names()
    for name in ("My Model", "", "a" * 65, "a@2", "-a", "ä", "a\n", "a/b"):
        done = meta4_here("model", "push", folder, "--name", name, url=node.url)
        assert done.returncode == 2
        assert done.stderr.startswith(f"meta4: model name {name!r}: expected 1 to 64 of")
        assert done.stderr.count("\n") == 1
    assert names() == before
    pushed = meta4_here("model", "push", folder, url=node.url)
    assert (pushed.returncode, pushed.stdout.startswith("odd-model@")) == (0, True)
    for reference in ("My Model", "@1", "odd-model@x", "odd-model@1@1", "a/b"):
        for command in (("model", "pull", reference, "--out", folder / "out"),
                        ("index", "create", "never-made", "--model", reference)):  # fmt: skip
            done = meta4_here(*command, url=node.url)
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert not engine.index_exists("never-made")


@pytest.mark.server
def test_case_24_an_index_of_another_version_ends_no_list(node, engine, index):
    bad_name, bad_kind = {"a b": {"kind": "vectors"}}, {"e": {"kind": "spheres"}}
    foreign = [[1], "x", 5, {}, {"format": 2}, {"fields": bad_name}, {"fields": bad_kind}]
    names = [f"{index}-foreign-{row}" for row in range(len(foreign))]
    try:
        for name, meta in zip(names, foreign, strict=True):
            engine.create_index(name, {"mappings": {"_meta": {"meta4": meta}}})
        done = meta4_here("index", "list", url=node.url)
        assert done.returncode == 0, done.stderr
        rows = {row.split()[0]: row.split()[1:] for row in done.stdout.splitlines()}
        assert rows[index][:2] == ["embedding", "8"]
        for name in names:
            assert rows[name] == ["-", "0", *["-"] * 4]
            assert f"index '{name}': _meta.meta4 is not what this version writes" in done.stderr
        listed = meta4_here("index", "list", "--json", url=node.url)
        assert listed.returncode == 0
        entries = {entry["index"]: entry for entry in json.loads(listed.stdout)}
        assert "fault" not in entries[index]
        assert all("version" in entries[name]["fault"] for name in names)
    finally:
        for name in names:
            engine.delete_index(name)


@pytest.mark.server
def test_an_index_that_may_not_be_read_ends_no_list(node, engine, index):
    engine.request("PUT", f"/{index}/_settings", {"index.blocks.read": True})
    try:
        done = meta4_here("index", "list", url=node.url)
    finally:
        engine.request("PUT", f"/{index}/_settings", {"index.blocks.read": None})
    assert done.returncode == 0
    assert index in done.stdout
    assert "blocked" in done.stderr


@pytest.mark.server
def test_case_24_a_foreign_document_in_the_store_ends_no_list(node, engine, folder):
    assert meta4_here("model", "push", folder, url=node.url).returncode == 0
    foreign = {
        "foreign-0": {"version": 3},
        "foreign-1": {"name": "odd-model", "version": 70},
        "odd-model@80": {"name": "odd-model", "version": 80, "sha256": "ab", "manifest": "garbage"},
        "foreign-3": {"name": "BAD", "version": 1, "sha256": "x", "manifest": "{}"},
    }
    try:
        for name, source in foreign.items():
            engine.request("PUT", f"/{STORE_INDEX}/_doc/{name}", source, {"refresh": "true"})
        done = meta4_here("model", "list", url=node.url)
        assert done.returncode == 0, done.stderr
        for shown in ("odd-model@1", "odd-model@80", "foreign-0", "foreign-1", "foreign-3"):
            assert any(row.startswith(f"{shown} ") for row in done.stdout.splitlines())
        assert all(f"model '{name}' in the store: " in done.stderr for name in foreign)
        pulled = meta4_here("model", "pull", "odd-model", "--out", folder / "out", url=node.url)
        assert (pulled.returncode, "not a manifest" in pulled.stderr) == (2, True)
        assert meta4_here("model", "show", "odd-model@1", url=node.url).returncode == 0
    finally:
        for name in foreign:
            engine.request("DELETE", f"/{STORE_INDEX}/_doc/{name}", params={"refresh": "true"})


@pytest.mark.server
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--vector", "5"], "--vector: expected numbers, as in [0.25, -1], got 5"),
        (["--vector", "[]"], "--vector: expected numbers"),
        (["--vector", "null"], "--vector: expected numbers"),
        (["--vector", '["0.1", true, 1, 2]'], "--vector: expected 4 numbers, got '0.1'"),
        (["--vector", "[1, true, 1, 2]"], "--vector: expected 4 numbers, got True"),
        (["--vector", "[1, 2]"], "expected 4 dimensions, got 2"),
        (["--vector", "[0, 0, 0, 0]"], "a zero vector has no direction"),
        (["--vector", "[1e39, 0, 0, 0]"], "expected finite float32 numbers"),
        (["[/b]", "--filter", "[1]"], "--filter: expected a query"),
        (["[/b]", "--filter", "5"], "--filter: expected a query"),
        (["[/b]", "--filter", "null"], "--filter: expected a query"),
        (["[/b]", "--filter", "{"], "--filter: not JSON"),
        (["[/b]", "-k", "0"], "k: Input should be greater than or equal to 1, got 0"),
        (["[/b]", "-k", "10001"], "k: Input should be less than or equal to 10000, got 10001"),
        (["[/b]", "--recall", "nan"], "recall: Input should be"),
        (["[/b]", "--recall", "inf"], "recall: Input should be"),
        (["[/b]", "--recall", "0"], "recall: Input should be"),
        (["[/b]", "--field", "other"], "field 'other' is not hashed"),
    ],
)
def test_odd_options_are_refused_in_a_line(node, index, options, words):
    done = meta4_here("similar", *options, "--index", index, url=node.url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert words in done.stderr
    if options[0] == "[/b]":
        done = meta4_here("eval", index, *options[1:], url=node.url)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert words in done.stderr
