"""Triplet deep hashing as the Meta4 paper trains it (section 3.2)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...codes import pack_bits
from ...embeddings import Progress
from ...specs import DtshSpec
from ..figures import FigureBook, training_figures
from ..loop import Training
from ..losses import triplet_likelihood
from ..networks import HashNetwork

#: Of the documents, so many are held out for the figures.
_HELD_OUT, _MOST_HELD_OUT = 0.1, 10_000
#: Documents of one class in a batch, if the batch is large enough: triplets need a positive.
_OF_A_CLASS = 4


def dtsh_network(mean: Tensor, spec: DtshSpec) -> HashNetwork:
    """Dense layers with leaky ReLU, dropout after the last ones (sections 3.2.1 and 3.2.2)."""
    return HashNetwork(
        mean,
        spec.layers,
        spec.n_bits,
        activation="leaky_relu",
        batch_norm=False,
        dropout=spec.dropout,
    )


def train_dtsh(
    network: HashNetwork,
    x: Tensor,
    classes: NDArray[np.int64],
    spec: DtshSpec,
    training: Training,
    book: FigureBook,
    progress: Progress,
) -> None:
    """All triplets of each batch, a batch being a few documents each of a few classes.

    Args:
        network: as `dtsh_network` makes it.
        x: (n, dims) directions of length 1.
        classes: (n,) from 0, of two or more.
        spec: what was chosen.
        training: of this network.
        book: takes the figures.
        progress: see `Training.run`.
    """
    order = np.random.default_rng(spec.seed).permutation(len(x))
    n_held_out = min(_MOST_HELD_OUT, max(2, int(_HELD_OUT * len(x))))
    held_out, seen = order[:n_held_out], order[n_held_out:]
    members = [seen[classes[seen] == label] for label in np.unique(classes[seen])]
    labels = torch.from_numpy(classes).to(x.device)
    margin = spec.n_bits / 2 if spec.margin is None else spec.margin
    activate = _ACTIVATE[spec.output]

    def step(generator: torch.Generator) -> Tensor:
        rows = _draw(members, spec.batch, generator)
        return triplet_likelihood(
            activate(network(x[rows])),
            labels[rows],
            margin=margin,
            quantisation=spec.quantisation,
        )

    def look(done: int, loss: float) -> str:
        bits = (network.margins(x[held_out]) > 0).cpu().numpy()
        figures = training_figures(pack_bits(bits), classes[held_out])
        book.add(done, loss, figures)
        return f"loss {loss:.3g}, {figures}"

    training.run(step, progress, look)
    book.draw()


def _draw(members: list[NDArray[np.intp]], batch: int, generator: torch.Generator) -> Tensor:
    """Rows of a batch: several of each of several classes, so that there are triplets."""
    of_each = max(2, min(_OF_A_CLASS, batch // 2))
    n_classes = max(2, min(len(members), batch // of_each))
    of_each = max(2, batch // n_classes)
    chosen = torch.randperm(len(members), generator=generator)[:n_classes]
    rows = []
    for label in chosen.tolist():
        own = members[label]
        rows.append(own[torch.randint(len(own), (of_each,), generator=generator).numpy()])
    return torch.from_numpy(np.concatenate(rows))


_ACTIVATE: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    # Moved to (-1, 1), so that a bit's two values pull against each other in an inner product.
    "sigmoid": lambda margins: 2 * torch.sigmoid(margins) - 1,
    "none": lambda margins: margins,
}
