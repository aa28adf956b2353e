"""How vectors and codes are best stored in Elasticsearch: python -m benchmarks.storage.

Vectors: `flat` against `int8_flat`, as they are and with the engine's own rescoring, inside the
same buckets of the same index. Codes: 64-bit longs against a `bit` vector, each scored by a script
over all documents. Writes results/storage.json and the table in docs/deploy.md.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from meta4 import Document, HashModel
from meta4.adapter.catalog import read_spec
from meta4.adapter.engines.engine import Engine
from meta4.adapter.load.loader import load_documents
from meta4.adapter.measure import comparison
from meta4.mappings.code_storage import CodeKind
from meta4.mappings.dialect import Vector
from meta4.mappings.elasticsearch import ElasticsearchDialect
from meta4.mappings.fields import ROOT
from meta4.mappings.spec import IndexSpec, ModelRef
from meta4.models.specs import CellsSpec, LshSpec

from . import report
from .contest import FIELD, OURS, Contest, K, bench_engine, fit
from .data import hold_out, load_glove

Body = dict[str, Any]
_N = 50_000
_N_BUCKETS = 1024
_RECALL = 0.99
_WARM_UP, _N_QUERIES = 500, 500
_OVERSAMPLE = 3.0
_BITS = (64, 256)
_WAYS: dict[str, CodeKind] = {"longs": "longs", "bit vector": "bits"}
_CODES = "bench-codes"
_N_CODE_QUERIES = 100


class _Quantised(ElasticsearchDialect):
    """Vectors of 8-bit numbers, the originals beside them."""

    rescore: ClassVar[dict[str, Any]] = {}

    def vector(self, spec: IndexSpec) -> Body:
        """See `Dialect`."""
        return super().vector(spec) | {"index_options": {"type": "int8_flat"}}

    def knn(self, spec: IndexSpec, vector: Vector, k: int, within: Body | None) -> Body:
        """See `Dialect`."""
        query = super().knn(spec, vector, k, within)
        query["knn"] |= self.rescore
        return query


class _Rescored(_Quantised):
    """The same, with the best of them scored again by the originals."""

    rescore: ClassVar[dict[str, Any]] = {"rescore_vector": {"oversample": _OVERSAMPLE}}


def main() -> None:
    """Measure both, write both."""
    glove = load_glove()
    rows, asked = hold_out(_N)
    base, queries = glove.vectors[rows], glove.vectors[asked][:_N_QUERIES]
    with bench_engine("elasticsearch") as engine:
        vectors = measure_vectors(engine, base, queries)
        codes = measure_codes(engine, base, queries[:_N_CODE_QUERIES])
    report.write_results(
        "storage", [], {"documents": len(base), "vectors": vectors, "codes": codes}
    )
    table = _table(vectors, codes)
    report.put_into(report.DEPLOY, "storage", table)
    print(table)


def measure_vectors(
    engine: Engine, base: NDArray[np.float32], queries: NDArray[np.float32]
) -> dict[str, dict[str, Any]]:
    """Each way of storing: the same request inside the same buckets."""
    truth = comparison.exact_truth(base, queries, K)
    model = fit(CellsSpec(n_buckets=_N_BUCKETS, n_bits=64), base)
    contest = Contest(engine, base, [str(row) for row in range(len(base))], model)
    ways = {
        "`flat`": ElasticsearchDialect(),
        "`int8_flat`": _Quantised(),
        f"`int8_flat`, rescored ({_OVERSAMPLE:g} times)": _Rescored(),
    }
    calibration: dict[str, Any] = {}
    found = {}
    for name, dialect in ways.items():
        engine.calls.dialect = dialect
        loaded = contest.load_ours("centroid")
        if not calibration:
            contest.tune()
            calibration = read_spec(engine, OURS).to_meta()
        engine.put_meta(OURS, calibration)
        contest.meta4.forget(OURS)
        sides = {"at": contest.ours(_RECALL), "all": contest.ours(1.0)}
        timed = comparison.interleaved(
            sides, queries, truth, K, warm_up=_WARM_UP, scores_of=contest.scores
        )
        found[name] = {"load": asdict(loaded)} | {
            side: asdict(timing) for side, timing in timed.items()
        }
    engine.calls.dialect = ElasticsearchDialect()
    return found


def measure_codes(
    engine: Engine, base: NDArray[np.float32], queries: NDArray[np.float32]
) -> dict[str, dict[str, Any]]:
    """Both ways of storing each length of code: p50 over all documents, and bytes."""
    found = {}
    for n_bits in _BITS:
        model = fit(LshSpec(n_bits=n_bits, bits_per_table=8, n_tables=1), base[:1000])
        spec = IndexSpec(
            field=FIELD,
            dims=base.shape[1],
            n_bits=n_bits,
            n_buckets=model.n_buckets,
            model=ModelRef(name="codes", version=1, sha256="0" * 64),
            strategy="hamming",
            plan="margin",
        )
        codes = model.encode(base)
        sides: dict[str, comparison.Search] = {}
        sizes = {}
        for way, kind in _WAYS.items():
            index = f"{_CODES}-{kind}-{n_bits}"
            own = spec.model_copy(update={"codes": kind})
            sizes[way] = _load(engine, index, own, codes)
            sides[way] = _search(engine, index, own, model)
        same = _same_scores(sides, queries)
        truth = np.ones((len(queries), K))  # recall is of no concern here
        timed = comparison.interleaved(sides, queries, truth, K, warm_up=_N_CODE_QUERIES)
        for way, timing in timed.items():
            found[f"{n_bits} bits, {way}"] = {
                "p50_ms": timing.p50_ms,
                "bytes": sizes[way],
                "same_scores": same,
            }
    return found


def _load(engine: Engine, index: str, spec: IndexSpec, codes: NDArray[np.uint8]) -> int:
    """An index of codes alone, in one segment; gives its bytes."""
    engine.delete_index(index)
    hashes = {"properties": spec.code_storage.mapping(spec.n_bits)}
    body = {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {"properties": {ROOT: {"properties": {spec.field: hashes}}}},
    }
    engine.create_index(index, body)

    def documents() -> Iterator[Document]:
        for row, parts in enumerate(spec.code_storage.parts(codes, spec.n_bits)):
            yield Document(str(row), {ROOT: {spec.field: parts}})

    loaded = load_documents(engine, index, documents(), None)
    assert not loaded.refusals, loaded.refusals[0]
    engine.request("POST", f"/{index}/_forcemerge", params={"max_num_segments": 1})
    engine.refresh(index)
    stats = engine.request("GET", f"/{index}/_stats/store")
    return int(stats["_all"]["primaries"]["store"]["size_in_bytes"])


def _search(engine: Engine, index: str, spec: IndexSpec, model: HashModel) -> comparison.Search:
    """The nearest codes of all."""

    def search(query: NDArray[np.float32]) -> list[dict[str, Any]]:
        scored = engine.dialect.hamming(spec, model.encode(query[None])[0], None)
        body = {"size": K, "_source": False, "query": scored}
        hits: list[dict[str, Any]] = engine.search(index, body)["hits"]["hits"]
        return hits

    return search


def _same_scores(sides: dict[str, comparison.Search], queries: NDArray[np.float32]) -> bool:
    """Whether both ways say the same distances."""
    for query in queries:
        one, other = ([hit["_score"] for hit in search(query)] for search in sides.values())
        if not np.allclose(one, other):
            return False
    return True


def _table(vectors: dict[str, dict[str, Any]], codes: dict[str, dict[str, Any]]) -> str:
    lines = [
        f"| vectors | recall@25, {_RECALL:g} asked | p50 ms | with all buckets | p50 ms | MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in vectors.items():
        cells = [f"{row[side][key]:.3f}" if key == "recall" else f"{row[side][key]:.1f}"
                 for side in ("at", "all") for key in ("recall", "p50_ms")]  # fmt: skip
        size = row["load"]["bytes"] / 1e6
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {size:.0f} |")
    lines += ["", "| codes | p50 ms, all documents | MB |", "|---|---|---|"]
    for name, row in codes.items():
        lines.append(f"| {name} | {row['p50_ms']:.1f} | {row['bytes'] / 1e6:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
