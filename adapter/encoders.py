"""Encoders that indexes are bound to, each loaded once a process."""

from functools import cache
from pathlib import Path
from threading import Lock

from ..errors import ConflictError
from ..mappings.spec import BoundEncoder
from ..models.sentences.sentence_encoder import SentenceEncoder
from ..models.sentences.sentence_models import (
    SENTENCE_MODELS,
    checksum_of,
    load_sentence_encoder,
)

_LOADING = Lock()


def bound_encoder(reference: str, source: str) -> BoundEncoder:
    """How an index keeps what makes its vectors.

    Args:
        reference: as `load_sentence_encoder` takes it.
        source: the field of the texts.

    Raises:
        InputError, ArtifactError, MissingExtraError: as `load_sentence_encoder`.
    """
    name = reference if reference in SENTENCE_MODELS else str(Path(reference).resolve())
    return BoundEncoder(name=name, sha256=checksum_of(reference), source=source)


def encoder_of(bound: BoundEncoder) -> SentenceEncoder:
    """The encoder, ready to run.

    Raises:
        ConflictError: here lies another one under its name.
        InputError, ArtifactError, MissingExtraError: as `load_sentence_encoder`.
    """
    with _LOADING:
        return _loaded(bound.name, bound.sha256)


@cache
def _loaded(name: str, sha256: str) -> SentenceEncoder:
    found = checksum_of(name)
    if found != sha256:
        raise ConflictError(
            f"the index's vectors are made by the encoder {name} of checksum {sha256[:12]}…, and "
            f"the one here has {found[:12]}…: vectors of two encoders cannot be compared. Put the "
            f"right one in its place, or move the index to this one with: meta4 index rehash "
            f"ALIAS --model MODEL --embedder {name}"
        )
    return load_sentence_encoder(name)
