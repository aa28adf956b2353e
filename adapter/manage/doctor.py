"""`meta4 index doctor`: what keeps an index from giving what it promises, and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...errors import ConflictError, InputError, Meta4Error
from ..catalog import read_index
from ..client.meta4 import Meta4
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place
from ..fields.field import Field, Finding
from ..fields.promise import Promise
from ..measure.evaluation import Evaluation, evaluate_index
from .move_state import are_held, state_in
from .whole import source_fault

#: Standard errors by which a recall may fall short of what is promised.
_ERRORS = 3.0
#: Documents that can be measured: each asks for the others.
_FEWEST = 2
#: Searches that say something.
_FEWEST_SEARCHES = 30
_LARGEST_SHARD, _SMALLEST_SHARD = 50e9, 1e9
_SEGMENTS, _DELETED = 30, 0.3


def examine_index(
    engine: Engine,
    index: str,
    *,
    n_queries: int = 200,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Finding]:
    """Look at documents, buckets, promise, shards and segments, and what a kind of field has.

    Args:
        engine: where.
        index: which index.
        n_queries: documents that the promise is measured anew with.
        progress: called with the number of queries done since the last call.

    Raises:
        NotFoundError: no such index, or not one of ours.
    """
    engine.refresh(check_index(index))
    fields = read_index(engine, index).fields
    findings = [*_moves(engine, index), *_sources(engine, index)]
    for name, field in fields.items():
        own = _examine_field(engine, index, field, n_queries, progress)
        several = f"{name}: " if len(fields) > 1 else ""
        findings += [replace(finding, what=f"{several}{finding.what}") for finding in own]
    return [*findings, *_storage(engine, index)]


def _examine_field(
    engine: Engine,
    index: str,
    field: Field,
    n_queries: int,
    progress: Callable[[int], None],
) -> list[Finding]:
    with_value = engine.count(index, {"exists": {"field": field.spec.field}})
    return [
        _documents(engine, index, field, with_value),
        *field.findings(engine, index),
        _promise(engine, index, field, with_value, n_queries, progress),
        *_searches(engine, index, field, n_queries),
    ]


def _moves(engine: Engine, index: str) -> list[Finding]:
    """Moves to what the name stands for that are not at their end, whether somebody is at it."""
    findings = []
    for name, mapping in engine.mappings(index).items():
        state = state_in(mapping)
        if state is None or not state.is_under_way:
            continue
        held = are_held(Place(engine, name), state.free)
        wait = ", and writes to it wait" if held else ""
        found = f"{state.alias} from {state.source} to {name} is under way ({state.phase}){wait}"
        command = "rollback" if state.back else "rehash"
        todo = f"if its process has ended, the same meta4 index {command} {state.alias} … goes on"
        findings.append(Finding("move", "act", found, todo, {"writes_wait": int(held)}))
    return findings


def _sources(engine: Engine, index: str) -> list[Finding]:
    """Indexes whose documents do not come back whole."""
    found = [
        f"{name} has {fault}: its documents do not come back whole"
        for name, mapping in engine.mappings(index).items()
        if (fault := source_fault(mapping)) is not None
    ]
    todo = (
        "it can be searched, but not healed, copied or rehashed; for that load the documents anew, "
        "from where they come, into an index without it: meta4 ingest"
    )
    return [Finding("source", "act", words, todo, {}) for words in found]


def _documents(engine: Engine, index: str, field: Field, with_value: int) -> Finding:
    total, stale = engine.count(index), field.count_stale(engine, index)
    hashed = {"bool": {"filter": [{"term": {field.spec.fields.model: field.mark}}]}}
    hashed["bool"]["filter"].append({"exists": {"field": field.scored}})
    n_strays = with_value - engine.count(index, hashed)
    figures = {
        "documents": total,
        "without_vector": total - with_value,
        "of_no_or_another_model": n_strays,
        "stale": stale,
    }
    found = (
        f"{total:,}, {total - with_value:,} of them without a {field.value_name}; "
        f"{n_strays:,} with no hash or another model's, {stale:,} with a hash that is "
        f"not their {field.value_name}'s (these among them)"
    )
    if not stale:
        return Finding("documents", "fine", found, "", figures)
    todo = f"{field.stale_costs}: meta4 index heal {index}"
    return Finding("documents", "act", found, todo, figures)


def _promise(
    engine: Engine,
    index: str,
    field: Field,
    n_documents: int,
    n_queries: int,
    progress: Callable[[int], None],
) -> Finding:
    promise = field.promise
    missing = promise.missing()
    if missing is not None and n_documents < _FEWEST:
        return Finding("promise", "fine", f"{missing}; too few to measure", "", {"recall": None})
    if missing is not None:
        return Finding("promise", "act", missing, promise.remedy(index), {"recall": None})
    try:
        measured = evaluate_index(
            Meta4(engine), index, field=field.spec.field, n_queries=n_queries, progress=progress
        )
    except ConflictError as error:  # what was tuned is of another version
        return Finding("promise", "act", str(error), promise.remedy(index), {"recall": None})
    except InputError as error:
        return Finding("promise", "fine", str(error), "", {"recall": None})
    if measured.lack is not None:
        return Finding("promise", "fine", measured.lack, "", {"recall": None})
    basis = promise.basis(n_documents)
    figures = {**_figures(measured), "grown": basis.grown}
    found = f"{_words(measured, promise)}; {basis.words}"
    if _falls_short(measured) or not basis.holds:
        return Finding("promise", "act", found, promise.remedy(index), figures)
    return Finding("promise", "fine", found, "", figures)


def _searches(engine: Engine, index: str, field: Field, n_queries: int) -> list[Finding]:
    """Whether what clients kept of what people search for gets what is promised."""
    promise = field.promise
    try:
        kept = None if promise.missing() else promise.searches(engine, index)
        if kept is None or len(kept) < _FEWEST_SEARCHES:
            return []
        measured = evaluate_index(
            Meta4(engine), index, field=field.spec.field, n_queries=n_queries, given=kept
        )
    except Meta4Error as error:  # who looks may not read what clients keep, say
        return [Finding("searches", "fine", f"not looked at: {error}", "", {"kept": None})]
    figures = {**_figures(measured), "kept": len(kept)}
    found = (
        f"of {len(kept):,} that clients kept {measured.n_queries:,} get {_words(measured, promise)}"
    )
    if not _falls_short(measured):
        return [Finding("searches", "fine", found, "", figures)]
    todo = f"people search where documents do not lie: meta4 index tune {index} --from-searches"
    return [Finding("searches", "act", found, todo, figures)]


def _words(measured: Evaluation, promise: Promise) -> str:
    return (
        f"recall@{measured.k} {measured.recall_at_k:.3f} ± {measured.recall_error:.3f} where "
        f"{measured.recall_asked:.3g} is {promise.verb}"
    )


def _figures(measured: Evaluation) -> dict[str, float | int | None]:
    return {
        "recall": measured.recall_at_k,
        "standard_error": measured.recall_error,
        "asked": measured.recall_asked,
    }


def _falls_short(measured: Evaluation) -> bool:
    return measured.recall_at_k < measured.recall_asked - _ERRORS * measured.recall_error


def _storage(engine: Engine, index: str) -> list[Finding]:
    stats = engine.request("GET", f"/{index}/_stats/docs,store,segments", None, {"level": "shards"})
    health = engine.request("GET", f"/_cluster/health/{index}")
    primaries = [
        copy
        for entry in stats["indices"].values()
        for copies in entry["shards"].values()
        for copy in copies
        if copy["routing"]["primary"]
    ]
    sizes = [copy["store"]["size_in_bytes"] for copy in primaries]
    unassigned = int(health["unassigned_shards"])
    todo = ""
    if unassigned:
        todo = "a copy has no node: see /_cluster/allocation/explain"
    elif max(sizes) > _LARGEST_SHARD:
        todo = "more shards: copy the index with meta4 copy --shards N"
    elif len(sizes) > 1 and max(sizes) < _SMALLEST_SHARD:
        todo = "fewer shards: each is asked for every request; meta4 copy --shards 1"
    figures: Mapping[str, float | int | None] = {
        "shards": len(sizes),
        "largest_bytes": max(sizes),
        "unassigned": unassigned,
    }
    found = f"{len(sizes)}, {max(sizes) / 1e6:,.0f} MB the largest; {unassigned} copies unassigned"
    shards = Finding("shards", "act" if todo else "fine", found, todo, figures)

    segments = max(copy["segments"]["count"] for copy in primaries)
    there = sum(copy["docs"]["count"] for copy in primaries)
    deleted = sum(copy["docs"]["deleted"] for copy in primaries)
    share = deleted / max(1, there + deleted)
    todo = ""
    if segments > _SEGMENTS or share > _DELETED:
        todo = f"after loading, merge: POST /{index}/_forcemerge?max_num_segments=1"
    figures = {"most": segments, "deleted": deleted, "share_deleted": share}
    found = f"{segments} in a shard at most; {share:.0%} of the documents in them are deleted ones"
    return [shards, Finding("segments", "act" if todo else "fine", found, todo, figures)]
