"""NPHash (Idelson, "Hamming space locality preserving neural hashing", 2020).

Two things differ from the paper. It compares a batch of queries with 10,000 proxies, drawn apart
from it; here the queries are among the proxies: passing the proxies through the network is what a
step costs, and so every one of them can be a query as well, of 2,048 with their 20 nearest: the
share that 100 of 10,000 are. And it compares numbers that tanh has pressed towards signs; here the
signs themselves are compared, and tanh only says where they would give way, so that nothing is
left to lose in going from one to the other.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...embeddings import Progress
from ...specs import NpHashSpec
from ..loop import Training
from ..losses import neural_proxy, straight_through_signs
from ..networks import HashNetwork


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
    beta = spec.steepness * spec.n_bits**0.5

    def step(generator: torch.Generator) -> Tensor:
        # torch's own draws without replacement go through all of x.
        rng = np.random.default_rng(generator.initial_seed())
        rows = rng.choice(len(x), n_proxies, replace=False)
        proxies = x[torch.from_numpy(rows).to(x.device)]
        return neural_proxy(
            network.centre(proxies),
            straight_through_signs(functional.normalize(network.forward_fast(proxies)), beta),
            n_queries=spec.batch,
            k=k,
            temperature=spec.temperature,
        )

    training.run(step, progress)
