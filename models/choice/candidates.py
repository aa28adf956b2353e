"""What a search among models chooses from, and how a candidate is made small for a part."""

from dataclasses import dataclass
from math import log2
from typing import Any

from ..codes import MAX_BITS, MIN_BITS
from ..specs import (
    BitBucketsSpec,
    CellBucketsSpec,
    CellsSpec,
    DtshSpec,
    ItqSpec,
    LearnedSpec,
    LshSpec,
    SearchedSpec,
    TrainedSpec,
)

_BIT_KINDS: dict[str, type[LshSpec] | type[ItqSpec]] = {"lsh": LshSpec, "itq": ItqSpec}
_WIDTHS = {
    "learned": ((128,), (512, 128), (512, 512), (1024, 256)),
    "dtsh": ((128, 64, 32), (512, 128)),
}
#: Cells by the square root of the number of vectors, and the middle one, which is tried first.
#: Below there is too much in a cell, above a query has too many of them to name.
_DENSITIES, _FIRST_DENSITY = (1, 2, 4, 8, 16), 8
_MOST_CELLS = 16_384


@dataclass(frozen=True)
class Candidates:
    """The specs that are tried with some vectors.

    Attributes:
        n: vectors, of which the number of buckets follows.
        dims: their dimensions: ITQ makes no more bits.
        with_labels: try `dtsh`, which learns from them.
        seed: of the models.
    """

    n: int
    dims: int
    with_labels: bool
    seed: int

    @property
    def first(self) -> list[dict[str, Any]]:
        """What a person would choose of each kind, tried before any is drawn; quick ones first."""
        cells = {"cells": self._cells(_FIRST_DENSITY)}
        bits = min(12, max(MIN_BITS, round(log2(self.n)) - 4), self.dims)
        choices: list[dict[str, Any]] = [
            {"kind": "lsh", "tables": 1, "table_bits": bits},
            {"kind": "itq", "tables": 1, "table_bits": bits},
            {"kind": "cells"} | cells,
            {"kind": "learned", "learned_layers": "512,128"} | cells,
        ]
        if self.with_labels:
            choices.append(
                {"kind": "dtsh", "dtsh_layers": "128,64,32", "code_bits": max(MIN_BITS, bits)}
            )
        return choices

    def suggest(self, trial: Any) -> SearchedSpec:
        """Draw one; `trial` is optuna's."""
        kinds = [str(choice["kind"]) for choice in self.first]
        kind = trial.suggest_categorical("kind", kinds)
        if kind in _BIT_KINDS:
            most = min(14, self.dims)
            tables = trial.suggest_int("tables", 1, 4)
            bits = trial.suggest_int("table_bits", min(MIN_BITS, most), most)
            return _BIT_KINDS[kind](
                n_bits=min(MAX_BITS, max(MIN_BITS, tables * bits)),
                n_tables=tables,
                bits_per_table=bits,
                seed=self.seed,
            )
        if kind == "dtsh":
            bits = trial.suggest_int("code_bits", MIN_BITS, 14)
            return DtshSpec(n_bits=bits, layers=_layers(trial, kind), seed=self.seed)
        counts = sorted({self._cells(density) for density in _DENSITIES})
        n_cells = trial.suggest_categorical("cells", counts)
        if kind == "cells":
            return CellsSpec(n_buckets=n_cells, seed=self.seed)
        return LearnedSpec(n_buckets=n_cells, layers=_layers(trial, kind), seed=self.seed)

    def _cells(self, density: int) -> int:
        wanted: int = 2 ** round(log2(density * self.n**0.5))
        return max(2, min(wanted, _MOST_CELLS, self.n // 8))


def for_part(spec: SearchedSpec, part: float) -> SearchedSpec:
    """The spec with buckets in proportion to a part of the vectors: as full as with all.

    A network sees a part more often than all, or it would learn next to nothing of a small one.
    """
    if isinstance(spec, TrainedSpec):
        spec = spec.model_copy(update={"epochs": spec.epochs * part**-0.5})
    if isinstance(spec, CellBucketsSpec):
        return spec.model_copy(update={"n_buckets": max(2, round(part * spec.n_buckets))})
    fewer = round(log2(1 / part))
    if isinstance(spec, BitBucketsSpec):
        bits = max(1, spec.bits_per_table - fewer)
        return spec.model_copy(update={"bits_per_table": bits})
    return spec.model_copy(update={"n_bits": max(MIN_BITS, spec.n_bits - fewer)})


def _layers(trial: Any, kind: str) -> tuple[int, ...]:
    choices = {",".join(map(str, widths)): widths for widths in _WIDTHS[kind]}
    return choices[trial.suggest_categorical(f"{kind}_layers", list(choices))]
