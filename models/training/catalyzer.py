"""Spreading vectors (Sablayrolles et al., "Spreading vectors for similarity search", ICLR 2019)."""

import torch
from torch import Tensor
from torch.nn import functional

from ..embeddings import Progress
from ..specs import CatalyzerSpec
from .loop import Training
from .losses import spreading
from .networks import HashNetwork

#: Documents that neighbours are looked for among; the paper's learning sets have 500,000.
_POOL = 100_000
_ROWS = 1024


def train_catalyzer(
    network: HashNetwork, x: Tensor, spec: CatalyzerSpec, training: Training, progress: Progress
) -> None:
    """Positives from the original space, negatives from the learned one, mined once an epoch.

    Args:
        network: blocks of dense layer, batch norm and ReLU (section 4.1).
        x: (n, dims) directions of length 1.
        spec: what was chosen.
        training: of this network.
        progress: see `Training.run`.
    """
    drawn = torch.Generator().manual_seed(spec.seed)
    pool = x[torch.randperm(len(x), generator=drawn)[:_POOL]]
    rank = min(spec.negative_rank, len(pool) - 1)
    positives = _neighbours(network.centre(pool), min(spec.n_positives, len(pool) - 1))
    epoch_length = max(1, len(pool) // spec.batch)
    negatives: Tensor | None = None

    def step(generator: torch.Generator) -> Tensor:
        nonlocal negatives
        if negatives is None or training.done % epoch_length == 0:
            mapped = functional.normalize(network.margins(pool))
            negatives = _neighbours(mapped, rank)[:, -1]
            network.train()
        rows = torch.randint(len(pool), (spec.batch,), generator=generator)
        choice = torch.randint(positives.shape[1], (spec.batch,), generator=generator)
        near = positives[rows, choice]
        far = negatives[rows]
        mapped = functional.normalize(network(pool[torch.cat([rows, near, far])]))
        anchors, positives_, negatives_ = mapped.view(3, spec.batch, -1)
        return spreading(anchors, positives_, negatives_, weight=spec.spreading)

    training.run(step, progress)


def _neighbours(x: Tensor, k: int) -> Tensor:
    """(n, k) rows of the nearest others by inner product, the nearest first."""
    found = []
    for start in range(0, len(x), _ROWS):
        products = x[start : start + _ROWS] @ x.T
        own = torch.arange(len(products), device=x.device)
        products[own, start + own] = -2.0
        found.append(products.topk(k, dim=1).indices)
    return torch.cat(found)
