"""Vectors on their way into another index: new ones, none, or with the hashes that they have."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ConflictError
from ....ingest.documents import Document, put_anew, put_at, remove_at, value_at
from ....ingest.files.new_embeddings import NewEmbeddings
from ....ingest.hashers import DocumentHasher, HashedBatch, norms_of, sketches_of
from ....ingest.json_values import shortest
from ....mappings.fields import sketch_name
from ....mappings.spec import IndexSpec
from ....models.embeddings import UNIT_TOLERANCE, are_unit, embedding_fault, unit_float32
from ....models.model import HashModel
from ...engines.calls import Json
from .stale import codes_fit

Code = NDArray[np.uint8]
#: Ids that are named in a message.
NAMED = 3


class EmbeddingChange:
    """Gives documents their new embedding.

    Args:
        field: of the vectors.
        embeddings: new ones, if there are any.
        needed: whether those that documents have cannot stay.
    """

    def __init__(self, field: str, embeddings: NewEmbeddings | None, *, needed: bool) -> None:
        self._field = field
        self.replaces = needed or embeddings is not None
        self._embeddings = embeddings
        self.n_without = 0

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """See `Change`."""
        if not self.replaces:
            return []
        found = {} if self._embeddings is None else self._embeddings.of(ids)
        return [identity for identity in ids if identity not in found]

    def refusal(self, n: int, first: Sequence[str]) -> ConflictError:
        """See `Change`."""
        named = ", ".join(repr(identity) for identity in first[:NAMED])
        return ConflictError(
            f"{n:,} documents with a vector have no new embedding, and would lose the one they "
            f"have; the first: {named}. The alias stays where it is; add them to the file of "
            f"--vectors, by their ids, and run the same again"
        )

    def __call__(self, documents: list[Document], *, late: bool = False) -> None:
        """See `Change`."""
        if not self.replaces:
            return
        with_value = [d for d in documents if value_at(d.source, self._field) is not None]
        ids = [str(document.id) for document in with_value]
        found = {} if self._embeddings is None else self._embeddings.of(ids)
        lacking = [identity for identity in ids if identity not in found]
        if lacking and not late:
            raise self.refusal(len(lacking), lacking)
        for document, identity in zip(with_value, ids, strict=True):
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
        super().__init__(model, spec, keep_norms=True)
        self._now = spec
        self._before = before
        self.n_hashed = 0

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """See `DocumentHasher.hash`."""
        whole = list(documents)
        kept = self._kept(whole)
        hashed = super().hash([d for i, d in enumerate(whole) if i not in kept])
        self.n_hashed += len(hashed.documents) - hashed.n_without_vector
        return hashed._replace(documents=[*kept.values(), *hashed.documents])

    def _kept(self, documents: Sequence[Document]) -> dict[int, Document]:
        """By position, those whose hashes are right, with these as the target has them."""
        before, now = self._before, self._now
        kept: dict[int, Document] = {}
        if before is None:
            return kept
        found: list[tuple[int, Json, Code, Any]] = []
        for i, document in enumerate(documents):
            hashes = value_at(document.source, now.fields.root)
            vector = value_at(document.source, now.field)
            if not isinstance(hashes, dict) or hashes.get("model") != str(before.model):
                continue
            code = before.code_storage.code(hashes, before.n_bits)
            if isinstance(vector, str):
                continue  # packed: the target may not take it so
            if code is not None and embedding_fault(vector, now.dims) is None:
                found.append((i, hashes, code, vector))
        if not found:
            return kept
        vectors = np.asarray([vector for *_, vector in found], np.float32)
        scaled = unit_float32(vectors) if now.is_unit else vectors
        fit = codes_fit(self._model, np.asarray([code for _, _, code, _ in found]), scaled)
        if before.is_unit:  # one that is not was put there past us
            fit &= are_unit(vectors)
        _, buckets = self._model.hash(scaled)
        sketches = sketches_of(self._model, now, scaled)
        others = {*before.code_storage.mapping(before.n_bits), sketch_name(before.sketch), "home"}
        rows = zip(found, fit, buckets.tolist(), scaled, norms_of(vectors), sketches, strict=True)
        for (i, hashes, code, _), fits, ids, vector, norm, sketch in rows:
            if not fits or hashes.get("bucket") != [self._model.terms[j] for j in ids]:
                continue
            own = {name: value for name, value in hashes.items() if name not in others}
            own["model"] = str(now.model)  # the same model under the target store's version
            own |= now.code_storage.parts(code[None], now.n_bits)[0]
            own |= now.home_of(own["bucket"]) | sketch
            kept[i] = documents[i].copied(now.field, now.fields.root)
            if now.is_unit:
                put_at(kept[i].source, now.field, shortest(vector))
                # What was kept is of the vector as it was given, before an engine read it back.
                if abs(norm - 1.0) > UNIT_TOLERANCE and not _is_near(own.get("norm"), norm):
                    own["norm"] = norm
            put_anew(kept[i].source, now.fields.root, own)
        return kept


def _is_near(kept: Any, norm: float) -> bool:
    """Whether a length that a document has is that of its vector, but for what float32 loses."""
    return isinstance(kept, int | float) and math.isclose(kept, norm, rel_tol=UNIT_TOLERANCE)
