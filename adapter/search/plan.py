"""From a clause's query vector to the buckets that it looks into."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...mappings.fields import Keyword
from ...mappings.spec import IndexSpec
from ...models.model import HashModel
from ...models.probing.calibration import Calibration
from ...models.probing.directory import Counts, Directory
from ...models.probing.ranking import Probes, Ranking, bucket_prices, rank_buckets
from ...models.stopping.record import AtLeast
from .kept import Kept
from .looking import Looking, Tuned

#: Documents that can be scored in the time that choosing buckets costs, that their filter costs by
#: itself, and that each of its buckets costs: on OpenSearch at 0.12 µs a document, and about the
#: same on Elasticsearch, where a document and a bucket both cost twice as much. Saving fewer than
#: these is no saving.
CHOICE_WORTH, FILTER_WORTH, BUCKET_WORTH = 2_000, 2_000, 12
#: Documents of which some are chosen: of fewer all are scored.
CHOSEN_FROM = CHOICE_WORTH + FILTER_WORTH
#: The same of an entry of a bucket, by the keyword that documents are looked for by, and of the
#: keyword itself. The index is sorted by the first of a document's buckets: those that are found by
#: another one lie anywhere. An entry is less than a document where a document has several.
_ENTRY_WORTH: dict[Keyword, float] = {"home": 1.0, "bucket": 0.9}
_KEYWORD_WORTH: dict[Keyword, int] = {"home": 0, "bucket": 2_300}
#: Turns in which a filter's local selectivity and the prefix settle; each lengthens the prefix.
_TURNS = 6
#: Buckets ordered at first.
_MOSTLY_ENOUGH = 512
_NARROW = "{:,} documents are kept: scoring them all costs less than choosing among them"
_ALGORITHM_1 = "Algorithm 1: own bucket, then one more flipped bit until k are found"


@dataclass(frozen=True)
class Way:
    """One keyword by which documents can be looked for.

    Attributes:
        keyword: which.
        calibration: how much to look into by it; None where that was not measured.
        directory: all documents by it.
        filtered: those that match the request's filter; `directory` if it has none.
    """

    keyword: Keyword
    calibration: Calibration | None
    directory: Directory
    filtered: Directory

    def cost(self, recall: float, depth: float) -> float:
        """What a request is expected to cost, in documents scored, but for what all ways cost."""
        share = 1.0 if self.calibration is None else self.calibration.share(recall, depth)
        entries = self.filtered.n_postings * _ENTRY_WORTH[self.keyword]
        buckets = len(self.filtered.buckets) * BUCKET_WORTH
        return share * (entries + buckets) + _KEYWORD_WORTH[self.keyword]


@dataclass(frozen=True)
class RequestPlan:
    """What a request will look into, and what it promises.

    Attributes:
        probes: the buckets; None for exact search of all that the filter keeps.
        depth: how far out the request reaches: k divided by the filter's selectivity.
        selectivity: share of the index's documents that the filter keeps, in (0, 1].
        n_documents: documents with a vector that the filter keeps.
        promised_recall: 1 for exact search, None where nothing was calibrated. Below 1 without
            probes a first phase by sketches may still leave something out.
        reason: why this many, in words.
        keyword: by which documents are looked for.
        looking: what tells whether it has looked far enough; None where nothing does.
        n_rounds: searches that it takes, those before included.
    """

    probes: Probes | None
    depth: float
    selectivity: float
    n_documents: int
    promised_recall: float | None
    reason: str
    keyword: Keyword = "bucket"
    looking: Looking | None = None
    n_rounds: int = 1

    @property
    def _may_look_again(self) -> bool:
        """Whether one that found too few may try other buckets: where a filter keeps others."""
        return self.looking is not None and self.looking.is_filtered and self.n_rounds == 1

    def exactly(self, reason: str) -> "RequestPlan":
        """The same, looking everywhere."""
        return replace(self, probes=None, promised_recall=1.0, reason=reason, looking=None)

    def everywhere(self, reason: str, promised: float) -> "RequestPlan":
        """The same, in all buckets, as exactly as a first phase is."""
        return replace(self.exactly(reason), promised_recall=promised)

    def counted(self, counts: Counts, is_even: bool) -> "RequestPlan":
        """The same, where more is known of what the filter keeps; see `Kept.after`."""
        if self.looking is None:
            return self
        return replace(self, looking=replace(self.looking, counts=counts, is_even=is_even))

    def further(self, scores: Sequence[float], wanted: int) -> "RequestPlan | None":
        """The next round; None where enough was found.

        Args:
            scores: cosines of what was found, best first.
            wanted: how many were to be found.
        """
        is_short = len(scores) < wanted
        longer = None
        if self.looking is not None and (not is_short or self._may_look_again):
            longer = self.looking.further(scores, wanted)
        if longer is not None and longer.is_longer_than(self.looking):
            after = _looking_plan(self, longer)
        elif is_short and (self.probes is not None or self.promised_recall != 1.0):
            after = self.exactly(f"fewer than {wanted} were found where it looked first")
        else:
            return None
        return replace(after, n_rounds=self.n_rounds + 1)


def plan_request(
    query: NDArray[np.float32],
    k: int,
    recall: float | AtLeast,
    spec: IndexSpec,
    model: HashModel,
    ways: Sequence[Way],
) -> RequestPlan:
    """Choose the buckets for one query vector.

    Args:
        query: (dims,) float32.
        k: results wanted, with what is left out that may be as near.
        recall: recall wanted, in (0, 1].
        spec: of the index.
        model: the index's.
        ways: by which documents can be looked for; one at least.
    """
    directory, filtered = ways[0].directory, ways[0].filtered
    calibration = ways[0].calibration
    # Of the documents that it was measured with some may be hidden here, or gone.
    n_measured = 0 if calibration is None else calibration.n_documents
    n_all = max(directory.n_documents, n_measured)
    selectivity = filtered.n_documents / n_all if n_all else 1.0
    depth = k / selectivity if selectivity else float(k)

    def exact(reason: str) -> RequestPlan:
        return RequestPlan(None, depth, selectivity, filtered.n_documents, 1.0, reason)

    if recall == 1.0:
        return exact("recall 1 is exact search")
    if filtered.n_postings == 0:
        return exact("the filter keeps no hashed document")
    if isinstance(recall, AtLeast):
        return exact("not tuned for what so many queries have at least; run: meta4 index tune")
    calibrated = calibration is not None and calibration.plan == spec.plan
    if not calibrated and spec.plan != "bitwise":
        return exact("not calibrated, so nothing less can be promised; run: meta4 index tune")
    if calibrated and filtered.n_documents - k < CHOSEN_FROM:
        return exact(_NARROW.format(filtered.n_documents))
    way = min(ways, key=lambda way: way.cost(recall, depth))
    directory, filtered, calibration = way.directory, way.filtered, way.calibration
    # Each document lies in so many buckets on average: so many postings are sure to hold k.
    overlap = filtered.overlap
    costs = model.bucket_costs(query, spec.plan)
    if spec.plan == "learned":
        costs = bucket_prices(costs, directory)
    if calibration is None or not calibrated:
        ranking = rank_buckets(costs, directory, filtered)
        n = ranking.reaching(0, k * overlap, whole_levels=True)
        return RequestPlan(
            ranking.prefix(n), depth, selectivity, filtered.n_documents, None, _ALGORITHM_1
        )
    # Most requests end among the first few hundred buckets: ordering all takes twice as long.
    for best in (_MOSTLY_ENOUGH, None):
        ranking = rank_buckets(costs, directory, filtered, best)
        n, reached_depth = _calibrated_prefix(
            ranking, calibration, k, recall, depth, overlap, directory.n_postings
        )
        if n < len(ranking.buckets):
            break
    else:
        reason = f"recall {recall:g} at depth {reached_depth:.0f} needs every bucket"
        return exact(reason).everywhere(reason, recall)
    depth, probes = reached_depth, ranking.prefix(n)
    spared = filtered.n_documents - probes.n_postings / overlap
    if spared < FILTER_WORTH + BUCKET_WORTH * len(probes.buckets):
        reason = _NARROW.format(filtered.n_documents)
        return exact(reason).everywhere(reason, recall)
    share = ranking.cumulated_all[n - 1] / max(1, directory.n_postings)
    reason = f"calibrated: {share:.2%} of the buckets' entries for recall {recall:g}"
    return RequestPlan(
        probes, depth, selectivity, filtered.n_documents, recall, reason, way.keyword
    )


def plan_by_outlook(
    query: NDArray[np.float32],
    k: int,
    n_left_out: int,
    recall: float | AtLeast,
    keyword: Keyword,
    tuned: Sequence[Tuned],
    of_all: Directory,
    kept: Kept | None = None,
    part: float = 1.0,
) -> RequestPlan:
    """Choose the first round's buckets for one query vector.

    Args:
        query: (dims,) float32.
        k: results wanted.
        n_left_out: documents that are left out by their ids.
        recall: recall wanted; a number in (0, 1].
        keyword: by which documents are looked for.
        tuned: outlooks of the index, or of those that are asked together.
        of_all: all documents.
        kept: what is known of the filter; None without one.
        part: see `Looking`.
    """
    counts = of_all.as_counts if kept is None else kept.at_first(of_all.as_counts)
    n_documents = of_all.n_documents if kept is None else int(kept.total)
    n_all = max([of_all.n_documents, *(one.record.n_documents for one in tuned)])
    selectivity = min(1.0, n_documents / n_all) if n_all else 1.0
    depth = k / selectivity if selectivity else float(k)
    whole = RequestPlan(None, depth, selectivity, n_documents, 1.0, "", keyword)
    if recall == 1.0:
        return whole.exactly("recall 1 is exact search")
    if counts.total <= 0.0:
        return whole.exactly("the filter keeps no hashed document")
    if n_documents - k < CHOSEN_FROM:
        return whole.exactly(_NARROW.format(n_documents))
    looking = Looking.begun(
        query, tuned, counts, k, n_left_out, recall, is_filtered=kept is not None, part=part
    )
    return _looking_plan(whole, looking)


def _looking_plan(before: RequestPlan, looking: Looking) -> RequestPlan:
    """What a round looks into, or everything where little is spared."""
    buckets = looking.prospect.buckets
    spared = before.n_documents - looking.n_documents
    if looking.is_everywhere:
        return before.everywhere("what may be missing could be in any bucket", looking.promised)
    if spared < FILTER_WORTH + BUCKET_WORTH * len(buckets):
        return before.everywhere(_NARROW.format(before.n_documents), looking.promised)
    return replace(
        before,
        probes=Probes(buckets, looking.n_documents),
        promised_recall=looking.promised,
        reason=f"{1.0 - looking.prospect.missing:.1%} of the nearest are expected in these buckets",
        looking=looking,
    )


def _calibrated_prefix(
    ranking: Ranking,
    calibration: Calibration,
    k: int,
    recall: float,
    depth: float,
    overlap: float,
    n_postings: int,
) -> tuple[int, float]:
    """The prefix that the calibration asks for, and the depth that it was asked at.

    The k nearest that a filter keeps lie as far out as the k / s nearest of all, where s is the
    filter's selectivity *near the query*: a filter may keep other regions than the query's. So
    s is read off the prefix itself, and the prefix is lengthened until both agree.
    """
    n = 0
    for _ in range(_TURNS):
        if calibration.prices is not None:
            limit = math.log(calibration.price(recall, depth))
            longer = ranking.costing(limit, k * overlap)
        else:
            wanted = calibration.share(recall, depth) * n_postings
            longer = ranking.reaching(wanted, k * overlap, whole_levels=False)
        if longer <= n:
            break
        n = longer
        if not ranking.is_filtered or n == len(ranking.buckets):
            break
        kept = float(ranking.cumulated[n - 1]) / float(ranking.cumulated_all[n - 1])
        depth = max(depth, k / kept)
    return n, depth
