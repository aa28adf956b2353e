"""Adding MinHash buckets and shingles to documents' texts."""

from collections.abc import Iterable

from ..errors import InputError
from ..mappings.texts import TextSpec
from ..models.kinds.minhash import MinHasher, as_longs
from .documents import Document, Refusal, Several, put_anew, remove_at, value_at
from .hashers import HashedBatch


class TextHasher:
    """Adds the hash of `spec.field` to documents; as `DocumentHasher` does of vectors."""

    def __init__(self, spec: TextSpec) -> None:
        self._spec = spec
        self._hasher = MinHasher(spec.minhash)

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """Hash a batch; what is given is not changed."""
        kept: list[Document] = []
        refusals: list[Refusal] = []
        n_without = 0
        for given in documents:
            document = given.copied(self._spec.fields.root)
            text = value_at(document.source, self._spec.field)
            if text is None:
                remove_at(document.source, self._spec.fields.root)
                n_without += 1
            else:
                fault = self._add_hashes(document, text)
                if fault is not None:
                    refusals.append(Refusal.of(document, f"{self._spec.field}: {fault}"))
                    continue
            kept.append(document)
        return HashedBatch(kept, refusals, n_without)

    def _add_hashes(self, document: Document, text: object) -> str | None:
        """Why it cannot be done, or None."""
        if isinstance(text, Several):
            return text.fault
        if not isinstance(text, str):
            return f"expected a text, got {type(text).__name__}"
        try:
            shingles = self._hasher.shingles(text)
        except InputError as error:
            return str(error)
        hashes = {
            "bucket": self._hasher.buckets(shingles),
            "model": str(self._spec.minhash),
            "shingle": as_longs(shingles).tolist(),
        }
        put_anew(document.source, self._spec.fields.root, hashes)
        return None
