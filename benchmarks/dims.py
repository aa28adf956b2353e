"""What a first phase by sketches saves, by the embeddings: python -m benchmarks.dims [texts words].

Texts are WordNet's glosses and Debian's descriptions in 384 dimensions, words GloVe's in 100, and
pictures Fashion-MNIST's in 1,280. Three sides in one run: ours with the first phase that it
chooses, ours by full vectors alone, and the engine's HNSW on unit vectors with as few candidates as
it needs for the recall that ours reaches. Where it would get the candidates that its own documents,
asked as queries, call for, is told beside, and what a second build of the graph delivers with the
same candidates. Writes results/dims.json and the table in docs/benchmarks.md.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.adapter.cli.common import notes
from meta4.adapter.engines.engine import Engine
from meta4.adapter.measure import comparison

from . import report
from .contest import SERVERS, bench_engine
from .sides import HNSW, OURS, Filters, K, Sides
from .worlds import N_ASKED, WORLDS, Kind, World

Json = dict[str, Any]
_RECALLS = (0.9, 0.95, 0.99)
#: Of the questions of a kind: half decide what HNSW needs, half are timed.
_N_TIMED = N_ASKED // 2
_TIMED, _ASKED = slice(_N_TIMED, None), slice(0, _N_TIMED)
_WARM_UP, _ROUNDS = 400, 3
_MEASURED = ("texts", "words", "pictures")
_NAMES = [side.name for side in (*OURS, HNSW)]


def main() -> None:
    """Measure the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(_MEASURED), choices=[*_MEASURED, []])
    parser.add_argument("--engine", choices=SERVERS, default="opensearch")
    parser.add_argument(
        "--k", nargs="+", type=int, default=[K], help="numbers of nearest asked for"
    )
    arguments = parser.parse_args()
    names, file = arguments.sets or list(_MEASURED), _name(arguments.engine)
    rows: list[Json] = []
    if (report.RESULTS / f"{file}.json").exists():
        rows = [row for row in report.read_results(file)[1]["rows"] if row["set"] not in names]
    with bench_engine(arguments.engine) as engine:
        for name in names:
            rows += _measure(engine, WORLDS[name](), arguments.k)
            _write(file, rows)


def _name(engine: str) -> str:
    """Of the results, and of their place in the docs."""
    return "dims" if engine == "opensearch" else f"dims-{engine}"


def _measure(engine: Engine, world: World, ks: Sequence[int]) -> list[Json]:
    loading = Sides(engine, world)
    loads = {side.name: loading.load(side, anew=True) for side in (*OURS, HNSW)}
    rows, truths = [], {}
    for k in ks:
        sides = Sides(engine, world, k)
        from_documents = _candidates_by_documents(sides)
        for kind in world.kinds:
            truth = truths[kind.name, k] = world.truth(kind.queries, kind.kept, k)
            for recall in _RECALLS:
                row = _row(sides, kind, truth, recall, from_documents)
                said = {name: f"{one['p50_ms']:.2f} ms ({one['recall']:.3f})"
                        for name, one in row["sides"].items()}  # fmt: skip
                notes.print(f"{world.name}, {kind.name}, k {k}, {recall:g}: {said}")
                rows.append({"set": world.key, "name": world.name, "loads": loads, "k": k, **row})
    loading.load(HNSW, anew=True)  # the same documents once more: what the same candidates give
    kinds = {kind.name: kind for kind in world.kinds}
    for row in rows:
        kind, sides = kinds[row["kind"]], Sides(engine, world, row["k"])
        search = sides.graph(HNSW, row["candidates"], _filters(kind))
        truth = truths[kind.name, row["k"]]
        row["hnsw_built_again"] = sides.delivered(search, kind.queries[_TIMED], truth[_TIMED])
    return rows


def _filters(kind: Kind) -> Filters:
    return {q.tobytes(): within for q, within in zip(kind.queries, kind.filters, strict=True)}


def _row(
    sides: Sides,
    kind: Kind,
    truth: NDArray[np.float64],
    recall: float,
    from_documents: dict[float, int],
) -> Json:
    """One recall: all sides on the last half of the questions, what HNSW needs by the first."""
    filters = _filters(kind)
    searches: dict[str, comparison.Search] = {
        side.name: sides.ours(side, recall, filters) for side in OURS
    }
    asked = kind.queries[_ASKED], truth[_ASKED]
    reached = sides.delivered(searches[OURS[0].name], *asked)
    candidates = sides.fewest(HNSW, *asked, reached, filters)
    searches[HNSW.name] = sides.graph(HNSW, candidates, filters)
    times = comparison.interleaved(
        searches, kind.queries[_TIMED], truth[_TIMED], sides.k, rounds=_ROUNDS, warm_up=_WARM_UP,
        scores_of=sides.world.scores,
    )  # fmt: skip
    as_documents_say = sides.graph(HNSW, from_documents[recall], filters)
    body = sides.body(kind.queries[0], recall, filters)
    (told,) = sides.meta4.explain(index=sides.index(OURS[0]), body=body)["clauses"]
    return {
        "kind": kind.name,
        "recall": recall,
        "candidates": candidates,
        "hnsw_as_its_documents_say": sides.delivered(as_documents_say, *asked),
        "first_phase": told["first_phase"],
        "sides": {name: asdict(timing) for name, timing in times.items()},
    }


def _candidates_by_documents(sides: Sides) -> dict[float, int]:
    """What one would tune it to who has no other questions than the documents themselves."""
    base = sides.world.base
    queries = base[:: -(-len(base) // _N_TIMED)]
    truth = comparison.exact_truth(base, queries, sides.k)
    return {recall: sides.fewest(HNSW, queries, truth, recall) for recall in _RECALLS}


def _write(file: str, rows: Sequence[Json]) -> None:
    bars = []
    for row in rows:
        ours, full, hnsw = (row["sides"][name]["p50_ms"] for name in _NAMES)
        if row["recall"] == _RECALLS[0]:
            continue
        k = "" if row["k"] == K else f", k {row['k']}"
        what = f"{row['name']}, {row['kind']}{k}: p50 ms at {row['recall']:g}"
        required = 3.0 if "other source" in row["kind"] else 0.9 if row["recall"] < 0.99 else 0.85
        bars.append(report.at_least(what, ours, hnsw, hnsw / ours, required))
        bars.append(report.at_least(f"{what}, beside full vectors", ours, full, full / ours, 1.0))
    report.write_results(file, bars, {"rows": list(rows)})
    if file == _name("opensearch"):  # the others are their own files' alone
        report.put_into(report.BENCHMARKS, file, f"{report.bars_table(bars)}\n\n{_table(rows)}")


def _table(rows: Sequence[Json]) -> str:
    lines = [
        "| set | questions | k | asked | ours: p50 / p95 ms (recall) | by full vectors | HNSW "
        "| built again | window | HNSW as its documents say |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["name"], row["kind"], str(row["k"]), f"{row['recall']:g}"]
        for name in _NAMES:
            one = row["sides"][name]
            cells.append(f"{one['p50_ms']:.2f} / {one['p95_ms']:.2f} ({one['recall']:.3f})")
        cells.append(f"{row['hnsw_built_again']:.3f}")
        phase = row["first_phase"]
        cells.append("" if phase is None else f"{phase['window']} of {phase['directions']} bytes")
        cells.append(f"{row['hnsw_as_its_documents_say']:.3f}")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| set | index | load and merge s | MB | tune s |", "|---|---|---|---|---|"]
    for name, loads in {row["name"]: row["loads"] for row in rows}.items():
        for side, load in loads.items():
            tune = f"{load['tune_s']:.0f}" if "tune_s" in load else ""
            size = load["bytes"] / 1e6
            lines.append(f"| {name} | {side} | {load['seconds']:.0f} | {size:.0f} | {tune} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
