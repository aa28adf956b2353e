"""Vectors that people have, and what is asked of them: texts, words, descriptors of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.adapter.measure import comparison
from meta4.models.embeddings import unit_float32

from .data import SIFT_BASE, SIFT_QUERIES, find, hold_out, load_glove
from .text_data import load_texts

Json = dict[str, Any]
Body = dict[str, Any]
Floats = NDArray[np.float32]
#: Questions of a kind, half of which decide what a rival needs, and the rest are timed.
N_ASKED = 600
#: That no index has: those of the first kind, and as many again that nobody asks twice.
_N_HELD_OUT = 1_600


@dataclass(frozen=True)
class Kind:
    """One kind of question: rows of (n, dims) vectors, and of each the filter it is asked under."""

    name: str
    queries: Floats
    filters: Sequence[Body | None]
    kept: Sequence[NDArray[np.bool_] | None]


@dataclass(frozen=True)
class World:
    """Vectors with fields beside them, and what is asked of them.

    Attributes:
        key: what it is called on the command line and in names of indexes.
        name: for tables.
        base: (n, dims) float32 of length 1.
        fields: of each, what filters ask for.
        kinds: the first is like the documents, without a filter.
        unasked: (m, dims) further questions like those of the first kind.
    """

    key: str
    name: str
    base: Floats
    fields: Sequence[Json]
    kinds: Sequence[Kind]
    unasked: Floats

    @property
    def bytes(self) -> int:
        """Of the full vectors."""
        return self.base.nbytes

    def scores(self, query: Floats, hits: list[Body]) -> NDArray[np.float64]:
        """(1 + cosine) / 2 of hits, best first: an inner product's score is another."""
        found = self.base[[int(hit["_id"]) for hit in hits]].astype(np.float64)
        return np.sort((1.0 + found @ query) / 2.0)[::-1]

    def thinned(self, n: int) -> "World":
        """N of the documents, evenly, and no filters: to see whether a benchmark runs."""
        rows = np.linspace(0, len(self.base) - 1, n).astype(int)
        name = f"{self.name}, {n:,} documents"
        fields = [self.fields[row] for row in rows]
        return World(self.key, name, self.base[rows], fields, self.kinds[:1], self.unasked)

    def truth(
        self, queries: Floats, kept: Sequence[NDArray[np.bool_] | None], k: int
    ) -> NDArray[np.float64]:
        """(n, k) scores of the nearest that the filters keep, best first."""
        if all(one is None for one in kept):
            return comparison.exact_truth(self.base, queries, k)
        return np.stack([
            comparison.exact_truth(self.base if own is None else self.base[own], q[None], k)[0]
            for q, own in zip(queries, kept, strict=True)
        ])  # fmt: skip


def texts() -> World:
    """Both sources, of which some texts are held out; questions of their kind and of another."""
    sources = [load_texts("glosses"), load_texts("descriptions")]
    other = load_texts("fortunes").vectors[:N_ASKED]
    vectors = unit_float32(np.concatenate([one.vectors for one in sources]))
    source = np.repeat([0, 1], [len(one.vectors) for one in sources])
    rows, held_out = hold_out(len(vectors), _N_HELD_OUT)
    held_out = np.random.default_rng(0).permutation(held_out)  # glosses come first
    asked = held_out[:N_ASKED]
    base, of = vectors[rows], source[rows]
    fields = [{"source": int(one), "tenth": i % 10} for i, one in enumerate(of)]
    tenth = np.arange(len(base)) % 10
    others = [1 - one for one in source[asked].tolist()]
    kinds = [
        _unfiltered("held-out texts", vectors[asked]),
        _unfiltered("fortunes", unit_float32(other)),
        Kind(
            "held-out texts; random 10%", vectors[asked], [{"term": {"tenth": 3}}] * len(asked),
            [tenth == 3] * len(asked),
        ),
        Kind(
            "held-out texts; the other source only", vectors[asked],
            [{"term": {"source": one}} for one in others], [of == one for one in others],
        ),
    ]  # fmt: skip
    return World("texts", "texts (384)", base, fields, kinds, vectors[held_out[N_ASKED:]])


def words() -> World:
    """All words but those that are held out."""
    vectors = unit_float32(load_glove().vectors)
    rows, held_out = hold_out(len(vectors), _N_HELD_OUT)
    asked = held_out[:N_ASKED]
    base = vectors[rows]
    fields = [{"tenth": i % 10} for i in range(len(base))]
    tenth = np.arange(len(base)) % 10
    kinds = [
        _unfiltered("held-out words", vectors[asked]),
        Kind(
            "held-out words; random 10%", vectors[asked],
            [{"term": {"tenth": 3}}] * len(asked), [tenth == 3] * len(asked),
        ),
    ]  # fmt: skip
    return World("words", "words (100)", base, fields, kinds, vectors[held_out[N_ASKED:]])


def sift() -> World:
    """A million descriptors; the queries are from other photographs."""
    base, queries = (
        unit_float32(np.load(find(name)).astype(np.float32)) for name in (SIFT_BASE, SIFT_QUERIES)
    )
    asked, unasked = queries[:N_ASKED], queries[N_ASKED:_N_HELD_OUT]
    fields: list[Json] = [{}] * len(base)
    kinds = [_unfiltered("other photographs", asked)]
    return World("sift", "SIFT (128)", base, fields, kinds, unasked)


def _unfiltered(name: str, queries: Floats) -> Kind:
    nothing = [None] * len(queries)
    return Kind(name, queries, nothing, nothing)


WORLDS: dict[str, Callable[[], World]] = {"texts": texts, "words": words, "sift": sift}
