"""The network of a `learned` model: where a query's neighbours are."""

import numpy as np
import pytest
import torch
from support.specs import CPU
from support.vectors import unit

from meta4 import HashModel
from meta4.models.choice.judgement import documents_looked_into
from meta4.models.graphs.network_graph import routed_hash_to_onnx
from meta4.models.kinds.cells import fit_cell_buckets
from meta4.models.specs import LearnedSpec, LshSpec
from meta4.models.training.methods.router import RouterNetwork, cell_neighbours

LEARNED = LearnedSpec(
    n_buckets=128, n_bits=32, iterations=5, layers=(64,), epochs=12.0, batch=256, seed=5
)


def test_a_router_looks_into_less_than_its_cells_do(vectors):
    base, queries = vectors[:12_000], vectors[20_000:20_300]
    model = HashModel.fit(LEARNED, base, options=CPU)
    routed = documents_looked_into(model, base, queries, "learned", (0.95, 0.99))
    cells = documents_looked_into(model, base, queries, "centroid", (0.95, 0.99))
    assert routed[0] < 0.9 * cells[0]
    assert routed[1] < 0.9 * cells[1]


@pytest.mark.parametrize("widths", [(32, 16), (32,), ()])
def test_a_query_gets_the_logits_of_torch(vectors, widths):
    cells = fit_cell_buckets(vectors[:500], LEARNED, np.random.default_rng(0), lambda *_: None)
    torch.manual_seed(0)
    network = RouterNetwork(torch.from_numpy(cells.centroids), torch.ones(128), widths)
    spec = LEARNED.model_copy(update={"layers": widths})
    manifest = HashModel.fit(LshSpec(), vectors[:10]).manifest.model_copy(update={"spec": spec})
    model = HashModel(manifest, routed_hash_to_onnx(cells, network.export()))
    with torch.no_grad():
        logits = network(torch.from_numpy(unit(vectors[:20]).astype(np.float32)))
        expected = -torch.log_softmax(logits, dim=1).numpy()
    for query, costs in zip(vectors[:20], expected, strict=True):
        for length in (3, 1e-30, 1e25):  # whose squares are nothing, or infinite, in float32
            scaled = (length * query).astype(np.float32)
            assert np.allclose(model.bucket_costs(scaled, "learned"), costs, atol=1e-3)


def test_neighbours_by_cells_are_nearly_the_exact_ones(vectors):
    x = unit(vectors[:4000]).astype(np.float32)
    cells = fit_cell_buckets(x, LEARNED, np.random.default_rng(0), lambda *_: None)
    ids = np.argsort(-(x @ cells.centroids.T), axis=1)[:, :2]
    queries = np.arange(0, 4000, 20)
    found = cell_neighbours(x, ids, queries, cells, 10, lambda *_: None)
    cosines = x[queries] @ x.T
    cosines[np.arange(len(queries)), queries] = -2
    exact = np.argsort(-cosines, axis=1)[:, :10]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]
    assert np.mean(shared) > 0.9
    assert not (found == queries[:, None]).any()
