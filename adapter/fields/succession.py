"""How a field comes into another index: of another model, or in another cluster."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...errors import ConflictError
from ...ingest.documents import Document
from ...ingest.files.new_embeddings import NewEmbeddings
from ...ingest.hashers import Hasher
from ...mappings.spec import BoundEncoder
from ...models.embeddings import Progress
from ..engines.calls import Json
from ..engines.engine import Engine

if TYPE_CHECKING:
    from .field import Field


class Change(Protocol):
    """Changes documents before they are hashed.

    Attributes:
        n_without: documents that lost their value.
        replaces: whether documents get new values.
    """

    n_without: int
    replaces: bool

    def __call__(self, documents: list[Document], *, late: bool = False) -> None:
        """Change them in place.

        Args:
            documents: from the index before.
            late: whether they came when nobody could be asked any more: one without a new value
                goes on without any.

        Raises:
            ConflictError: one that is not late has no new value.
        """
        ...

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """Of these documents, which have a value, those for which there is no new one."""
        ...

    def refusal(self, n: int, first: Sequence[str]) -> ConflictError:
        """For so many that lack one, the first of them by their ids."""
        ...


class CopyingHasher(Hasher, Protocol):
    """Leaves the hashes that are right; counts what it hashed anew."""

    n_hashed: int


class Succession(ABC):
    """The documents of a field in another index.

    Attributes:
        keeps_mapping: whether the field's own mapping is the same there.
    """

    keeps_mapping: ClassVar[bool]

    @abstractmethod
    def check_takes_embeddings(self) -> None:
        """Refuse new embeddings for a field that has none.

        Raises:
            InputError: it is one.
        """

    @abstractmethod
    def check_can_embed(self, engine: Engine, index: str, encoder: BoundEncoder) -> None:
        """Refuse an encoder for documents of which some have nothing to be embedded.

        Raises:
            InputError: a field that has no embeddings.
            ConflictError: documents that would lose the vector that they have.
        """

    @abstractmethod
    def rehashed(
        self,
        engine: Engine,
        ref: Any,
        model: Any,
        new_dims: int | None,
        encoder: BoundEncoder | None = None,
    ) -> "Field":
        """The field of an index that is to take this one's place, with another model.

        Args:
            engine: where.
            ref: of the model.
            model: the model itself.
            new_dims: of the new embeddings; None where documents keep their values.
            encoder: what is to make vectors there; None is what does here, if anything.

        Raises:
            InputError: a model that does not fit.
        """

    @abstractmethod
    def retrained(self, engine: Engine, index: str, progress: Progress) -> tuple[Any, Any]:
        """A newer model of this one's name, stored: trained on what an index has now.

        Args:
            engine: where.
            index: which index.
            progress: called with a stage, how far it is, and how far it goes.

        Returns:
            What it is referred to by, and the model itself.

        Raises:
            InputError: its kind is not trained, or there is nothing to train on.
        """

    @abstractmethod
    def change(
        self, before: "Field", embeddings: NewEmbeddings | None, *, re_embedded: bool = False
    ) -> Change:
        """What becomes of the documents of another such field.

        Args:
            before: that field.
            embeddings: new ones, if there are any.
            re_embedded: whether the two fields have embeddings of two kinds.
        """

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
