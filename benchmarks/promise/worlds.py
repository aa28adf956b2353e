"""Sets of vectors with queries and filters that nothing was tuned for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4.models.embeddings import unit

from ..data import SIFT_BASE, SIFT_QUERIES, find, load_glove

Floats = NDArray[np.float32]
Body = dict[str, Any]
#: Queries of a row; of the queries that HNSW is tuned on, as many others.
N_ASKED = 100
_DRAWN = 1_000_000
_SEED = 7


@dataclass(frozen=True)
class Filter:
    """A filter for each query in turn.

    Attributes:
        body: the i-th request's.
        keeps: (n,) what that keeps.
    """

    body: Callable[[int], Body]
    keeps: Callable[[int], NDArray[np.bool_]]


@dataclass(frozen=True)
class World:
    """One set.

    Attributes:
        name: for the table.
        base: (n, dims) float32 of length 1.
        n_buckets: of its models.
        kinds: by name, (m, dims) queries; the first are like the documents.
        fields: by name, (n,) what filters ask for.
        filters: by name.
        added: (m, dims) documents of another kind, added when everything was tuned, and queries
            like these.
    """

    name: str
    base: Floats
    n_buckets: int
    kinds: dict[str, Floats]
    fields: dict[str, NDArray[Any]]
    filters: dict[str, Filter]
    added: tuple[Floats, Floats] | None = None

    def documents(self, rows: slice = slice(None)) -> Iterator[tuple[str, Body]]:
        """Ids and documents."""
        for row in range(*rows.indices(len(self.base))):
            own = {name: values[row].item() for name, values in self.fields.items()}
            yield str(row), {**own, "embedding": self.base[row].tolist()}


@dataclass
class _Made:
    """A world in the making."""

    name: str
    base: Floats
    n_buckets: int
    kinds: dict[str, Floats]
    added: tuple[Floats, Floats] | None = None
    fields: dict[str, NDArray[Any]] = field(default_factory=dict)
    filters: dict[str, Filter] = field(default_factory=dict)

    def world(self) -> World:
        rng = np.random.default_rng(_SEED)
        n = len(self.base)
        drawn = self.fields["drawn"] = rng.integers(_DRAWN, size=n)
        for share in (0.3, 0.1, 0.01, 0.001):
            width = int(share * _DRAWN)
            if share * n < 100:
                continue

            def bounds(i: int, width: int = width) -> tuple[int, int]:
                start = i * 7919 % (_DRAWN - width)
                return start, start + width

            def body(i: int, bounds: Any = bounds) -> Body:
                low, high = bounds(i)
                return {"range": {"drawn": {"gte": low, "lt": high}}}

            def keeps(i: int, bounds: Any = bounds) -> NDArray[np.bool_]:
                low, high = bounds(i)
                kept: NDArray[np.bool_] = (drawn >= low) & (drawn < high)
                return kept

            self.filters[f"random {share:.1%}, new each time"] = Filter(body, keeps)
        # Half of space away from a direction near all queries of the first kind.
        queries = next(iter(self.kinds.values()))
        noise: Floats = unit(rng.normal(size=(self.base.shape[1],))).astype(np.float32)
        along = _directions(queries.mean(axis=0) + np.float32(0.3) * noise)
        axis = self.fields["axis"] = (self.base @ along).round(4)
        limit = float(np.quantile(axis, 0.3))
        self.filters["far along an axis"] = _constant(
            {"range": {"axis": {"lt": limit}}}, axis < limit
        )
        return World(**vars(self))

    def one_of(self, name: str, values: NDArray[Any], value: int, words: str) -> None:
        """A filter on a field of few values."""
        self.fields[name] = values
        self.filters[words] = _constant({"term": {name: value}}, values == value)


def _constant(body: Body, kept: NDArray[np.bool_]) -> Filter:
    return Filter(lambda _: body, lambda _: kept)


def worlds(names: list[str]) -> Iterator[World]:
    """Those of some names; each is made when it is asked for."""
    for name in names:
        yield WORLDS[name]().world()


def _glove() -> _Made:
    """60,000 words; the rarer half by itself."""
    x = _directions(load_glove().vectors[:60_000])
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(len(x))
    asked, rows = order[: 2 * N_ASKED], np.sort(order[2 * N_ASKED :])
    kinds = {
        "held-out words": x[asked],
        "words with noise": _noisy(x[asked[:N_ASKED]], 1.0, rng),
        "random directions": _directions(rng.normal(size=(N_ASKED, x.shape[1]))),
    }
    made = _Made("words (100)", x[rows], 1536, kinds)
    made.one_of("rare", (rows > 30_000).astype(int), 1, "rare words only")
    made.one_of("frequent", (rows < 4_000).astype(int), 1, "frequent words only")
    return made


def _sift() -> _Made:
    """100,000 descriptors; queries out of photographs that gave nothing."""
    x = _directions(np.load(find(SIFT_BASE), mmap_mode="r")[::10].astype(np.float32) + 1e-3)
    queries = _directions(np.load(find(SIFT_QUERIES))[:N_ASKED].astype(np.float32) + 1e-3)
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(len(x))
    asked, rows = order[: 2 * N_ASKED], np.sort(order[2 * N_ASKED :])
    kinds = {"held-out descriptors": x[asked], "other photographs": queries}
    made = _Made("SIFT (128)", x[rows], 2048, kinds)
    made.one_of("first", (rows < 50_000).astype(int), 1, "half of the photographs")
    return made


def _clusters() -> _Made:
    """1,000 clusters of power-law sizes."""
    rng = np.random.default_rng(_SEED)
    centres = rng.normal(size=(1000, 256))
    own = (rng.zipf(1.35, 20_000) - 1) % 1000
    asked = (rng.zipf(1.35, 2 * N_ASKED) - 1) % 1000

    def near(which: NDArray[np.int64]) -> Floats:
        return _directions(centres[which] + 0.4 * rng.normal(size=(len(which), 256)))

    evenly = near(rng.integers(1000, size=N_ASKED))
    kinds = {"like documents": near(asked), "evenly over clusters": evenly}
    base = near(own)
    centres = rng.normal(size=(200, 256))  # of what is added later
    others = near(rng.integers(200, size=4_000)), near(rng.integers(200, size=N_ASKED))
    made = _Made("clusters of many sizes (256)", base, 512, kinds, others)
    made.one_of("late", (own >= 100).astype(int), 1, "clusters from the hundredth on")
    made.one_of("large", (own < 30).astype(int), 1, "the thirty largest clusters")
    return made


def _two() -> _Made:
    """Two sources."""
    rng = np.random.default_rng(_SEED)
    one, other = rng.normal(size=(300, 64)), rng.normal(size=(900, 64)) + 0.6

    def near(centres: NDArray[np.float64], n: int, spread: float) -> Floats:
        which = rng.integers(len(centres), size=n)
        return _directions(centres[which] + spread * rng.normal(size=(n, 64)))

    base = np.concatenate([near(one, 12_000, 0.45), near(other, 8_000, 0.8)])
    kinds = {"like the one source": near(one, 2 * N_ASKED, 0.45)}
    made = _Made("two sources (64)", base, 512, kinds)
    made.one_of("second", (np.arange(20_000) >= 12_000).astype(int), 1, "the other source only")
    return made


def _equal() -> _Made:
    """A third of all documents equal, and a fifth of the queries at them."""
    rng = np.random.default_rng(_SEED)
    x, asked = rng.normal(size=(20_000, 128)), rng.normal(size=(2 * N_ASKED, 128))
    x[rng.permutation(20_000)[:6_000]] = x[0]
    asked[::5] = x[0] + 0.02 * rng.normal(size=(len(asked[::5]), 128))
    return _Made(
        "a third equal (128)", _directions(x), 512, {"a fifth at them": _directions(asked)}
    )


def _directions(x: NDArray[Any]) -> Floats:
    scaled: Floats = unit(x).astype(np.float32)
    return scaled


def _noisy(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    return _directions(x + level / np.sqrt(x.shape[1]) * rng.normal(size=x.shape))


WORLDS: dict[str, Callable[[], _Made]] = {
    "words": _glove, "sift": _sift, "clusters": _clusters, "two": _two, "equal": _equal,
}  # fmt: skip
