"""The network of a `learned` model: where a query's neighbours are."""

import numpy as np
import onnxruntime
import torch
from test_training import CPU, unit

from meta4 import HashModel
from meta4.models.cells import fit_cell_buckets
from meta4.models.judging import documents_looked_into
from meta4.models.network_graph import routed_hash_to_onnx
from meta4.models.specs import LearnedSpec
from meta4.models.training.router import RouterNetwork, cell_neighbours

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


def test_onnx_gives_the_logits_of_the_router(vectors):
    cells = fit_cell_buckets(vectors[:500], LEARNED, np.random.default_rng(0), lambda *_: None)
    torch.manual_seed(0)
    network = RouterNetwork(torch.from_numpy(cells.centroids), torch.ones(128), (32, 16))
    session = onnxruntime.InferenceSession(
        routed_hash_to_onnx(cells, network.export()), providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(["bucket_logits"], {"embedding": 3 * vectors[:200]})
    with torch.no_grad():
        own = network(torch.from_numpy(unit(vectors[:200]).astype(np.float32))).numpy()
    assert np.allclose(logits, own, atol=1e-3)


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
