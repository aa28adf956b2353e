"""One request after the other, on one segment, without a filter."""

from collections.abc import Sequence

import numpy as np

from meta4.mappings.elasticsearch import ElasticsearchDialect

from ..collection import Body, Question
from ..rounds import repeated
from ..sides import BY_HAND, OURS, ByHand, Ours, Side
from .bench import RECALLS, Bench


def requests(bench: Bench) -> Body:
    """By recall: the figures of each side, what ours looks into, and what its client costs."""
    counts = bench.counts
    squeezed = None
    if isinstance(bench.engine.dialect, ElasticsearchDialect):
        squeezed = bench.indexes.load_bbq_flat()
    found: Body = {}
    for recall in RECALLS:
        mine, *rivals = bench.at_equal_recall(recall)
        assert isinstance(mine, Ours)
        sides: list[Side] = [mine, ByHand(mine, bench.indexes.meta4), *rivals]
        if squeezed is not None:
            sides.append(bench.efforts.bbq_flat(squeezed, recall, bench.tuning))
        rounds = [bench.asked] * counts.rounds
        warm = repeated(bench.tuning, counts.warm)
        timed = bench.timed(f"recall {recall:g}", sides, rounds, warm)
        over = timed[OURS]["client_cpu_ms"] - timed[BY_HAND]["client_cpu_ms"]
        found[f"{recall:g}"] = {
            "sides": timed,
            "client_cpu_over_sending_ms": over,
            "looked_into": _looked_into(bench, mine, bench.tuning[: counts.few]),
        }
    return found


def _looked_into(bench: Bench, ours: Ours, questions: Sequence[Question]) -> float:
    """Mean share of the documents that our rerank scores."""
    shares = []
    for question in questions:
        told = bench.indexes.meta4.explain(index=ours.index, body=ours.body(question))
        shares.append(told["clauses"][0]["share_looked_into"])
    return float(np.mean(shares))
