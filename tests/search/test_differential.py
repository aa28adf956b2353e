"""Whatever stands around a clause: the answer is that of an engine given the k nearest by id.

A few hundred bodies in `make test`, the same ones each time; `make fuzz` draws thousands.
"""

import asyncio
import os

import numpy as np
import pytest
from support.differential import Case, difference
from support.drawn_fields import TEXTS, VECTORS
from support.drawn_worlds import FIELDS, World, key_of
from support.searches import every_saving_counts

from meta4 import AsyncMeta4, Meta4
from meta4.mappings.spec import STRATEGIES

pytestmark = [pytest.mark.server, pytest.mark.timeout(3000)]
IS_LONG = "META4_FUZZ" in os.environ
#: Of each recall, in each world.
CASES = int(os.environ.get("META4_FUZZ", "64")) // 4
LAYOUTS = ("one shard", "three shards", "two indexes", "filtered alias", "routed alias")
#: What strategy `native` has to be told differs from place to place; the others are scripts.
FEW = {"native": LAYOUTS, "script": ("three shards",), "hamming": ("filtered alias",)}
WORLDS = [
    (strategy, layout)
    for strategy in STRATEGIES
    for layout in (LAYOUTS if IS_LONG else FEW[strategy])
]
#: Of texts there is one strategy; an index may have both.
OTHER_WORLDS = [
    (fields, layout)
    for fields, few in (((TEXTS,), "two indexes"), (FIELDS, "three shards"))
    for layout in LAYOUTS
    if IS_LONG or layout == few
]


@pytest.mark.parametrize(("strategy", "layout"), WORLDS)
def test_bodies(engine, index_name, monkeypatch, strategy, layout):
    every_saving_counts(monkeypatch)
    compare(engine, index_name, strategy, layout, (VECTORS,))


@pytest.mark.parametrize(("fields", "layout"), OTHER_WORLDS)
def test_bodies_of_other_fields(engine, index_name, monkeypatch, fields, layout):
    every_saving_counts(monkeypatch)
    compare(engine, index_name, "native", layout, fields)


def test_several_at_once(engine, node, index_name, monkeypatch):
    """By `msearch`, and by a client that does not wait: as one by one."""
    every_saving_counts(monkeypatch)
    world = World(
        engine, index_name, strategy="native", layout="two indexes", seed=99, fields=FIELDS
    )
    rng, meta4 = np.random.default_rng(99), Meta4(engine)
    bodies = [Case(world, rng, recall).body for recall in (1.0, 0.9) for _ in range(30)]

    async def asked():
        async with AsyncMeta4(node.url) as other:
            return await asyncio.gather(*(other.search(index=world.name, body=b) for b in bodies))

    try:
        one_by_one = [meta4.search(index=world.name, body=body) for body in bodies]
        for answers in (meta4.msearch(index=world.name, bodies=bodies), asyncio.run(asked())):
            for body, answer, expected in zip(bodies, answers, one_by_one, strict=True):
                assert difference(answer, expected, body) is None, body
    finally:
        world.drop()


def compare(engine, index_name, strategy, layout, fields):
    seed = STRATEGIES.index(strategy) * 10 + LAYOUTS.index(layout)
    world = World(engine, index_name, strategy=strategy, layout=layout, seed=seed, fields=fields)
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
    names = ", ".join(field.name for field in fields)
    print(f"{names}, {strategy}, {layout}: {n_run} bodies, {len(wrong)} differ")
    assert n_run > CASES
    assert not wrong, f"{len(wrong)} of {n_run} differ; the first:\n" + "\n".join(wrong[:3])


def documents_of(meta4, world, case):
    """For each clause the documents that it means; None where float32 cannot tell.

    With a recall below 1, whatever the clause by itself is answered with, which must be k (or all)
    of those that its filters keep; of texts it may be fewer.
    """
    meant = []
    for asked in case.asked:
        kept = world.kept(asked)
        nearest = world.nearest(asked, kept)
        if nearest is None:
            return None
        if case.recall < 1.0:
            plain = {"must": [asked.placed], "filter": asked.filters, "must_not": asked.exclusions}
            k = asked.clause["k"]
            body = {"query": {"bool": plain}, "_source": False, "size": k, **asked.defined}
            hits = meta4.search(index=world.name, body=body)["hits"]["hits"]
            keys, n = [key_of(hit) for hit in hits], min(k, len(kept))
            is_enough = len(keys) <= n if asked.field.may_be_short else len(keys) == n
            assert is_enough, f"{len(keys)} found\n  {case}"
            assert set(keys) <= set(kept), f"others than the filters keep\n  {case}"
            nearest = keys
        meant.append(nearest)
    return meant
