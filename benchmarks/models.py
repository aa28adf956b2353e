"""Hash models against each other: python -m benchmarks.models [--vectors FILE …].

Code ranking on SIFT, GloVe and Fashion-MNIST, triplet hashing with labels, and how networks
run as ONNX; writes results/models.json and the table of docs/models.md.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from meta4.adapter.cli.common import notes, stages
from meta4.ingest.files.sources import read_embeddings
from meta4.models.choice.judgement import documents_looked_into
from meta4.models.embeddings import unit
from meta4.models.graphs.network_graph import network_hash_to_onnx
from meta4.models.specs import CatalyzerSpec, DtshSpec, LearnedSpec, NpHashSpec
from meta4.models.training.figures import training_figures
from meta4.models.training.fit import fit_network, network_hash
from meta4.models.training.options import TrainingOptions

from . import report
from .baselines.faiss_codes import Codes, itq_codes, lsh_codes
from .contest import fit
from .data import SIFT_BASE, SIFT_QUERIES, find, hold_out, load_fashion_mnist, load_glove
from .paper import paper_settings
from .ranking import mean_average_precision, nearest, one_recall_at_10

_BITS = (64, 128)
_SIFT = "SIFT"
#: Queries of a set, as many as Fashion-MNIST and SIFT have. With 1,000, a third of them found has a
#: standard error of 1.5 points, and a bar may be missed by less.
_RANKED = 10_000
#: Of so many given vectors one is asked for.
_ONE_OF = 10
#: Documents that a learned model may look into, by recall.
_LOOKED_INTO = {0.95: 0.028, 0.99: 0.080}
#: Cells play no part in a code: as few as there can be, in one turn.
_NO_CELLS: dict[str, Any] = {"n_buckets": 2, "iterations": 1}
_ENCODED = 20_000
_COMPARED = 10_000
#: A bit whose margin is smaller is not defined.
_UNDEFINED = 1e-5


@dataclass(frozen=True)
class Set:
    """One set of vectors; the nearest are those by L2 distance."""

    name: str
    base: NDArray[np.float32]
    queries: NDArray[np.float32]


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, nargs="*", default=[], help="any others (.npy …)")
    arguments = parser.parse_args()
    details: dict[str, Any] = {"paper": paper_settings()}
    others = _triplets(details) + _routing(details) + _runtime(details)
    details["ranking"] = {data.name: _rank(data) for data in _sets(arguments.vectors)}
    bars = _ranking_bars(details["ranking"][_SIFT]) + others
    path = report.write_results("models", bars, details)
    tables = _ranking_table(details["ranking"]), report.bars_table(bars), _paper_table(details)
    for section, table in zip(("ranking", "bars", "paper"), tables, strict=True):
        report.put_into(report.MODELS, section, table)
        print(f"{table}\n")
    print(f"written to {path.name} and docs/{report.MODELS.name}")


def _sets(files: list[Path]) -> Iterator[Set]:
    images, others = load_fashion_mnist()
    yield _directions("Fashion-MNIST", images.vectors, others.vectors)
    glove = load_glove().vectors
    rows, asked = hold_out(len(glove), _RANKED)
    yield _directions("GloVe", glove[rows], glove[asked])
    base, queries = (np.load(find(name)).astype(np.float32) for name in (SIFT_BASE, SIFT_QUERIES))
    yield Set(_SIFT, base, queries[:_RANKED])
    for file in files:
        vectors = np.asarray(read_embeddings(file, "embedding"), dtype=np.float32)
        rows, asked = hold_out(len(vectors), min(_RANKED, len(vectors) // _ONE_OF))
        yield _directions(file.stem, vectors[rows], vectors[asked])


def _directions(name: str, base: NDArray[np.float32], queries: NDArray[np.float32]) -> Set:
    """Vectors that are compared by cosine: their lengths are taken off for all methods."""
    return Set(name, unit(base).astype(np.float32), unit(queries).astype(np.float32))


def _rank(data: Set) -> dict[str, dict[str, float | None]]:
    """1-recall@10 of every method at every code length."""
    truth = nearest(data.base, data.queries)
    found: dict[str, dict[str, float | None]] = {}
    for n_bits in _BITS:
        methods: dict[str, Codes | None] = {
            "FAISS LSH": lsh_codes(data.base, data.queries, n_bits),
            "FAISS ITQ": itq_codes(data.base, data.queries, n_bits),
        }
        for spec in (
            CatalyzerSpec(n_bits=n_bits, **_NO_CELLS),
            NpHashSpec(n_bits=n_bits, **_NO_CELLS),
        ):
            model = fit(spec, data.base)
            methods[spec.kind] = Codes(model.encode(data.base), model.encode(data.queries))
        for name, codes in methods.items():
            score = None if codes is None else one_recall_at_10(codes.base, codes.queries, truth)
            found.setdefault(name, {})[str(n_bits)] = score
            notes.print(f"{data.name}, {n_bits} bits, {name}: {score}")
    return found


def _ranking_bars(found: dict[str, Any]) -> list[report.Bar]:
    def against(theirs: str, n_bits: int, required: float) -> report.Bar:
        ours, other = found["nphash"][str(n_bits)], found[theirs][str(n_bits)]
        name = f"1-recall@10 on {_SIFT}, {n_bits} bits: nphash over {theirs}"
        return report.at_least(name, ours, other, ours / other, required)

    catalyzer, itq = found["catalyzer"]["64"], found["FAISS ITQ"]["64"]
    nphash = found["nphash"]["64"]
    between = float(itq < catalyzer < nphash)
    return [
        against("FAISS LSH", 64, 1.8),
        against("FAISS LSH", 128, 1.25),
        against("FAISS ITQ", 64, 1.45),
        report.at_least(f"catalyzer between ITQ and nphash on {_SIFT}", catalyzer, itq, between, 1),
    ]


def _triplets(details: dict[str, Any]) -> list[report.Bar]:
    """DTSH with labels on Fashion-MNIST, 12 bits."""
    images, others = load_fashion_mnist()
    model = fit(DtshSpec(n_bits=12), images.vectors, labels=images.labels)
    codes = Codes(model.encode(images.vectors), model.encode(others.vectors))
    itq = itq_codes(images.vectors, others.vectors, 12)
    assert itq is not None
    ours, theirs = (
        mean_average_precision(c.base, images.labels, c.queries, others.labels)
        for c in (codes, itq)
    )
    figures = training_figures(codes.queries, others.labels)
    details["dtsh"] = {"map": ours, "itq_map": theirs, **figures._asdict()}
    return [
        report.at_least("dtsh on Fashion-MNIST, 12 bits: mAP", ours, theirs, ours / theirs, 1.5),
        report.at_least("dtsh: distinct codes", figures.n_codes, None, figures.n_codes, 10),
        report.at_most("dtsh: computation", figures.computation, None, figures.computation, 1.3),
    ]


def _routing(details: dict[str, Any]) -> list[report.Bar]:
    """Documents looked into on GloVe: a learned model, and its cells in the order of cosines."""
    glove = load_glove().vectors
    rows, asked = hold_out(len(glove))
    base, queries = glove[rows], glove[asked]
    clock = time.perf_counter()
    model = fit(LearnedSpec(), base)
    seconds = time.perf_counter() - clock
    ours, theirs = (
        documents_looked_into(model, base, queries, plan, tuple(_LOOKED_INTO))
        for plan in ("learned", "centroid")
    )
    details["learned"] = {"train_s": seconds, "looked_into": ours, "cells": theirs}
    return [
        report.at_most(
            f"learned on GloVe, 4,096 cells: documents looked into at {recall:g}, by cosine "
            f"to the same cells",
            mine,
            cosine,
            mine,
            required,
        )
        for (recall, required), mine, cosine in zip(_LOOKED_INTO.items(), ours, theirs, strict=True)
    ]


def _runtime(details: dict[str, Any]) -> list[report.Bar]:
    """ONNX against torch, and encoding speed: NPHash 2 x 1,024 on 100 dimensions, 128 bits."""
    vectors = load_glove().vectors[:_ENCODED]
    spec = NpHashSpec(n_bits=128, **_NO_CELLS)
    with stages() as progress:
        network = fit_network(vectors, spec, None, TrainingOptions("cpu"), progress)
        onnx_bytes = network_hash_to_onnx(network_hash(network, vectors, spec, progress))
    x = vectors[:_COMPARED]
    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    bits = session.run(["bits"], {"embedding": x})[0]
    margins = network.margins(torch.from_numpy(unit(x).astype(np.float32))).numpy()
    differing = int(((bits != (margins > 0)) & (np.abs(margins) > _UNDEFINED)).sum())
    model = fit(spec, vectors)
    clock = time.perf_counter()
    model.encode(vectors)
    rate = len(vectors) / (time.perf_counter() - clock)
    details["encoded_per_s"] = rate
    return [
        report.at_most("bits that differ between ONNX and torch", differing, None, differing, 0),
        report.at_least(
            "encode, 100 dims, 2 x 1,024 to 128 bits, vectors/s", rate, None, rate, 1e4
        ),
    ]


def _ranking_table(found: dict[str, Any]) -> str:
    """1-recall@10, a row for each method, a column for each set and code length."""
    columns = [(name, str(n_bits)) for name in found for n_bits in _BITS]
    lines = [
        "| 1-recall@10 | "
        + " | ".join(f"{name}, {n_bits} bits" for name, n_bits in columns)
        + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for method in found[_SIFT]:
        scores = [found[name][method][n_bits] for name, n_bits in columns]
        cells = ["" if score is None else f"{score:.1%}" for score in scores]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _paper_table(details: dict[str, Any]) -> str:
    """The Meta4 paper's settings in an engine."""
    lines = [
        "| documents | codes | recall@25 | looked into | p50 ms | full scan, p50 ms | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in details["paper"].items():
        lines.append(
            f"| {row['documents']:,} ({name}) | {row['codes']} | {row['recall']:.3f} "
            f"| {row['looked_into']:.0%} | {row['meta4']['p50_ms']:.1f} "
            f"| {row['full scan']['p50_ms']:.1f} | {row['times_as_fast']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
