"""The documents that clauses mean: asked for, and as far as it takes."""

from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeVar

from ...errors import EngineError
from ..catalog import Catalog, HashedIndex
from ..engines.calls import Calls, Steps
from ..engines.joint import all_well, joined
from ..search.clauses import MAX_K
from ..search.planned import Planned, PlannedClause
from ..search.rewriter import TIE_MARGIN, lightened, nearest_request, scores_request

Body = dict[str, Any]
#: Hits of a clause, and the clause as it was asked at last.
Found = tuple[Sequence[Body], Planned]
T = TypeVar("T")
#: By which the margin grows where more documents are equally near.
_MORE = 16


class MovedError(EngineError):
    """An alias names other indexes, or filters otherwise, than a request was planned for."""


class Finder:
    """Asks one cluster.

    Args:
        calls: what is asked of it.
        catalog: of its indexes.
    """

    def __init__(self, calls: Calls, catalog: Catalog) -> None:
        self._calls, self._catalog = calls, catalog

    def all_meant(self, known: HashedIndex, planned: Sequence[Planned]) -> Steps[list[Found]]:
        """For each clause what it means; all are asked for side by side."""
        legs = [leg for one in planned for leg in one.legs]
        found = iter((yield from self._together([self._nearest(known, leg) for leg in legs])))
        runs = [self._meant(known, one, list(islice(found, len(one.legs)))) for one in planned]
        return (yield from self._together(runs))

    def _together(self, runs: Sequence[Steps[T]]) -> Steps[list[T]]:
        if len(runs) == 1:
            return [(yield from runs[0])]
        return all_well((yield from joined(self._calls.url, runs)))

    def _meant(
        self, known: HashedIndex, one: Planned, found: Sequence[tuple[list[Body], PlannedClause]]
    ) -> Steps[Found]:
        """What a clause means, out of what its legs found."""
        last = one.at_last([leg for _, leg in found])
        each = [hits for hits, _ in found]
        unscored = last.unscored(each)
        runs = [
            self._scored(known, leg, hits) for leg, hits in zip(last.legs, unscored, strict=False)
        ]
        scored = yield from self._together(runs)
        return last.meant(each, scored), last

    def _scored(
        self, known: HashedIndex, one: PlannedClause, hits: Sequence[Body]
    ) -> Steps[Sequence[Body]]:
        """Of documents that others found those that it scores, with its scores."""
        if not hits:
            return ()
        answer = yield from self.ask(known, scores_request(one, hits))
        return _lightened(one, answer)

    def _nearest(
        self, known: HashedIndex, one: PlannedClause
    ) -> Steps[tuple[list[Body], PlannedClause]]:
        """What one search finds, best first, and the search as it was made at last."""
        k, margin = one.n_found, TIE_MARGIN
        while True:
            request = nearest_request(one, margin)
            one, answer = yield from self.ask_counting(known, one, request)
            hits = _lightened(one, answer)
            further = one.further([hit["_score"] for hit in hits[:k]], k)
            if further is not None:
                if len(hits) < k:
                    yield from self.check_unmoved(known)
                one = further
            elif not (one.is_cut and _may_tie(hits, request["size"], k)):
                return hits[:k], one
            else:
                margin *= _MORE

    def ask_counting(
        self, known: HashedIndex, one: PlannedClause, request: Body
    ) -> Steps[tuple[PlannedClause, Body]]:
        """The answer for a clause, and the clause with what was counted beside it."""
        counting = one.counting()
        if counting is None:
            answer = yield from self.ask(known, request)
            return one.counted(None), answer
        runs = [self.ask(known, request), self._calls.search(known.name, counting)]
        answer, counts = all_well((yield from joined(self._calls.url, runs)))
        return one.counted(counts), answer

    def ask(self, known: HashedIndex, rewritten: Body) -> Steps[Body]:
        """Send it, and see that the answer is of the index that it was planned for."""
        answer = yield from self._calls.search(known.name, rewritten)
        if any(hit["_index"] not in known.concrete for hit in answer["hits"]["hits"]):
            raise _moved(known)
        return answer

    def check_unmoved(self, known: HashedIndex) -> Steps[None]:
        """See that an alias names what it did.

        Raises:
            MovedError: it does not.
        """
        if (yield from self._catalog.has_moved(known.name)):
            raise _moved(known)


def _lightened(one: PlannedClause, answer: Body) -> list[Body]:
    """Hits with the scores that a clause gives them."""
    hits: list[Body] = answer["hits"]["hits"]
    if one.hides:
        for hit in hits:
            hit["_score"] = lightened(hit["_score"])
    return hits


def _moved(known: HashedIndex) -> MovedError:
    return MovedError(f"{known.name!r} has been moved; ask again")


def _may_tie(hits: Sequence[Body], size: int, k: int) -> bool:
    """Whether some may be missing that are as near as the k-th."""
    if len(hits) < size or size == MAX_K:
        return False
    return bool(hits[-1]["_score"] == hits[k - 1]["_score"])
