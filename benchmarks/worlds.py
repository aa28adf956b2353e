"""Vectors that people have, and what is asked of them: texts, words, pictures, descriptors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.adapter.measure import comparison
from meta4.models.embeddings import unit_float32

from .data import SIFT_BASE, SIFT_QUERIES, find, hold_out, load_glove
from .pictures import load_pictures
from .text_data import load_texts

Json = dict[str, Any]
Body = dict[str, Any]
Floats = NDArray[np.float32]
#: Questions of a kind, half of which decide what a rival needs, and the rest are timed.
N_ASKED = 600
#: That no index has: those of the first kind, and as many again that nobody asks twice.
_N_HELD_OUT = 1_600
#: The field of which a filter keeps some values, and their number: of each as many documents.
_PART, _PARTS = "part", 100
#: Of synthetic vectors: words around so many others; and how many are made at once.
_NEIGHBOURHOODS, _PART_SIZE = 2048, 50_000


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
    fields = [{"source": int(one), _PART: i % _PARTS} for i, one in enumerate(of)]
    others = [1 - one for one in source[asked].tolist()]
    kinds = [
        _unfiltered("held-out texts", vectors[asked]),
        _unfiltered("fortunes", unit_float32(other)),
        *(_random("held-out texts", vectors[asked], len(base), percent) for percent in (30, 10, 1)),
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
    fields = [{_PART: i % _PARTS} for i in range(len(base))]
    kinds = [
        _unfiltered("held-out words", vectors[asked]),
        _random("held-out words", vectors[asked], len(base), 10),
    ]
    return World("words", "words (100)", base, fields, kinds, vectors[held_out[N_ASKED:]])


def pictures() -> World:
    """All pictures but those that are held out; also asked for those of another class alone."""
    parts = load_pictures()
    vectors = unit_float32(np.concatenate([part.vectors for part in parts]))
    label = np.concatenate([part.labels for part in parts])
    rows, held_out = hold_out(len(vectors), _N_HELD_OUT)
    asked = held_out[:N_ASKED]
    base, of = vectors[rows], label[rows]
    fields = [{"class": int(one), _PART: i % _PARTS} for i, one in enumerate(of)]
    n_classes = int(label.max()) + 1
    others = [(one + n_classes // 2) % n_classes for one in label[asked].tolist()]
    kinds = [
        _unfiltered("held-out pictures", vectors[asked]),
        _random("held-out pictures", vectors[asked], len(base), 10),
        Kind(
            "held-out pictures; another class only", vectors[asked],
            [{"term": {"class": one}} for one in others], [of == one for one in others],
        ),
    ]  # fmt: skip
    unasked = vectors[held_out[N_ASKED:]]
    return World("pictures", "pictures (1,280)", base, fields, kinds, unasked)


def sift() -> World:
    """A million descriptors; the queries are from other photographs."""
    base, queries = (
        unit_float32(np.load(find(name)).astype(np.float32)) for name in (SIFT_BASE, SIFT_QUERIES)
    )
    asked, unasked = queries[:N_ASKED], queries[N_ASKED:_N_HELD_OUT]
    fields: list[Json] = [{}] * len(base)
    kinds = [_unfiltered("other photographs", asked)]
    return World("sift", "SIFT (128)", base, fields, kinds, unasked)


def many(n: int) -> World:
    """N synthetic vectors: a word's, moved by half of what two others of its neighbourhood differ.

    So they vary about a word as the words there do, and their local dimension is that of words.
    Asked for are others made in the same way.
    """
    real = unit_float32(load_glove().vectors)
    random = np.random.default_rng(0)
    centres = real[random.choice(len(real), _NEIGHBOURHOODS, replace=False)]
    of = np.concatenate([np.argmax(part @ centres.T, axis=1) for part in _parts(real)])
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(_NEIGHBOURHOODS))
    sizes = np.bincount(of, minlength=_NEIGHBOURHOODS)
    made = np.empty((n + _N_HELD_OUT, real.shape[1]), dtype=np.float32)
    for part in _parts(made):
        word = random.integers(len(real), size=len(part))
        places = random.integers(sizes[of[word]], size=(2, len(part))) + starts[of[word]]
        one, other = real[order[places]]
        part[:] = unit_float32(real[word] + (one - other) / 2)
    asked = made[n : n + N_ASKED]
    return World("many", f"{n:,} synthetic (100)", made[:n], [{}] * n,
                 [_unfiltered("others made alike", asked)], made[n + N_ASKED :])  # fmt: skip


def _parts(vectors: Floats) -> Iterator[Floats]:
    for start in range(0, len(vectors), _PART_SIZE):
        yield vectors[start : start + _PART_SIZE]


def _random(name: str, queries: Floats, n: int, percent: int) -> Kind:
    """Under a filter that has nothing to do with the n vectors."""
    kept = np.arange(n) % _PARTS < percent
    within = {"range": {_PART: {"lt": percent}}}
    return Kind(f"{name}; random {percent}%", queries, [within] * len(queries),
                [kept] * len(queries))  # fmt: skip


def _unfiltered(name: str, queries: Floats) -> Kind:
    nothing = [None] * len(queries)
    return Kind(name, queries, nothing, nothing)


WORLDS: dict[str, Callable[[], World]] = {
    "texts": texts,
    "words": words,
    "pictures": pictures,
    "sift": sift,
}
