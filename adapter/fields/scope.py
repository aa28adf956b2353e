"""What a name stands for, and the documents that clauses name in it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from ...errors import ClauseError, NotFoundError
from ...ingest.documents import value_at
from ..engines.calls import Calls, Json, Steps
from ..engines.names import names_several
from ..search.rewriter import conditions
from ..search.sites import Site


@dataclass(frozen=True)
class Scope:
    """An index, an alias, a pattern or several of them, as a request sees it.

    Attributes:
        name: as it was asked for.
        concrete: the indexes that it names.
        filter: what aliases let through; None for all documents.
        hides: whether documents are hidden from who asks, past a query's own filters.
    """

    name: str
    concrete: frozenset[str]
    filter: Json | None = None
    hides: bool = False

    @property
    def is_one(self) -> bool:
        """Whether it is one index, by its name or an alias."""
        return len(self.concrete) == 1 and not names_several(self.name)

    def narrowed(self, site: Site) -> Site:
        """A clause as it is meant here: nearest of what an alias lets through.

        The engine would apply an alias's filter to what the clause's query has found.
        """
        if self.filter is None or self.filter in site.filters:
            return site
        return replace(site, filters=(*site.filters, self.filter))


def alias_filter(name: str, concrete: Collection[str], aliases: Mapping[str, Json]) -> Json | None:
    """What engines filter by where indexes are asked through aliases.

    An index that is named itself, or by an alias without a filter too, is asked for all.

    Args:
        name: names and patterns, with commas between.
        concrete: the indexes that these are.
        aliases: by index, the aliases that it has.
    """
    parts = [part for part in name.split(",") if not part.startswith("-")]

    def is_named(given: str) -> bool:
        return any(fnmatchcase(given, part) for part in parts)

    each: list[Json] = []
    for index in sorted(concrete):
        known = aliases.get(index, {})
        filters = [one.get("filter") for alias, one in known.items() if is_named(alias)]
        is_free = is_named(index) or not filters or None in filters
        kept = [one for one in filters if one is not None]
        own: Json | None = None
        if not is_free:
            own = kept[0] if len(kept) == 1 else {"bool": {"should": kept}}
        each.append({"index": index, "filter": own})
    if all(one["filter"] is None for one in each):
        return None
    if len(each) == 1:
        return dict(each[0]["filter"])
    by_index = [
        conditions([{"term": {"_index": one["index"]}}, *filter(None, [one["filter"]])], [])
        for one in each
    ]
    return {"bool": {"should": by_index, "minimum_should_match": 1}}


def named_values(
    calls: Calls, scope: Scope, field: str, sites: Sequence[Site]
) -> Steps[dict[str, Any]]:
    """By id, the value that each document has which clauses name.

    Args:
        calls: of the cluster.
        scope: where.
        field: a hashed field.
        sites: the clauses.

    Raises:
        NotFoundError: a document that is not there, or has no such field.
        ClauseError: several documents of one id, with other values.
    """
    ids = list(dict.fromkeys(identity for site in sites for identity in site.ids))
    found: dict[str, list[Json]] = {identity: [] for identity in ids}
    if ids and scope.is_one:  # what was written just now is there already
        sources = yield from calls.sources(scope.name, ids, field)
        found = {
            identity: [] if source is None else [source]
            for identity, source in zip(ids, sources, strict=True)
        }
    # Where an id may lie in several indexes, or by a routing that is not known, all are asked.
    left = [identity for identity, sources in found.items() if not sources]
    if left:
        for hit in (yield from _hits(calls, scope.name, left, field)):
            found[hit["_id"]].append(hit.get("_source", {}))
    return {name: _one_value(scope.name, name, field, sources) for name, sources in found.items()}


def _hits(calls: Calls, index: str, ids: list[str], field: str) -> Steps[list[Json]]:
    body = {
        "size": min(10_000, 10 * len(ids)),
        "query": {"ids": {"values": ids}},
        "_source": [field],
        "track_total_hits": False,
    }
    answer = yield from calls.search(index, body, (yield from calls.vectors_in_source()))
    hits: list[Json] = answer["hits"]["hits"]
    return hits


def _one_value(index: str, identity: str, field: str, sources: Sequence[Json]) -> Any:
    if not sources:
        raise NotFoundError(f"document {identity!r} is not in index {index!r}")
    values = [value for source in sources if (value := value_at(source, field)) is not None]
    if not values:
        raise NotFoundError(f"document {identity!r} of index {index!r} has no {field!r}")
    if any(value != values[0] for value in values):
        raise ClauseError(
            f"{len(values)} documents of {index!r} have the id {identity!r} and another {field!r} "
            f"each; name the index of one of them, or ask with what it has"
        )
    return values[0]
