"""What only a field of vectors can be ill with: buckets of very different sizes, and drift."""

import numpy as np
from numpy.typing import NDArray

from ....ingest.documents import value_at
from ....mappings.spec import IndexSpec
from ....models.model import HashModel
from ....models.probing.directory import Directory, bucket_ids
from ....models.specs import cells_for
from ...engines.engine import Engine
from ...search.plan import CHOSEN_FROM
from ..field import Finding
from .tuning.sample import first_of

#: A bucket this many times as large as the mean, that holds this share of the documents.
_GIANT, _GIANT_SHARE = 20.0, 0.01
#: Documents looked into for a random document's bucket, as a multiple of what equal ones take.
_SKEW = 4.0
#: Buckets are too few where so many times as many would do.
_TOO_FEW = 4
#: Documents that say something.
_FEWEST = 200
#: Share of the newest documents that lie where the training data does not, beyond chance.
_DRIFT, _DRIFT_ERRORS = 0.15, 5.0
_NEWEST = 2_000
_DRAWS = 50


def bucket_finding(index: str, spec: IndexSpec, directory: Directory) -> Finding:
    """Whether the buckets are of sizes that plans can live with."""
    counts = directory.counts
    if not len(counts):
        todo = f"load some: meta4 ingest FILE --index {index}"
        return Finding("buckets", "act", "no hashed document", todo, {"filled": 0})
    mean = float(counts.sum()) / spec.n_buckets
    largest = int(counts.max())
    skew = float(np.square(counts, dtype=np.float64).sum() * spec.n_buckets / counts.sum() ** 2)
    by_chance = (spec.n_buckets - 1) / float(
        counts.sum()
    )  # where few documents lie in many buckets
    n_empty = spec.n_buckets - len(counts)
    figures = {"filled": len(counts), "empty": n_empty, "largest": largest, "skew": skew}
    found = (
        f"{spec.n_buckets:,}, {n_empty:,} of them empty; {mean:,.1f} documents on average, "
        f"{largest:,} in the largest; a document's own bucket is {skew:.1f} times the average"
    )
    if directory.n_documents < _FEWEST:
        few = f"{found}; {directory.n_documents:,} documents are too few to tell"
        return Finding("buckets", "fine", few, "", figures)
    giant = largest > _GIANT * mean and largest > _GIANT_SHARE * counts.sum()
    todo = f"meta4 index rehash ALIAS --auto ({index} behind an alias)"
    if giant or skew - by_chance > _SKEW:
        return Finding("buckets", "act", found, todo, figures)
    wanted = cells_for(directory.n_documents)
    if wanted >= _TOO_FEW * spec.n_buckets and directory.n_documents > CHOSEN_FROM:
        few = f"with {wanted:,} cells requests look into less: {todo}"
        return Finding("buckets", "act", found, few, figures)
    return Finding("buckets", "fine", found, "", figures)


def drift_finding(engine: Engine, index: str, spec: IndexSpec, model: HashModel) -> Finding:
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
            "more is looked into than need be: meta4 index rehash ALIAS --auto, or train a model "
            "on newer vectors, then: meta4 index rehash ALIAS --model NEW"
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
        "query": {"bool": {"filter": [spec.hashed]}},
        "sort": [{"_seq_no": "desc"}],
        "_source": [path],
        "track_total_hits": False,
    }
    hits = engine.search(index, body)["hits"]["hits"]
    written = [value_at(hit.get("_source", {}), path) for hit in hits]
    firsts = [first_of(terms) for terms in written]
    return np.bincount(bucket_ids(firsts, spec.n_buckets), minlength=spec.n_buckets)
