"""Dense layers: made, and taken out of torch as arrays."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..graphs.network import Activation, Layer


def dense(widths: Sequence[int]) -> nn.Sequential:
    """Dense layers with ReLU between them."""
    modules: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        modules += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def layer_of(module: nn.Module, activation: Activation) -> Layer:
    """A dense layer as it answers, with what follows it."""
    assert isinstance(module, nn.Linear)
    return Layer(array_of(module.weight), array_of(module.bias), activation)


def array_of(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor's numbers, wherever it lies."""
    values: NDArray[np.float32] = tensor.detach().to("cpu", torch.float32).numpy()
    return values.copy()
