"""What a request does and why, for people and for machines."""

from collections.abc import Sequence
from typing import Any

from ..engines.engine import Engine
from .catalog import HashedIndex
from .rewriter import PlannedSite, searched_within

Body = dict[str, Any]


def explain_body(
    engine: Engine, known: HashedIndex, rewritten: Body, planned: Sequence[PlannedSite]
) -> Body:
    """Describe a rewritten request.

    Returns:
        A dict with the index's model, strategy and plan, for each clause the buckets probed,
        the documents looked into (counted by the server), the promised recall and why, and
        the final body.
    """
    spec = known.spec
    return {
        "index": known.name,
        "model": str(spec.model),
        "strategy": spec.strategy,
        "plan": spec.plan,
        "documents": known.directory.n_documents,
        "strays": known.directory.n_strays,
        "clauses": [_explain_clause(engine, known, one) for one in planned],
        "body": rewritten,
    }


def documents_in(engine: Engine, known: HashedIndex, one: PlannedSite) -> int:
    """How many documents the clause's exact rerank scores, counted by the server."""
    within = searched_within(one, known.spec, known.model)
    filters: list[Body] = [{"exists": {"field": known.spec.field}}]
    if within is not None:
        filters.append(within)
    return engine.count(known.name, {"bool": {"filter": filters}})


def _explain_clause(engine: Engine, known: HashedIndex, one: PlannedSite) -> Body:
    plan = one.plan
    looked_into = documents_in(engine, known, one)
    total = max(1, known.directory.n_documents)
    probed = [] if plan.probes is None else plan.probes.buckets.tolist()
    return {
        "field": one.site.field,
        "k": one.site.clause.k,
        "recall_asked": one.site.clause.recall,
        "recall_promised": plan.promised_recall,
        "reason": plan.reason,
        "filter_selectivity": plan.selectivity,
        "depth": plan.depth,
        "n_probes": len(probed),
        "buckets": [known.model.terms[bucket] for bucket in probed],
        "docs_looked_into": looked_into,
        "share_looked_into": looked_into / total,
    }
