"""How a field comes into another index: of another model, or in another cluster."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from ...ingest.documents import Document
from ...ingest.hashers import Hasher
from ...ingest.new_embeddings import NewEmbeddings
from ..engines.calls import Json
from ..engines.engine import Engine

if TYPE_CHECKING:
    from .field import Field


class Change(Protocol):
    """Changes documents before they are hashed; counts those that lose their value."""

    n_without: int

    def __call__(self, documents: list[Document]) -> None:
        """Change them in place."""
        ...


class CopyingHasher(Hasher, Protocol):
    """Leaves the hashes that are right; counts what it hashed anew."""

    n_hashed: int


class Succession(ABC):
    """The documents of a field in another index."""

    @abstractmethod
    def rehashed(self, engine: Engine, ref: Any, model: Any, new_dims: int | None) -> "Field":
        """The field of an index that is to take this one's place, with another model.

        Args:
            engine: where.
            ref: of the model.
            model: the model itself.
            new_dims: of the new embeddings; None where documents keep their values.

        Raises:
            InputError: a model that does not fit.
        """

    @abstractmethod
    def change(self, before: "Field", embeddings: NewEmbeddings | None) -> Change:
        """What becomes of the documents of another such field; has `n_without` of them."""

    @abstractmethod
    def following(self, former: "Field") -> "Field":
        """The same, where documents of another hash are still written."""

    @abstractmethod
    def copied_to(self, source: Engine, target: Engine, options: Json) -> "Field":
        """The same field in an index of another cluster, whose store gets the model.

        Args:
            source: where it is.
            target: where it is to be.
            options: those of `Field.new` that are to be others.

        Raises:
            InputError: an option that the model cannot do, or that this kind does not have.
        """

    @abstractmethod
    def copying_hasher(self, engine: Engine, before: "Field | None") -> CopyingHasher:
        """Leaves what the model hashed in `before`; hashes all else."""

    @abstractmethod
    def is_same_value(self, original: Any, copy: Any) -> bool:
        """Whether an engine gave back what another one had."""
