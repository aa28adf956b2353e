"""What a field of vectors promises: a share of the k nearest, by its calibration."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....ingest.files.sources import read_embeddings
from ....models.embeddings import embedding_fault
from ....models.probing.calibration import Calibration
from ....models.probing.ranking import check_plan
from ....models.stopping.record import OutlookRecord
from ...engines.calls import Json
from ...engines.engine import Engine
from ...searches import read_searches
from ..promise import Basis, Judge, Judged, Promise, Question, Table, TuneOptions
from ..recall import recall_by_score
from .tuning import tune
from .tuning.exact import draw_queries

if TYPE_CHECKING:
    from .field import VectorField

#: Growth since it was tuned, after which a calibration is of another index.
_GROWN = 1.5
#: What requests ask for by themselves.
_RECALL = 0.95
Tuned = Calibration | OutlookRecord
_QUERIES = {"documents": "of its documents as queries", "given": "given queries"}


class VectorPromise(Promise):
    """See `Promise`."""

    recalls = (_RECALL, 0.99)
    verb = "asked"

    def __init__(self, field: "VectorField") -> None:
        self._field = field
        self._spec = field.spec

    def tune(
        self,
        engine: Engine,
        index: str,
        options: TuneOptions,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Tuned:
        """See `Promise`."""
        model = engine.run(self._field.model())
        spec = self._spec.model_copy(update={"plan": options.plan or self._spec.plan})
        check_plan(spec.plan, model.bucket_kind)
        return tune.tune_vectors(
            engine,
            index,
            spec,
            model,
            n_queries=options.n_queries or tune.N_QUERIES,
            given=options.given,
            seed=options.seed or 0,
            progress=progress,
        )

    @property
    def _tuned(self) -> Tuned | None:
        return self._spec.own_reach or self._spec.calibration

    def table(self, tuned: Tuned | None = None) -> Table | None:
        """See `Promise`."""
        calibration = tuned or self._tuned
        if calibration is None:
            return None
        if isinstance(calibration, OutlookRecord):
            return _delivered(calibration)
        return Table(
            title=f"share of the buckets' entries to look into, {calibration.plan} order, "
            f"measured with {calibration.n_queries:,} {_QUERIES[calibration.queries]} in "
            f"{calibration.n_documents:,} documents",
            headers=["recall", "looked for by", *[f"k = {depth}" for depth in calibration.depths]],
            rows=_rows("any bucket", calibration) + _rows("home", calibration.home),
        )

    def read_queries(self, path: Path) -> NDArray[Any]:
        """See `Promise`: (n, dims)."""
        return read_embeddings(path, self._spec.field)

    def searches(self, engine: Engine, index: str) -> NDArray[np.float32] | None:
        """See `Promise`: (n, dims); those of other dimensions are of embeddings before."""
        kept = read_searches(engine, index, self._spec.field)
        sound = [one for one in kept if embedding_fault(one, self._spec.dims) is None]
        return np.stack(sound) if sound else None

    def questions(
        self, engine: Engine, index: str, n: int, seed: int, given: NDArray[Any] | None
    ) -> list[Question]:
        """See `Promise`."""
        drawn = draw_queries(engine, index, self._spec, n, seed, given)
        return [Question(one.id, {"vector": one.vector.tolist()}) for one in drawn]

    def judge(self, k: int, recall: float | None) -> "VectorJudge":
        """See `Promise`."""
        return VectorJudge(k, _RECALL if recall is None else recall)

    def missing(self) -> str | None:
        """See `Promise`."""
        if self._tuned is None:
            return "never tuned: every request scans all documents"
        return None

    def basis(self, n_documents: int) -> Basis:
        """See `Promise`."""
        calibration = self._tuned
        assert calibration is not None
        grown = n_documents / calibration.n_documents
        words = f"tuned with {calibration.n_documents:,} documents, {n_documents:,} now"
        return Basis(words, grown, 1 / _GROWN < grown < _GROWN)

    def remedy(self, index: str) -> str:
        """See `Promise`."""
        return f"meta4 index tune {index}"


def _delivered(outlook: OutlookRecord) -> Table:
    rows = [
        [
            one.queries,
            one.k,
            f"{one.asked:g}",
            f"{one.mean:.3f} ± {one.error:.3f}",
            f"{one.worst:.3f}",
            f"{one.looked_into:.2%}",
        ]
        for one in outlook.delivered
    ]
    return Table(
        title=f"what requests deliver, held against exact search of {outlook.n_documents:,} "
        f"documents; fitted on {outlook.n_sampled:,} of them",
        headers=["queries", "k", "recall asked", "delivered", "worst tenth", "looked into"],
        rows=rows,
    )


def _rows(looked_for_by: str, calibration: Calibration | None) -> list[list[str]]:
    if calibration is None:
        return []
    return [  # in their order: an engine mixes them
        [target, looked_for_by, *[f"{share:.2%}" for share in shares]]
        for target, shares in sorted(calibration.shares.items())
    ]


class VectorJudge(Judge):
    """Of the k nearest, all are to be found."""

    def __init__(self, k: int, recall: float) -> None:
        self._k = k
        self._recalls: list[float] = []
        self._n = 0
        self.asks = recall

    def add(self, asked: Question, found: Sequence[Json], truth: Sequence[Json]) -> None:
        """See `Judge`."""
        scores = [np.asarray([hit["_score"] for hit in hits]) for hits in (found, truth)]
        self._n += min(self._k, len(truth))
        self._recalls.append(recall_by_score(scores[0], scores[1], self._k))

    def judged(self) -> Judged:
        """See `Judge`."""
        recalls = self._recalls
        error = float(np.std(recalls) / np.sqrt(len(recalls)))
        worst = float(np.mean(np.sort(recalls)[: max(1, len(recalls) // 10)]))
        return Judged(self._n, float(np.mean(recalls)), error, self.asks, worst=worst)
