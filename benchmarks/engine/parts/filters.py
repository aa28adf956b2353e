"""Filters that keep a share of the documents at random: the same one each time, and new ones."""

import numpy as np
from numpy.typing import NDArray

from ..collection import DRAWN_BELOW, Body, Question, Range
from ..rounds import repeated
from .bench import BARRED, Bench

#: By name, what a filter keeps.
SHARES = {"30%": 0.3, "10%": 0.1, "1%": 0.01, "0.1%": 0.001}
REPEATED, NEW = "repeated", "new in each request"
RECALL = BARRED[-1]


def filters(bench: Bench) -> Body:
    """By share, then by whether the filter is repeated: the figures of each side."""
    theirs = {kind.name: bench.indexes.of(kind) for kind in bench.indexes.kinds}
    collection, counts = bench.collection, bench.counts
    found: Body = {}
    for name, share in SHARES.items():
        width = round(share * DRAWN_BELOW)
        tuning = _same(bench, collection.tuning[: counts.tuning], width)
        sides = bench.equal(RECALL, bench.indexes.ours(), theirs, tuning)
        asked = [_same(bench, collection.asked, width)] * counts.rounds
        warm, *rounds = _new(bench, width)
        found[name] = {
            REPEATED: bench.timed(
                f"filter {name}, {REPEATED}", sides, asked, repeated(tuning, counts.warm)
            ),
            NEW: bench.timed(f"filter {name}, {NEW}", sides, rounds, warm),
        }
    return found


def _same(bench: Bench, queries: NDArray[np.float32], width: int) -> list[Question]:
    """Queries with the one range that begins at 0."""
    return bench.collection.questions(queries, [Range(0, width)] * len(queries))


def _new(bench: Bench, width: int) -> list[list[Question]]:
    """For warming and for each round questions with ranges of which no two are the same."""
    n, parts = bench.counts.few, bench.counts.rounds + 1
    starts = np.random.default_rng(width).choice(
        np.arange(1, DRAWN_BELOW - width), (parts, n), replace=False
    )
    asked = bench.collection.asked
    rows = np.arange(parts * n).reshape(parts, n) % len(asked)
    return [
        bench.collection.questions(asked[own], [Range(start, start + width) for start in begin])
        for own, begin in zip(rows, starts.tolist(), strict=True)
    ]
