"""A network that learns in which cells a query's neighbours are.

Cross-entropy between its softmax over the cells and the cells of the true neighbours, each
document being a query once an epoch, as in BLISS (Gupta et al., KDD 2022, section 3).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...artifact import fingerprint
from ...embeddings import Embeddings, Progress, unit
from ...graphs.grid import GridWeights
from ...graphs.linear_hash import LinearHash
from ...graphs.network import Router
from ...kinds.cells import fit_cells
from ...specs import LearnedSpec
from ..layers import layer_of
from ..loop import Training, choose_device
from ..options import TrainingOptions

#: Share of the cells, and least number, that a document's neighbours are looked for in.
_SEARCHED, _LEAST_SEARCHED = 0.05, 50
#: Queries learned from: neighbours of more cost more time than they teach.
_MOST_QUERIES = 150_000
#: Scale of the cosines that the output layer begins with.
_SHARPNESS = 20.0


class RouterNetwork(nn.Module):
    """See `meta4.models.graphs.network.Router`."""

    def __init__(self, centroids: Tensor, counts: Tensor, widths: tuple[int, ...]) -> None:
        super().__init__()
        dims = centroids.shape[1]
        self.hidden = nn.ModuleList(
            nn.Linear(n_in, n_out) for n_in, n_out in zip((dims, *widths), widths, strict=False)
        )
        self.output = nn.Linear(dims + (widths[-1] if widths else 0), len(centroids))
        with torch.no_grad():
            self.output.weight[:, :dims] = _SHARPNESS * centroids
            self.output.weight[:, dims:] *= 0.1
            self.output.bias.copy_(0.5 * (counts + 1).log())

    def forward(self, x: Tensor) -> Tensor:
        """(n, dims) directions to (n, n_buckets) logits."""
        flow = x
        for layer in self.hidden:
            flow = functional.relu(layer(flow))
        logits: Tensor = self.output(torch.cat([x, flow], dim=1) if len(self.hidden) else x)
        return logits

    def export(self) -> Router:
        """As arrays."""
        hidden = tuple(layer_of(layer, "relu") for layer in self.hidden)
        return Router(hidden, layer_of(self.output, "none"))


def fit_routed_cells(
    embeddings: Embeddings, spec: LearnedSpec, options: TrainingOptions, progress: Progress
) -> tuple[GridWeights, Router]:
    """Fit cells, and train a router for them.

    Args:
        embeddings: (n, dims) float32, the documents.
        spec: what was chosen.
        options: how it is trained.
        progress: called with (stage, done, total).

    Raises:
        InputError: fewer vectors than cells, no GPU where one was asked for, or a checkpoint
            of another training.
    """
    device = choose_device(options.device)
    weights = fit_cells(embeddings, spec, progress)
    directions = unit(embeddings).astype(np.float32)
    cells = LinearHash(weights).buckets(embeddings, progress)
    rng = np.random.default_rng(spec.seed)
    queries = rng.permutation(len(directions))[:_MOST_QUERIES]
    neighbours = cell_neighbours(directions, cells, queries, weights, spec.n_neighbours, progress)
    x = torch.from_numpy(directions[queries]).to(device)
    targets = torch.from_numpy(cells[neighbours].reshape(len(queries), -1)).to(device)
    counts = np.bincount(cells.ravel(), minlength=weights.n_buckets)
    torch.manual_seed(spec.seed)
    network = RouterNetwork(
        torch.from_numpy(weights.centroids), torch.from_numpy(counts).float(), spec.layers
    ).to(device)
    training = Training.of(network, spec, len(queries), options, fingerprint(embeddings))

    def step(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(x), (spec.batch,), generator=generator)
        expected = functional.log_softmax(network(x[rows]), dim=1)
        return -expected.gather(1, targets[rows]).mean()

    training.run(step, progress)
    return weights, network.export()


def cell_neighbours(
    x: NDArray[np.float32],
    cells: NDArray[np.int64],
    queries: NDArray[np.intp],
    weights: GridWeights,
    k: int,
    progress: Progress,
) -> NDArray[np.int64]:
    """Nearest others of many documents, looked for in the cells about their own.

    All queries of one cell look into the same cells, so that one product of matrices answers
    them all, and with a small share of the documents.

    Args:
        x: (n, dims) directions of length 1.
        cells: (n, 2) their cells, the nearest first.
        queries: rows of x.
        weights: the cells'.
        k: neighbours wanted; fewer than n.
        progress: called after each cell.

    Returns:
        (len(queries), k) rows of x, not ordered.
    """
    n_cells = weights.n_buckets
    n_near = min(n_cells, max(_LEAST_SEARCHED, round(_SEARCHED * n_cells)))
    members = _grouped(cells[:, 0], n_cells)
    asked = _grouped(cells[queries, 0], n_cells)
    found = np.empty((len(queries), k), dtype=np.int64)
    for cell, rows in enumerate(asked):
        if len(rows):
            near = np.argsort(-(weights.centroids @ weights.centroids[cell]))
            n = n_near
            pool = np.concatenate([members[c] for c in near[:n]])
            while len(pool) <= k and n < n_cells:
                n = min(n_cells, 2 * n)
                pool = np.concatenate([members[c] for c in near[:n]])
            products = x[queries[rows]] @ x[pool].T
            products[queries[rows][:, None] == pool[None, :]] = -2.0
            best = np.argpartition(-products, k - 1, axis=1)[:, :k]
            found[rows] = pool[best]
        progress("neighbours", cell + 1, n_cells)
    return found


def _grouped(ids: NDArray[np.int64], n: int) -> list[NDArray[np.intp]]:
    """Positions of each of n ids."""
    order = np.argsort(ids, kind="stable")
    ends = np.cumsum(np.bincount(ids, minlength=n))
    return np.split(order, ends[:-1])
