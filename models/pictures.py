"""Pictures by matplotlib, which only who draws needs."""

from typing import Any

from ..errors import MissingExtraError


def new_picture(width: float, height: float, purpose: str) -> Any:
    """An empty `matplotlib.figure.Figure`, drawn without a window.

    Args:
        width: inches.
        height: inches.
        purpose: what for, for the message.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "train", purpose) from error
    return Figure(figsize=(width, height), layout="constrained")
