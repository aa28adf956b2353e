"""Dense networks in torch, and out of it again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..graphs.network import LEAKY_SLOPE, Activation, Layer, Network
from .layers import array_of, layer_of

_BATCH = 16_384


class HashNetwork(nn.Module):
    """Blocks of dense layer, batch norm if wanted, activation, dropout; then one dense layer.

    Args:
        mean: (dims,) mean direction of the training data.
        widths: of the hidden layers.
        n_bits: outputs.
        activation: of the hidden layers.
        batch_norm: after each dense layer, the last one too.
        dropout: probabilities for the last hidden layers, the very last one's at the end.
    """

    mean: Tensor

    def __init__(
        self,
        mean: Tensor,
        widths: Sequence[int],
        n_bits: int,
        *,
        activation: Activation,
        batch_norm: bool,
        dropout: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.activation = activation
        chances = [0.0] * (len(widths) - len(dropout)) + list(dropout)
        modules: list[nn.Module] = []
        n_in = len(mean)
        for width, chance in zip(widths, chances, strict=True):
            modules.append(nn.Linear(n_in, width))
            if batch_norm:
                modules.append(nn.BatchNorm1d(width))
            modules.append(nn.ReLU() if activation == "relu" else nn.LeakyReLU(LEAKY_SLOPE))
            if chance:
                modules.append(nn.Dropout(chance))
            n_in = width
        modules.append(nn.Linear(n_in, n_bits))
        if batch_norm:
            modules.append(nn.BatchNorm1d(n_bits))
        self.blocks = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        """(n, dims) directions of length 1 to (n, n_bits) margins."""
        margins: Tensor = self.blocks(self.centre(x))
        return margins

    def forward_fast(self, x: Tensor) -> Tensor:
        """The same for training: products in bfloat16 where the processor has them."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=_multiplies_bfloat16(x.device)):
            margins: Tensor = self(x)
        return margins.float()

    def centre(self, x: Tensor) -> Tensor:
        """Directions about the training data's mean, again of length 1."""
        return nn.functional.normalize(x - self.mean)

    @torch.no_grad()
    def margins(self, x: Tensor) -> Tensor:
        """As the finished network answers: (n, n_bits), in batches."""
        self.eval()
        return torch.cat([self(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)])

    def export(self) -> Network:
        """The network as it answers (`eval`), as arrays."""
        layers: list[Layer] = []
        for module in self.blocks:
            if isinstance(module, nn.Linear):
                layers.append(layer_of(module, "none"))
            elif isinstance(module, nn.BatchNorm1d):
                layers[-1] = _folded(layers[-1], module)
            elif not isinstance(module, nn.Dropout):
                layers[-1] = Layer(layers[-1].weight, layers[-1].bias, self.activation)
        return Network(array_of(self.mean), tuple(layers))


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether in hardware: emulated it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older torch cannot be asked.
    known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("amx_bf16"))


def _folded(layer: Layer, norm: nn.BatchNorm1d) -> Layer:
    """In float64, so that folding itself loses nothing that float32 can hold."""
    mean, variance = _double(norm.running_mean), _double(norm.running_var)
    factor = _double(norm.weight) / np.sqrt(variance + norm.eps)
    weight = layer.weight * factor[:, None]
    bias = (layer.bias - mean) * factor + _double(norm.bias)
    return Layer(weight.astype(np.float32), bias.astype(np.float32), layer.activation)


def _double(tensor: Any) -> NDArray[np.float64]:
    values: NDArray[np.float64] = tensor.detach().cpu().numpy().astype(np.float64)
    return values
