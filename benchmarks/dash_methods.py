"""The methods of the DAsH paper's table, each as candidates for an exact rerank."""

import faiss
import numpy as np
from numpy.typing import NDArray

from meta4.models.embeddings import unit
from meta4.models.model import HashModel
from meta4.models.probing.directory import Directory
from meta4.models.probing.ranking import Plan, rank_buckets
from meta4.models.specs import DashSpec, LshSpec

from .baselines.e2lsh import E2Lsh, tuned_by_estimate
from .baselines.faiss_codes import itq_index
from .baselines.lopq import Lopq
from .baselines.lsh_forest import LshForest
from .baselines.min_hash import MinHashTables
from .baselines.tables import HashTables
from .contest import fit
from .dash_tuning import neighbour_radius
from .data import Labelled
from .retrieval import Candidates, K, Method, Vectors

OURS = "DAsH"
#: Documents that a rival may look into, from as many as are wanted.
_EFFORTS = tuple(round(K * 2 ** (step / 4)) for step in range(24))
#: Entries of buckets that DAsH looks into: its tables hold a document about three times in the
#: nearest of them, and 1,000 documents are wanted.
_ENTRIES = 4 * K
_SUCCESS = 0.9
_CODE_BITS = 64
_SAMPLE = 100


def methods(base: Labelled) -> list[Method]:
    """All, built; DAsH first.

    All but DAsH see the directions about their mean: hyperplanes through the origin part data
    that lies on one side of it badly.
    """
    x = unit(base.vectors).astype(np.float32)
    mean = x.mean(axis=0)
    centred = x - mean
    dash = fit(DashSpec(strongest=1), base.vectors, base.labels)
    lsh = fit(LshSpec(n_tables=16, bits_per_table=12), centred)
    forest, lopq, sets = LshForest(centred), Lopq(centred), MinHashTables(x)
    e2lsh = _tuned_e2lsh(centred)
    itq = _ItqScan(centred)
    return [
        Method(OURS, _Probing(dash, base.vectors, "classes").candidates, (_ENTRIES,)),
        Method(
            "multi-probe LSH",
            _shifted(_Probing(lsh, centred, "margin").candidates, mean),
            _EFFORTS,
        ),
        Method("LSH Forest", _shifted(forest.candidates, mean), _EFFORTS),
        Method("ITQ", _shifted(itq.candidates, mean), _EFFORTS),
        Method("LOPQ", _shifted(lopq.candidates, mean), _EFFORTS),
        Method("E2LSH", _shifted(lambda query, _: e2lsh.candidates(query), mean)),
        Method("MinHash LSH", lambda query, _: sets.candidates(query)),
        Method("exact, all documents", lambda _query, _effort: slice(None)),
        Method("exact, within DAsH's strongest class", _OwnClass(dash, base).candidates),
    ]


class _Probing:
    """A hash model as the index uses it: a plan's order of the filled buckets."""

    def __init__(self, model: HashModel, base: Vectors, plan: Plan) -> None:
        self._model, self._plan = model, plan
        buckets = model.buckets(base)
        self._tables = HashTables(buckets)
        filled, counts = np.unique(buckets, return_counts=True)
        self._directory = Directory(filled, counts, model.n_buckets, len(base))

    def candidates(self, query: Vectors, entries: int) -> NDArray[np.intp]:
        costs = self._model.bucket_costs(query, self._plan)
        for best in (512, None):
            ranking = rank_buckets(costs, self._directory, self._directory, best)
            n = ranking.reaching(0, entries, whole_levels=False)
            if n < len(ranking.buckets):
                break
        return self._tables.documents(ranking.buckets[:n])


class _OwnClass:
    """All documents of the class that DAsH activates most: what is left to its tables to gain."""

    def __init__(self, model: HashModel, base: Labelled) -> None:
        self._model = model
        self._of_a_class = model.n_buckets // len(np.unique(base.labels))
        classes = model.buckets(base.vectors)[:, 0] // self._of_a_class
        self._members = [np.flatnonzero(classes == c) for c in range(classes.max() + 1)]

    def candidates(self, query: Vectors, _effort: int) -> NDArray[np.intp]:
        return self._members[int(self._model.buckets(query[None])[0, 0]) // self._of_a_class]


class _ItqScan:
    """All codes in the order of Hamming distance, by FAISS."""

    def __init__(self, base: Vectors) -> None:
        self._transform = itq_index(base, _CODE_BITS)
        self._codes = faiss.IndexBinaryFlat(_CODE_BITS)
        self._codes.add(self._transform.sa_encode(base))

    def candidates(self, query: Vectors, n: int) -> NDArray[np.intp]:
        rows = self._codes.search(self._transform.sa_encode(query[None]), n)[1][0]
        return np.asarray(rows, dtype=np.intp)


def _shifted(candidates: Candidates, mean: Vectors) -> Candidates:
    return lambda query, effort: candidates(query - mean, effort)


def _tuned_e2lsh(base: Vectors) -> E2Lsh:
    sample = base[np.random.default_rng(0).permutation(len(base))[:_SAMPLE]]
    radius = neighbour_radius(base, sample)
    parameters, _ = tuned_by_estimate(base, sample, radius, _SUCCESS)
    return E2Lsh(base, radius, parameters)
