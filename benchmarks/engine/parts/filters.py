"""Filters that keep a share of the documents at random: the same one each time, and new ones."""

from collections.abc import Sequence

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
    draw = np.random.default_rng(3)
    collection, counts = bench.collection, bench.counts
    found: Body = {}
    for name, share in SHARES.items():
        width = round(share * DRAWN_BELOW)
        same = Range(0, width)
        tuning = collection.questions(
            collection.tuning[: counts.tuning], [same] * len(collection.tuning[: counts.tuning])
        )
        sides = bench.equal(RECALL, bench.indexes.ours(), theirs, tuning)
        asked = collection.questions(collection.asked, [same] * len(collection.asked))
        found[name] = {
            REPEATED: bench.timed(
                f"filter {name}, {REPEATED}",
                sides,
                [asked] * counts.rounds,
                repeated(tuning, counts.warm),
            )
        }

        def new(
            queries: NDArray[np.float32],
            starts: NDArray[np.int64],
            width: int = width,
        ) -> list[Question]:
            """Queries, each with a range of its own."""
            kept = [Range(start, start + width) for start in starts.tolist()]
            return collection.questions(queries, kept)

        # Of the places where such a range can begin no two are the same in all that follows.
        places = draw.choice(
            np.arange(1, DRAWN_BELOW - width), counts.few * (counts.rounds + 1), replace=False
        ).reshape(counts.rounds + 1, counts.few)
        warm, *rounds = (new(_some(collection.asked, i, counts.few), starts)
                         for i, starts in enumerate(places))  # fmt: skip
        found[name][NEW] = bench.timed(f"filter {name}, {NEW}", sides, rounds, warm)
    return found


def _some(queries: NDArray[np.float32], part: int, n: int) -> NDArray[np.float32]:
    """The n queries of a part, from the beginning again after the last one."""
    rows: Sequence[int] = [(part * n + i) % len(queries) for i in range(n)]
    return queries[list(rows)]
