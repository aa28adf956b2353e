"""What a first phase by sketches saves, by the embeddings: python -m benchmarks.dims [texts words].

Texts are WordNet's glosses and Debian's descriptions in 384 dimensions, words GloVe's in 100. Three
sides in one run: ours with the first phase that it chooses, ours by full vectors alone, and the
engine's HNSW on unit vectors with as few candidates as it needs for the recall that ours reaches.
Where it would get the candidates that its own documents, asked as queries, call for, is told
beside. Writes results/dims.json and the table in docs/benchmarks.md.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4 import Document, Meta4
from meta4.adapter.catalog import read_spec
from meta4.adapter.cli.common import counting, notes
from meta4.adapter.engines.engine import Engine
from meta4.adapter.fields.recall import recall_by_score
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure import comparison
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.mappings.dialect import GraphSearch
from meta4.mappings.spec import FirstPhase, IndexSpec
from meta4.models.embeddings import unit_float32
from meta4.models.model import HashModel
from meta4.models.specs import CellsSpec

from . import report
from .contest import FIELD, bench_engine, fit_once, live_bytes, merge
from .data import hold_out, load_glove
from .text_data import load_texts

Json = dict[str, Any]
Body = dict[str, Any]
Floats = NDArray[np.float32]
_K = 10
_RECALLS = (0.9, 0.95, 0.99)
_N_ASKED, _N_TIMED, _WARM_UP, _ROUNDS = 600, 300, 400, 3
#: Documents a cell.
_A_CELL = 40
_SIDES = {"meta4": "auto", "meta4, full vectors": "none"}
_HNSW = "hnsw"
#: That are tried for HNSW.
_CANDIDATES = tuple(sorted({round(10 * 1.15**i) for i in range(49)}))


@dataclass(frozen=True)
class Kind:
    """One kind of question: rows of (n, dims) vectors, and of each the filter it is asked under."""

    name: str
    queries: Floats
    filters: Sequence[Body | None]
    kept: Sequence[NDArray[np.bool_] | None]


@dataclass(frozen=True)
class World:
    """Vectors with fields beside them, and what is asked of them."""

    name: str
    base: Floats
    fields: Sequence[Json]
    kinds: Sequence[Kind]

    def scores(self, query: Floats, hits: list[Body]) -> NDArray[np.float64]:
        """(1 + cosine) / 2 of hits, best first: an inner product's score is another."""
        found = self.base[[int(hit["_id"]) for hit in hits]].astype(np.float64)
        return np.sort((1.0 + found @ query) / 2.0)[::-1]


def main() -> None:
    """Measure the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(WORLDS), choices=[*WORLDS, []])
    names = parser.parse_args().sets or list(WORLDS)
    rows: list[Json] = []
    if (report.RESULTS / "dims.json").exists():
        rows = [row for row in report.read_results("dims")[1]["rows"] if row["set"] not in names]
    with bench_engine() as engine:
        for name in names:
            rows += _measure(engine, WORLDS[name]())
            _write(rows)


def texts() -> World:
    """Both sources, of which some texts are held out; questions of their kind and of another."""
    sources = [load_texts("glosses"), load_texts("descriptions")]
    other = load_texts("fortunes").vectors[:_N_ASKED]
    vectors = unit_float32(np.concatenate([one.vectors for one in sources]))
    source = np.repeat([0, 1], [len(one.vectors) for one in sources])
    rows, asked = hold_out(len(vectors), _N_ASKED)
    asked = np.random.default_rng(0).permutation(asked)  # glosses come first
    base, of = vectors[rows], source[rows]
    fields = [{"source": int(one), "tenth": i % 10} for i, one in enumerate(of)]
    tenth = np.arange(len(base)) % 10
    others = [1 - one for one in source[asked].tolist()]
    kinds = [
        Kind("held-out texts", vectors[asked], [None] * len(asked), [None] * len(asked)),
        Kind("fortunes", unit_float32(other), [None] * len(other), [None] * len(other)),
        Kind(
            "held-out texts; random 10%", vectors[asked], [{"term": {"tenth": 3}}] * len(asked),
            [tenth == 3] * len(asked),
        ),
        Kind(
            "held-out texts; the other source only", vectors[asked],
            [{"term": {"source": one}} for one in others], [of == one for one in others],
        ),
    ]  # fmt: skip
    return World("texts (384)", base, fields, kinds)


def words() -> World:
    """All words but those that are held out."""
    vectors = unit_float32(load_glove().vectors)
    rows, asked = hold_out(len(vectors), _N_ASKED)
    base = vectors[rows]
    fields = [{"tenth": i % 10} for i in range(len(base))]
    tenth = np.arange(len(base)) % 10
    n = len(asked)
    kinds = [
        Kind("held-out words", vectors[asked], [None] * n, [None] * n),
        Kind(
            "held-out words; random 10%", vectors[asked], [{"term": {"tenth": 3}}] * n,
            [tenth == 3] * n,
        ),
    ]  # fmt: skip
    return World("words (100)", base, fields, kinds)


WORLDS: dict[str, Callable[[], World]] = {"texts": texts, "words": words}


def _measure(engine: Engine, world: World) -> list[Json]:
    n_cells = int(2 ** np.round(np.log2(len(world.base) / _A_CELL)))
    model = fit_once(CellsSpec(n_buckets=n_cells, n_bits=64), world.base)
    loads = {side: _load_ours(engine, world, model, side) for side in _SIDES}
    loads[_HNSW] = _load_hnsw(engine, world)
    meta4 = Meta4(engine)
    from_documents = _candidates_by_documents(engine, world)
    rows = []
    for kind in world.kinds:
        truth = [
            comparison.exact_truth(world.base if kept is None else world.base[kept], q[None], _K)[0]
            for q, kept in zip(kind.queries, kind.kept, strict=True)
        ]
        for recall in _RECALLS:
            row = _row(engine, meta4, world, kind, np.stack(truth), recall, from_documents)
            said = {name: f"{one['p50_ms']:.2f} ms ({one['recall']:.3f})"
                    for name, one in row["sides"].items()}  # fmt: skip
            notes.print(f"{world.name}, {kind.name}, {recall:g}: {said}")
            rows.append({"set": world.name.split()[0], "name": world.name, "loads": loads, **row})
    return rows


def _row(
    engine: Engine,
    meta4: Meta4,
    world: World,
    kind: Kind,
    truth: NDArray[np.float64],
    recall: float,
    from_documents: dict[float, int],
) -> Json:
    """One recall: all sides on the last half of the questions, what HNSW needs by the first."""
    filter_of = {q.tobytes(): within for q, within in zip(kind.queries, kind.filters, strict=True)}
    sides: dict[str, comparison.Search] = {
        side: partial(_ours, meta4, _index(side), recall, filter_of) for side in _SIDES
    }
    timed, asked = slice(_N_TIMED, None), slice(0, _N_TIMED)

    def delivered(search: comparison.Search) -> float:
        found = [
            recall_by_score(world.scores(query, search(query)), best, _K)
            for query, best in zip(kind.queries[asked], truth[asked], strict=True)
        ]
        return float(np.mean(found))

    def graph(candidates: int) -> comparison.Search:
        return partial(_hnsw, engine, candidates, filter_of)

    candidates, _ = comparison.fewest_candidates(
        graph, kind.queries[asked], truth[asked], _K, delivered(sides["meta4"]), _CANDIDATES,
        world.scores,
    )  # fmt: skip
    sides[_HNSW] = graph(candidates)
    times = comparison.interleaved(
        sides, kind.queries[timed], truth[timed], _K, rounds=_ROUNDS, warm_up=_WARM_UP,
        scores_of=world.scores,
    )  # fmt: skip
    query = kind.queries[0]
    body = _body(query, recall, filter_of[query.tobytes()])
    (told,) = meta4.explain(index=_index("meta4"), body=body)["clauses"]
    return {
        "kind": kind.name,
        "recall": recall,
        "candidates": candidates,
        "hnsw_as_its_documents_say": delivered(graph(from_documents[recall])),
        "first_phase": told["first_phase"],
        "sides": {name: asdict(timing) for name, timing in times.items()},
    }


def _index(side: str) -> str:
    return f"bench-dims-{_SIDES[side]}"


def _body(query: Floats, recall: float, within: Body | None) -> Body:
    clause: Body = {"meta4_similar": {FIELD: {"vector": query, "k": _K, "recall": recall}}}
    if within is not None:
        clause = {"bool": {"must": [clause], "filter": [within]}}
    return {"_source": False, "query": clause}


def _ours(
    meta4: Meta4, index: str, recall: float, filter_of: dict[bytes, Body | None], query: Floats
) -> list[Body]:
    body = _body(query, recall, filter_of[query.tobytes()])
    hits: list[Body] = meta4.search(index=index, body=body)["hits"]["hits"]
    return hits


def _hnsw(
    engine: Engine, candidates: int, filter_of: dict[bytes, Body | None], query: Floats
) -> list[Body]:
    within = filter_of[query.tobytes()]
    dialect = engine.dialect
    search = GraphSearch(FIELD, query, _K, candidates, dialect.candidate_options[-1], within)
    hits: list[Body] = engine.search("bench-dims-hnsw", dialect.graph_body(search))["hits"]["hits"]
    return hits


def _candidates_by_documents(engine: Engine, world: World) -> dict[float, int]:
    """What one would tune it to who has no other questions than the documents themselves."""
    queries = world.base[:: -(-len(world.base) // _N_TIMED)]
    truth = comparison.exact_truth(world.base, queries, _K)
    filter_of: dict[bytes, Body | None] = {query.tobytes(): None for query in queries}
    return {
        recall: comparison.fewest_candidates(
            lambda n: partial(_hnsw, engine, n, filter_of),
            queries,
            truth,
            _K,
            recall,
            _CANDIDATES,
            world.scores,
        )[0]
        for recall in _RECALLS
    }


def _load_ours(engine: Engine, world: World, model: HashModel, side: str) -> Json:
    first_phase: FirstPhase = "none" if _SIDES[side] == "none" else "auto"
    index = _index(side)
    ref = ModelStore(engine).push("bench-dims", model)
    engine.delete_index(index)
    create_index(
        engine, index, field=FIELD, ref=ref, model=model, hashing="client", first_phase=first_phase
    )
    meta4 = Meta4(engine)
    loaded = _load(engine, index, world, engine.run(meta4.core.hasher(index)))
    clock = time.monotonic()
    with counting("tuning", 2000, "queries") as progress:
        tune_index(engine, index, progress=progress)
    spec = read_spec(engine, index)
    assert isinstance(spec, IndexSpec)
    windows = None if spec.windows is None else spec.windows.model_dump()
    tuned = {"tune_s": time.monotonic() - clock, "directions": spec.sketch, "windows": windows}
    return loaded | tuned | {"cells": model.n_buckets}


def _load_hnsw(engine: Engine, world: World) -> Json:
    """On unit vectors, with `innerproduct`: the fastest plain graph."""
    index = "bench-dims-hnsw"
    body = engine.dialect.graph_index_body(FIELD, world.base.shape[1], engine.dialect.graphs[0])
    body["mappings"]["properties"][FIELD]["method"]["space_type"] = "innerproduct"
    engine.delete_index(index)
    engine.create_index(index, body)
    return _load(engine, index, world, None)


def _load(engine: Engine, index: str, world: World, hasher: Any) -> Json:
    def documents() -> Iterator[Document]:
        for row, (vector, fields) in enumerate(zip(world.base, world.fields, strict=True)):
            yield Document(str(row), {FIELD: vector, **fields})

    clock = time.monotonic()
    with counting(f"loading {index}", len(world.base), "documents") as advance:
        loaded = load_documents(engine, index, documents(), hasher, advance=advance)
    assert not loaded.refusals, loaded.refusals[0]
    merge(engine, index)
    return {"seconds": time.monotonic() - clock, "bytes": live_bytes(engine, index)}


def _write(rows: Sequence[Json]) -> None:
    bars = []
    for row in rows:
        ours, full, hnsw = (row["sides"][name]["p50_ms"] for name in (*_SIDES, _HNSW))
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
        for name in (*_SIDES, _HNSW):
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
