"""An index's documents in the order in which they were written last, shard by shard.

Both engines count operations in each shard and can search for their numbers: what reads an index
so can be cut off and go on where it was, and bring what was written since. A document that was
deleted leaves no trace: it is only missing.
"""

import time
from collections.abc import Iterator
from typing import Any

from ...errors import EngineError
from ..engines.calls import WHOLE
from ..engines.place import Place, settings_of
from ..manage.move_state import Reached
from ..manage.whole import check_value

Json = dict[str, Any]
_PAGE = 1_000
#: Seconds after which what was written is on disk, and between two looks.
_ON_DISK, _LOOK = 60.0, 0.1
#: What a query for documents with a field is called, so that hits tell of it.
_HAS = "has the field"


def count_after(place: Place, reached: Reached) -> int:
    """How many documents were written after what was reached."""
    return sum(
        place.engine.count(place.index, _after(reached.get(shard, -1)), shard=shard)
        for shard in _shards(place)
    )


def count_upto(place: Place, reached: Reached, field: str | None = None) -> int:
    """How many documents were written no later than what was reached, with a field if named."""
    within = [] if field is None else [{"exists": {"field": field}}]
    return sum(
        place.engine.count(
            place.index,
            {"bool": {"filter": [{"range": {"_seq_no": {"lte": last}}}, *within]}},
            shard=shard,
        )
        for shard, last in reached.items()
    )


def ids_with(place: Place, reached: Reached, field: str) -> Iterator[list[str]]:
    """Ids of documents with a field that were written after what was reached, page by page."""
    for _, hits in pages_after(place, reached, source=False, field=field):
        yield [hit["_id"] for hit in hits if hit.get("matched_queries")]


def pages_after(
    place: Place,
    reached: Reached,
    *,
    last: Reached | None = None,
    source: bool = True,
    field: str | None = None,
) -> Iterator[tuple[str, list[Json]]]:
    """Documents that were written after what was reached, as they are now: (shard, hits).

    Each hit has its `_seq_no` as its only sort value, and its vectors.

    Args:
        place: an index.
        reached: by shard, after which operation.
        last: by shard, up to which; up to now by default.
        source: whether hits have their documents.
        field: what documents may not lack that are found by it.

    Raises:
        InputError: a document has the field, and its `_source` has not.
    """
    last = last or processed_by(place)
    place.engine.refresh(place.index)
    for shard in _shards(place):
        for hits in _pages(place, shard, reached.get(shard, -1), last[shard], source, field):
            if source and field is not None:
                for hit in hits:
                    if hit.get("matched_queries"):
                        check_value(place, hit, field)
            yield shard, hits


def processed_by(place: Place) -> Reached:
    """By shard, the sequence number up to which every copy has every operation.

    Writes run side by side: a later number may be searchable before an earlier one, which a
    reader that had gone past it would never bring. Copies tell of an operation once it is on disk;
    where `index.translog.durability` is `async`, that is seconds after they took it.

    Raises:
        EngineError: some were not on disk after `_ON_DISK` seconds.
    """
    asked = time.monotonic()
    taken = {shard: max(_numbers(copies, "max_seq_no")) for shard, copies in _copies(place)}
    while True:
        done = {
            shard: min(_numbers(copies, "local_checkpoint")) for shard, copies in _copies(place)
        }
        if all(done[shard] >= number for shard, number in taken.items()):
            return done
        if time.monotonic() - asked > _ON_DISK:
            raise EngineError(
                f"{place}: what was written is not on disk after {_ON_DISK:.0f} seconds; set "
                f"index.translog.durability to request, and run the same again"
            )
        time.sleep(_LOOK)


def _copies(place: Place) -> list[tuple[str, list[Json]]]:
    """By shard, what its started copies tell of themselves."""
    stats = place.engine.request("GET", f"/{place.index}/_stats", params={"level": "shards"})
    (index,) = stats["indices"].values()
    return [
        (shard, [copy for copy in copies if copy["routing"]["state"] == "STARTED"])
        for shard, copies in index["shards"].items()
    ]


def _numbers(copies: list[Json], name: str) -> list[int]:
    return [copy["seq_no"][name] for copy in copies]


def _shards(place: Place) -> list[str]:
    return [str(shard) for shard in range(int(settings_of(place)["number_of_shards"]))]


def _pages(
    place: Place, shard: str, reached: int, last: int, source: bool, field: str | None
) -> Iterator[list[Json]]:
    """Hits of one shard at one point in time, in the order of their sequence numbers."""
    engine = place.engine
    with engine.point_in_time(place.index, shard) as moment:
        while True:
            query: Json = {"bool": {"filter": [_after(reached, last)]}}
            if field is not None:
                query["bool"]["should"] = [{"exists": {"field": field, "_name": _HAS}}]
            body = {
                "size": _PAGE,
                "query": query,
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
