"""The documents that clauses mean: asked for, and as far as it takes."""

from collections.abc import Sequence
from typing import Any

from ...errors import EngineError
from ..catalog import Catalog, HashedIndex
from ..engines.calls import Calls, Steps
from ..engines.joint import all_well, joined
from ..search.clauses import MAX_K
from ..search.planned import PlannedClause
from ..search.rewriter import TIE_MARGIN, WEIGHT, nearest_request

Body = dict[str, Any]
#: Hits of a clause, and the clause as it was asked at last.
Found = tuple[list[Body], PlannedClause]
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

    def all_nearest(
        self, known: HashedIndex, planned: Sequence[PlannedClause]
    ) -> Steps[list[Found]]:
        """For each clause what it means; all are asked for side by side."""
        if len(planned) == 1:
            return [(yield from self._nearest(known, planned[0]))]
        runs = [self._nearest(known, one) for one in planned]
        return all_well((yield from joined(self._calls.url, runs)))

    def _nearest(self, known: HashedIndex, one: PlannedClause) -> Steps[Found]:
        """The hits that a clause means, nearest first, and the clause as it was asked at last."""
        weight = WEIGHT if one.hides else 1.0
        k, margin = one.site.clause.k, TIE_MARGIN
        while True:
            request = nearest_request(one, margin)
            one, answer = yield from self.ask_counting(known, one, request)
            hits: list[Body] = answer["hits"]["hits"]
            further = one.further([hit["_score"] / weight for hit in hits[:k]], k)
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


def _moved(known: HashedIndex) -> MovedError:
    return MovedError(f"{known.name!r} has been moved; ask again")


def _may_tie(hits: Sequence[Body], size: int, k: int) -> bool:
    """Whether some may be missing that are as near as the k-th."""
    if len(hits) < size or size == MAX_K:
        return False
    return bool(hits[-1]["_score"] == hits[k - 1]["_score"])
