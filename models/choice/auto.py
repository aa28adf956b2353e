"""The model that looks into the fewest documents, found by trying (`meta4 train --auto`).

Candidates are drawn by a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) and
fitted on a sixteenth and a quarter of the vectors; between the two those behind are given up
(successive halving: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys
2020). Both are optuna's. The best are then fitted on all vectors, as many as there is time for,
and judged again.

`nphash` and `catalyzer` are not tried: their buckets are those of `cells`, and what they do
better, the code, has no part in what is looked into.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, MissingExtraError
from ..embeddings import Embeddings, Progress, as_training_embeddings
from ..model import HashModel
from ..probing.ranking import default_plan
from ..specs import DtshSpec, SearchedSpec
from ..training.options import Device, TrainingOptions
from .attempts import Attempt, describe
from .candidates import Candidates, for_part
from .judgement import documents_looked_into

_LEAST_VECTORS = 1_000
#: Parts of the vectors that candidates are fitted on before all; none of fewer than the least.
_PARTS, _LEAST_PART = (1 / 16, 1 / 4), 4_000
_QUERIES, _WHOLE_QUERIES = 300, 1_000
#: Share of the time that is spent on parts.
_EXPLORING = 0.4
#: Seconds grow with the vectors to this power: buckets grow with them, and k-means by both.
_GROWTH = 1.8
#: Share of the documents looked into that makes no difference: the shorter code is taken.
_LEVEL = 0.01
#: How much more a candidate may look into on a part than the best and still win on all.
_NEAR = 1.5
#: One candidate in so many goes on to the next part.
_REDUCTION = 4
#: More draw what has been tried already.
_MOST_TRIALS = 60


@dataclass(frozen=True)
class Aim:
    """What a model is wanted for.

    Attributes:
        recall: in (0, 1].
        k: neighbours that the recall is of.
        minutes: time for the search.
        seed: of the search, and of the models.
        device: where networks are trained.
    """

    recall: float = 0.95
    k: int = 25
    minutes: float = 20.0
    seed: int = 0
    device: Device = "auto"


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        model: the chosen one, fitted on all vectors but those that it was judged with.
        chosen: its attempt.
        attempts: all, in the order in which they ended.
    """

    model: HashModel
    chosen: Attempt
    attempts: list[Attempt]


class _OutOfTimeError(Exception):
    """Leaves a fit by way of its progress callback."""


def find_model(
    embeddings: Any, aim: Aim, progress: Progress, *, labels: NDArray[Any] | None = None
) -> Found:
    """Try kinds, code lengths, numbers of buckets and layers.

    1,000 vectors, or a tenth of fewer than 10,000, are held out, and the models judged by what
    they look into for them. At least one model is fitted on all others, even where that takes
    longer than the time given.

    Args:
        embeddings: (n, dims) numbers.
        aim: what for, and for how long.
        progress: called with ("trying: …", seconds gone, seconds in all).
        labels: (n,) classes; with them `dtsh` is tried as well.

    Raises:
        InputError: too few vectors, or labels of another length.
        MissingExtraError: no optuna, or no torch.
    """
    data = as_training_embeddings(embeddings)
    if len(data) < _LEAST_VECTORS:
        raise InputError(
            f"a search among models needs at least {_LEAST_VECTORS} vectors to judge them by, "
            f"got {len(data)}; choose one with --model"
        )
    if labels is not None and len(labels) != len(data):
        raise InputError(f"{len(data)} vectors have {len(labels)} labels; give one for each")
    return _Search(data, labels, aim, progress).run()


def choose(attempts: list[Attempt]) -> Attempt:
    """The fewest documents looked into; where that is level, the shortest code.

    Args:
        attempts: judged, at least one.
    """
    fewest = min(attempt.looked_into for attempt in attempts)
    level = [attempt for attempt in attempts if attempt.looked_into <= (1 + _LEVEL) * fewest]
    return min(level, key=lambda attempt: (attempt.spec.n_bits, attempt.looked_into))


class _Search:
    """One search: its vectors, its clock, and what it has tried."""

    def __init__(
        self, data: Embeddings, labels: NDArray[Any] | None, aim: Aim, progress: Progress
    ) -> None:
        # In random order, so that any prefix is a sample.
        order = np.random.default_rng(aim.seed).permutation(len(data))
        held_out, rest = np.split(order, [min(_WHOLE_QUERIES, len(data) // 10)])
        self._queries, self._base = data[held_out], data[rest]
        self._labels = None if labels is None else labels[rest]
        self._aim = aim
        self._progress = progress
        self._begun = time.monotonic()
        self._seconds = 60 * aim.minutes
        self._attempts: list[Attempt] = []
        self._candidates = Candidates(len(rest), data.shape[1], labels is not None, aim.seed)

    def run(self) -> Found:
        """Explore on parts, then fit the best on all."""
        fitted: list[tuple[Attempt, HashModel]] = []
        for spec in self._affordable(self._explore()):
            until = self._seconds if fitted else float("inf")
            whole = self._try(spec, len(self._base), _WHOLE_QUERIES, until)
            if whole is not None:
                fitted.append(whole)
        if not fitted:
            raise InputError(f"no model could be fitted; the last: {self._attempts[-1].fault}")
        chosen = choose([attempt for attempt, _ in fitted])
        model = next(model for attempt, model in fitted if attempt is chosen)
        return Found(model, chosen, self._attempts)

    def _explore(self) -> list[Attempt]:
        """Attempts on the largest part, the best first."""
        try:
            import optuna
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train", "a search among models") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        parts = [round(part * len(self._base)) for part in _PARTS]
        sizes = [n for n in parts if n >= _LEAST_PART] or [len(self._base)]
        limit = _EXPLORING * self._seconds
        tried: list[Attempt] = []

        def objective(trial: Any) -> float:
            spec = self._candidates.suggest(trial)
            if any(attempt.spec == spec for attempt in self._attempts):
                raise optuna.TrialPruned  # drawn before
            for rung, n in enumerate(sizes):
                result = self._try(spec, n, _QUERIES, limit if tried else float("inf"))
                if result is None:
                    raise optuna.TrialPruned
                attempt, _ = result
                trial.report(attempt.looked_into, _REDUCTION**rung)
                if n < sizes[-1] and trial.should_prune():
                    raise optuna.TrialPruned
            tried.append(attempt)
            return attempt.looked_into

        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=self._aim.seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(1, _REDUCTION),
        )
        for choices in self._candidates.first:
            study.enqueue_trial(choices)
        study.optimize(objective, n_trials=_MOST_TRIALS, timeout=limit)
        return sorted(tried, key=lambda attempt: attempt.looked_into)

    def _affordable(self, explored: list[Attempt]) -> Iterator[SearchedSpec]:
        """The best first; after it those near it that are likely to be done in time."""
        for attempt in explored:
            expected = attempt.seconds * (len(self._base) / attempt.n) ** _GROWTH
            is_near = attempt.looked_into <= _NEAR * explored[0].looked_into
            in_time = self._gone + expected < self._seconds
            if attempt is explored[0] or (is_near and in_time):
                yield attempt.spec

    def _try(
        self, spec: SearchedSpec, n: int, n_queries: int, until: float
    ) -> tuple[Attempt, HashModel] | None:
        """Fit on the first n vectors and judge; None where it fails, or time is over before."""
        clock = time.monotonic()
        best = min((a.looked_into for a in self._attempts if a.n == n), default=float("inf"))
        so_far = "" if best == float("inf") else f"; best so far {best:.2%} of the documents"

        def show(_stage: str, _done: int, _total: int) -> None:
            if self._gone > until:
                raise _OutOfTimeError("out of time")
            gone = min(round(self._gone), round(self._seconds))
            self._progress(f"trying: {describe(spec)} on {n:,}{so_far}", gone, round(self._seconds))

        part = for_part(spec, n / len(self._base))
        labels = (
            self._labels[:n] if isinstance(spec, DtshSpec) and self._labels is not None else None
        )
        base = self._base[:n]
        try:
            model = HashModel.fit(
                part, base, show, labels=labels, options=TrainingOptions(self._aim.device)
            )
            plan = default_plan(model.bucket_kind)
            queries = self._queries[:n_queries]
            recall, k = self._aim.recall, self._aim.k
            (share,) = documents_looked_into(model, base, queries, plan, (recall,), k)
        except (InputError, _OutOfTimeError) as error:
            gone = time.monotonic() - clock
            self._attempts.append(Attempt(spec, n, gone, float("inf"), str(error)))
            return None
        attempt = Attempt(spec, n, time.monotonic() - clock, share)
        self._attempts.append(attempt)
        return attempt, model

    @property
    def _gone(self) -> float:
        return time.monotonic() - self._begun
