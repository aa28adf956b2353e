"""Images of a folder or an npz file, all brought to one size."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError
from .documents import Refusal

#: Pillow's number for it, which is imported where it is needed.
_BILINEAR = 2
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
#: The array of an npz file that has others beside.
_ARRAY = "images"


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        id: its path within the folder, or its row.
        pixels: (side, side, 3) uint8.
        fields: what else is known: the folder that it lies in, or the row of other arrays.
    """

    id: str
    pixels: NDArray[np.uint8]
    fields: dict[str, Any] = field(default_factory=dict)


class ImageSource:
    """The images of a folder and all within it, or of an npz file.

    An npz file has an array `images`, or one array alone, of (n, height, width) or (n, height,
    width, 3) bytes; other arrays of n numbers or texts become fields.

    Args:
        path: of either.
        side: pixels that height and width are brought to, bilinearly.

    Raises:
        InputError: neither a folder with images nor such a file.
        MissingExtraError: Pillow is not installed.
    """

    def __init__(self, path: Path, side: int) -> None:
        try:
            import PIL.Image
        except ImportError as error:
            raise MissingExtraError("pillow", "images", "reading images") from error
        self._pillow: Any = PIL.Image
        self._side = side
        self._folder = path
        self._files: list[Path] = []
        self._fields: dict[str, NDArray[Any]] = {}
        if path.is_dir():
            files = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
            self._files = sorted(file for file in files if file.is_file())
            if not self._files:
                raise InputError(f"{path}: no images in it (files ending in {', '.join(SUFFIXES)})")
        else:
            self._array, self._fields = _read_npz(path)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files) or len(self._array)

    def __iter__(self) -> Iterator[Image | Refusal]:
        """Each image, or why it is none; in the order of paths or rows."""
        if not self._files:
            for row, pixels in enumerate(self._array):
                fields = {name: values[row].item() for name, values in self._fields.items()}
                yield Image(str(row), resized(self._pillow.fromarray(pixels), self._side), fields)
            return
        for file in self._files:
            name = file.relative_to(self._folder)
            try:
                with self._pillow.open(file) as opened:
                    pixels = resized(opened, self._side)
            except Exception as error:  # its readers raise what they like at spoiled files
                yield Refusal(name.as_posix(), str(file), f"no image that can be read ({error})")
                continue
            within = name.parent.as_posix()
            yield Image(name.as_posix(), pixels, {} if within == "." else {"folder": within})


def resized(image: Any, side: int) -> NDArray[np.uint8]:
    """An image of Pillow as (side, side, 3) uint8."""
    smaller = image.convert("RGB").resize((side, side), _BILINEAR)
    pixels: NDArray[np.uint8] = np.asarray(smaller, dtype=np.uint8)
    return pixels


def _read_npz(path: Path) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    if path.suffix != ".npz" or not path.is_file():
        raise InputError(f"{path}: expected a folder of images, or a file ending in .npz")
    try:
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except Exception as error:  # for a spoiled file NumPy and zipfile raise what they like
        raise InputError(f"{path}: not an npz file, or a truncated one ({error})") from error
    name = next(iter(arrays), _ARRAY) if len(arrays) == 1 else _ARRAY
    images = arrays.pop(name, None)
    if images is None:
        raise InputError(f"{path}: expected an array {_ARRAY!r}, got {', '.join(arrays) or 'none'}")
    is_colour = images.ndim == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or is_colour) or 0 in images.shape:
        raise InputError(
            f"{path}: {name}: expected bytes (n, height, width) or (n, height, width, 3), got "
            f"{images.shape} of {images.dtype}"
        )
    others = {
        name: values
        for name, values in arrays.items()
        if values.shape == (len(images),) and values.dtype.kind in "iufbU"
    }
    return images, others
