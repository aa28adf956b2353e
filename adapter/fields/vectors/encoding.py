"""Vectors that an encoder makes: of documents' texts, and of texts that clauses ask with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ....errors import ClauseError, ConflictError, InputError
from ....ingest.documents import Document, remove_at, value_at
from ....ingest.embedding import EmbeddingHasher, text_fault, text_in
from ....ingest.hashers import Hasher
from ....mappings.fields import HashedField
from ....mappings.spec import BoundEncoder, IndexSpec
from ....models.model import HashModel
from ....models.sentences.sentence_encoder import SentenceEncoder
from ...encoders import encoder_of
from ...engines.calls import Json, Steps, Work
from ...engines.engine import Engine
from ...search.sites import Site
from ..field import Finding
from .hashers import NAMED


def check_encoder(encoder: BoundEncoder, field: str, model: HashModel) -> None:
    """Refuse an encoder that a field cannot be bound to.

    Raises:
        InputError: its vectors are no vectors of the model, or the texts' field is no other one.
        ArtifactError, ConflictError, MissingExtraError: it cannot be loaded; see `encoder_of`.
    """
    HashedField(encoder.source)
    if f"{encoder.source}.".startswith(f"{field}.") or f"{field}.".startswith(f"{encoder.source}."):
        raise InputError(
            f"--from {encoder.source}: the texts are in the field {field!r} that their vectors are "
            f"to be in, or one is inside the other; name another with --field"
        )
    dims = encoder_of(encoder).dims
    if dims != model.dims:
        raise InputError(
            f"--embedder {encoder.name}: its vectors have {dims} dimensions, and the model hashes "
            f"{model.dims}; train one on what 'meta4 embed text --model {encoder.name}' makes"
        )


def check_no_encoder(spec: IndexSpec) -> None:
    """Refuse to leave to a pipeline what it cannot do.

    Raises:
        InputError: vectors are to be made of texts.
    """
    if spec.encoder is not None:
        raise InputError(
            f"--hashing server: no pipeline runs the encoder {spec.encoder.name}; with --hashing "
            f"client 'meta4 ingest', Meta4.load and 'meta4 serve' do"
        )


def with_vectors_of_texts(hasher: Hasher, spec: IndexSpec) -> Steps[Hasher]:
    """A hasher that makes vectors of texts first, where a field is bound to an encoder."""
    bound = spec.encoder
    if bound is None:
        return hasher
    encoder: SentenceEncoder = yield Work(lambda _: encoder_of(bound))
    return EmbeddingHasher(hasher, spec, bound, encoder)


class EncoderChange:
    """Takes vectors away that an encoder is to make anew of documents' texts.

    Args:
        spec: of the field that documents come into.
        encoder: that it is bound to.
    """

    replaces = False  # by their ids: the texts that they are made of come with the documents

    def __init__(self, spec: IndexSpec, encoder: BoundEncoder) -> None:
        self._spec, self._encoder = spec, encoder
        self.n_without = 0

    def lacking(self, _ids: Sequence[str]) -> list[str]:
        """See `Change`."""
        return []

    def refusal(self, n: int, first: Sequence[str]) -> ConflictError:
        """See `Change`."""
        return without_text(n, first, self._encoder)

    def __call__(self, documents: list[Document], *, late: bool = False) -> None:
        """See `Change`."""
        with_value = [d for d in documents if value_at(d.source, self._spec.field) is not None]
        lacking = [d for d in with_value if text_in(d.source, self._encoder.source) is None]
        if lacking and not late:
            raise self.refusal(len(lacking), [str(document.id) for document in lacking])
        self.n_without += len(lacking)
        for document in with_value:
            remove_at(document.source, self._spec.field)


def without_text(n: int, first: Sequence[str], encoder: BoundEncoder) -> ConflictError:
    """For so many documents with a vector that an encoder cannot make anew."""
    named = ", ".join(repr(identity) for identity in first[:NAMED])
    return ConflictError(
        f"{n:,} documents with a vector have no text in {encoder.source!r} of which "
        f"{encoder.name} could make a new one, and would lose the one they have; the first: "
        f"{named}. The alias stays where it is; give them a text, or delete them, and run the same "
        f"again"
    )


def vectors_of_texts(
    spec: IndexSpec, sites: Sequence[Site]
) -> Steps[dict[str, NDArray[np.float32]]]:
    """By text, the (dims,) vectors of those that clauses ask with; none without an encoder.

    Raises:
        ClauseError: one that says nothing.
        ConflictError, ArtifactError, InputError, MissingExtraError: see `encoder_of`.
    """
    bound = spec.encoder
    operands = [operand for site in sites for operand in site.clause.operands]
    texts = list({operand.text: None for operand in operands if operand.text is not None})
    if bound is None or not texts:
        return {}
    for text in texts:
        if (fault := text_fault(text)) is not None or not text.strip():
            raise ClauseError(f"text: {fault or 'expected a text, got one that says nothing'}")

    def encode(_: Engine) -> NDArray[np.float32]:
        return encoder_of(bound).encode(texts).embeddings

    vectors: NDArray[np.float32] = yield Work(encode)
    return dict(zip(texts, vectors, strict=True))


def texts_finding(engine: Engine, index: str, spec: IndexSpec, bound: BoundEncoder) -> Finding:
    """Whether documents' vectors are of the encoder that requests are embedded by."""
    has_vector: Json = {"exists": {"field": spec.field}}
    has_mark: Json = {"exists": {"field": spec.fields.encoder}}
    is_its: Json = {"term": {spec.fields.encoder: bound.mark}}

    def count(having: list[Json], lacking: list[Json]) -> int:
        return engine.count(index, {"bool": {"filter": having, "must_not": lacking}})

    made, others = count([is_its], []), count([has_mark], [is_its])
    given = count([has_vector], [has_mark])
    figures = {"made": made, "of_another": others, "given": given}
    found = (
        f"{made:,} vectors made of texts by {bound.name}, {others:,} by another encoder, "
        f"{given:,} given"
    )
    if others:
        return Finding("encoder", "act", found, f"meta4 index heal {index}", figures)
    return Finding("encoder", "fine", found, "", figures)
