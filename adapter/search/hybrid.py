"""A query of the engine's together with a similarity: two searches, and one list out of both.

Fusion `rrf` goes by ranks: a document has 1 / (60 + rank) of each search that found it (Cormack,
Clarke & Büttcher, SIGIR 2009). Fusion `weighted` goes by scores, each search's divided by its best,
and adds them up with a weight (Bruch, Gai & Ingber, ACM TOIS 2023: a convex combination after
min-max scaling from the least that a score can be, which is 0 for both); what only one of the two
found, the other is asked to score.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .clauses import HybridClause
from .planned import Body, Hit, Planned, PlannedClause, documents
from .rewriter import conditions, excluded
from .sites import Site

#: Of ranks in fusion `rrf`, as its authors have it.
_RANK_OFFSET = 60
#: Digits of a float32.
_DIGITS = 24

Key = tuple[str, str, str | None]


def asked_of_field(site: Site) -> Site:
    """What a clause asks its field: of a hybrid one the similarity."""
    clause = site.clause
    return replace(site, clause=clause.nearest) if isinstance(clause, HybridClause) else site


def planned_as(site: Site, own: PlannedClause) -> Planned:
    """A clause, out of what it asks its field."""
    if not isinstance(site.clause, HybridClause):
        return own
    return PlannedHybrid(site, site.clause, own, PlannedWords(site, site.clause, own.hides))


@dataclass(frozen=True)
class PlannedWords(PlannedClause):
    """The engine's own query. See `PlannedClause`.

    Attributes:
        site: of the hybrid clause.
        clause: that one.
        hides: see `PlannedClause`.
    """

    site: Site
    clause: HybridClause
    hides: bool

    @property
    def n_found(self) -> int:
        """See `PlannedClause`."""
        return self.clause.window

    @property
    def is_cut(self) -> bool:
        """See `PlannedClause`."""
        return False

    def within(self) -> Body | None:
        """See `PlannedClause`."""
        return conditions(self.site.filters, excluded(self.site))

    def query(self, within: Body | None, _n: int) -> Body:
        """See `PlannedClause`."""
        own: Body = {"must": [self.clause.query]}
        return {"bool": own if within is None else own | {"filter": [within]}}


@dataclass(frozen=True)
class PlannedHybrid(Planned):
    """See `Planned`; documents that it means have the fused score as theirs.

    Attributes:
        site: the clause where it stands.
        clause: that one.
        similar: the similarity.
        words: the query.
    """

    site: Site
    clause: HybridClause
    similar: PlannedClause
    words: PlannedClause

    @property
    def legs(self) -> Sequence[PlannedClause]:
        """See `Planned`."""
        return self.similar, self.words

    def at_last(self, legs: Sequence[PlannedClause]) -> "PlannedHybrid":
        """See `Planned`."""
        similar, words = legs
        return replace(self, similar=similar, words=words)

    def unscored(self, found: Sequence[Sequence[Hit]]) -> Sequence[Sequence[Hit]]:
        """See `Planned`: ranks need no scores."""
        if self.clause.fusion == "rrf":
            return ()
        near, matching = ({_key(hit): hit for hit in hits} for hits in found)
        return (
            [hit for key, hit in matching.items() if key not in near],
            [hit for key, hit in near.items() if key not in matching],
        )

    def meant(
        self, found: Sequence[Sequence[Hit]], scored: Sequence[Sequence[Hit]]
    ) -> Sequence[Hit]:
        """See `Planned`: the k whose fused scores are the best, of equal ones the first written."""
        if self.clause.fusion == "rrf":
            scores = _added(map(_by_rank, found))
        else:
            weights = self.clause.weight, 1.0 - self.clause.weight
            scores = _added(map(_by_score, weights, found, scored or ((), ())))
        hits = {_key(hit): hit for one in found for hit in one}
        fused = [{**hit, "_score": float(np.float32(scores[key]))} for key, hit in hits.items()]
        fused.sort(key=lambda hit: (-hit["_score"], hit["_seq_no"], hit["_index"], hit["_id"]))
        return fused[: self.clause.k]

    def of(self, hits: Sequence[Hit]) -> Body:
        """See `Planned`. The query stands there for what it highlights, and scores nothing."""
        if not hits:
            return {"match_none": {}}
        query = {"constant_score": {"filter": self.clause.query, "boost": 0.0}}
        return {"bool": {"filter": [documents(hits)], "should": [*_scores_of(hits), query]}}

    @property
    def shown(self) -> Body:
        """See `Planned`."""
        clause = self.clause
        weight = None if clause.fusion == "rrf" else clause.weight
        told = {"k": clause.k, "fusion": clause.fusion, "weight": weight}
        return {**told, "window": clause.window, "k_of_similar": self.similar.n_found}


def _key(hit: Hit) -> Key:
    return hit["_index"], hit["_id"], hit.get("_routing")


def _by_rank(hits: Sequence[Hit]) -> dict[Key, float]:
    return {_key(hit): 1.0 / (_RANK_OFFSET + rank) for rank, hit in enumerate(hits, start=1)}


def _by_score(weight: float, found: Sequence[Hit], scored: Sequence[Hit]) -> dict[Key, float]:
    best = found[0]["_score"] if found else 0.0
    if best <= 0.0:
        return {}
    return {_key(hit): weight * hit["_score"] / best for hit in (*found, *scored)}


def _added(each: Iterable[Mapping[Key, float]]) -> Mapping[Key, float]:
    total: Counter[Key] = Counter()
    for scores in each:
        total.update(scores)
    return total


def _scores_of(hits: Sequence[Hit]) -> list[Body]:
    """Queries whose scores add up to each document's own, exactly.

    One for each binary digit that scores have, of the documents that have it: a few dozen however
    many documents there are, where engines take 1,024 queries, and no script. All sums on the way
    are exact in float32, in whichever order.
    """
    digits: dict[int, list[Hit]] = {}
    for hit in hits:
        fraction, exponent = math.frexp(hit["_score"])
        whole = int(math.ldexp(fraction, _DIGITS))
        for digit in range(_DIGITS):
            if whole >> digit & 1:
                digits.setdefault(exponent - _DIGITS + digit, []).append(hit)
    n_named = Counter(hit["_id"] for hit in hits)
    return [
        {"constant_score": {"filter": _those(own, n_named), "boost": math.ldexp(1.0, digit)}}
        for digit, own in sorted(digits.items())
    ]


def _those(hits: Sequence[Hit], n_named: Mapping[str, int]) -> Body:
    """Of all that are meant these; an id tells which, unless several have it."""
    alone = [hit["_id"] for hit in hits if n_named[hit["_id"]] == 1]
    others = [hit for hit in hits if n_named[hit["_id"]] > 1]
    by_id: list[Body] = [{"ids": {"values": alone}}] if alone else []
    each = [*by_id, documents(others)] if others else by_id
    return each[0] if len(each) == 1 else {"bool": {"should": each, "minimum_should_match": 1}}
