"""All GloVe words in one node: exact script, the engine's graphs and meta4, filtered and not.

Ours twice over the same documents: cells in the order of their centroids, and in the one that
`learned` gives them.

python -m benchmarks.engine [opensearch] [elasticsearch] [--words N]; for each engine it writes
results/ENGINE.json and the tables of docs/benchmarks.md, and README's table and plot anew.
"""

import argparse
import gc
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.adapter.cli.common import counting, notes
from meta4.adapter.measure import comparison
from meta4.models.probing.ranking import Plan
from meta4.models.specs import LearnedSpec

from . import report, summary
from .contest import FIELD, OURS, SERVERS, Contest, K, bench_engine, fit_once
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
#: Documents looked into, by recall.
_LOOKED_INTO = {0.95: 0.030, 0.99: 0.085}


@dataclass(frozen=True)
class _Required:
    """What is asked of us on one engine, by recall and by filter.

    Attributes:
        hnsw: times as fast as plain HNSW of equal recall.
        exact: times as fast as the exact script.
        filtered: times as fast as plain HNSW under a filter.
        load: times as many documents a second, merged to one segment.
    """

    hnsw: dict[float, float]
    exact: dict[float, float]
    filtered: dict[str, float]
    load: float


_REQUIRED = {
    "opensearch": _Required(
        {0.95: 1.2, 0.99: 2.0}, {0.95: 18, 0.99: 10}, {"30%": 1, "10%": 2, "1%": 1}, load=4
    ),
    "elasticsearch": _Required(
        {0.95: 1.0, 0.99: 1.3}, {0.95: 1, 0.99: 1}, {"30%": 1, "10%": 2, "1%": 1}, load=3
    ),
}


def main() -> None:
    """Run it all, on one engine after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", default=list(SERVERS), help=" or ".join(SERVERS))
    parser.add_argument("--words", type=int, help="only so many of the most frequent words")
    arguments = parser.parse_args()
    glove = load_glove()
    n = arguments.words or len(glove.words)
    rows, asked = hold_out(n)
    base, ids = glove.vectors[rows], [glove.words[row] for row in rows]
    model = fit_once(LearnedSpec(n_buckets=_N_BUCKETS), base)
    for name in arguments.engines:
        with bench_engine(name) as engine:
            contest = Contest(engine, base, ids, model)
            bars, details = measure(contest, _REQUIRED[name], glove.vectors[asked], set(ids))
        details["server"] = SERVERS[name].name
        path = report.write_results(name, bars, details)
        tables = f"{report.bars_table(bars)}\n\n{_sides_table(details['learned'])}"
        report.put_into(report.BENCHMARKS, name, tables)
        summary.write()
        print(tables)
        print(f"\nwritten to {path.name}, docs/{report.BENCHMARKS.name} and the README")


def measure(
    contest: Contest, required: _Required, queries: NDArray[np.float32], words: set[str]
) -> tuple[list[report.Bar], dict[str, Any]]:
    """Load, tune and compare."""
    first, *_ = MODELS
    ours = contest.load_ours(first)
    theirs = {graph: contest.load_theirs(graph) for graph in contest.engine.dialect.graphs}
    loads = {"meta4": ours, **theirs}
    details: dict[str, Any] = {
        "documents": ours.n,
        "load": {side: asdict(loaded) for side, loaded in loads.items()},
    }
    bars: list[report.Bar] = []
    for plan, model in MODELS.items():
        # The engine's other graphs once: beside the plan that looks into fewest documents.
        graphs = [contest.plain] if plan == first else contest.engine.dialect.graphs
        rounds = _Rounds(contest, queries, graphs)
        found: dict[str, Any] = {"tune_s": contest.tune(plan=plan)}
        both = unfiltered(rounds, required, found) + filtered(rounds, required, found)
        bars += [replace(bar, bar=f"{model}: {bar.bar}") for bar in both]
        details[model] = found
    plain = theirs[contest.plain]
    rates = ours.n / ours.seconds, plain.n / plain.seconds
    ratio = ours.bytes / plain.bytes
    bars += [
        report.at_least("load and merge, documents/s", *rates, rates[0] / rates[1], required.load),
        report.at_most("index size, bytes", ours.bytes, plain.bytes, ratio, 1),
        rewriting(contest, queries),
        analogies(contest, words, details),
        repeated(contest, queries),
    ]
    return bars, details


@dataclass(frozen=True)
class _Rounds:
    """What is timed in turn: ours, and graphs with as many candidates as our recall takes."""

    contest: Contest
    queries: NDArray[np.float32]
    graphs: Sequence[str]

    def time(
        self, what: str, recall: float, percent: int | None
    ) -> tuple[dict[str, comparison.Timing], dict[str, Any]]:
        """One request in many, of all sides.

        Args:
            what: for the progress bar.
            recall: what we are asked for.
            percent: what a filter keeps; None without one.

        Returns:
            Timings by side, the plain graph's after ours; and all that was measured.
        """
        contest, queries = self.contest, self.queries
        within = None if percent is None else {"range": {"percent": {"lt": percent}}}
        base = contest.base if percent is None else contest.base[contest.percent < percent]
        truth = comparison.exact_truth(base, queries, K)
        ours = contest.ours(recall, within)
        reached = contest.recall(ours, queries, truth)
        sides, candidates = {"meta4": ours}, {}
        for graph in self.graphs:
            enough = contest.equal(queries, truth, reached, within, graph=graph)
            candidates[graph] = enough
            for option in contest.engine.dialect.candidate_options:
                sides[f"{graph} by {option}"] = contest.hnsw(
                    enough, within, option=option, graph=graph
                )
        timed = _timed(what, contest, sides, queries, truth)
        few = {"meta4": ours, "exact script": contest.exact_script(within)}
        rows = slice(0, _N_EXACT)
        exact = _timed(f"{what}, exact", contest, few, queries[rows], truth[rows], _N_EXACT)
        return timed, {
            "sides": {side: asdict(timing) for side, timing in timed.items()},
            "beside_exact": {side: asdict(timing) for side, timing in exact.items()},
            "candidates": candidates,
            "docs_looked_into": contest.looked_into(queries[:200], recall, within),
        }


def unfiltered(rounds: _Rounds, required: _Required, details: dict[str, Any]) -> list[report.Bar]:
    """Against HNSW of equal recall and against the exact script."""
    bars: list[report.Bar] = []
    details["unfiltered"] = {}
    for recall in RECALLS:
        timed, found = rounds.time(f"recall {recall:g}", recall, None)
        details["unfiltered"][f"{recall:g}"] = found
        looked_into = found["docs_looked_into"]
        bars += [
            _reached(timed, f"recall@25 measured at {recall:g} asked", recall),
            report.at_most(
                f"documents looked into at recall {recall:g}",
                looked_into,
                None,
                looked_into,
                _LOOKED_INTO[recall],
            ),
            _against_exact(
                found, f"p50 ms against the exact script at {recall:g}", required.exact[recall]
            ),
            *_against_hnsw(timed, f"at equal recall {recall:g}", required.hnsw[recall]),
        ]
    return bars


def filtered(rounds: _Rounds, required: _Required, details: dict[str, Any]) -> list[report.Bar]:
    """The same under filters, at recall 0.99."""
    recall = RECALLS[-1]
    bars: list[report.Bar] = []
    details["filtered"] = {}
    for name, percent in FILTERS.items():
        timed, found = rounds.time(f"filter {name}", recall, percent)
        details["filtered"][name] = found
        bars += [
            _reached(timed, f"recall@25 with a {name} filter, {recall:g} asked", recall),
            *_against_hnsw(timed, f"with a {name} filter", required.filtered[name]),
            _against_exact(found, f"p50 ms against the exact scan of a {name} filter", 1.0),
        ]
    return bars


def _reached(timed: dict[str, comparison.Timing], bar: str, recall: float) -> report.Bar:
    mine, plain, *_ = timed.values()
    return report.at_least(bar, mine.recall, plain.recall, mine.recall, recall)


def _against_exact(found: dict[str, Any], bar: str, required: float) -> report.Bar:
    mine, script = (timing["p50_ms"] for timing in found["beside_exact"].values())
    return report.at_least(bar, mine, script, script / mine, required)


def _against_hnsw(
    timed: dict[str, comparison.Timing], where: str, required: float
) -> list[report.Bar]:
    """One bar for each way that the engine has to ask its plain graph."""
    mine = timed["meta4"].p50_ms
    return [
        report.at_least(
            f"p50 ms against HNSW {side.removeprefix('hnsw ')} {where}",
            mine,
            timing.p50_ms,
            timing.p50_ms / mine,
            required,
        )
        for side, timing in timed.items()
        if side.startswith("hnsw ")
    ]


def _sides_table(details: dict[str, Any]) -> str:
    """p50 and recall of every side, in one row for each thing asked."""
    asked = {f"recall {recall}": found for recall, found in details["unfiltered"].items()}
    asked |= {
        f"{RECALLS[-1]:g}, filter {name}": found for name, found in details["filtered"].items()
    }
    sides = list(next(iter(asked.values()))["sides"])
    lines = [
        "| p50 ms (recall@25) | " + " | ".join([*sides, "exact script"]) + " |",
        "|---" * (len(sides) + 2) + "|",
    ]
    for what, found in asked.items():
        timings = [found["sides"][side] for side in sides]
        timings.append(found["beside_exact"]["exact script"])
        cells = [f"{timing['p50_ms']:.2f} ({timing['recall']:.3f})" for timing in timings]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


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
    contest: Contest,
    sides: dict[str, comparison.Search],
    queries: NDArray[np.float32],
    truth: NDArray[np.float64],
    warm_up: int = WARM_UP,
) -> dict[str, comparison.Timing]:
    gc.collect()
    gc.freeze()  # hundreds of thousands of vectors and words are not the requests' doing
    with counting(what, len(queries), "queries") as progress:
        timings = comparison.interleaved(
            sides,
            queries,
            truth,
            K,
            warm_up=warm_up,
            scores_of=contest.scores,
            progress=progress,
        )
    notes.print({name: asdict(timing) for name, timing in timings.items()})
    return timings


if __name__ == "__main__":
    main()
