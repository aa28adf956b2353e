"""Texts in another index: of other bands, or in another cluster."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ....errors import ConflictError, InputError
from ....ingest.documents import Document, value_at
from ....ingest.files.new_embeddings import NewEmbeddings
from ....ingest.hashers import HashedBatch
from ....ingest.text_hasher import TextHasher
from ....mappings.spec import BoundEncoder
from ....mappings.texts import TextSpec
from ....models.embeddings import Progress
from ....models.kinds.minhash import MinHashSpec
from ...engines.calls import Json
from ...engines.engine import Engine
from ..field import Field, Options
from ..succession import Succession

if TYPE_CHECKING:
    from .field import TextField


class TextSuccession(Succession):
    """Texts are hashed anew wherever their hash is another's."""

    keeps_mapping = True

    def __init__(self, field: "TextField") -> None:
        self._field = field

    def check_takes_embeddings(self) -> None:
        """See `Succession`."""
        raise InputError("a field of texts has no embeddings; leave --vectors out")

    def check_can_embed(self, engine: Engine, index: str, encoder: BoundEncoder) -> None:
        """See `Succession`."""
        raise InputError("a field of texts has no embeddings; leave --embedder out")

    def rehashed(
        self,
        engine: Engine,
        ref: MinHashSpec,
        model: MinHashSpec,
        new_dims: int | None,
        encoder: BoundEncoder | None = None,
    ) -> "TextField":
        """See `Succession`."""
        self._field.check_model(ref, model)
        if new_dims is not None:
            self.check_takes_embeddings()
        return self._field.new(engine, self._field.spec.field, ref, model, Options())

    def retrained(self, engine: Engine, index: str, progress: Progress) -> tuple[Any, Any]:
        """See `Succession`."""
        raise InputError(
            "a field of texts is hashed by a minhash model, which is trained on nothing; name "
            "another with --model"
        )

    def change(
        self, before: Field, embeddings: NewEmbeddings | None, *, re_embedded: bool = False
    ) -> "Unchanged":
        """See `Succession`."""
        return Unchanged()

    def following(self, former: Field) -> "TextField":
        """See `Succession`: what is hashed otherwise is found once it is healed."""
        return self._field

    def copied_to(self, source: Engine, target: Engine, options: Json) -> "TextField":
        """See `Succession`."""
        target.check_usable(scripts=True)
        spec = self._field.spec
        return self._field.new(target, spec.field, spec.minhash, spec.minhash, Options(**options))

    def copying_hasher(self, engine: Engine, before: Field | None) -> "KeptShingles":
        """See `Succession`."""
        return KeptShingles(self._field.spec)

    def is_same_value(self, original: Any, copy: Any) -> bool:
        """See `Succession`."""
        return bool(original == copy)


class Unchanged:
    """Documents keep their texts."""

    n_without = 0
    replaces = False

    def __call__(self, documents: list[Document], *, late: bool = False) -> None:
        """Nothing."""

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """None."""
        return []

    def refusal(self, n: int, first: Sequence[str]) -> ConflictError:
        """See `Change`."""
        return ConflictError(f"{n:,} documents would lose their texts")


class KeptShingles(TextHasher):
    """Counts the texts whose hash was another, or none."""

    def __init__(self, spec: TextSpec) -> None:
        super().__init__(spec)
        self._root = spec.fields.root
        self.n_hashed = 0

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """See `TextHasher.hash`. All are hashed: nothing else tells whether a hash is right."""
        hashed = super().hash(documents)
        for document in hashed.documents:
            new, old = (value_at(s or {}, self._root) for s in (document.source, document.given))
            self.n_hashed += new is not None and new != old
        return hashed
