"""What a user chooses about a hash model, one pydantic class for each kind."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from .codes import MAX_BITS, MIN_BITS

Bits = Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)]
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=1 << 16)], ...], Field(max_length=16)]
#: Documents a cell, and cells: more take a request longer to choose among than they save.
_A_CELL, _FEWEST_CELLS, _MOST_CELLS = 40, 16, 16_384
#: What buckets are made of decides which plans have a meaning.
BucketKind = Literal["bits", "cells", "routed", "classes"]


class Spec(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket_kind: ClassVar[BucketKind]
    #: Linear hashes are defined on an integer grid, and every runtime computes the same.
    is_linear: ClassVar[bool] = True

    n_bits: Bits = 64
    seed: Annotated[int, Field(ge=0)] = 0


class BitBucketsSpec(Spec):
    """Buckets from bits: each table's bucket is a short code of its own."""

    bucket_kind = "bits"

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


class CellBucketsSpec(Spec):
    """Spherical k-means cells, each document also in a second cell chosen as SOAR does."""

    bucket_kind: ClassVar[BucketKind] = "cells"

    n_buckets: Annotated[int, Field(ge=2, le=1 << 20)] = 4096
    #: SOAR's λ: how much a second cell is favoured whose residual is orthogonal to the first's.
    soar_lambda: Annotated[float, Field(ge=0.0)] = 1.0
    iterations: Annotated[int, Field(ge=1)] = 12


def cells_for(n_documents: int) -> int:
    """As many cells as so many documents are looked for best by: a power of two."""
    wanted = 2 ** round(math.log2(max(n_documents, 1) / _A_CELL))
    return max(2, min(max(int(wanted), _FEWEST_CELLS), _MOST_CELLS, n_documents))


class CellsSpec(CellBucketsSpec):
    """Cells, with a code from random rotations."""

    kind: Literal["cells"] = "cells"


class TrainedSpec(Spec):
    """What the kinds share that train a network, which takes torch."""

    #: Widths of the hidden layers.
    layers: Widths = (1024, 1024)
    #: Passes over the training data.
    epochs: Annotated[float, Field(gt=0)] = 1.0
    #: Documents in a batch.
    batch: Annotated[int, Field(ge=2)] = 512
    #: Highest learning rate of AdamW; it falls to zero along a cosine.
    rate: Annotated[float, Field(gt=0)] = 1e-3


class CodeNetworkSpec(TrainedSpec):
    """A network makes the code."""

    is_linear = False


class NpHashSpec(CodeNetworkSpec, CellBucketsSpec):
    """Neural proxy hash (Idelson, "Hamming space locality preserving neural hashing", 2020)."""

    kind: Literal["nphash"] = "nphash"
    epochs: Annotated[float, Field(gt=0)] = 12.0
    #: Documents whose similarities to proxies are compared, in a step.
    batch: Annotated[int, Field(ge=3)] = 2048
    #: Documents drawn as proxies for each step, the batch among them; no fewer than it.
    n_proxies: Annotated[int, Field(ge=2)] = 2048
    #: True nearest proxies whose similarities are compared. The paper's 100 of 10,000.
    k: Annotated[int, Field(ge=2)] = 20
    #: Under both softmaxes, of similarities in standard deviations.
    temperature: Annotated[float, Field(gt=0)] = 2.0
    #: β of the tanh as a multiple of the paper's sqrt(n_bits).
    steepness: Annotated[float, Field(gt=0)] = 0.5
    rate: Annotated[float, Field(gt=0)] = 2e-3


class CatalyzerSpec(CodeNetworkSpec, CellBucketsSpec):
    """Spreading vectors (Sablayrolles et al., ICLR 2019), the code being their signs."""

    kind: Literal["catalyzer"] = "catalyzer"
    #: A positive is drawn among so many nearest in the original space (the paper's k_pos).
    n_positives: Annotated[int, Field(ge=1)] = 10
    #: The negative is the neighbour of this rank in the space that is learned (k_neg).
    negative_rank: Annotated[int, Field(ge=2)] = 50
    #: Weight λ of the spreading (KoLeo) term.
    spreading: Annotated[float, Field(ge=0.0)] = 0.05


class LearnedSpec(TrainedSpec, CellBucketsSpec):
    """Cells, and a network that tells how many of a query's neighbours are in each.

    A router over a partition as in Neural LSH (Dong et al., ICLR 2020) and BLISS (Gupta et al.,
    KDD 2022); here it also says where to stop looking
    (`meta4.models.probing.ranking.bucket_prices`). The documents' hash stays that of the cells, so
    that a server's pipeline can hash as well.
    """

    bucket_kind = "routed"

    kind: Literal["learned"] = "learned"
    #: A query multiplies the last one with every bucket: narrow, it is quick.
    layers: Widths = (512, 128)
    epochs: Annotated[float, Field(gt=0)] = 6.0
    batch: Annotated[int, Field(ge=2)] = 1024
    #: Nearest neighbours that the network learns to find.
    n_neighbours: Annotated[int, Field(ge=1)] = 25


class DtshSpec(CodeNetworkSpec):
    """Deep supervised hashing with triplet labels, as the Meta4 paper uses it.

    Shivaram et al., "An evaluation of deep hashing for nearest neighbor search on general
    embedding data"; the loss is Wang, Shi & Kitani's, ACCV 2016. The code is the bucket.
    """

    bucket_kind = "bits"

    kind: Literal["dtsh"] = "dtsh"
    n_bits: Annotated[int, Field(ge=MIN_BITS, le=16)] = 12
    layers: Widths = (128, 64, 32)
    epochs: Annotated[float, Field(gt=0)] = 4.0
    batch: Annotated[int, Field(ge=2)] = 32
    #: Dropout after the last hidden layers, the very last one's at the end.
    dropout: tuple[Annotated[float, Field(ge=0.0, lt=1.0)], ...] = ()
    #: The paper found most codes without one; the others stop learning where they saturate.
    output: Literal["tanh", "sigmoid", "none"] = "none"
    rate: Annotated[float, Field(gt=0)] = 3e-3
    #: Margin of the triplets; None is half the code length, as in the paper of the loss.
    margin: Annotated[float, Field(ge=0.0)] | None = None
    #: Weight of the quantisation term.
    quantisation: Annotated[float, Field(ge=0.0)] = 0.1
    #: How classes are found where there are no labels.
    clusters: Literal["dbscan", "hdbscan", "kmeans"] = "dbscan"
    #: Classes that k-means makes.
    n_clusters: Annotated[int, Field(ge=2)] = 16
    #: DBSCAN's radius, a cosine distance; None takes the knee of the distances to neighbours.
    eps: Annotated[float, Field(gt=0.0, le=2.0)] | None = None

    @field_validator("dropout")
    @classmethod
    def _no_more_than_layers(
        cls, dropout: tuple[float, ...], info: ValidationInfo
    ) -> tuple[float, ...]:
        if len(dropout) > (n := len(info.data.get("layers", dropout))):
            raise PydanticCustomError(
                "dropout", "give one number for each of the {n} hidden layers at most", {"n": n}
            )
        return dropout

    @property
    def n_buckets(self) -> int:
        """Possible codes."""
        return 1 << self.n_bits


class DashSpec(CodeNetworkSpec):
    """Deep fractal based hashing (DAsH), tuned by the data's correlation fractal dimension.

    A network tells a document's class, the class's autoencoder takes it to the sub-space that
    the dimension asks for, and there LSH tables fill the buckets.
    """

    bucket_kind = "classes"

    kind: Literal["dash"] = "dash"
    #: Widths of the hidden layers of the class network and, mirrored, of the autoencoders.
    layers: Widths = (256,)
    epochs: Annotated[float, Field(gt=0)] = 10.0
    batch: Annotated[int, Field(ge=2)] = 256
    rate: Annotated[float, Field(gt=0)] = 2e-3
    #: Neighbours wanted, for which functions and tables are tuned.
    k: Annotated[int, Field(ge=1)] = 25
    #: Most strongly activated classes whose buckets a query looks into first.
    strongest: Annotated[int, Field(ge=1)] = 3
    #: Hash functions of a table, and tables; None reads them off the fractal dimension.
    bits_per_table: Annotated[int, Field(ge=1, le=16)] | None = None
    n_tables: Annotated[int, Field(ge=1, le=128)] | None = None


AnyTrainedSpec = LearnedSpec | NpHashSpec | CatalyzerSpec | DtshSpec | DashSpec
#: What a search among models tries.
SearchedSpec = LshSpec | ItqSpec | CellsSpec | LearnedSpec | DtshSpec
AnySpec = Annotated[
    LshSpec | ItqSpec | CellsSpec | LearnedSpec | NpHashSpec | CatalyzerSpec | DtshSpec | DashSpec,
    Field(discriminator="kind"),
]
