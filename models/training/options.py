"""How a network is trained, as far as it does not change what is trained. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import InputError

CHECKPOINT = "checkpoint.pt"
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class TrainingOptions:
    """Where it runs and where it keeps its state.

    Attributes:
        device: `auto` takes a GPU where there is one.
        folder: for the checkpoint and training figures; None keeps none. The checkpoint
            stays until the model is saved and `discard_checkpoint` is called.
        resume: go on from the checkpoint in `folder`.
    """

    device: Device = "auto"
    folder: Path | None = None
    resume: bool = False


def checkpoint_exists(folder: Path) -> bool:
    """Whether a training was stopped in this folder."""
    return (folder / CHECKPOINT).exists()


def check_resumable(options: TrainingOptions) -> None:
    """Refuse to resume what was not begun.

    Raises:
        InputError: no checkpoint where one is to be resumed.
    """
    if options.resume and (options.folder is None or not checkpoint_exists(options.folder)):
        where = options.folder and options.folder / CHECKPOINT
        raise InputError(
            f"nothing to resume: {where or 'a training without a folder'} does not exist; "
            f"leave --resume out to begin"
        )


def discard_checkpoint(folder: Path) -> None:
    """Remove what a training could be resumed from."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
