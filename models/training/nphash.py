"""NPHash (Idelson, "Hamming space locality preserving neural hashing", 2020)."""

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
    beta = spec.n_bits**0.5
    n_proxies = min(spec.n_proxies, len(x))
    k = min(spec.k, n_proxies)
    centred = network.centre(x)

    def step(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(x), (spec.batch,), generator=generator)
        proxies = torch.randperm(len(x), generator=generator)[:n_proxies]
        margins = network(x[torch.cat([rows, proxies])])
        relaxed = torch.tanh(beta * functional.normalize(margins))
        return neural_proxy(
            centred[rows],
            centred[proxies],
            relaxed[: spec.batch],
            relaxed[spec.batch :],
            k=k,
            temperature=spec.temperature,
        )

    training.run(step, progress)
