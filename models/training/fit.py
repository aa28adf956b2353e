"""From data and a spec to a trained network with its buckets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..artifact import fingerprint
from ..embeddings import Embeddings, Progress, unit
from ..graphs.network import NetworkHash
from ..kinds.cells import fit_cell_buckets
from ..specs import CatalyzerSpec, DtshSpec, NpHashSpec
from ..statistics import bucket_means, table_buckets
from .classes import NOISE, classes_of_clusters, classes_of_labels
from .figures import FigureBook
from .loop import Training, choose_device
from .methods.catalyzer import train_catalyzer
from .methods.dtsh import dtsh_network, train_dtsh
from .methods.nphash import train_nphash
from .networks import HashNetwork
from .options import TrainingOptions

AnyNetworkSpec = NpHashSpec | CatalyzerSpec | DtshSpec
#: What trains the kinds that learn without classes.
_TRAINERS: dict[str, Callable[..., None]] = {"nphash": train_nphash, "catalyzer": train_catalyzer}


def fit_network(
    embeddings: Embeddings,
    spec: AnyNetworkSpec,
    labels: Any,
    options: TrainingOptions,
    progress: Progress,
) -> HashNetwork:
    """Train a network of the spec's kind.

    Raises:
        InputError: labels that it cannot be trained with, no GPU where one was asked for, a
            checkpoint of another training, or a loss that is no number.
    """
    device = choose_device(options.device)
    directions = unit(embeddings).astype(np.float32)
    torch.manual_seed(spec.seed)
    if isinstance(spec, DtshSpec):
        classes = (
            classes_of_clusters(directions, spec)
            if labels is None
            else classes_of_labels(labels, len(embeddings))
        )
        kept = classes != NOISE
        x, classes = torch.from_numpy(directions[kept]).to(device), classes[kept]
        network = dtsh_network(x.mean(0), spec).to(device)
        identity = fingerprint(np.hstack([embeddings[kept], classes[:, None]]))
        training = Training.of(network, spec, len(x), options, identity)
        book = FigureBook(options.folder, len(np.unique(classes)), training.done)
        train_dtsh(network, x, classes, spec, training, book, progress)
    else:
        x = torch.from_numpy(directions).to(device)
        network = HashNetwork(
            x.mean(0), spec.layers, spec.n_bits, activation="relu", batch_norm=True
        ).to(device)
        training = Training.of(network, spec, len(x), options, fingerprint(embeddings))
        _TRAINERS[spec.kind](network, x, spec, training, progress)
    return network


def network_hash(
    network: HashNetwork, embeddings: Embeddings, spec: AnyNetworkSpec, progress: Progress
) -> NetworkHash:
    """A trained network with its buckets: cells, or the code itself.

    Raises:
        InputError: fewer vectors than cells.
    """
    if isinstance(spec, DtshSpec):
        x = torch.from_numpy(unit(embeddings).astype(np.float32)).to(network.mean.device)
        bits = (network.margins(x) > 0).cpu().numpy()
        centroids = bucket_means(embeddings, table_buckets(bits, 1), spec.n_buckets)
        return NetworkHash(network.export(), None, centroids)
    cells = fit_cell_buckets(embeddings, spec, np.random.default_rng(spec.seed), progress)
    return NetworkHash(network.export(), cells, cells.centroids)
