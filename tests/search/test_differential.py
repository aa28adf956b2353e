"""Whatever stands around a clause: the answer is that of an engine given the k nearest by id.

A few hundred bodies in `make test`, the same ones each time; `make fuzz` draws thousands.
"""

import os

import numpy as np
import pytest
from support.differential import Case, World, difference, key_of, small_model
from support.searches import every_saving_counts

from meta4 import Meta4
from meta4.mappings.spec import STRATEGIES

pytestmark = [pytest.mark.server, pytest.mark.timeout(3000)]
IS_LONG = "META4_FUZZ" in os.environ
#: Of each recall, in each world.
CASES = int(os.environ.get("META4_FUZZ", "64")) // 4
LAYOUTS = ("one shard", "three shards", "two indexes", "filtered alias", "routed alias")
#: What strategy `native` has to be told differs from place to place; the others are scripts.
WORLDS = [
    (strategy, layout)
    for strategy in STRATEGIES
    for layout in LAYOUTS
    if IS_LONG or strategy == "native" or layout in ("three shards", "filtered alias")
]


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.mark.parametrize(("strategy", "layout"), WORLDS)
def test_bodies(engine, index_name, model, monkeypatch, strategy, layout):
    every_saving_counts(monkeypatch)
    seed = STRATEGIES.index(strategy) * 10 + LAYOUTS.index(layout)
    world = World(engine, index_name, model, strategy=strategy, layout=layout, seed=seed)
    rng = np.random.default_rng(None if IS_LONG else seed)
    meta4 = Meta4(engine)
    wrong, n_run = [], 0
    try:
        for case in (Case(world, rng, recall) for recall in (1.0, 0.9) for _ in range(CASES)):
            meant = documents_of(meta4, world, case)
            if meant is None:
                continue
            n_run += 1
            body = case.expected_body(meant)
            expected = engine.search(world.name, body)
            answer = meta4.search(index=world.name, body=case.body)
            found = difference(answer, expected, case.body)
            if found:
                wrong.append(f"{found}\n  {case}")
    finally:
        world.drop()
    print(f"{strategy}, {layout}: {n_run} bodies, {len(wrong)} differ")
    assert n_run > CASES
    assert not wrong, f"{len(wrong)} of {n_run} differ; the first:\n" + "\n".join(wrong[:3])


def documents_of(meta4, world, case):
    """For each clause the documents that it means; None where float32 cannot tell.

    With a recall below 1, whatever the clause by itself is answered with, which must be k (or all)
    of those that its filters keep.
    """
    meant = []
    for placed, clause, filters, exclusions in case.clauses:
        kept = world.kept(filters, exclusions)
        nearest = world.nearest(clause, kept)
        if nearest is None:
            return None
        if case.recall < 1.0:
            plain = {"bool": {"must": [placed], "filter": filters, "must_not": exclusions}}
            body = {"query": plain, "_source": False, "size": clause["k"]}
            hits = meta4.search(index=world.name, body=body)["hits"]["hits"]
            keys = [key_of(hit) for hit in hits]
            assert len(keys) == min(clause["k"], len(kept)), f"{len(keys)} found\n  {case}"
            assert set(keys) <= set(kept), f"others than the filters keep\n  {case}"
            nearest = keys
        meant.append(nearest)
    return meant
