"""All GloVe words in one node: exact script, Lucene HNSW and meta4, filtered and not.

Ours twice over the same documents: cells in the order of their centroids, and in the one that
`learned` gives them.

python -m benchmarks.engine [--words N]; writes results/engine.json and the README's table.
"""

import argparse
import gc
import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.adapter import comparison
from meta4.adapter.cli.common import counting, notes
from meta4.adapter.engines.node.distribution import VERSION
from meta4.models.probing import Plan
from meta4.models.specs import LearnedSpec

from . import report
from .contest import FIELD, OURS, Contest, K, bench_engine, fit
from .data import hold_out, load_glove, load_questions

#: What the rows of a plan are called: by the model that has it unless told otherwise.
MODELS: dict[Plan, str] = {"centroid": "cells", "learned": "learned"}
RECALLS = (0.95, 0.99)
FILTERS = {"30%": 30, "10%": 10, "1%": 1}
_N_BUCKETS = 8192
#: For each side: finding an equal ef_search warms the graph's code paths for thousands of
#: requests, and ours must be compiled as well before the clock counts.
WARM_UP = 2000
_N_EXACT = 100
_N_QUESTIONS = 2000
_N_REPEATED = 200
#: Latency against HNSW under a filter.
_FILTERED_REQUIRED = {"30%": 1.0, "10%": 2.0, "1%": 1.0}
#: Latency against HNSW at equal recall, against the exact script; documents looked into.
_REQUIRED = {0.95: (1.2, 18.0, 0.030), 0.99: (2.0, 10.0, 0.085)}


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, help="only so many of the most frequent words")
    arguments = parser.parse_args()
    glove = load_glove()
    n = arguments.words or len(glove.words)
    rows, asked = hold_out(n)
    base, ids = glove.vectors[rows], [glove.words[row] for row in rows]
    with bench_engine() as engine:
        clock = time.monotonic()
        model = fit(LearnedSpec(n_buckets=_N_BUCKETS), base)
        train_s = time.monotonic() - clock
        contest = Contest(engine, base, ids, model)
        bars, details = measure(contest, glove.vectors[asked], set(ids))
    details |= {"train_s": train_s, "server": f"OpenSearch {VERSION}"}
    path = report.write_results("engine", bars, details)
    table = report.bars_table(bars)
    report.put_into(report.README, "engine", table)
    print(table)
    print(f"\nwritten to {path.name} and the README")


def measure(
    contest: Contest, queries: NDArray[np.float32], words: set[str]
) -> tuple[list[report.Bar], dict[str, Any]]:
    """Load, tune and compare."""
    first, *_ = MODELS
    ours, theirs = contest.load_ours(first), contest.load_theirs()
    details: dict[str, Any] = {
        "documents": ours.n,
        "load": {"meta4": asdict(ours), "hnsw": asdict(theirs)},
    }
    bars: list[report.Bar] = []
    for plan, model in MODELS.items():
        found: dict[str, Any] = {"tune_s": contest.tune(plan=plan)}
        both = unfiltered(contest, queries, found) + filtered(contest, queries, found)
        bars += [replace(bar, bar=f"{model}: {bar.bar}") for bar in both]
        details[model] = found
    rates = ours.n / ours.seconds, theirs.n / theirs.seconds
    bars += [
        report.at_least("load and merge, documents/s", *rates, rates[0] / rates[1], 4.0),
        report.at_most("index size, bytes", ours.bytes, theirs.bytes, ours.bytes / theirs.bytes, 1),
        rewriting(contest, queries),
        analogies(contest, words, details),
        repeated(contest, queries),
    ]
    return bars, details


def unfiltered(
    contest: Contest, queries: NDArray[np.float32], details: dict[str, Any]
) -> list[report.Bar]:
    """Against HNSW of equal recall and against the exact script."""
    truth = comparison.exact_truth(contest.base, queries, K)
    bars: list[report.Bar] = []
    details["unfiltered"] = {}
    for recall in RECALLS:
        faster, than_exact, share = _REQUIRED[recall]
        reached = contest.recall(contest.ours(recall), queries, truth)
        candidates = contest.equal(queries, truth, reached)
        sides = _sides(contest, recall, candidates, None)
        timed = _timed(f"recall {recall:g}", sides, queries, truth)
        few = {"meta4": contest.ours(recall), "exact": contest.exact_script()}
        exact = _timed(f"exact, {recall:g}", few, queries[:_N_EXACT], truth[:_N_EXACT], _N_EXACT)
        looked_into = contest.looked_into(queries[:200], recall)
        details["unfiltered"][f"{recall:g}"] = {
            **{name: asdict(timing) for name, timing in timed.items()},
            "exact": asdict(exact["exact"]),
            "hnsw_candidates": candidates,
            "docs_looked_into": looked_into,
        }
        mine, script = timed["meta4"], exact["exact"]
        bars += [
            report.at_least(
                f"recall@25 measured at {recall:g} asked",
                mine.recall,
                timed["hnsw k"].recall,
                mine.recall,
                recall,
            ),
            report.at_most(
                f"documents looked into at recall {recall:g}",
                looked_into,
                None,
                looked_into,
                share,
            ),
            report.at_least(
                f"p50 ms against the exact script at {recall:g}",
                exact["meta4"].p50_ms,
                script.p50_ms,
                script.p50_ms / exact["meta4"].p50_ms,
                than_exact,
            ),
        ]
        bars += _against_hnsw(timed, f"at equal recall {recall:g}", faster)
    return bars


def filtered(
    contest: Contest, queries: NDArray[np.float32], details: dict[str, Any]
) -> list[report.Bar]:
    """The same under filters, at recall 0.99."""
    recall = RECALLS[-1]
    bars: list[report.Bar] = []
    details["filtered"] = {}
    for name, percent in FILTERS.items():
        within = {"range": {"percent": {"lt": percent}}}
        base = contest.base[contest.percent < percent]
        truth = comparison.exact_truth(base, queries, K)
        reached = contest.recall(contest.ours(recall, within), queries, truth)
        candidates = contest.equal(queries, truth, reached, within)
        sides = _sides(contest, recall, candidates, within)
        timed = _timed(f"filter {name}", sides, queries, truth)
        few = {"meta4": contest.ours(recall, within), "exact": contest.exact_script(within)}
        exact = _timed(f"filter {name}, exact", few, queries[:_N_EXACT], truth[:_N_EXACT], _N_EXACT)
        details["filtered"][name] = {
            **{side: asdict(timing) for side, timing in timed.items()},
            "exact": asdict(exact["exact"]),
            "hnsw_candidates": candidates,
            "docs_looked_into": contest.looked_into(queries[:100], recall, within),
        }
        mine, script = timed["meta4"], exact["exact"]
        bars.append(
            report.at_least(
                f"recall@25 with a {name} filter, 0.99 asked",
                mine.recall,
                timed["hnsw k"].recall,
                mine.recall,
                recall,
            )
        )
        bars += _against_hnsw(timed, f"with a {name} filter", _FILTERED_REQUIRED[name])
        bars.append(
            report.at_least(
                f"p50 ms against the exact scan of a {name} filter",
                exact["meta4"].p50_ms,
                script.p50_ms,
                script.p50_ms / exact["meta4"].p50_ms,
                1.0,
            )
        )
    return bars


def _sides(
    contest: Contest, recall: float, candidates: int, within: dict[str, Any] | None
) -> dict[str, comparison.Search]:
    """Ours, and the same walk through the graph asked for in both ways that the engine has."""
    return {
        "meta4": contest.ours(recall, within),
        "hnsw k": contest.hnsw(candidates, within, by_k=True),
        "hnsw ef_search": contest.hnsw(candidates, within),
    }


def _against_hnsw(
    timed: dict[str, comparison.Timing], where: str, required: float
) -> list[report.Bar]:
    mine = timed["meta4"].p50_ms
    graphs = {way: timed[f"hnsw {way}"].p50_ms for way in ("k", "ef_search")}
    return [
        report.at_least(
            f"p50 ms against HNSW (tuned by {way}) {where}", mine, graph, graph / mine, required
        )
        for way, graph in graphs.items()
    ]


def rewriting(contest: Contest, queries: NDArray[np.float32]) -> report.Bar:
    """Plan and body of a request, without the network."""
    seconds = []
    for query in queries:
        body = contest.body(query, RECALLS[0], None)
        clock = time.perf_counter()
        contest.meta4.rewrite(index=OURS, body=body)
        seconds.append(time.perf_counter() - clock)
    p50 = float(np.percentile(seconds, 50) * 1000)
    return report.at_most("rewriting a request, p50 ms", p50, None, p50, 0.5)


def analogies(contest: Contest, words: set[str], details: dict[str, Any]) -> report.Bar:
    """Sampled word2vec questions: the first answer of ours and of the exact scan."""
    questions = [q for q in load_questions() if len(q) == 4 and set(q) <= words]
    drawn = np.random.default_rng(2).choice(len(questions), _N_QUESTIONS, replace=False)
    same = right = 0
    with counting("analogies", len(drawn), "questions") as progress:
        for row in drawn:
            a, b, c, d = questions[row]
            ours, exact = (_first_answer(contest, a, b, c, recall) for recall in (0.99, 1.0))
            same += ours == exact
            right += ours == d
            progress(1)
    details["analogies"] = {"questions": len(drawn), "right": right / len(drawn)}
    share = same / len(drawn)
    return report.at_least("analogies: same first answer as the exact scan", share, 1, share, 0.98)


def repeated(contest: Contest, queries: NDArray[np.float32]) -> report.Bar:
    """The same request again: the same ids in the same order."""
    search = contest.ours(RECALLS[0])
    same = 0
    for query in queries[:_N_REPEATED]:
        answers = [[hit["_id"] for hit in search(query)] for _ in range(3)]
        same += answers[0] == answers[1] == answers[2]
    share = same / _N_REPEATED
    return report.at_least("repeated request, same answer and order", share, None, share, 1.0)


def _first_answer(contest: Contest, a: str, b: str, c: str, recall: float) -> str:
    clause = {"a": {"id": a}, "b": {"id": b}, "c": {"id": c}, "k": 1, "recall": recall}
    body = {"_source": False, "query": {"meta4_analogy": {FIELD: clause}}}
    return str(contest.meta4.search(index=OURS, body=body)["hits"]["hits"][0]["_id"])


def _timed(
    what: str,
    sides: dict[str, comparison.Search],
    queries: NDArray[np.float32],
    truth: NDArray[np.float64],
    warm_up: int = WARM_UP,
) -> dict[str, comparison.Timing]:
    gc.collect()
    gc.freeze()  # hundreds of thousands of vectors and words are not the requests' doing
    with counting(what, len(queries), "queries") as progress:
        timings = comparison.interleaved(
            sides, queries, truth, K, warm_up=warm_up, progress=progress
        )
    notes.print({name: asdict(timing) for name, timing in timings.items()})
    return timings


if __name__ == "__main__":
    main()
