"""`meta4 index doctor`: what keeps an index from giving what it promises, and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...ingest.documents import value_at
from ...mappings.spec import IndexSpec
from ...models.model import HashModel
from ...models.probing.directory import Directory
from ..client import Meta4
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place
from ..measure.evaluation import evaluate_index
from ..model_store import ModelStore
from ..move.alias_move import state_in
from ..move.write_hold import are_held
from ..search.catalog import read_directory, read_spec
from .heal import count_stale

Level = Literal["fine", "act"]
#: A bucket this many times as large as the mean, that holds this share of the documents.
_GIANT, _GIANT_SHARE = 20.0, 0.01
#: Documents looked into for a random document's bucket, as a multiple of what equal ones take.
_SKEW = 4.0
#: Share of the newest documents that lie where the training data does not, beyond chance.
_DRIFT, _DRIFT_ERRORS = 0.15, 5.0
_NEWEST, _FEWEST = 2_000, 200
_DRAWS = 50
#: Recall that requests ask for by themselves, and standard errors by which it may fall short.
_RECALL, _ERRORS = 0.95, 3.0
#: Growth since it was tuned, after which a calibration is of another index.
_GROWN = 1.5
_LARGEST_SHARD, _SMALLEST_SHARD = 50e9, 1e9
_SEGMENTS, _DELETED = 30, 0.3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: was looked at.
        level: "act" where something is to be done.
        found: figures, in words.
        todo: what, with the command; empty where nothing is.
        figures: the same for machines.
    """

    what: str
    level: Level
    found: str
    todo: str
    figures: Mapping[str, float | int | None]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine_index(
    engine: Engine,
    index: str,
    *,
    n_queries: int = 200,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Finding]:
    """Look at documents, buckets, drift, promise, shards and segments.

    Args:
        engine: where.
        index: which index.
        n_queries: documents that the promise is measured anew with.
        progress: called with the number of queries done since the last call.

    Raises:
        NotFoundError: no such index, or not one of ours.
    """
    engine.refresh(check_index(index))
    spec = read_spec(engine, index)
    _, model = ModelStore(engine).pull(str(spec.model))
    directory = read_directory(engine, index, spec, None)
    total = engine.count(index)
    return [
        *_moves(engine, index),
        _documents(engine, index, spec, model, directory, total),
        *_buckets(index, spec, directory),
        _drift(engine, index, spec, model),
        _promise(engine, index, spec, directory, n_queries, progress),
        *_storage(engine, index),
    ]


def _moves(engine: Engine, index: str) -> list[Finding]:
    """Moves to what the name stands for that are not at their end, whether somebody is at it."""
    findings = []
    for name, mapping in engine.mappings(index).items():
        state = state_in(mapping)
        if state is None or not state.is_under_way:
            continue
        held = are_held(Place(engine, name), state.free)
        wait = ", and writes to it wait" if held else ""
        found = f"{state.alias} from {state.source} to {name} is under way ({state.phase}){wait}"
        command = "rollback" if state.back else "rehash"
        todo = f"if its process has ended, the same meta4 index {command} {state.alias} … goes on"
        findings.append(Finding("move", "act", found, todo, {"writes_wait": int(held)}))
    return findings


def _documents(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    model: HashModel,
    directory: Directory,
    total: int,
) -> Finding:
    stale = count_stale(engine, index, spec, model)
    figures = {
        "documents": total,
        "without_vector": total - directory.n_documents,
        "of_no_or_another_model": directory.n_strays,
        "stale": stale,
    }
    found = (
        f"{total:,}, {total - directory.n_documents:,} of them without a vector; "
        f"{directory.n_strays:,} with no hash or another model's, {stale:,} with a hash that is "
        f"not their vector's (these among them)"
    )
    if not stale:
        return Finding("documents", "fine", found, "", figures)
    todo = f"each request scores those of another model as well: meta4 index heal {index}"
    return Finding("documents", "act", found, todo, figures)


def _buckets(index: str, spec: IndexSpec, directory: Directory) -> list[Finding]:
    counts = directory.counts
    if not len(counts):
        todo = f"load some: meta4 ingest FILE --index {index}"
        return [Finding("buckets", "act", "no hashed document", todo, {"filled": 0})]
    mean = float(counts.sum()) / spec.n_buckets
    largest = int(counts.max())
    skew = float(np.square(counts, dtype=np.float64).sum() * spec.n_buckets / counts.sum() ** 2)
    n_empty = spec.n_buckets - len(counts)
    figures = {"filled": len(counts), "empty": n_empty, "largest": largest, "skew": skew}
    found = (
        f"{spec.n_buckets:,}, {n_empty:,} of them empty; {mean:,.0f} documents on average, "
        f"{largest:,} in the largest; a document's own bucket is {skew:.1f} times the average"
    )
    giant = largest > _GIANT * mean and largest > _GIANT_SHARE * counts.sum()
    if giant or skew > _SKEW:
        todo = (
            f"train a model on this index's vectors, then: meta4 index rehash ALIAS --model NEW "
            f"({index} behind an alias)"
        )
        return [Finding("buckets", "act", found, todo, figures)]
    return [Finding("buckets", "fine", found, "", figures)]


def _drift(engine: Engine, index: str, spec: IndexSpec, model: HashModel) -> Finding:
    """Two samples' total variation over the buckets, less what chance alone makes of it."""
    then = model.manifest.training.bucket_counts
    if then is None:
        found = "the model does not tell where its training data lay"
        return Finding("drift", "fine", found, "", {"drift": None})
    newest = _newest(engine, index, spec)
    n = int(newest.sum())
    if n < _FEWEST:
        found = f"{n:,} documents are too few to tell"
        return Finding("drift", "fine", found, "", {"drift": None, "documents": n})
    trained = np.asarray(then, dtype=np.int64)
    drift, error = excess_variation(newest, trained)
    figures = {"drift": drift, "standard_error": error, "documents": n}
    found = (
        f"{max(0.0, drift):.0%} of the newest {n:,} documents lie where the training data does "
        f"not, beyond chance"
    )
    if drift > _DRIFT and drift > _DRIFT_ERRORS * error:
        todo = (
            "more is looked into than need be: train a model on newer vectors, then: "
            "meta4 index rehash ALIAS --model NEW"
        )
        return Finding("drift", "act", found, todo, figures)
    return Finding("drift", "fine", found, "", figures)


def excess_variation(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[float, float]:
    """Total variation of two histograms less its mean where both are drawn from one.

    Args:
        a: (m,) counts.
        b: (m,) counts.

    Returns:
        The excess, at most 1, and the standard deviation of what chance makes.
    """

    def variation(x: NDArray[np.int64], y: NDArray[np.int64]) -> float:
        return float(np.abs(x / x.sum() - y / y.sum()).sum()) / 2.0

    rng = np.random.default_rng(0)
    pooled = a + b
    drawn = rng.multivariate_hypergeometric(pooled, int(a.sum()), _DRAWS, method="marginals")
    chance = [variation(one, pooled - one) for one in drawn]
    return variation(a, b) - float(np.mean(chance)), float(np.std(chance))


def _newest(engine: Engine, index: str, spec: IndexSpec) -> NDArray[np.int64]:
    """Counts of the first buckets of the documents written last."""
    path = spec.fields.bucket
    body = {
        "size": _NEWEST,
        "query": {"bool": {"filter": [{"term": {spec.fields.model: str(spec.model)}}]}},
        "sort": [{"_seq_no": "desc"}],
        "_source": [path],
        "track_total_hits": False,
    }
    hits = engine.search(index, body)["hits"]["hits"]
    buckets = [int(value_at(hit["_source"], path)[0], 16) for hit in hits]
    return np.bincount(np.asarray(buckets, dtype=np.int64), minlength=spec.n_buckets)


def _promise(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    directory: Directory,
    n_queries: int,
    progress: Callable[[int], None],
) -> Finding:
    calibration = spec.calibration
    tune = f"meta4 index tune {index}"
    if calibration is None:
        found = "never tuned: every request scans all documents"
        return Finding("promise", "act", found, tune, {"recall": None})
    try:
        measured = evaluate_index(
            Meta4(engine), index, n_queries=n_queries, recall=_RECALL, progress=progress
        )
    except InputError as error:
        return Finding("promise", "fine", str(error), "", {"recall": None})
    grown = directory.n_documents / calibration.n_documents
    figures = {
        "recall": measured.recall_at_k,
        "standard_error": measured.recall_error,
        "asked": _RECALL,
        "grown": grown,
    }
    found = (
        f"recall@{measured.k} {measured.recall_at_k:.3f} ± {measured.recall_error:.3f} where "
        f"{_RECALL} is asked; tuned with {calibration.n_documents:,} documents, "
        f"{directory.n_documents:,} now"
    )
    falls_short = measured.recall_at_k < _RECALL - _ERRORS * measured.recall_error
    if falls_short or not 1 / _GROWN < grown < _GROWN:
        return Finding("promise", "act", found, tune, figures)
    return Finding("promise", "fine", found, "", figures)


def _storage(engine: Engine, index: str) -> list[Finding]:
    stats = engine.request("GET", f"/{index}/_stats/docs,store,segments", None, {"level": "shards"})
    health = engine.request("GET", f"/_cluster/health/{index}")
    primaries = [
        copy
        for entry in stats["indices"].values()
        for copies in entry["shards"].values()
        for copy in copies
        if copy["routing"]["primary"]
    ]
    sizes = [copy["store"]["size_in_bytes"] for copy in primaries]
    unassigned = int(health["unassigned_shards"])
    todo = ""
    if unassigned:
        todo = "a copy has no node: see /_cluster/allocation/explain"
    elif max(sizes) > _LARGEST_SHARD:
        todo = "more shards: copy the index with meta4 copy --shards N"
    elif len(sizes) > 1 and max(sizes) < _SMALLEST_SHARD:
        todo = "fewer shards: each is asked for every request; meta4 copy --shards 1"
    figures: Mapping[str, float | int | None] = {
        "shards": len(sizes),
        "largest_bytes": max(sizes),
        "unassigned": unassigned,
    }
    found = f"{len(sizes)}, {max(sizes) / 1e6:,.0f} MB the largest; {unassigned} copies unassigned"
    shards = Finding("shards", "act" if todo else "fine", found, todo, figures)

    segments = max(copy["segments"]["count"] for copy in primaries)
    there = sum(copy["docs"]["count"] for copy in primaries)
    deleted = sum(copy["docs"]["deleted"] for copy in primaries)
    share = deleted / max(1, there + deleted)
    todo = ""
    if segments > _SEGMENTS or share > _DELETED:
        todo = f"after loading, merge: POST /{index}/_forcemerge?max_num_segments=1"
    figures = {"most": segments, "deleted": deleted, "share_deleted": share}
    found = f"{segments} in a shard at most; {share:.0%} of the documents in them are deleted ones"
    return [shards, Finding("segments", "act" if todo else "fine", found, todo, figures)]
