"""The demonstration's data: the most frequent GloVe words, and analogy questions.

Made by `make_sample.py` beside this file; licences in `LICENSES.md`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_FOLDER = Path(__file__).parent
VECTORS_FILE, WORDS_FILE, QUESTIONS_FILE = "vectors.npz", "words.txt", "questions.txt"


class Sample(NamedTuple):
    """Words and their vectors.

    Attributes:
        words: n words, most frequent first.
        vectors: (n, 100) float32.
        questions: (a, b, c, d) with a : b :: c : d, all among the words.
    """

    words: list[str]
    vectors: NDArray[np.float32]
    questions: list[tuple[str, str, str, str]]


def load_sample() -> Sample:
    """Read the sample."""
    with np.load(_FOLDER / VECTORS_FILE) as stored:
        vectors = stored["vectors"].astype(np.float32)
    words = (_FOLDER / WORDS_FILE).read_text(encoding="utf-8").split("\n")[:-1]
    lines = (_FOLDER / QUESTIONS_FILE).read_text(encoding="utf-8").splitlines()
    questions = [tuple(line.split()) for line in lines]
    return Sample(words, vectors, [(a, b, c, d) for a, b, c, d in questions])
