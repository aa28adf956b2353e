"""Vectors on their way into another index: new ones, none, or with the hashes that they have."""

from collections.abc import Iterable

from ....ingest.documents import Document, put_at, remove_at, value_at
from ....ingest.hashers import DocumentHasher, HashedBatch
from ....ingest.new_embeddings import NewEmbeddings
from ....mappings.spec import IndexSpec
from ....models.model import HashModel
from ...engines.calls import Json


class EmbeddingChange:
    """Gives documents their new embedding, and takes away one of other dimensions.

    Args:
        spec: of the index that they go to.
        dims: of the vectors that they have.
        embeddings: new ones, if there are any.
    """

    def __init__(self, spec: IndexSpec, dims: int, embeddings: NewEmbeddings | None) -> None:
        self._field = spec.field
        self._stays = embeddings is None and spec.dims == dims
        self._embeddings = embeddings
        self.n_without = 0

    def __call__(self, documents: list[Document]) -> None:
        """Change them in place."""
        if self._stays:
            return
        ids = [str(document.id) for document in documents]
        found = {} if self._embeddings is None else self._embeddings.of(ids)
        for document, identity in zip(documents, ids, strict=True):
            if value_at(document.source, self._field) is None:
                continue
            if identity in found:
                put_at(document.source, self._field, found[identity])
            else:
                remove_at(document.source, self._field)
                self.n_without += 1


class KeptHashes(DocumentHasher):
    """Leaves the hashes of documents that the model hashed before; hashes all others.

    Args:
        model: the model.
        spec: of the copy.
        before: of the source; None where it has no hashes.
    """

    def __init__(self, model: HashModel, spec: IndexSpec, before: IndexSpec | None) -> None:
        super().__init__(model, spec)
        self._now = spec
        self._before = before
        self.n_hashed = 0

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """See `DocumentHasher.hash`."""
        kept: list[Document] = []
        others: list[Document] = []
        for document in documents:
            hashes = value_at(document.source, self._now.fields.root) or {}
            (kept if self._keep(hashes) else others).append(document)
        hashed = super().hash(others)
        self.n_hashed += len(hashed.documents) - hashed.n_without_vector
        return hashed._replace(documents=kept + hashed.documents)

    def _keep(self, hashes: Json) -> bool:
        """Write the model's hashes as the target has them; False where they are not its."""
        before, now = self._before, self._now
        if before is None or hashes.get("model") != str(before.model):
            return False
        code = before.code_storage.code(hashes, before.n_bits)
        if code is None:
            return False
        for name in before.code_storage.mapping(before.n_bits):
            del hashes[name]
        hashes["model"] = str(now.model)  # the same model under the target store's version
        hashes |= now.code_storage.parts(code[None], now.n_bits)[0]
        return True
