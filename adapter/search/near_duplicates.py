"""Indexes of texts: made, and searched for near-duplicates.

A `meta4_similar` clause becomes a filter on the buckets that its text falls into, and an exact
rerank by Jaccard similarity inside them. What shares no bucket is not looked at, so that fewer than
k may be found: the others are hardly duplicates. Recall 1 scores all documents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ClauseError, ConflictError, NotFoundError
from ...ingest.documents import value_at
from ...mappings.texts import TextSpec, jaccard_query, text_index_body
from ...models.kinds.minhash import MinHasher, as_longs
from ..engines.engine import Engine
from ..engines.names import check_index
from .catalog import read_text_spec
from .clauses import SimilarClause, Site, find_sites
from .rewriter import Body, with_queries

#: Similarities that `explain` says the chance of.
_SHOWN = (0.3, 0.5, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class _Asked:
    """A clause with what it asks about.

    Attributes:
        site: the clause where it stands.
        shingles: (m,) int64 of its text, ascending.
        buckets: what is looked into; None for all documents.
    """

    site: Site
    shingles: NDArray[np.int64]
    buckets: list[str] | None


def create_text_index(
    engine: Engine, index: str, spec: TextSpec, *, shards: int = 1, replicas: int = 0
) -> None:
    """Create an index with a hashed text field; the same call again changes nothing.

    Raises:
        ConflictError: the index exists with another spec.
        RefusedError: the server runs no scripts, or said no.
    """
    check_index(index)
    engine.check_usable(scripts=True)
    if not engine.index_exists(index):
        engine.create_index(index, text_index_body(spec, shards=shards, replicas=replicas))
        return
    try:
        found = read_text_spec(engine, index)
    except NotFoundError:
        found = None
    if found != spec:
        raise ConflictError(
            f"index {index!r} exists already, and not for {spec.minhash} of {spec.field!r}; "
            f"choose another name"
        )


def rewrite_texts(
    engine: Engine, index: str, spec: TextSpec, body: Mapping[str, Any]
) -> tuple[Body, list[_Asked]]:
    """Replace the clauses of a search body; gives what they ask about, too.

    Raises:
        ClauseError: a clause that cannot be read, or asks for what texts do not have.
        NotFoundError: a document that is not there, or has no text.
        InputError: a text without shingles, or with too many.
    """
    sites = find_sites(body["query"])
    hasher = MinHasher(spec.minhash)
    asked = []
    for site, text in zip(sites, _texts(engine, index, spec, sites), strict=True):
        clause, shingles = _clause(site), hasher.shingles(text)
        buckets = hasher.buckets(shingles) if clause.recall < 1.0 else None
        asked.append(_Asked(site, as_longs(shingles), buckets))
    return with_queries(body, sites, [_query(one, spec) for one in asked]), asked


def _query(one: _Asked, spec: TextSpec) -> Body:
    clause = _clause(one.site)
    within: list[Body] = []
    if one.buckets is not None:
        within.append({"terms": {spec.fields.bucket: one.buckets}})
    if clause.id is not None:
        within.append({"bool": {"must_not": [{"ids": {"values": [clause.id]}}]}})
    return jaccard_query(spec, one.shingles, within)


def explain_texts(engine: Engine, index: str, spec: TextSpec, body: Mapping[str, Any]) -> Body:
    """What a search would do: the buckets, the documents looked into, and what is found."""
    rewritten, asked = rewrite_texts(engine, index, spec, body)
    clauses = []
    total = engine.count(index, {"exists": {"field": spec.fields.shingle}})
    for one in asked:
        everywhere, buckets = one.buckets is None, one.buckets or []
        within = {"terms": {spec.fields.bucket: buckets}}
        looked_into = total if everywhere else engine.count(index, within)
        chances = {f"{s:g}": 1.0 if everywhere else spec.minhash.found(s) for s in _SHOWN}
        clauses.append(
            {
                "field": one.site.field,
                "k": one.site.clause.k,
                "recall_by_similarity": chances,
                "n_probes": len(buckets),
                "buckets": buckets,
                "docs_looked_into": looked_into,
                "share_looked_into": looked_into / max(1, total),
            }
        )
    about = {"index": index, "model": str(spec.minhash), "documents": total}
    return about | {"clauses": clauses, "body": rewritten}


def show_text_index(engine: Engine, index: str, spec: TextSpec) -> Body:
    """All that is known of an index, counted now."""
    hashed = {"term": {spec.fields.model: str(spec.minhash)}}
    documents, n_hashed = engine.count(index), engine.count(index, hashed)
    return {
        "index": index,
        "field": spec.field,
        "model": str(spec.minhash),
        "documents": documents,
        "without_hash": documents - n_hashed,
    } | {f"found_at_{s:g}": round(spec.minhash.found(s), 3) for s in _SHOWN}


def _texts(engine: Engine, index: str, spec: TextSpec, sites: Sequence[Site]) -> list[str]:
    """What each clause asks about; texts of documents are fetched in one round trip."""
    for site in sites:
        _check(site, spec, index)
    named = (_clause(site).id for site in sites)
    ids = list(dict.fromkeys(identity for identity in named if identity is not None))
    found = dict(zip(ids, engine.sources(index, ids, spec.field), strict=True)) if ids else {}

    def text(clause: SimilarClause) -> str:
        if clause.text is not None:
            return clause.text
        source = found[str(clause.id)]
        if source is None:
            raise NotFoundError(f"document {clause.id!r} is not in index {index!r}")
        value = value_at(source, spec.field)
        if not isinstance(value, str):
            raise NotFoundError(f"document {clause.id!r} of index {index!r} has no {spec.field!r}")
        return value

    return [text(_clause(site)) for site in sites]


def _clause(site: Site) -> SimilarClause:
    assert isinstance(site.clause, SimilarClause)
    return site.clause


def _check(site: Site, spec: TextSpec, index: str) -> None:
    if site.field != spec.field:
        raise ClauseError(
            f"field {site.field!r} is not hashed in index {index!r}; "
            f"its hashed field is {spec.field!r}"
        )
    if not isinstance(site.clause, SimilarClause) or site.clause.vector is not None:
        raise ClauseError(
            f"field {spec.field!r} of index {index!r} holds texts, which have no direction; ask "
            f"with meta4_similar and 'id' or 'text'"
        )
