"""NPHash (Idelson, "Hamming space locality preserving neural hashing", 2020).

The paper compares a batch of queries with 10,000 proxies, drawn apart from it. Here the queries
are among the proxies: passing the proxies through the network is what a step costs, and so every
one of them can be a query as well, of 2,048 with their 20 nearest: the share that 100 of 10,000
are.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ..embeddings import Progress
from ..specs import NpHashSpec
from .loop import Training
from .losses import neural_proxy
from .networks import HashNetwork


def train_nphash(
    network: HashNetwork, x: Tensor, spec: NpHashSpec, training: Training, progress: Progress
) -> None:
    """Proxies drawn anew at every step (section 4).

    Args:
        network: blocks of dense layer, batch norm and ReLU (section 2).
        x: (n, dims) directions of length 1.
        spec: what was chosen.
        training: of this network.
        progress: see `Training.run`.
    """
    n_proxies = min(max(spec.batch, spec.n_proxies), len(x))
    k = min(spec.k, n_proxies - 1)

    def step(generator: torch.Generator) -> Tensor:
        # A tanh that grows steeper leaves less for the sign to change: HashNet's continuation
        # (Cao et al., ICCV 2017), from which the paper takes the tanh itself.
        steeper = 1.0 + (spec.steepening - 1.0) * training.share
        rows = torch.randperm(len(x), generator=generator)[:n_proxies]
        margins = network(x[rows])
        relaxed = torch.tanh(steeper * spec.n_bits**0.5 * functional.normalize(margins))
        return neural_proxy(
            network.centre(x[rows]),
            relaxed,
            n_queries=spec.batch,
            k=k,
            temperature=spec.temperature,
        )

    training.run(step, progress)
