"""Vectors that are made of texts as documents are written, where an index is bound to an encoder.

A vector that the encoder made follows its text: of another text, or by another encoder, it is made
anew, and without a text it goes. A vector that somebody gave stays as it is. Which is which is told
from what stands beside the hashes: the encoder's mark, and a digest of the text.
"""

import hashlib
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from ..mappings.fields import ENCODER, TEXT
from ..mappings.spec import BoundEncoder, IndexSpec
from ..models.sentences.sentence_encoder import SentenceEncoder
from .documents import Document, Refusal, Several, put_anew, put_at, remove_at, value_at
from .hashers import HashedBatch, Hasher
from .json_values import shortest

_DIGEST_BYTES = 8


class Vector(Enum):
    """What is to become of a document's vector."""

    STAYS = "stays"
    IS_MADE = "is made"
    GOES = "goes"


def text_fault(value: Any) -> str | None:
    """Why something is no text to be embedded, in words; None where it is one, or nothing."""
    if isinstance(value, Several):
        return value.fault
    if value is not None and not isinstance(value, str):
        return f"expected a text, got {type(value).__name__}"
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        return "expected a text, got half a letter (a surrogate by itself)"
    return None


def text_in(source: dict[str, Any], field: str) -> str | None:
    """A document's text; None without one, and of one that says nothing."""
    text = value_at(source, field)
    return text if isinstance(text, str) and text.strip() else None


def becoming(source: dict[str, Any], spec: IndexSpec, encoder: BoundEncoder) -> Vector:
    """What is to become of a document's vector."""
    text = text_in(source, encoder.source)
    if value_at(source, spec.field) is None:
        return Vector.STAYS if text is None else Vector.IS_MADE
    beside = value_at(source, spec.fields.root)
    made_by = beside.get(ENCODER) if isinstance(beside, dict) else None
    if made_by is None:
        return Vector.STAYS
    if text is None:
        return Vector.GOES
    same = made_by == encoder.mark and beside.get(TEXT) == digest(text)
    return Vector.STAYS if same else Vector.IS_MADE


def digest(text: str) -> str:
    """By which a text is told from others, in hex."""
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


class EmbeddingHasher:
    """Gives documents the vector of their text, and has another hash it.

    Args:
        hasher: of the field.
        spec: of the index that they go to.
        bound: the encoder as the index keeps it.
        encoder: that encoder.
    """

    def __init__(
        self, hasher: Hasher, spec: IndexSpec, bound: BoundEncoder, encoder: SentenceEncoder
    ) -> None:
        self._hasher, self._spec, self._bound, self._encoder = hasher, spec, bound, encoder

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """Embed and hash a batch; what is given is not changed."""
        kept: list[Document] = []
        refusals: list[Refusal] = []
        made: list[tuple[Document, str]] = []
        for given in documents:
            fault = text_fault(value_at(given.source, self._bound.source))
            if fault is not None and not self._is_given(given):
                refusals.append(Refusal.of(given, f"{self._bound.source}: {fault}"))
                continue
            now = becoming(given.source, self._spec, self._bound)
            document = given
            if now is not Vector.STAYS:
                document = given.copied(self._spec.field, self._spec.fields.root)
                remove_at(document.source, self._spec.field)
                text = text_in(document.source, self._bound.source)
                if now is Vector.IS_MADE and text is not None:
                    made.append((document, text))
            kept.append(document)
        n_cut = 0
        if made:
            n_cut = self._embed([document for document, _ in made], [text for _, text in made])
        hashed = self._hasher.hash(kept)
        return hashed._replace(refusals=[*refusals, *hashed.refusals], n_cut=n_cut)

    def _is_given(self, document: Document) -> bool:
        """Whether somebody gave its vector, which no text is asked about."""
        beside = value_at(document.source, self._spec.fields.root)
        is_made = isinstance(beside, dict) and beside.get(ENCODER) is not None
        return value_at(document.source, self._spec.field) is not None and not is_made

    def _embed(self, documents: Sequence[Document], texts: Sequence[str]) -> int:
        """Put vectors and their marks into documents; gives how many texts were cut."""
        embeddings, n_cut = self._encoder.encode(texts)
        rows = zip(documents, texts, shortest(embeddings), strict=True)
        for document, text, vector in rows:
            put_at(document.source, self._spec.field, vector)
            marks = {ENCODER: self._bound.mark, TEXT: digest(text)}
            put_anew(document.source, self._spec.fields.root, marks)
        return n_cut
