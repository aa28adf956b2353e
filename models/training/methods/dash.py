"""Deep fractal based hashing: classes, a sub-space for each, and LSH in it.

da Silva Ocsa Mamani et al., "DAsH: deep fractal based hashing". The paper's figures show the
whole and its text leaves room; it is read so:

- What the paper takes from a convolutional network are its features and its classes. Features are
  the embeddings here (`meta4 embed images` makes them of images), and a small network on them
  tells the classes.
- A document lies in the tables of its most strongly activated class, in that class's own
  sub-space; a query is encoded by each of its strongest classes and looks into their tables.
- E2LSH's functions give whole numbers without bounds, and a bucket here is one of a known number:
  a function is a random projection parted at the class's median.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ....errors import InputError
from ...artifact import fingerprint
from ...embeddings import Embeddings, Progress, unit
from ...fractal import correlation_dimension
from ...graphs.network import ClassedHash, Layer, Network
from ...kinds.dash_report import DashReport
from ...kinds.lsh_widths import radius, tune_lsh
from ...specs import DashSpec
from ..classes import classes_of_labels
from ..layers import dense, layer_of
from ..loop import Training, choose_device
from ..options import TrainingOptions
from .autoencoders import AutoEncoder, SubSpace, encoded, find_sub_space

#: Buckets of all classes together; an engine is asked for their counts, each by its keyword.
_MOST_BUCKETS = 1 << 20


class DashNetwork(nn.Module):
    """What is trained: the class network, an autoencoder for all, and one for each class."""

    def __init__(self, dims: int, n_classes: int, width: int, spec: DashSpec) -> None:
        super().__init__()
        self.classifier = dense([dims, *spec.layers, n_classes])
        self.common = AutoEncoder(dims, spec.layers, width)
        self.own = nn.ModuleList(AutoEncoder(dims, spec.layers, width) for _ in range(n_classes))

    def loss(self, x: Tensor, classes: Tensor) -> Tensor:
        """Cross-entropy of the classes, and squared errors of both kinds of autoencoder.

        All are of the order of 1 when training begins, as the vectors' length is 1.
        """
        told = functional.cross_entropy(self.classifier(x), classes)
        errors = [self.common.error(x).mean()]
        for label in sorted(set(classes.tolist())):
            rows = classes == label
            autoencoder = self.own[label]
            assert isinstance(autoencoder, AutoEncoder)
            errors.append(autoencoder.error(x[rows]).sum() / len(x))
        return told + torch.stack(errors).sum()


def fit_dash(
    embeddings: Embeddings,
    spec: DashSpec,
    labels: Any,
    options: TrainingOptions,
    progress: Progress,
) -> ClassedHash:
    """Measure, tune and train.

    What was measured is written to the folder of the options.

    Args:
        embeddings: (n, dims) float32.
        spec: what was chosen.
        labels: (n,) classes, or None: one autoencoder for all.
        options: how it is trained.
        progress: called with (stage, done, total).

    Raises:
        InputError: labels that it cannot be trained with, too few distinct vectors, too many
            buckets, no GPU where one was asked for, or a checkpoint of another training.
        MissingExtraError: the plots without matplotlib.
    """
    device = choose_device(options.device)
    n = len(embeddings)
    classes = np.zeros(n, dtype=np.int64) if labels is None else classes_of_labels(labels, n)
    directions = unit(embeddings).astype(np.float32)
    mean = directions.mean(axis=0)
    x = functional.normalize(torch.from_numpy(directions - mean)).to(device)
    space = find_sub_space(x, spec, options, progress)
    report = _tuned(directions, classes, space, spec, progress)
    if options.folder is not None:
        report.write(options.folder)
    torch.manual_seed(spec.seed)
    network = DashNetwork(x.shape[1], report.n_classes, report.width, spec).to(device)
    identity = fingerprint(np.hstack([embeddings, classes[:, None]]))
    training = Training.of(network, spec, n, options, identity)
    targets = torch.from_numpy(classes).to(device)

    def step(generator: torch.Generator) -> Tensor:
        rows = torch.randint(n, (spec.batch,), generator=generator)
        return network.loss(x[rows], targets[rows])

    training.run(step, progress)
    return _hash_of(network, mean, x, classes, report, spec)


def _tuned(
    directions: NDArray[np.float32],
    classes: NDArray[np.int64],
    space: SubSpace,
    spec: DashSpec,
    progress: Progress,
) -> DashReport:
    """Functions and tables for as many vectors as a class has on average."""
    n, n_classes = len(classes), int(classes.max()) + 1
    of_a_class = max(2, n // n_classes)
    tuning = tune_lsh(space.dimension.dimension, of_a_class, spec.k)
    scale = space.dimension.side_of(space.dimension.all_pairs)
    functions = spec.bits_per_table or tuning.functions
    tables = spec.n_tables or tuning.tables
    if n_classes * (tables << functions) > _MOST_BUCKETS:
        raise InputError(
            f"{n_classes} classes with {tables} tables of {functions} bits are "
            f"{n_classes * (tables << functions):,} buckets, and {_MOST_BUCKETS:,} is the most; "
            f"give fewer --tables or --table-bits, or a larger --k"
        )
    return DashReport(
        n=n,
        n_classes=n_classes,
        k=spec.k,
        data=correlation_dimension(directions, seed=spec.seed, progress=progress),
        subspace=space.dimension,
        widths=space.tried,
        width=space.width,
        of_a_class=of_a_class,
        scale=scale,
        radius=radius(scale, tuning),
        functions=functions,
        tables=tables,
        measured=spec.bits_per_table is None and spec.n_tables is None,
    )


def _hash_of(
    network: DashNetwork,
    mean: NDArray[np.float32],
    x: Tensor,
    classes: NDArray[np.int64],
    report: DashReport,
    spec: DashSpec,
) -> ClassedHash:
    """The trained networks, with their last layers projected on random directions."""
    rng = np.random.default_rng(spec.seed)
    n_functions = report.tables * report.functions
    encoders = []
    for label, autoencoder in enumerate(network.own):
        assert isinstance(autoencoder, AutoEncoder)
        own = x[torch.from_numpy(classes == label).to(x.device)]
        encoders.append(_hashing(autoencoder.encoder, own, n_functions, rng))
    return ClassedHash(
        network=Network(mean, _hashing(network.common.encoder, x, spec.n_bits, rng)),
        classifier=_layers(network.classifier),
        encoders=tuple(encoders),
        n_tables=report.tables,
    )


def _hashing(
    encoder: nn.Sequential, x: Tensor, n_functions: int, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """An encoder that ends in random projections of its middle, each about its median.

    In units of their deviation, so that distances to the median compare between classes.
    """
    middle = encoded(encoder, x).cpu().numpy().astype(np.float64)
    projections = rng.standard_normal((n_functions, middle.shape[1]))
    projected = middle @ projections.T
    medians, deviations = np.median(projected, axis=0), projected.std(axis=0)
    projections /= np.maximum(deviations, np.finfo(np.float32).tiny)[:, None]
    medians /= np.maximum(deviations, np.finfo(np.float32).tiny)
    *hidden, last = _layers(encoder)
    weight, bias = projections @ last.weight, projections @ last.bias - medians
    return (*hidden, Layer(weight.astype(np.float32), bias.astype(np.float32), "none"))


def _layers(sequence: nn.Sequential) -> tuple[Layer, ...]:
    *hidden, last = (module for module in sequence if isinstance(module, nn.Linear))
    return (*(layer_of(module, "relu") for module in hidden), layer_of(last, "none"))
