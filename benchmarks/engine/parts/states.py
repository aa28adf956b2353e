"""Indexes as people have them: as loading left them, and with deleted documents."""

from ..collection import DRAWN_BELOW, Body, Range
from ..rounds import repeated
from .bench import BARRED, Bench

#: Percent of the documents.
DELETED = (5, 20)
#: As much as both engines allow: below it they merge by themselves what holds deleted documents.
_MOST_DELETED = {"index.merge.policy.deletes_pct_allowed": 50}


def as_loaded(bench: Bench) -> Body:
    """By recall: ours and plain HNSW, with the segments that loading left."""
    indexes = bench.indexes
    return _both(bench, indexes.as_loaded(None), indexes.as_loaded(bench.plain), None)


def deleted(bench: Bench) -> Body:
    """By percent deleted, then by recall: both, in a copy of their one segment."""
    indexes, found = bench.indexes, {}
    with indexes.copy(indexes.ours()) as ours, indexes.copy(indexes.of(bench.plain)) as theirs:
        for percent in DELETED:
            gone = Range(0, percent * DRAWN_BELOW // 100)
            shares = [_delete(bench, index, gone) for index in (ours, theirs)]
            found[f"{percent}%"] = {"deleted": shares, **_both(bench, ours, theirs, gone)}
    return found


def _both(bench: Bench, ours: str, theirs: str, gone: Range | None) -> Body:
    """By recall, the figures of ours and of plain HNSW."""
    collection, counts = bench.collection, bench.counts
    tuning = collection.questions(collection.tuning[: counts.tuning], but=gone)
    asked = collection.questions(collection.asked, but=gone)
    found: Body = {}
    for recall in BARRED:
        sides = bench.equal(recall, ours, {bench.plain.name: theirs}, tuning)
        found[f"{recall:g}"] = bench.timed(
            f"{ours}, recall {recall:g}",
            sides,
            [asked] * counts.rounds,
            repeated(tuning, counts.warm),
        )
    return found


def _delete(bench: Bench, index: str, gone: Range) -> float:
    """Delete what is in a range; gives the share of documents that are deleted."""
    engine = bench.engine
    engine.request("PUT", f"/{index}/_settings", body=_MOST_DELETED)
    query = {"query": gone.body()}
    engine.request("POST", f"/{index}/_delete_by_query", query, {"refresh": "true"})
    docs = engine.request("GET", f"/{index}/_stats/docs")["_all"]["primaries"]["docs"]
    n = len(bench.collection.ids)
    # Deletions themselves may be counted too, as documents that are deleted.
    assert docs["deleted"] >= n - docs["count"], f"{index}: a merge took the deleted away"
    return float(1 - docs["count"] / n)
