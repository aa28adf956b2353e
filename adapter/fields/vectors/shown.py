"""A field of vectors, and what a request does with it, as people and machines are told of them."""

from ....mappings.spec import IndexSpec
from ....models.probing.directory import Directory
from ....models.stopping.record import AtLeast
from ...engines.calls import Json
from ...engines.engine import Engine
from .request import PlannedVectors


def summarised(spec: IndexSpec) -> Json:
    """What an index was made as; see `Field.summary`."""
    return {
        "field": spec.field,
        "dims": spec.dims,
        "model": str(spec.model),
        "n_bits": spec.n_bits,
        "n_buckets": spec.n_buckets,
        "strategy": spec.strategy,
        "plan": spec.plan,
        "hashing": spec.hashing,
        "first_phase": f"{spec.sketch} directions" if spec.sketch else "none",
        **({} if spec.encoder is None else {"encoder": str(spec.encoder)}),
        "tuned": not (spec.calibration is None and spec.own_reach is None),
    }


def shown(engine: Engine, index: str, spec: IndexSpec, directory: Directory) -> Json:
    """The same and what is counted; see `Field.show`."""
    total = engine.count(index)
    store = engine.request("GET", f"/{index}/_stats/store,segments")["_all"]["primaries"]
    counts = directory.counts
    tuned = spec.own_reach or spec.calibration
    return summarised(spec) | {
        "documents": total,
        "without_vector": total - directory.n_documents,
        "strays": directory.n_strays,
        "buckets_filled": len(directory.buckets),
        "bucket_mean": float(counts.mean()) if len(counts) else 0.0,
        "bucket_max": int(counts.max()) if len(counts) else 0,
        "size_in_bytes": store["store"]["size_in_bytes"],
        "segments": store["segments"]["count"],
        "calibration": None if tuned is None else tuned.model_dump(mode="json", exclude={"packed"}),
    }


def explained(one: PlannedVectors, looked_into: int, n_documents: int) -> Json:
    """What a request looks into and why; see `Field.explain`.

    Args:
        one: its clause.
        looked_into: documents that are scored.
        n_documents: of the index that have a vector.
    """
    plan, clause = one.plan, one.site.clause
    probed = [] if plan.probes is None else plan.probes.buckets.tolist()
    return {
        "field": one.site.field,
        "k": clause.k,
        "recall_asked": _as_asked(clause.recall),
        "recall_promised": one.promised_recall,
        "reason": plan.reason,
        "recall_expected": None if plan.looking is None else 1.0 - plan.looking.prospect.missing,
        "rounds": plan.n_rounds,
        "filter_selectivity": plan.selectivity,
        "depth": plan.depth,
        "first_phase": _first_phase(one),
        "looked_for_by": plan.keyword if probed else None,
        "n_probes": len(probed),
        "buckets": [one.model.terms[bucket] for bucket in probed],
        "docs_looked_into": looked_into,
        "share_looked_into": looked_into / max(1, n_documents),
    }


def _first_phase(one: PlannedVectors) -> Json | None:
    """How many of each segment's best by their sketches are scored by their vectors."""
    window = one.window
    return None if window is None else {"directions": one.spec.sketch, "window": window}


def _as_asked(recall: float | AtLeast) -> float | Json:
    return recall.model_dump(by_alias=True) if isinstance(recall, AtLeast) else recall
