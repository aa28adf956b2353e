"""A trained hash network as plain arrays: dropout gone, batch norm folded into its dense layer."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..embeddings import products
from .grid import GridWeights

Activation = Literal["relu", "leaky_relu", "none"]
#: Slope of a leaky ReLU below zero, torch's own default.
LEAKY_SLOPE = 0.01


@dataclass(frozen=True)
class Layer:
    """activation(weight @ x + bias).

    Attributes:
        weight: (n_out, n_in) float32.
        bias: (n_out,) float32.
        activation: what comes after.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: Activation


@dataclass(frozen=True)
class Network:
    """Embedding to margins, in float32; a code's bit is margin > 0.

    The input is x / |x| - mean, again brought to length 1.

    Attributes:
        mean: (dims,) float32, of the training data's directions.
        layers: at least one; the last has n_bits outputs.
    """

    mean: NDArray[np.float32]
    layers: tuple[Layer, ...]

    @property
    def n_bits(self) -> int:
        """Number of outputs."""
        return len(self.layers[-1].bias)


@dataclass(frozen=True)
class Router:
    """Direction to one logit for each bucket: a softmax over them is where neighbours are.

    The output layer sees the direction itself beside what the hidden layers make of it.

    Attributes:
        hidden: layers with ReLU, from dims inputs.
        output: (n_buckets, dims + last width) weights.
    """

    hidden: tuple[Layer, ...]
    output: Layer

    def logits(self, direction: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_buckets,) float32 logits of one (dims,) direction of length 1.

        In NumPy: for a single query the products are all there is to do.
        """
        flow = direction
        for layer in self.hidden:
            flow = np.maximum(products(layer.weight, flow) + layer.bias, 0.0)
        seen = np.concatenate([direction, flow]) if self.hidden else direction
        return products(self.output.weight, seen) + self.output.bias


@dataclass(frozen=True)
class NetworkHash:
    """A code from a network, and buckets.

    Attributes:
        network: of the code.
        cells: the buckets; None where the code is the bucket.
        centroids: (n_buckets, dims) float32, length 1; zero where no training document fell.
    """

    network: Network
    cells: GridWeights | None
    centroids: NDArray[np.float32]

    @property
    def n_buckets(self) -> int:
        """Possible buckets."""
        return len(self.centroids)


@dataclass(frozen=True)
class ClassedHash:
    """A code, a class, and the class's own LSH tables, all from networks.

    Attributes:
        network: of the code.
        classifier: (dims,) inputs to (n_classes,) logits.
        encoders: for each class from the input to the (n_tables * bits_per_table,) margins of
            its tables; all of the same widths.
        n_tables: of a class.
    """

    network: Network
    classifier: tuple[Layer, ...]
    encoders: tuple[tuple[Layer, ...], ...]
    n_tables: int

    @property
    def bits_per_table(self) -> int:
        """Bits of one table's bucket."""
        return len(self.encoders[0][-1].bias) // self.n_tables

    @property
    def n_buckets(self) -> int:
        """Possible buckets: those of each class, one table's after another's."""
        return len(self.encoders) * (self.n_tables << self.bits_per_table)
