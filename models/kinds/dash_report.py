"""What DAsH measured before it trained: kept beside the model, to be read and looked at."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..fractal import FractalDimension, draw_dimension

REPORT_FILE, PLOT_FILE = "dash.json", "dash.png"


class TriedWidth(BaseModel):
    """One sub-space that was tried.

    Attributes:
        width: of the autoencoder's middle layer.
        dimension: fractal, of the vectors in it.
        error: mean squared distance of a vector, of length 1, to what comes back.
    """

    model_config = ConfigDict(frozen=True)

    width: int
    dimension: float
    error: float


class DashReport(BaseModel):
    """The dimensions, the sub-space, and what LSH was tuned to.

    Attributes:
        n: vectors trained on.
        n_classes: each with an autoencoder and tables of its own; 1 without labels.
        k: neighbours wanted.
        data: the vectors' own dimension.
        subspace: the dimension in the sub-space that was chosen.
        widths: all that were tried, ascending.
        width: the chosen one.
        of_a_class: vectors in a class's tables, on average.
        scale: R of equation 4, where the line has all pairs; a side of a box in the sub-space.
        radius: r of equation 4, where it has those of the k nearest.
        functions: hash functions of a table.
        tables: of a class.
        measured: whether functions and tables are those that the dimension gives.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    n_classes: int
    k: int
    data: FractalDimension
    subspace: FractalDimension
    widths: tuple[TriedWidth, ...]
    width: int
    of_a_class: int
    scale: float
    radius: float
    functions: int
    tables: int
    measured: bool

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Name and value of all but the curves and widths."""
        given = "" if self.measured else " (given, not measured)"
        return [
            ("vectors", f"{self.n:,}, {self.data.n:,} of them distinct"),
            ("classes", f"{self.n_classes}, of {self.of_a_class:,} vectors on average"),
            ("fractal dimension of the vectors", f"{self.data.dimension:.2f}"),
            ("fractal dimension of the sub-space", f"{self.subspace.dimension:.2f}"),
            ("width of the sub-space", f"{self.width}"),
            ("scale of all pairs, R", f"{self.scale:.4g}"),
            (f"scale of {self.k} neighbours, r", f"{self.radius:.4g}"),
            ("hash functions of a table, m", f"{self.functions}{given}"),
            ("tables of a class, L", f"{self.tables}{given}"),
        ]

    def write(self, folder: Path) -> None:
        """Keep it in a folder, with the log-log plots.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT_FILE).write_text(self.model_dump_json(indent=2) + "\n")
        title = f"the sub-space of {self.width}"
        draw_dimension({"the vectors": self.data, title: self.subspace}, folder / PLOT_FILE)

    @classmethod
    def read(cls, folder: Path) -> "DashReport":
        """What `write` kept."""
        return cls.model_validate_json((folder / REPORT_FILE).read_bytes())
