"""Hashing documents in batches: the client side of what the ingest pipeline does."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..mappings.fields import ENCODER, TEXT, sketch_name
from ..mappings.spec import IndexSpec
from ..models.embeddings import (
    UNIT_TOLERANCE,
    embedding_fault,
    lengths_of,
    unit_float32,
    unpacked,
)
from ..models.model import HashModel
from .documents import Document, Refusal, Several, put_anew, put_at, remove_at, value_at
from .json_values import shortest


class HashedBatch(NamedTuple):
    """What came of a batch.

    Attributes:
        documents: ready for the index; those without a vector are among them, unhashed.
        refusals: documents whose vector cannot be hashed.
        n_without_vector: how many of `documents` have none.
        n_cut: how many vectors were made of the beginning of a text.
    """

    documents: list[Document]
    refusals: list[Refusal]
    n_without_vector: int
    n_cut: int = 0


class Hasher(Protocol):
    """What hashes documents on their way in."""

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """Hash a batch; what is given is not changed."""
        ...


class HasherChain:
    """Adds the hashes of several fields, one after the other."""

    def __init__(self, hashers: Sequence[Hasher]) -> None:
        self._hashers = hashers

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """Hash a batch; what one of them refuses is refused.

        As many count as without a vector as lack the value of that field that most lack.
        """
        kept, refusals, n_without, n_cut = list(documents), list[Refusal](), 0, 0
        for hasher in self._hashers:
            kept, refused, without, cut = hasher.hash(kept)
            refusals += refused
            n_without = max(n_without, without)
            n_cut += cut
        return HashedBatch(kept, refusals, n_without, n_cut)


def norms_of(embeddings: NDArray[np.float32]) -> list[float]:
    """Lengths of rows, (n, dims), each in the shortest digits that give its float32 back."""
    return [float(str(length)) for length in lengths_of(embeddings).astype(np.float32)]


def sketches_of(
    model: HashModel, spec: IndexSpec, embeddings: NDArray[np.float32]
) -> list[dict[str, list[int]]]:
    """What each document keeps as its sketch; nothing where the index has none."""
    if not spec.sketch:
        return [{} for _ in embeddings]
    rows = model.sketch(spec.sketch).sketches(embeddings).tolist()
    return [{sketch_name(spec.sketch): row} for row in rows]


class DocumentHasher:
    """Adds the hash of `spec.field` to documents, and scales the vector where the index has it so.

    The hash is that of the vector as it is written, so that the same comes of it when it is read
    again. Its length before stands beside it. A vector of length 1 may be what an index kept of a
    longer one, whose length is left then: where the code beside it is the vector's own.

    Args:
        model: the model.
        spec: of the index that they go to.
        keep_norms: whether documents come out of an index, with what another model made of the
            same vector beside it: then that has the length, too.
    """

    def __init__(self, model: HashModel, spec: IndexSpec, *, keep_norms: bool = False) -> None:
        self._model = model
        self._spec = spec
        self._root = spec.fields.root
        self._keep_norms = keep_norms

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """Hash a batch; what is given is not changed."""
        kept: list[Document] = []
        refusals: list[Refusal] = []
        hashed: list[tuple[Document, Any]] = []
        for given in documents:
            values = value_at(given.source, self._spec.field)
            fault = None if values is None else self._fault(values)
            if fault is not None:
                refusals.append(Refusal.of(given, f"{self._spec.field}: {fault}"))
                continue
            document = given.copied(self._spec.field, self._root)
            kept.append(document)
            if isinstance(values, str):  # not every engine takes them packed
                values = unpacked(values)
                put_at(document.source, self._spec.field, values)
            if values is None:
                remove_at(document.source, self._root)
            else:
                hashed.append((document, values))
        if hashed:
            self._add_hashes([document for document, _ in hashed], [v for _, v in hashed])
        return HashedBatch(kept, refusals, len(kept) - len(hashed))

    def _fault(self, values: Any) -> str | None:
        """Why they cannot be hashed, or None."""
        if isinstance(values, Several):
            return values.fault
        return embedding_fault(values, self._spec.dims)

    def _add_hashes(self, documents: Sequence[Document], values: Sequence[Any]) -> None:
        embeddings = np.asarray(values, dtype=np.float32)
        norms = norms_of(embeddings)
        if self._spec.is_unit:
            embeddings = unit_float32(embeddings)
            for document, vector in zip(documents, shortest(embeddings), strict=True):
                put_at(document.source, self._spec.field, vector)
        codes, buckets = self._model.hash(embeddings)
        parts = self._spec.code_storage.parts(codes, self._spec.n_bits)
        model, terms = str(self._spec.model), self._model.terms
        sketches = sketches_of(self._model, self._spec, embeddings)
        rows = zip(documents, buckets.tolist(), parts, norms, sketches, strict=True)
        for document, ids, code, norm, sketch in rows:
            own = [terms[i] for i in ids]
            hashes = {"bucket": own, "model": model, "norm": norm, **code}
            hashes |= self._spec.home_of(own) | sketch | self._of_text(document, code)
            if abs(norm - 1.0) <= UNIT_TOLERANCE:
                hashes["norm"] = self._norm_before(document, model, code) or norm
            put_anew(document.source, self._root, hashes)

    def _of_text(self, document: Document, code: Mapping[str, Any]) -> dict[str, Any]:
        """What tells that an encoder made the vector, and of which text.

        A vector that does not have the code that stands beside it was given since.
        """
        before = value_at(document.source, self._root) if self._spec.encoder else None
        if not isinstance(before, dict):
            return {}
        is_same_model = before.get("model") == str(self._spec.model)
        if is_same_model and any(before.get(name) != part for name, part in code.items()):
            return {}
        return {name: before[name] for name in (ENCODER, TEXT) if name in before}

    def _norm_before(self, document: Document, model: str, code: Mapping[str, Any]) -> Any:
        """The length that an index kept of this very vector; None where it kept none."""
        before = value_at(document.source, self._root)
        if not isinstance(before, dict):
            return None
        if before.get("model") != model:
            return before.get("norm") if self._keep_norms else None
        is_its = all(before.get(name) == part for name, part in code.items())
        return before.get("norm") if is_its else None
