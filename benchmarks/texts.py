"""Questions in words: python -m benchmarks.texts [--engine elasticsearch].

The long descriptions of Debian packages are loaded as texts into an index that an encoder is bound
to, and their titles, which no document has, asked for: each wants the description that it is the
title of. By words (BM25), by vectors, and by both together; nDCG@10 with one right answer is the
mean of 1 / log2(1 + its rank). Beside it what of the ten nearest is delivered where a recall was
asked for, under filters too. Writes results/texts.json and the table in docs/benchmarks.md.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4 import Document, Meta4
from meta4.adapter.cli.common import counting
from meta4.adapter.encoders import bound_encoder, encoder_of
from meta4.adapter.engines.engine import Engine
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.models.embeddings import unit_float32
from meta4.models.specs import CellsSpec, cells_for

from . import report
from .contest import SERVERS, bench_engine, fit_once, merge
from .text_data import ENCODER, Package, packages

Json = dict[str, Any]
Floats = NDArray[np.float32]
INDEX, FIELD, TEXT, PART = "bench-texts-asked", "vector", "text", "part"
_N, _N_ASKED, _K = 12_000, 600, 10
_RECALLS = (0.95, 0.99)
_WEIGHTS = (0.5, 0.6, 0.7, 0.8, 0.9)
#: By what a filter keeps in percent; of the parts each has as many documents.
_FILTERS = {"": 100, "30%": 30, "10%": 10, "1%": 1}
#: By which a mean over some hundred questions may fall short.
_SPREAD = 0.01


def main() -> None:
    """Load, ask, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.texts", description=__doc__)
    parser.add_argument("--engine", choices=SERVERS, default=next(iter(SERVERS)))
    engine_name = parser.parse_args().engine
    known = packages()
    rows = np.linspace(0, len(known) - 1, _N).astype(int)
    chosen = [known[row] for row in rows]
    with bench_engine(engine_name) as engine:
        documents, asked = _loaded(engine, chosen)
        ranks = {name: _ranks(engine, chosen, search) for name, search in _ways().items()}
        delivered = _delivered(engine, documents, asked, [one.title for one in _questions(chosen)])
    found = {name: float(np.mean(_gains(each))) for name, each in ranks.items()}
    bars = _bars(found, delivered)
    table = f"{report.bars_table(bars)}\n\n{_table(found, ranks)}"
    print(table)
    file = "texts" if engine_name == next(iter(SERVERS)) else f"texts-{engine_name}"
    report.write_results(file, bars, {"documents": _N, "ndcg": found, "delivered": delivered})
    if file == "texts":
        report.put_into(report.BENCHMARKS, "texts", table)


def _questions(chosen: Sequence[Package]) -> list[Package]:
    return list(chosen[:: len(chosen) // _N_ASKED][:_N_ASKED])


def _loaded(engine: Engine, chosen: Sequence[Package]) -> tuple[Floats, Floats]:
    """Make the index; gives the vectors of documents and of questions."""
    encoder = bound_encoder(ENCODER, TEXT)
    with counting("embedding", len(chosen), "texts") as advance:
        encoded = encoder_of(encoder).encode([one.body for one in chosen], advance)
    documents = unit_float32(encoded.embeddings)
    asked = encoder_of(encoder).encode([one.title for one in _questions(chosen)]).embeddings
    model = fit_once(CellsSpec(n_buckets=cells_for(len(documents)), n_bits=64), documents)
    engine.delete_index(INDEX)
    ref = ModelStore(engine).push("bench-texts-asked", model)
    create_index(engine, INDEX, field=FIELD, ref=ref, model=model, encoder=encoder)
    hasher = engine.run(Meta4(engine).core.hasher(INDEX))
    every = (
        Document(one.name, {TEXT: one.body, FIELD: vector.tolist(), PART: i % 100})
        for i, (one, vector) in enumerate(zip(chosen, documents, strict=True))
    )
    loaded = load_documents(engine, INDEX, every, hasher)
    assert not loaded.refusals, loaded.refusals[0]
    merge(engine, INDEX)
    tune_index(engine, INDEX)
    return documents, asked


def _ways() -> dict[str, Callable[[str], Json]]:
    """By name, the query that asks for a title."""

    def words(title: str) -> Json:
        return {"match": {TEXT: title}}

    def nearest(title: str) -> Json:
        return {"meta4_similar": {FIELD: {"text": title, "k": _K, "recall": _RECALLS[-1]}}}

    def both(**fusion: Any) -> Callable[[str], Json]:
        def query(title: str) -> Json:
            similar = {FIELD: {"text": title, "recall": _RECALLS[-1]}}
            clause = {"query": words(title), "similar": similar, "k": _K, **fusion}
            return {"meta4_hybrid": clause}

        return query

    weighted = {
        f"weighted, {weight:g}": both(fusion="weighted", weight=weight) for weight in _WEIGHTS
    }
    return {"words": words, "vectors": nearest, "rrf": both(), **weighted}


def _ranks(
    engine: Engine, chosen: Sequence[Package], query: Callable[[str], Json]
) -> list[int | None]:
    """Of each question the place of its answer, from 1; None where it is not among ten."""
    meta4, places = Meta4(engine), []
    for one in _questions(chosen):
        body = {"size": _K, "_source": False, "query": query(one.title)}
        hits = meta4.search(index=INDEX, body=body)["hits"]["hits"]
        found = [hit["_id"] for hit in hits]
        places.append(found.index(one.name) + 1 if one.name in found else None)
    return places


def _gains(ranks: Sequence[int | None]) -> list[float]:
    return [0.0 if rank is None else float(1 / np.log2(1 + rank)) for rank in ranks]


def _delivered(
    engine: Engine, documents: Floats, asked: Floats, titles: Sequence[str]
) -> dict[str, float]:
    """Of the ten nearest that a filter keeps, what was found, by recall and filter."""
    meta4, parts = Meta4(engine), np.arange(len(documents)) % 100
    scores = (1.0 + asked @ documents.T) / 2.0
    found = {}
    for recall in _RECALLS:
        for name, percent in _FILTERS.items():
            best = -np.partition(-np.where(parts < percent, scores, -1.0), _K - 1)[:, _K - 1]
            shares = []
            for title, least in zip(titles, best, strict=True):
                clause = {FIELD: {"text": title, "k": _K, "recall": recall}}
                within = {"filter": [{"range": {PART: {"lt": percent}}}]} if name else {}
                query = {"bool": {"must": [{"meta4_similar": clause}], **within}}
                answer = meta4.search(index=INDEX, body={"_source": False, "query": query})
                hits = [hit["_score"] >= least - 1e-6 for hit in answer["hits"]["hits"]]
                shares.append(sum(hits) / _K)
            found[f"{recall:g}{name and f', filter {name}'}"] = float(np.mean(shares))
    return found


def _bars(found: dict[str, float], delivered: dict[str, float]) -> list[report.Bar]:
    rrf = found["rrf"]
    bars = [
        report.at_least(f"nDCG@10, rrf over {leg} alone", rrf, found[leg], rrf / found[leg], 1.0)
        for leg in ("words", "vectors")
    ]
    for asked, share in delivered.items():
        wanted = float(asked.split(",")[0])
        what = f"delivered to questions in words, recall {asked}"
        bars.append(report.at_least(what, share, wanted, share, wanted - _SPREAD))
    return bars


def _table(found: dict[str, float], ranks: dict[str, list[int | None]]) -> str:
    lines = ["| way | nDCG@10 | first | among ten |", "|---|---|---|---|"]
    for name, each in ranks.items():
        first = sum(rank == 1 for rank in each) / len(each)
        among = sum(rank is not None for rank in each) / len(each)
        lines.append(f"| {name} | {found[name]:.3f} | {first:.3f} | {among:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
