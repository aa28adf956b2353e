"""What a request costs a user: all of the benchmark on few words, and its arithmetic."""

import numpy as np
import pytest
from benchmarks import report, summary
from benchmarks.engine import efforts, results
from benchmarks.engine.bars import REQUIRED, bars
from benchmarks.engine.collection import Collection, Range
from benchmarks.engine.indexes import Indexes
from benchmarks.engine.parts import PARTS
from benchmarks.engine.parts.bench import Bench, Counts
from benchmarks.engine.parts.filters import NEW, REPEATED
from benchmarks.engine.rivals import NOT_MEASURED, PLAIN, kinds
from benchmarks.engine.rounds import interval
from benchmarks.engine.sides import BBQ_FLAT, BY_HAND, OURS
from benchmarks.engine.tables import section, table

from meta4 import HashModel
from meta4.errors import InputError
from meta4.mappings.opensearch import OpenSearchDialect
from meta4.models.specs import CellsSpec

N, N_ASKED = 1000, 4
FEW = Counts(tuning=2, warm=1, few=2, rounds=1, clients=2, seconds=0.1, rewriting_seconds=0.5)


@pytest.fixture(scope="module")
def collection(sample):
    return Collection(
        sample.words[:N],
        sample.vectors[:N],
        sample.vectors[N : N + 2],
        sample.vectors[N + 2 : N + 2 + N_ASKED],
    )


@pytest.fixture(scope="module")
def small_model(collection):
    return HashModel.fit(CellsSpec(n_buckets=64, n_bits=64, iterations=2), collection.base)


def name_of(engine):
    return type(engine.dialect).__name__.removesuffix("Dialect").lower()


@pytest.fixture(scope="module")
def found(engine, collection, small_model):
    """Every part's results."""
    indexes = Indexes(engine, name_of(engine), collection, small_model, n_tuning=12)
    del indexes.kinds[1]  # is made and asked as the others are
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(efforts, "CANDIDATES", (25, 400))
        patched.setattr(efforts, "WINDOWS", (100, 400))
        bench = Bench(engine, indexes, FEW)
        yield {part: run(bench) for part, run in PARTS.items()}
    for index in engine.mappings("bench-engine-*"):
        engine.delete_index(index)


def test_the_whole_benchmark_runs(found, engine):
    name = name_of(engine)
    own = bars(REQUIRED[name], found)
    text = section(name, own, found)
    assert NOT_MEASURED[name] in text
    for bar in own:
        assert np.isfinite(bar.ratio)
        assert f"| {bar.bar} |" in text
    said = {bar.required for bar in own}
    assert said >= ({">= 4", "<= 0.95", ">= 2.5"} if name == "opensearch" else {">= 1.6"})
    for recall in ("0.9", "0.95", "0.99"):
        sides = found["requests"][recall]["sides"]
        assert {OURS, BY_HAND, PLAIN} < set(sides)
        assert (BBQ_FLAT in sides) == (name == "elasticsearch")
        for side, one in sides.items():
            assert one["questions"] == N_ASKED
            assert one["recall"] > 0.75, side
            assert 0 < one["p50_ms"] <= one["p95_ms"] <= one["p99_ms"]
            assert one["server_cpu_ms"] > 0
            assert one["client_cpu_ms"] > 0


def test_each_part_measures_what_it_is_named_for(found):
    assert found["filters"]["1%"][NEW][OURS]["questions"] == FEW.few
    assert found["filters"]["0.1%"][REPEATED][OURS]["recall"] == 1.0
    for percent in (5, 20):
        for share in found["deleted"][f"{percent}%"]["deleted"]:
            assert share == pytest.approx(percent / 100, abs=0.02)
    for rate in found["rewritten"]["documents_a_second"].values():
        assert 0 < rate < 600
    for side in found["clients"]["0.95"].values():
        assert side["per_second"] > 0
    for one in found["load"].values():
        assert one["documents"] == N
        assert one["bytes"] > N * 100
        assert one["server_cpu_s"] > 0


def test_an_index_of_the_engine_is_loaded_once(found, engine, collection, small_model):
    indexes = Indexes(engine, name_of(engine), collection, small_model)
    kind = indexes.kinds[0]
    before = engine.mappings("bench-engine-hnsw")
    assert indexes.of(kind) == "bench-engine-hnsw"
    assert engine.mappings("bench-engine-hnsw") == before
    assert engine.count(indexes.as_loaded(kind)) == N


def test_answers_are_exact_under_a_filter_and_without_the_deleted(collection):
    unit = collection.base / np.linalg.norm(collection.base, axis=1, keepdims=True)
    query = collection.asked[0]
    scores = (1 + unit @ (query / np.linalg.norm(query))) / 2
    kept, gone = Range(100_000, 400_000), Range(0, 200_000)
    drawn = collection.drawn
    inside = (drawn >= 100_000) & (drawn < 400_000)
    for but, there in ((None, inside), (gone, inside & (drawn >= 200_000))):
        (question,) = collection.questions(query[None], [kept], but=but)
        expected = np.sort(scores[there])[::-1][:25]
        assert question.truth == pytest.approx(expected, abs=1e-6)
    (narrow,) = collection.questions(query[None], [Range(0, 500)])
    assert len(narrow.truth) == (drawn < 500).sum()


def test_an_index_of_inner_products_is_given_unit_vectors(collection):
    (kind,) = (kind for kind in kinds("opensearch", OpenSearchDialect(), 100) if kind.unit)
    (question,) = collection.questions(collection.asked[:1])
    document = next(collection.documents(unit=kind.unit))
    asked = [way.body(question, 30)["query"]["knn"]["embedding"]["vector"] for way in kind.ways]
    for vector in (document.source["embedding"], *asked):
        assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert asked[0] @ question.vector == pytest.approx(np.linalg.norm(question.vector))


def test_an_interval_is_the_normal_one():
    mean, margin = interval([0.8, 1.0, 1.0, 1.0])
    assert mean == pytest.approx(0.95)
    assert margin == pytest.approx(1.96 * 0.1 / 2)


def figures(p50, recall=0.99, cpu=1.0):
    return {
        "p50_ms": p50, "p95_ms": 2 * p50, "p99_ms": 3 * p50, "server_cpu_ms": cpu,
        "client_cpu_ms": 0.5, "recall": recall, "recall_margin": 0.01, "questions": 9,
        "effort": {"way": "k", "candidates": 1234},
    }  # fmt: skip


def loaded(seconds, server, size):
    return {"documents": 1000, "seconds": seconds, "merge_seconds": 1.0, "server_cpu_s": server,
            "client_cpu_s": 1.0, "bytes": size, "tune_seconds": 7.0}  # fmt: skip


def one_row(ours, theirs):
    sides = {OURS: ours, PLAIN: theirs}
    return {"sides": sides, "client_cpu_over_sending_ms": 0.25, "looked_into": 0.02}


REQUESTS = {
    "0.95": one_row(figures(2.0, 0.96), figures(3.0, 0.96, cpu=2.0)),
    "0.99": one_row(figures(4.0, 0.98), figures(8.0, 0.99, cpu=4.0)),
}


def test_bars_say_their_ratios_and_what_is_missed():
    found = {
        "requests": REQUESTS,
        "load": {OURS: loaded(4.0, 10.0, 900), PLAIN: loaded(24.0, 50.0, 1000)},
    }
    by_name = {bar.bar: bar for bar in bars(REQUIRED["opensearch"], found)}
    assert by_name["p50 ms at recall 0.95"].ratio == pytest.approx(1.5)
    assert by_name["p50 ms at recall 0.95"].holds
    assert by_name["p50 ms at recall 0.99"].ratio == pytest.approx(2.0)
    assert not by_name["p50 ms at recall 0.99"].holds
    cpu = by_name["CPU ms of a request, client and server, at recall 0.95"]
    assert cpu.ratio == pytest.approx(1.5 / 2.5)
    assert by_name["load and merge, documents/s"].ratio == pytest.approx(5.0)
    assert not by_name["load and merge, server's CPU s"].holds
    assert by_name["bytes on disk"].holds
    (recall,) = (bar for name, bar in by_name.items() if "least of 2 rows (recall 0.99)" in name)
    assert recall.ratio == pytest.approx(-0.01)
    assert not recall.holds
    assert "**missed**" in report.bars_table([recall])


def test_a_table_has_a_row_for_each_side():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    text = section("elasticsearch", [], {"requests": REQUESTS})
    assert "| 0.99 | meta4 | 0.980 ± 0.010 | 4.00 | 8.00 | 12.00 | 1.00 | 0.50 |" in text
    assert "| k, candidates 1,234 |" in text


def test_a_part_takes_the_place_of_what_it_had(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert results.kept("opensearch", 9) == {}
    parts = results.with_part({}, "load", {"old": 1})
    parts = results.with_part(parts, "requests", REQUESTS)
    report.write_results("opensearch", [], {"documents": 9, "parts": parts})
    kept = results.with_part(results.kept("opensearch", 9), "load", {"new": 2})
    assert kept["load"]["found"] == {"new": 2}
    assert kept["requests"]["found"] == REQUESTS
    assert results.kept("opensearch", 10) == {}
    assert "its figures are not kept" in capsys.readouterr().err


def test_readme_names_the_part_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    parts = results.with_part({}, "requests", REQUESTS)
    details = {"server": "OpenSearch", "documents": 9, "parts": parts}
    report.write_results("opensearch", [], details)
    with pytest.raises(InputError, match="opensearch --only filters"):
        summary.settings()
