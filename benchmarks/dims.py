"""What a first phase by sketches saves, by the embeddings: python -m benchmarks.dims [texts words].

Texts are WordNet's glosses and Debian's descriptions in 384 dimensions, words GloVe's in 100. Three
sides in one run: ours with the first phase that it chooses, ours by full vectors alone, and the
engine's HNSW on unit vectors with as few candidates as it needs for the recall that ours reaches.
Where it would get the candidates that its own documents, asked as queries, call for, is told
beside. Writes results/dims.json and the table in docs/benchmarks.md.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.adapter.cli.common import notes
from meta4.adapter.engines.engine import Engine
from meta4.adapter.fields.recall import recall_by_score
from meta4.adapter.measure import comparison

from . import report
from .contest import bench_engine
from .sides import HNSW, OURS, Filters, K, Sides
from .worlds import N_ASKED, WORLDS, Kind, World

Json = dict[str, Any]
_RECALLS = (0.9, 0.95, 0.99)
#: Of the questions of a kind: half decide what HNSW needs, half are timed.
_N_TIMED = N_ASKED // 2
_WARM_UP, _ROUNDS = 400, 3
_MEASURED = ("texts", "words")
_NAMES = [side.name for side in (*OURS, HNSW)]


def main() -> None:
    """Measure the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(_MEASURED), choices=[*_MEASURED, []])
    names = parser.parse_args().sets or list(_MEASURED)
    rows: list[Json] = []
    if (report.RESULTS / "dims.json").exists():
        rows = [row for row in report.read_results("dims")[1]["rows"] if row["set"] not in names]
    with bench_engine() as engine:
        for name in names:
            rows += _measure(engine, WORLDS[name]())
            _write(rows)


def _measure(engine: Engine, world: World) -> list[Json]:
    sides = Sides(engine, world)
    loads = {side.name: sides.load(side, anew=True) for side in (*OURS, HNSW)}
    from_documents = _candidates_by_documents(sides)
    rows = []
    for kind in world.kinds:
        truth = world.truth(kind.queries, kind.kept, K)
        for recall in _RECALLS:
            row = _row(sides, kind, truth, recall, from_documents)
            said = {name: f"{one['p50_ms']:.2f} ms ({one['recall']:.3f})"
                    for name, one in row["sides"].items()}  # fmt: skip
            notes.print(f"{world.name}, {kind.name}, {recall:g}: {said}")
            rows.append({"set": world.key, "name": world.name, "loads": loads, **row})
    return rows


def _row(
    sides: Sides,
    kind: Kind,
    truth: NDArray[np.float64],
    recall: float,
    from_documents: dict[float, int],
) -> Json:
    """One recall: all sides on the last half of the questions, what HNSW needs by the first."""
    filters: Filters = {
        q.tobytes(): within for q, within in zip(kind.queries, kind.filters, strict=True)
    }
    world = sides.world
    searches: dict[str, comparison.Search] = {
        side.name: sides.ours(side, recall, filters) for side in OURS
    }
    timed, asked = slice(_N_TIMED, None), slice(0, _N_TIMED)

    def delivered(search: comparison.Search) -> float:
        found = [
            recall_by_score(world.scores(query, search(query)), best, K)
            for query, best in zip(kind.queries[asked], truth[asked], strict=True)
        ]
        return float(np.mean(found))

    reached = delivered(searches[OURS[0].name])
    candidates = sides.fewest(HNSW, kind.queries[asked], truth[asked], reached, filters)
    searches[HNSW.name] = sides.graph(HNSW, candidates, filters)
    times = comparison.interleaved(
        searches, kind.queries[timed], truth[timed], K, rounds=_ROUNDS, warm_up=_WARM_UP,
        scores_of=world.scores,
    )  # fmt: skip
    body = sides.body(kind.queries[0], recall, filters)
    (told,) = sides.meta4.explain(index=sides.index(OURS[0]), body=body)["clauses"]
    return {
        "kind": kind.name,
        "recall": recall,
        "candidates": candidates,
        "hnsw_as_its_documents_say": delivered(sides.graph(HNSW, from_documents[recall], filters)),
        "first_phase": told["first_phase"],
        "sides": {name: asdict(timing) for name, timing in times.items()},
    }


def _candidates_by_documents(sides: Sides) -> dict[float, int]:
    """What one would tune it to who has no other questions than the documents themselves."""
    base = sides.world.base
    queries = base[:: -(-len(base) // _N_TIMED)]
    truth = comparison.exact_truth(base, queries, K)
    return {recall: sides.fewest(HNSW, queries, truth, recall) for recall in _RECALLS}


def _write(rows: Sequence[Json]) -> None:
    bars = []
    for row in rows:
        ours, full, hnsw = (row["sides"][name]["p50_ms"] for name in _NAMES)
        if row["recall"] == _RECALLS[0]:
            continue
        what = f"{row['name']}, {row['kind']}: p50 ms at {row['recall']:g}"
        required = 3.0 if "other source" in row["kind"] else 0.9 if row["recall"] < 0.99 else 0.85
        bars.append(report.at_least(what, ours, hnsw, hnsw / ours, required))
        bars.append(report.at_least(f"{what}, beside full vectors", ours, full, full / ours, 1.0))
    report.write_results("dims", bars, {"rows": list(rows)})
    report.put_into(report.BENCHMARKS, "dims", f"{report.bars_table(bars)}\n\n{_table(rows)}")


def _table(rows: Sequence[Json]) -> str:
    lines = [
        "| set | questions | asked | ours: p50 / p95 ms (recall) | by full vectors | HNSW | window "
        "| HNSW as its documents say |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["name"], row["kind"], f"{row['recall']:g}"]
        for name in _NAMES:
            one = row["sides"][name]
            cells.append(f"{one['p50_ms']:.2f} / {one['p95_ms']:.2f} ({one['recall']:.3f})")
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
