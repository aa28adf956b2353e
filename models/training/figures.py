"""The Meta4 paper's training figures: coverage, computation, number of hash codes (section 4.3)."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..pictures import new_picture

CSV_FILE, PLOT_FILE = "figures.csv", "figures.png"


class TrainingFigures(NamedTuple):
    """Of one moment of a training, on documents that it does not see.

    Attributes:
        coverage: share of a document's class that has the document's own code; ideal 1.
        computation: documents with the document's code, as a multiple of its class; ideal 1.
        n_codes: distinct codes; ideal: as many as classes.
    """

    coverage: float
    computation: float
    n_codes: int

    def __str__(self) -> str:
        return (
            f"coverage {self.coverage:.3f}, computation {self.computation:.3f}, "
            f"{self.n_codes} codes"
        )


def training_figures(codes: NDArray[np.uint8], labels: NDArray[np.int64]) -> TrainingFigures:
    """The paper's three figures, each a mean over the documents.

    The paper gives the formulas as a picture (figure 7), which its text does not carry over;
    what they are to be ideal at fixes them: with one code for each class all three are ideal.

    Args:
        codes: (n, n_bytes) packed.
        labels: (n,) the documents' classes.
    """
    _, code_of = np.unique(codes, axis=0, return_inverse=True)
    _, class_of = np.unique(labels, return_inverse=True)
    table = np.zeros((code_of.max() + 1, class_of.max() + 1), dtype=np.int64)
    np.add.at(table, (code_of.ravel(), class_of.ravel()), 1)
    with_code, of_class = table.sum(axis=1), table.sum(axis=0)
    n = len(labels)
    coverage = float((table * table / of_class[None, :]).sum() / n)
    computation = float((table * with_code[:, None] / of_class[None, :]).sum() / n)
    return TrainingFigures(coverage, computation, len(with_code))


class FigureBook:
    """The figures of a training, step by step, kept as CSV beside the model and drawn.

    Args:
        folder: where; None keeps them in memory only.
        n_classes: what the number of codes ideally is.
        resumed_at: steps of a training that is resumed; what the file has beyond is dropped.
    """

    def __init__(self, folder: Path | None, n_classes: int, resumed_at: int) -> None:
        self._path = None if folder is None else folder / CSV_FILE
        self._n_classes = n_classes
        self.rows: list[tuple[int, float, TrainingFigures]] = []
        if resumed_at and self._path is not None and self._path.exists():
            with self._path.open(newline="") as file:
                for row in csv.DictReader(file):
                    figures = TrainingFigures(
                        float(row["coverage"]), float(row["computation"]), int(row["n_codes"])
                    )
                    if int(row["step"]) <= resumed_at:
                        self.rows.append((int(row["step"]), float(row["loss"]), figures))

    def add(self, step: int, loss: float, figures: TrainingFigures) -> None:
        """Note one moment, and write the file anew."""
        self.rows.append((step, loss, figures))
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "loss", *TrainingFigures._fields])
            writer.writerows([step, loss, *figures] for step, loss, figures in self.rows)

    def draw(self) -> None:
        """One panel for each figure, with its ideal, as in the paper's figures 8 and 9.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        if self._path is None or not self.rows:
            return
        picture = new_picture(11, 3.2, "drawing training figures")
        ideals = TrainingFigures(1.0, 1.0, self._n_classes)
        names = ("coverage", "computation", "hash codes")
        steps = [step for step, _, _ in self.rows]
        for i, axes in enumerate(picture.subplots(1, len(ideals))):
            axes.plot(steps, [figures[i] for _, _, figures in self.rows], marker=".")
            axes.axhline(ideals[i], color="grey", linestyle="--", linewidth=1)
            axes.set(title=f"{names[i]} (ideal {ideals[i]:g})", xlabel="iteration")
            axes.set_ylim(bottom=0)
        picture.savefig(self._path.with_name(PLOT_FILE), dpi=110)
