"""An index's documents in the order in which they were written last, shard by shard.

Both engines count operations in each shard and can search for their numbers: what reads an index
so can be cut off and go on where it was, and bring what was written since. A document that was
deleted leaves no trace: it is only missing.
"""

from collections.abc import Iterator
from typing import Any

from ..engines.calls import WHOLE
from ..engines.place import Place, settings_of
from ..manage.move_state import Reached

Json = dict[str, Any]
_PAGE = 1_000


def count_after(place: Place, reached: Reached) -> int:
    """How many documents were written after what was reached."""
    return sum(
        place.engine.count(place.index, _after(reached.get(shard, -1)), shard=shard)
        for shard in _shards(place)
    )


def count_upto(place: Place, reached: Reached) -> int:
    """How many documents were written no later than what was reached."""
    return sum(
        place.engine.count(place.index, {"range": {"_seq_no": {"lte": last}}}, shard=shard)
        for shard, last in reached.items()
    )


def pages_after(
    place: Place, reached: Reached, *, last: Reached | None = None, source: bool = True
) -> Iterator[tuple[str, list[Json]]]:
    """Documents that were written after what was reached, as they are now: (shard, hits).

    Each hit has its `_seq_no` as its only sort value, and its vectors.

    Args:
        place: an index.
        reached: by shard, after which operation.
        last: by shard, up to which; up to now by default.
        source: whether hits have their documents.
    """
    last = last or processed_by(place)
    place.engine.refresh(place.index)
    for shard in _shards(place):
        for hits in _pages(place, shard, reached.get(shard, -1), last[shard], source):
            yield shard, hits


def processed_by(place: Place) -> Reached:
    """By shard, the sequence number up to which every copy has every operation.

    Writes run side by side: a later number may be searchable before an earlier one, which a
    reader that had gone past it would never bring.
    """
    stats = place.engine.request("GET", f"/{place.index}/_stats", params={"level": "shards"})
    (index,) = stats["indices"].values()
    return {
        shard: min(
            copy["seq_no"]["local_checkpoint"]
            for copy in copies
            if copy["routing"]["state"] == "STARTED"
        )
        for shard, copies in index["shards"].items()
    }


def _shards(place: Place) -> list[str]:
    return [str(shard) for shard in range(int(settings_of(place)["number_of_shards"]))]


def _pages(place: Place, shard: str, reached: int, last: int, source: bool) -> Iterator[list[Json]]:
    """Hits of one shard at one point in time, in the order of their sequence numbers."""
    engine = place.engine
    with engine.point_in_time(place.index, shard) as moment:
        while True:
            body = {
                "size": _PAGE,
                "query": _after(reached, last),
                "sort": [{"_seq_no": "asc"}],
                "seq_no_primary_term": True,
                "track_total_hits": False,
                "pit": moment,
            }
            if not source:
                body["_source"] = False
            params = {**WHOLE, **engine.vectors_in_source()}
            answer = engine.request("POST", "/_search", body, params)
            hits: list[Json] = answer["hits"]["hits"]
            if not hits:
                return
            yield hits
            reached = hits[-1]["sort"][0]


def _after(reached: int, last: int | None = None) -> Json:
    upto = {} if last is None else {"lte": last}
    return {"range": {"_seq_no": {"gt": reached, **upto}}}
