"""Features of Fashion-MNIST's 70,000 pictures: python -m benchmarks.pictures makes them.

EfficientNet-Lite0's last convolutional layer, 1,280 dimensions, as `meta4 embed images --size 96`
makes them. They lie in the benchmarks' cache.
"""

import numpy as np
from numpy.typing import NDArray

from meta4.adapter.cli.common import counting
from meta4.errors import InputError
from meta4.ingest.images import resized
from meta4.models.graphs.runtime import open_session
from meta4.models.images.image_models import load_image_network

from .data import Labelled, find, folders, load_fashion_mnist

_NETWORK = "efficientnet-lite0"
#: Pixels of a side: the pictures have 28, and 224 take five times as long.
_SIDE = 96
_BATCH = 32


def load_pictures() -> tuple[Labelled, Labelled]:
    """Features of the 60,000 training pictures and of the 10,000 others, (n, 1280) float32.

    What is nowhere is embedded, which takes some minutes.
    """
    train, others = load_fashion_mnist()
    name = f"fashion-mnist-{_NETWORK}-{_SIDE}_f16.npy"
    try:
        features = np.load(find(name))
    except InputError:
        features = _embedded(np.concatenate([train.vectors, others.vectors])).astype(np.float16)
        np.save(folders()[-1] / name, features)
    n, features = len(train.labels), features.astype(np.float32)
    return Labelled(features[:n], train.labels), Labelled(features[n:], others.labels)


def _embedded(images: NDArray[np.float32]) -> NDArray[np.float32]:
    from PIL import Image

    session = open_session(load_image_network(_NETWORK))
    pixels = images.astype(np.uint8).reshape(-1, 28, 28)
    found = []
    with counting("embedding", len(pixels), "images") as advance:
        for start in range(0, len(pixels), _BATCH):
            batch = [resized(Image.fromarray(one), _SIDE) for one in pixels[start : start + _BATCH]]
            found.append(session.run(["features"], {"image": np.stack(batch)})[0])
            advance(len(batch))
    return np.concatenate(found)


if __name__ == "__main__":
    print(*(part.vectors.shape for part in load_pictures()))
