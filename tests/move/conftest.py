"""Small models, and names whose indexes are gone afterwards."""

import numpy as np
import pytest
from support.drawn_indexes import DIMS
from support.servers import BOTH

from meta4 import HashModel
from meta4.adapter.engines.connection import connect
from meta4.adapter.manage.pipelines import pipeline_name
from meta4.models.specs import CellsSpec, LshSpec


@pytest.fixture(scope="module")
def small():
    """Two models of four dimensions, and one of eight."""
    x = np.random.default_rng(7).normal(size=(400, 8)).astype(np.float32)
    cells = CellsSpec(n_bits=64, n_buckets=16, iterations=4, seed=1)
    return [
        HashModel.fit(cells, x[:, :DIMS]),
        HashModel.fit(LshSpec(n_bits=48, bits_per_table=3, n_tables=2, seed=2), x[:, :DIMS]),
        HashModel.fit(cells, x),
    ]


@pytest.fixture
def names(index_name, nodes):
    """How names of indexes begin; all that do are gone afterwards, on both engines."""
    yield index_name
    for name in BOTH:
        engine = connect(nodes(name).url)
        for index in engine.mappings(f"{index_name}*"):
            engine.request("PUT", f"/{index}/_settings", {"index.blocks.write": None})
            engine.delete_index(index)
            engine.delete_pipeline(pipeline_name(index))
        for kind in ("default", "final"):
            for index in (f"{index_name}-1", f"{index_name}-plain"):
                engine.delete_pipeline(f"theirs-{kind}-{index}")
        engine.close()


@pytest.fixture
def other_engine(engine, nodes):
    """One of the other kind."""
    made = connect(next(nodes(name).url for name in BOTH if nodes(name).url != engine.url))
    yield made
    made.close()
