"""Weights of image networks, out of the packages that carry them."""

from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import MissingExtraError
from .image_models import IMAGE_MODELS


def image_weights(name: str) -> dict[str, NDArray[np.float32]]:
    """The arrays of a network of `IMAGE_MODELS`, by their names.

    Raises:
        MissingExtraError: its package is not installed.
    """
    package = IMAGE_MODELS[name].package
    try:
        folder = Path(str(import_module(package).__file__)).parent
    except ImportError as error:
        raise MissingExtraError(package, "images", f"embedding with {name}") from error
    (file,) = (folder / "models").glob("*.pth")
    state = torch.load(file, map_location="cpu", weights_only=True)
    return {key: value.numpy() for key, value in state.items()}
