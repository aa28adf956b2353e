"""What a user chooses about a hash model, one pydantic class for each kind."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .codes import MAX_BITS, MIN_BITS

Bits = Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)]


class Spec(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_bits: Bits = 64
    seed: Annotated[int, Field(ge=0)] = 0


class BitBucketsSpec(Spec):
    """Buckets from bits: each table's bucket is a short code of its own."""

    n_tables: Annotated[int, Field(ge=1, le=16)] = 1
    bits_per_table: Annotated[int, Field(ge=1, le=16)] = 12

    @property
    def n_buckets(self) -> int:
        """Possible buckets over all tables."""
        return self.n_tables << self.bits_per_table


class LshSpec(BitBucketsSpec):
    """Random hyperplanes through the origin (Charikar, STOC 2002)."""

    kind: Literal["lsh"] = "lsh"


class ItqSpec(BitBucketsSpec):
    """Iterative quantisation (Gong & Lazebnik, CVPR 2011)."""

    kind: Literal["itq"] = "itq"
    iterations: Annotated[int, Field(ge=1)] = 50


class CellsSpec(Spec):
    """Spherical k-means cells, each document also in a second cell chosen as SOAR does."""

    kind: Literal["cells"] = "cells"
    n_buckets: Annotated[int, Field(ge=2, le=1 << 20)] = 4096
    #: SOAR's λ: how much a second cell is favoured whose residual is orthogonal to the first's.
    soar_lambda: Annotated[float, Field(ge=0.0)] = 1.0
    iterations: Annotated[int, Field(ge=1)] = 12


AnySpec = Annotated[LshSpec | ItqSpec | CellsSpec, Field(discriminator="kind")]
