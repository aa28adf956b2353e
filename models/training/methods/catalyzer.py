"""Spreading vectors (Sablayrolles et al., "Spreading vectors for similarity search", ICLR 2019)."""

import torch
from torch import Tensor
from torch.nn import functional

from ...embeddings import Progress
from ...specs import CatalyzerSpec
from ..loop import Training
from ..losses import spreading
from ..networks import HashNetwork

#: Documents that neighbours are looked for among; the paper's learning sets have 500,000.
_POOL = 100_000
#: Documents that get a negative at once: looking for them all would take longer than training.
_ANCHORS = 20_000
_ROWS = 1024


def train_catalyzer(
    network: HashNetwork, x: Tensor, spec: CatalyzerSpec, training: Training, progress: Progress
) -> None:
    """Positives from the original space, negatives from the learned one, mined once in a while.

    The paper mines the negatives of all documents before every epoch.

    Args:
        network: blocks of dense layer, batch norm and ReLU (section 4.1).
        x: (n, dims) directions of length 1.
        spec: what was chosen.
        training: of this network.
        progress: see `Training.run`.
    """
    pooling = torch.Generator().manual_seed(spec.seed)
    pool = x[torch.randperm(len(x), generator=pooling)[:_POOL]]
    rank = min(spec.negative_rank, len(pool) - 1)
    centred = network.centre(pool)
    positives = _neighbours(centred, torch.arange(len(pool)), min(spec.n_positives, len(pool) - 1))
    epoch_length = max(1, len(pool) // spec.batch)
    anchors = negatives = torch.empty(0, dtype=torch.long)

    def step(generator: torch.Generator) -> Tensor:
        nonlocal anchors, negatives
        if not len(anchors) or training.done % epoch_length == 0:
            anchors = torch.randperm(len(pool), generator=generator)[:_ANCHORS]
            mapped = functional.normalize(network.margins(pool))
            negatives = _neighbours(mapped, anchors, rank)[:, -1]
            network.train()
        drawn = torch.randint(len(anchors), (spec.batch,), generator=generator)
        choice = torch.randint(positives.shape[1], (spec.batch,), generator=generator)
        rows = anchors[drawn]
        triplets = torch.cat([rows, positives[rows, choice], negatives[drawn]])
        mapped = functional.normalize(network(pool[triplets]))
        return spreading(*mapped.view(3, spec.batch, -1), weight=spec.spreading)

    training.run(step, progress)


def _neighbours(x: Tensor, rows: Tensor, k: int) -> Tensor:
    """(len(rows), k) rows of their nearest others by inner product, the nearest first."""
    found = []
    for own in torch.split(rows, _ROWS):
        products = x[own] @ x.T
        products[torch.arange(len(own)), own] = -2.0
        found.append(products.topk(k, dim=1).indices.cpu())
    return torch.cat(found)
