"""All pairs of words with a cosine of 0.9 or more, by buckets and by comparing everything.

    make bench-duplicates       # ten minutes

Both sides have the same vectors in memory and use NumPy on the same cores, one after the other;
`meta4 duplicates` reads them out of the index before, as it would have to for either. Of ours,
sorting by bucket, seeing how far to look, measuring the recall and the pairs themselves are timed.
ARGS=50000 takes so many of the words, and writes nothing.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meta4.models.embeddings import Embeddings, no_progress, unit_float32
from meta4.models.kinds.cells import spherical_kmeans
from meta4.models.probing.bucket_rows import BucketRows
from meta4.models.probing.pair_recall import PairRecall
from meta4.models.probing.pair_search import search_for_pairs
from meta4.models.specs import cells_for

from . import report
from .data import hold_out, load_glove

_COSINE, _RECALL, _FASTER = 0.9, 0.99, 10.0
#: Cells are of one in so many words, and found in so many turns: less good than by default.
_ONE_IN, _TURNS = 4, 4
_BLOCK = 4_096


def cells_of(vectors: Embeddings) -> NDArray[np.int64]:
    """The cell of each, as a `cells` model has them: what an index knows before it is asked."""
    rng = np.random.default_rng(0)
    some = vectors[::_ONE_IN]
    n_cells = cells_for(len(vectors))
    centroids = spherical_kmeans(some, n_cells, _TURNS, rng, no_progress)
    blocks = (vectors[i : i + _BLOCK] for i in range(0, len(vectors), _BLOCK))
    return np.concatenate([np.argmax(block @ centroids.T, axis=1) for block in blocks])


@dataclass(frozen=True)
class Ours:
    """Pairs as numbers, seconds until how is known and until all are found, and what was told."""

    pairs: NDArray[np.int64]
    planned_s: float
    seconds: float
    told: PairRecall
    compared: float


def by_buckets(vectors: Embeddings, buckets: NDArray[np.int64]) -> Ours:
    """What `meta4 duplicates` does once it has read the index."""
    clock = time.monotonic()
    rows = BucketRows.of(vectors, buckets)
    search = search_for_pairs(rows, _COSINE, _RECALL)
    planned = time.monotonic()
    parts = [
        _numbers(rows.order[found.a], rows.order[found.b], len(vectors))
        for found in search.join.pairs(_COSINE)
    ]
    done = time.monotonic()
    pairs = np.concatenate(parts)
    return Ours(pairs, planned - clock, done - clock, search.found, search.join.share)


def exact(vectors: Embeddings) -> tuple[NDArray[np.int64], float]:
    """Products of all with all, each pair once, block by block; and seconds."""
    clock = time.monotonic()
    n, parts = len(vectors), []
    room = np.empty(_BLOCK * _BLOCK, dtype=np.float32)
    for i in range(0, n, _BLOCK):
        some = vectors[i : i + _BLOCK]
        for j in range(i, n, _BLOCK):
            others = vectors[j : j + _BLOCK]
            products = room[: len(some) * len(others)].reshape(len(some), len(others))
            np.matmul(some, others.T, out=products)
            a, b = np.divmod(np.flatnonzero(products >= _COSINE), len(others))
            a, b = a + i, b + j
            parts.append(_numbers(a[a < b], b[a < b], n))
    return np.concatenate(parts), time.monotonic() - clock


def _numbers(a: NDArray[np.int64], b: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    return np.minimum(a, b) * n + np.maximum(a, b)


def main(n_words: int | None) -> None:
    """Measure, print and write."""
    glove = load_glove()
    rows, _ = hold_out(len(glove.vectors))
    vectors = unit_float32(glove.vectors[rows[:n_words]])
    n = len(vectors)
    ours = by_buckets(vectors, cells_of(vectors))
    print(f"by buckets: {len(ours.pairs):,} pairs in {ours.seconds:.1f} s; now exact", flush=True)
    theirs, seconds = exact(vectors)
    recall = float(np.isin(theirs, ours.pairs).mean())
    told = ours.told.recall or 0.0
    bars = [
        report.at_least(
            f"share of the pairs of {n:,} words at cosine {_COSINE:g} that is found",
            recall, 1.0, recall, _RECALL,
        ),
        report.at_least(
            "seconds to find them, exact over by buckets",
            ours.seconds, seconds, seconds / ours.seconds, _FASTER,
        ),
    ]  # fmt: skip
    figures = [
        f"{len(ours.pairs):,} | {ours.seconds:.1f} | {ours.planned_s:.1f}",
        f"{ours.compared:.2%} | {recall:.4f} | {told:.4f} | {ours.told.at_least:.4f}",
    ]
    table = "\n".join(
        [
            "| way | pairs | seconds | before the first | compared | recall | as told | at least |",
            "|---|---|---|---|---|---|---|---|",
            f"| by buckets | {' | '.join(figures)} |",
            f"| exact | {len(theirs):,} | {seconds:.1f} | | 100% | 1 | | |",
        ]
    )
    shown = f"{report.bars_table(bars)}\n\n{table}"
    print(shown)
    if n_words is None:
        details = {
            "words": n,
            "pairs": len(theirs),
            "found": len(ours.pairs),
            "planned_s": ours.planned_s,
            "compared": ours.compared,
            "told": ours.told,
        }
        report.write_results("duplicates", bars, details)
        report.put_into(report.BENCHMARKS, "duplicates", shown)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
