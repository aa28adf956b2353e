"""Commands: their help, their exit codes, and the whole way through them."""

import json

import click
import numpy as np
import pytest
from support.command_line import commands, meta4, meta4_here
from support.servers import BOTH


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_every_command_and_option_has_help(path):
    command = dict(commands())[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or parameter.show_default, (path, parameter.name)


def test_version_and_help():
    assert "meta4, version" in meta4("--version").stdout
    assert "Exit codes" in meta4("--help").stdout


def test_bad_usage_is_exit_code_2(tmp_path):
    for arguments in (["no-such-command"], ["train"], ["similar", "--index", "x"]):
        done = meta4(*arguments, url="http://127.0.0.1:9")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    done = meta4("train", tmp_path / "none.npy", "--out", tmp_path / "m")
    assert done.returncode == 2
    assert done.stderr == f"meta4: {tmp_path / 'none.npy'}: no such file\n"


def test_a_cluster_that_is_down_is_exit_code_1():
    done = meta4("index", "list", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr == (
        "meta4: http://127.0.0.1:9: no connection; is the server up? "
        "Start one here with: meta4 node start\n"
    )


def test_bad_specs_and_damaged_models(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors[:50])
    for options, words in (
        (["--bits", "2"], "n_bits"),
        (["--model", "itq", "--buckets", "8"], "n_buckets"),
        (["--buckets", "100"], "fewer --buckets"),
        (["--model", "dtsh", "--layers", "8", "--dropout", ".5,.4"], "the 1 hidden layers"),
        (["--model", "learned", "--buckets", "8", "--batch", "8", "--resume"], "nothing to resume"),
    ):
        done = meta4("train", tmp_path / "v.npy", *options, "--out", tmp_path / "bad")
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "bad").exists()
    (tmp_path / "empty").mkdir()
    done = meta4("model", "show", tmp_path / "empty")
    assert done.returncode == 2
    assert "manifest.json is missing" in done.stderr


@pytest.mark.server
def test_the_whole_way(node, sample, tmp_path, index_name, request):
    is_first, url = request.node.callspec.params["node"] == BOTH[0], node.url
    known, begun = {path for path, _ in commands()}, set()

    def run(*arguments, **options):
        """Each command once as a process, on one engine."""
        command = next(arguments[:n] for n in (2, 1) if arguments[:n] in known)
        is_new = is_first and command not in begun
        begun.add(command)
        return (meta4 if is_new else meta4_here)(*arguments, **options)

    np.save(tmp_path / "v.npy", sample.vectors[:3000])
    (tmp_path / "words.txt").write_text("\n".join(sample.words[:3000]))
    model = tmp_path / "cli-model"
    done = run("train", tmp_path / "v.npy", "--model", "cells", "--bits", 256,
                 "--out", model, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["spec"]
    assert (made["n_bits"], made["n_buckets"]) == (256, 64)  # one for about 40 vectors
    assert run("model", "show", model).stdout.count("cells") == 1
    assert "not empty" in run("train", tmp_path / "v.npy", "--out", model).stderr

    created = run("index", "create", index_name, "--model", model, url=url)
    assert created.returncode == 0, created.stderr
    assert "cli-model@1" in run("model", "list", url=url).stdout
    pulled = run("model", "pull", "cli-model@1", "--out", tmp_path / "pulled", url=url)
    assert pulled.returncode == 0
    assert (tmp_path / "pulled" / "model.onnx").read_bytes() == (model / "model.onnx").read_bytes()
    assert run("model", "push", model, "--json", url=url).returncode == 0

    loaded = run("ingest", tmp_path / "v.npy", "--ids", tmp_path / "words.txt", "--index",
                   index_name, url=url)  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
    assert "3,000 documents indexed" in loaded.stdout
    bad = tmp_path / "bad.ndjson"
    bad.write_text('{"_id": "a", "embedding": [1, 2]}\nnot json\n{"_id": "b", "t": 1}\n')
    letters = ["--dead-letters", tmp_path / "letters.ndjson"]
    refused = run("ingest", bad, "--index", index_name, *letters, "--json", url=url)
    assert refused.returncode == 2
    report = json.loads(refused.stdout)
    assert (report["indexed"], report["without_vector"], report["refused"]) == (1, 1, 2)

    tuned = run("index", "tune", index_name, "--queries", 50, "--json", url=url)
    assert set(json.loads(tuned.stdout)["shares"]) == {"0.9", "0.95", "0.99", "0.999"}
    asked = ["--query-file", tmp_path / "v.npy", "--queries", 60]
    tuned = run("index", "tune", index_name, *asked, url=url)
    assert "60 given queries in 3,000 documents" in " ".join(tuned.stdout.split())
    shown = json.loads(run("index", "show", index_name, "--json", url=url).stdout)
    assert (shown["documents"], shown["without_vector"], shown["tuned"]) == (3001, 1, True)
    assert "calibration" in shown
    assert "recall" in run("index", "show", index_name, url=url).stdout
    assert index_name in run("index", "list", url=url).stdout

    near = json.loads(
        run("similar", "berlin", "--index", index_name, "-k", 3, "--json", url=url).stdout
    )["hits"]
    assert len(near) == 3
    assert "berlin" not in [hit["id"] for hit in near]
    answer = run("analogy", "berlin", "germany", "paris", "--index", index_name, url=url)
    assert "france" in answer.stdout
    body = {"query": {"meta4_similar": {"embedding": {"id": "berlin", "k": 3, "recall": 1}}}}
    explained = run("explain", "-", "--index", index_name, "--json", url=url,
                      stdin=json.dumps(body))  # fmt: skip
    assert json.loads(explained.stdout)["clauses"][0]["docs_looked_into"] == 2999  # not itself
    plain = run("explain", "-", "--index", index_name, url=url, stdin=json.dumps(body))
    assert "reason" in plain.stdout
    evaluated = run("eval", index_name, "--queries", 20, "--recall", 0.95, "--json", url=url)
    assert json.loads(evaluated.stdout)[0]["recall_at_k"] >= 0.9
    assert "recall_at_k" in run("eval", index_name, "--queries", 5, url=url).stdout
    evaluated = run("eval", index_name, *asked, "--recall", 0.95, "--json", url=url)
    assert json.loads(evaluated.stdout)[0]["n_queries"] == 60
    healed = run("index", "heal", index_name, "--dry-run", "--json", url=url)
    assert json.loads(healed.stdout)["stale"] == 0

    missing = run("similar", "no-such-word", "--index", index_name, url=url)
    assert missing.returncode == 2
    assert "no-such-word" in missing.stderr
    broken = run("similar", "berlin", "--index", index_name, "--filter", "{", url=url)
    assert broken.returncode == 2
    refused = run(
        "similar", "berlin", "--index", index_name, "--filter", '{"no_query": 1}', url=url
    )
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    dropped = run("index", "drop", index_name, "--yes", url=url)
    assert dropped.returncode == 0
    assert run("index", "show", index_name, url=url).returncode == 2
