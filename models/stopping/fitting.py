"""An outlook fitted on a sample of documents."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..embeddings import Embeddings
from .ends import Ends, Seen, first_ends, later_ends
from .outlook import Outlook
from .regression import Regression, fit_regression
from .shapes import BucketShapes
from .situations import Sample, Situation, situations
from .tail import Floats, Measured, Tail, measure_tail
from .work import beyond, work_on

#: How many are to be found, in situations.
_KS = (1, 3, 10, 30, 100)
#: Situations of each kind that are enough; the tail takes half as many.
ENOUGH = 80
#: Of a situation: how many k, and where first rounds ended for the later ones.
_K_EACH, _ROUNDS_EACH = 2, 2
_SEED = 5
#: Buckets that are put in order: enough that ends are far out too.
_ORDERED = 2048


def fit_outlook(
    directions: Floats,
    embeddings: Embeddings,
    homes: NDArray[np.int64],
    shapes: BucketShapes,
    stands_for: float = 1.0,
    n_each: int = ENOUGH,
    progress: Callable[[int], None] = lambda _: None,
) -> Outlook:
    """Fit on documents.

    Args:
        directions: (n_buckets, dims) float32 of length 1, or zero.
        embeddings: (n, dims) float32 of length 1.
        homes: (n,) int64 their buckets.
        shapes: of the buckets.
        stands_for: documents of the index for each of these.
        n_each: situations of each kind.
        progress: called with the situations done since the last call.
    """
    sample = Sample(embeddings, homes, shapes.ready(directions))
    tail = measure_tail(_reaching(situations(sample, -(-n_each // 2), _SEED + 1)))
    rng = np.random.default_rng(_SEED)
    first, later = _Rows(), _Rows()
    for situation in situations(sample, n_each, _SEED):
        progress(1)
        for k in rng.choice(_KS, _K_EACH, replace=False).tolist():
            if len(situation.scores) < 2 * k:
                continue
            _add(situation, k, tail, rng, stands_for, first, later)
    return Outlook(sample.shapes, tail, first.fitted(), later.fitted())


def _reaching(several: Iterator[Situation]) -> Iterator[Measured]:
    for one in several:
        if not one.is_plain:
            continue
        for k in _KS:
            if len(one.scores) < k:
                continue
            nearest = one.nearest(k)
            z = (one.kth_score(k) - one.facts.means) / one.facts.spreads()
            found = np.bincount(nearest, minlength=len(z)) / k
            yield z, found, one.counts.by_id.astype(np.float64) / k


def _add(
    situation: Situation, k: int, tail: Tail, rng: np.random.Generator, stands_for: float,
    first: "_Rows", later: "_Rows",
) -> None:  # fmt: skip
    facts, counts = situation.facts, situation.counts
    nearest = situation.nearest(k)
    ends = first_ends(work_on(facts, counts, _ORDERED), tail, counts, k, stands_for)
    if not len(ends.after):
        return
    none = np.zeros(0, dtype=np.int64)
    first.add(ends, nearest, none, k, len(counts.by_id))
    for end in rng.choice(ends.after, _ROUNDS_EACH):
        buckets = ends.order[:end]
        scores = situation.best_in(buckets, k)
        others, left = beyond(facts, counts, buckets)
        if len(scores) < k or not len(left.filled):
            continue
        seen = Seen(buckets, scores)
        rounds = later_ends(
            work_on(others, left, _ORDERED), tail, facts, counts, k, seen, stands_for
        )
        later.add(rounds, nearest, buckets, k, len(counts.by_id))


class _Rows:
    """Ends and what was missing there."""

    def __init__(self) -> None:
        self._features: list[Floats] = []
        self._missing: list[Floats] = []

    def add(
        self, ends: Ends, nearest: NDArray[np.int64], seen: NDArray[np.int64], k: int, n: int
    ) -> None:
        """Add those of a situation."""
        ranks = np.full(n, len(ends.order), dtype=np.int64)
        ranks[ends.order] = np.arange(len(ends.order))
        ranks[seen] = -1
        met = np.sort(ranks[nearest])
        found = np.searchsorted(met, ends.after) / k
        self._features.append(ends.features)
        self._missing.append((1.0 - np.minimum(found, 1.0)).astype(np.float32))

    def fitted(self) -> Regression:
        """A network for all of them.

        Raises:
            InputError: there are none: whatever is asked, one bucket holds all of the answer.
        """
        if not self._features:
            raise InputError(
                "the documents are too much alike to learn from how far a request must look; "
                "without being tuned it is exact"
            )
        return fit_regression(np.concatenate(self._features), np.concatenate(self._missing))
