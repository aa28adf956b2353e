"""An encoder of texts at work: tokens, batches of like length, pooling.

What an encoder gives out for each token is pooled as Reimers & Gurevych, "Sentence-BERT: sentence
embeddings using siamese BERT-networks", EMNLP 2019, found best: the mean, brought to length 1.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ArtifactError
from .tokens import Padded, Tokens

PER_TEXT, PER_TOKEN = "sentence_embedding", "last_hidden_state"
IDS, MASK, SEGMENTS = "input_ids", "attention_mask", "token_type_ids"
_INTEGER = "tensor(int64)"
#: Texts run at once: 64 are no quicker, and the scores of 32 at 256 tokens are 100 MB.
_BATCH = 32
#: The least that a length is divided by; torch has the same.
LEAST_LENGTH = np.float32(1e-12)


class Encoded(NamedTuple):
    """Texts as vectors.

    Attributes:
        embeddings: (n, dims) float32, in the order of the texts.
        n_cut: texts of which only the beginning was looked at.
    """

    embeddings: NDArray[np.float32]
    n_cut: int


class SentenceEncoder:
    """Makes embeddings of texts.

    Args:
        session: of a network with int64 inputs `input_ids`, `attention_mask` and perhaps
            `token_type_ids`, each (n, length), and an output `sentence_embedding`, (n, dims), or
            `last_hidden_state`, (n, length, dims).
        tokens: what makes its inputs.

    Raises:
        ArtifactError: a network with other inputs or outputs.
    """

    def __init__(self, session: Any, tokens: Tokens) -> None:
        given = {one.name: one.type for one in session.get_inputs()}
        names = given.keys()
        if not {IDS, MASK} <= names <= {IDS, MASK, SEGMENTS}:
            raise ArtifactError(
                f"not an encoder: expected the inputs {IDS}, {MASK} and perhaps {SEGMENTS}, "
                f"got {', '.join(given) or 'none'}"
            )
        others = set(given.values()) - {_INTEGER}
        if others:
            raise ArtifactError(f"expected inputs of int64, got {', '.join(sorted(others))}")
        outputs = outputs_of(session)
        if not {PER_TEXT, PER_TOKEN} & set(outputs):
            raise ArtifactError(
                f"not an encoder: expected an output {PER_TEXT} or {PER_TOKEN}, got "
                f"{', '.join(outputs) or 'none'}"
            )
        self._session, self.tokens = session, tokens
        self._output = PER_TEXT if PER_TEXT in outputs else PER_TOKEN
        self._has_segments = SEGMENTS in given

    @property
    def most_tokens(self) -> int:
        """What a text is cut to."""
        return self.tokens.most

    @property
    def dims(self) -> int:
        """Of its vectors; it is run to see."""
        (vector,) = self.encode(["a"]).embeddings
        return len(vector)

    def encode(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> Encoded:
        """Embeddings of texts.

        Texts of like length are run together, so that little is filled up: of some thousands at
        once hardly any.

        Args:
            texts: one at least.
            advance: called with how many more are done.

        Raises:
            ArtifactError: the network cannot be run, or gives something else than numbers by text.
        """
        rows, n_cut = self.tokens.of(texts)
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))  # most memory at once first
        parts = []
        for start in range(0, len(order), _BATCH):
            batch = [rows[i] for i in order[start : start + _BATCH]]
            parts.append(self._run(self.tokens.padded(batch)))
            if advance is not None:
                advance(len(batch))
        sorted_embeddings = np.concatenate(parts)
        embeddings = np.empty_like(sorted_embeddings)
        embeddings[order] = sorted_embeddings
        return Encoded(embeddings, n_cut)

    def _run(self, batch: Padded) -> NDArray[np.float32]:
        inputs = {IDS: batch.ids, MASK: batch.mask}
        if self._has_segments:
            inputs[SEGMENTS] = np.zeros_like(batch.ids)  # one text has no second segment
        try:
            (found,) = self._session.run([self._output], inputs)
        except Exception as error:  # see `open_session`
            raise ArtifactError(f"onnxruntime cannot run the encoder: {error}") from error
        expected = batch.ids.shape if self._output == PER_TOKEN else batch.ids.shape[:1]
        if found.shape[:-1] != expected:
            raise ArtifactError(
                f"not an encoder: expected {self._output} to be {(*expected, 'dims')}, got "
                f"{found.shape}"
            )
        vectors: NDArray[np.float32] = found.astype(np.float32, copy=False)
        pooled = vectors if self._output == PER_TEXT else mean_of_tokens(vectors, batch.mask)
        if not np.isfinite(pooled).all():
            raise ArtifactError("the encoder gives numbers that are infinite or NaN")
        return pooled


def outputs_of(session: Any) -> list[str]:
    """The names of what a network gives out."""
    return [one.name for one in session.get_outputs()]


def mean_of_tokens(vectors: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean over each text's own tokens, brought to length 1.

    Args:
        vectors: (n, length, dims) float32.
        mask: (n, length) int64, 1 where a token is the text's.

    Returns:
        (n, dims) float32.
    """
    # The sum has the direction of the mean, and the length goes anyway.
    total = np.einsum("nld,nl->nd", vectors, mask.astype(np.float32))
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    directions: NDArray[np.float32] = total / np.maximum(lengths, LEAST_LENGTH)
    return directions
