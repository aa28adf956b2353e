"""The weights of a published BERT, and what they do not say of themselves, out of its package."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ArtifactError, MissingExtraError
from .encoder_files import read_settings

#: Where a package has them, in the layout of `transformers`.
_FOLDER, _WEIGHTS, _SETTINGS = "model", "model.safetensors", "config.json"
#: The only activation that the graph has: `gelu` is the one with the error function.
_ACTIVATION = "gelu"


class BertWeights(NamedTuple):
    """What a BERT was trained to.

    Attributes:
        arrays: float32, by the names of `transformers`.
        n_heads: of each layer's attention.
        epsilon: of layer normalisation.
    """

    arrays: dict[str, NDArray[np.float32]]
    n_heads: int
    epsilon: float


def package_folder(package: str, purpose: str) -> Path:
    """Where a package keeps its encoder; the package itself is not run, nor what it would import.

    Args:
        package: by the name under which it is imported.
        purpose: what for, for the message.

    Raises:
        MissingExtraError: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(package, "texts", purpose)
    return Path(spec.origin).parent / _FOLDER


def read_bert(folder: Path, purpose: str) -> BertWeights:
    """Read a BERT.

    Args:
        folder: with `model.safetensors` and `config.json`.
        purpose: what for, for the message.

    Raises:
        ArtifactError: they are missing or spoiled, or of another kind of network.
        MissingExtraError: safetensors, which reads the weights, is not installed.
    """
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "texts", purpose) from error
    file = folder / _SETTINGS
    settings = read_settings(file)
    try:
        n_heads, epsilon = int(settings["num_attention_heads"]), float(settings["layer_norm_eps"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file}: not the settings of a BERT ({error})") from error
    if settings.get("hidden_act") != _ACTIVATION:
        raise ArtifactError(
            f"{file}: expected the activation {_ACTIVATION!r}, got {settings.get('hidden_act')!r}"
        )
    try:
        arrays = load_file(folder / _WEIGHTS)
    except Exception as error:  # its own class has no root but this
        raise ArtifactError(f"{folder / _WEIGHTS}: cannot be read ({error})") from error
    return BertWeights(arrays, n_heads, epsilon)
