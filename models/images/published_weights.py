"""Weights of image networks, out of the packages that carry them."""

from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import MissingExtraError


def image_weights(package: str, purpose: str) -> dict[str, NDArray[np.float32]]:
    """The arrays of a network, by their names.

    Args:
        package: that carries them.
        purpose: what for, for the message.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        folder = Path(str(import_module(package).__file__)).parent
    except ImportError as error:
        raise MissingExtraError(package, "images", purpose) from error
    (file,) = (folder / "models").glob("*.pth")
    state = torch.load(file, map_location="cpu", weights_only=True)
    return {key: value.numpy() for key, value in state.items()}
