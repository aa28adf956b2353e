"""Autoencoders, and how wide their middle must be (DAsH, section 3)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...embeddings import Progress
from ...fractal import FractalDimension, correlation_dimension
from ...kinds.dash_report import TriedWidth
from ...specs import DashSpec
from ..layers import dense
from ..loop import Training
from ..options import TrainingOptions

#: The first sub-space, 2 ** 2 as in the paper, and the last that is tried.
_NARROWEST, _WIDEST = 4, 256
#: A dimension that grows by less from one width to the next is flat.
_FLAT = 0.05
#: Vectors that widths are tried with, and times that each is seen.
_TRIED_ON, _EPOCHS = 20_000, 8.0
_BATCH = 16_384


class AutoEncoder(nn.Module):
    """Dense layers with ReLU to the middle, and mirrored back.

    Args:
        dims: of the vectors.
        widths: of the hidden layers on the way in.
        width: of the middle.
    """

    def __init__(self, dims: int, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.encoder = dense([dims, *widths, width])
        self.decoder = dense([width, *reversed(widths), dims])

    def error(self, x: Tensor) -> Tensor:
        """(n,) squared distance of each of (n, dims) vectors to what comes back."""
        back: Tensor = self.decoder(self.encoder(x))
        return (back - x).square().sum(dim=1)


class SubSpace(NamedTuple):
    """Where the dimension stays flat."""

    width: int
    dimension: FractalDimension
    tried: tuple[TriedWidth, ...]


@torch.no_grad()
def encoded(encoder: nn.Module, x: Tensor) -> Tensor:
    """(n, width) of (n, dims), in batches."""
    return torch.cat([encoder(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)])


def find_sub_space(
    x: Tensor, spec: DashSpec, options: TrainingOptions, progress: Progress
) -> SubSpace:
    """Double the width until the fractal dimension of the vectors in the middle stays flat.

    The paper stops where more width does not change the dimension; that is seen one width
    late, so the one before is taken.

    Args:
        x: (n, dims) as the autoencoders see them.
        spec: layers, batch, rate and seed.
        options: the device; no checkpoint is kept of what is tried.
        progress: called after every step.

    Raises:
        InputError: too few distinct vectors, or a loss that is no number.
    """
    drawing = torch.Generator().manual_seed(spec.seed)
    some = x[torch.randperm(len(x), generator=drawing)[:_TRIED_ON]]
    tried: list[tuple[TriedWidth, FractalDimension]] = []
    width = min(_NARROWEST, x.shape[1])
    while True:
        encoder, error = _trained(some, width, spec, options, progress)
        middle = encoded(encoder, x).cpu().numpy()
        dimension = correlation_dimension(middle, seed=spec.seed, progress=progress)
        tried.append(
            (TriedWidth(width=width, dimension=dimension.dimension, error=error), dimension)
        )
        grown = len(tried) < 2 or dimension.dimension > (1 + _FLAT) * tried[-2][0].dimension
        if not grown or 2 * width > min(x.shape[1], _WIDEST):
            break
        width *= 2
    chosen, dimension = tried[-1] if grown else tried[-2]
    return SubSpace(chosen.width, dimension, tuple(one for one, _ in tried))


def _trained(
    x: Tensor, width: int, spec: DashSpec, options: TrainingOptions, progress: Progress
) -> tuple[nn.Module, float]:
    """An encoder of one width, and its error."""
    torch.manual_seed(spec.seed)
    network = AutoEncoder(x.shape[1], spec.layers, width).to(x.device)
    training = Training(
        network,
        n_steps=max(1, round(_EPOCHS * len(x) / spec.batch)),
        rate=spec.rate,
        seed=spec.seed,
        options=TrainingOptions(options.device),
        identity="",
    )

    def step(generator: torch.Generator) -> Tensor:
        return network.error(x[torch.randint(len(x), (spec.batch,), generator=generator)]).mean()

    training.run(step, lambda said, done, n: progress(f"width {width}, {said}", done, n))
    with torch.no_grad():
        return network.encoder, float(network.error(x).mean())
