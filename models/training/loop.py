"""The training loop that all networks share: seeds, device, checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError
from ..embeddings import Progress
from ..specs import TrainedSpec
from .options import CHECKPOINT, Device, TrainingOptions

#: Iterations between two looks at the figures, as in the Meta4 paper, and two checkpoints.
EVERY = 100
#: A step's seed is the training's times this, plus its number: a prime, so that they do not meet.
_STRIDE = 1_000_003

#: Draws a batch with the generator, which lives on the CPU, and gives its loss.
Step = Callable[[torch.Generator], Tensor]
#: Called with the step and its loss; gives words for the progress display.
Look = Callable[[int, float], str]


def choose_device(device: Device) -> torch.device:
    """The device that is meant; `auto` takes a GPU where there is one.

    Raises:
        InputError: a GPU was asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise InputError("--device cuda: torch sees no GPU here; use --device cpu or auto")
    return torch.device("cuda" if device != "cpu" and has_gpu else "cpu")


def say_loss(_step: int, loss: float) -> str:
    """The look of a training without figures of its own."""
    return f"loss {loss:.4g}"


class Training:
    """One network, one optimiser, and where they stand.

    Args:
        network: what is trained, on its device.
        n_steps: steps in all.
        rate: highest learning rate; it falls to zero along a cosine.
        seed: with the number of the step, decides all that is drawn.
        options: where checkpoints go, and whether to take one up.
        identity: what a checkpoint must have been made with to be resumed.

    Raises:
        InputError: a checkpoint of another training.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        n_steps: int,
        rate: float,
        seed: int,
        options: TrainingOptions,
        identity: str,
    ) -> None:
        self.network = network
        self.done = 0
        self._n_steps = n_steps
        self._seed = seed
        self._identity = identity
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimiser, n_steps)
        self._checkpoint = None if options.folder is None else options.folder / CHECKPOINT
        if options.resume and self._checkpoint is not None:
            self._resume(self._checkpoint)

    @classmethod
    def of(
        cls, network: nn.Module, spec: TrainedSpec, n: int, options: TrainingOptions, data: str
    ) -> "Training":
        """The training that a spec asks for with n documents, whose fingerprint is `data`."""
        return cls(
            network,
            n_steps=max(1, round(spec.epochs * n / spec.batch)),
            rate=spec.rate,
            seed=spec.seed,
            options=options,
            identity=f"{spec.model_dump_json()} {data}",
        )

    def run(self, step: Step, progress: Progress, look: Look = say_loss) -> None:
        """Take the steps that are left.

        A checkpoint is written every `EVERY` steps and when the training is interrupted.

        Args:
            step: gives a batch's loss.
            progress: called after every step, with what `look` said last.
            look: called every `EVERY` steps and after the last.

        Raises:
            InputError: the loss is no number.
        """
        said = ""
        self.network.train()
        # Without it sums over threads differ from run to run, and with them the bits.
        was_deterministic = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            while self.done < self._n_steps:
                loss = self._one(step)
                if self.done % EVERY == 0 or self.done == self._n_steps:
                    said = f": {look(self.done, loss)}"
                    self.network.train()
                    self._save()
                progress(f"training{said}", self.done, self._n_steps)
        except KeyboardInterrupt:
            self._save()
            raise
        finally:
            torch.use_deterministic_algorithms(was_deterministic)
        self.network.eval()

    def _one(self, step: Step) -> float:
        # Seeded anew for each step, so that a resumed training draws what one in one go does.
        seed = self._seed * _STRIDE + self.done
        torch.manual_seed(seed)  # for dropout
        loss = step(torch.Generator().manual_seed(seed))
        value = float(loss.detach())
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is {value} at step {self.done + 1}: try a lower --rate than "
                f"{self._optimiser.defaults['lr']:g}, or look for outliers in the data"
            )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._schedule.step()
        self.done += 1
        return value

    def _resume(self, checkpoint: Path) -> None:
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        if state["identity"] != self._identity:
            raise InputError(
                f"{checkpoint} is of a training with another spec or other data; "
                f"give the same, or begin anew in another folder with --out"
            )
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self.done = int(state["done"])

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial: Path = self._checkpoint.with_suffix(".partial")
        state = {
            "identity": self._identity,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "done": self.done,
        }
        torch.save(state, partial)
        partial.replace(self._checkpoint)
