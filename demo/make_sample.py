"""Make the demonstration's sample from the whole word list: python demo/make_sample.py WORDS DIR.

WORDS is a folder with `glove_100d_f16.npy` and `glove_words.txt`, as `benchmarks/data.py`
fetches them, and `questions-words.txt`.
"""

import sys
from pathlib import Path

import numpy as np

#: The most frequent words; 2,000 more than the demonstration indexes, as it holds some out.
N_WORDS = 42_000
#: Every so many-th question of those whose words are all in the sample.
QUESTION_STEP = 40


def main() -> None:
    """Cut out the sample."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    vectors = np.load(source / "glove_100d_f16.npy", mmap_mode="r")[:N_WORDS]
    words = (source / "glove_words.txt").read_text(encoding="utf-8").split("\n")[:N_WORDS]
    np.savez_compressed(target / "vectors.npz", vectors=vectors)
    (target / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    known = set(words)
    lines = (source / "questions-words.txt").read_text(encoding="utf-8").lower().splitlines()
    questions = [line for line in lines if not line.startswith(":")]
    covered = [line for line in questions if set(line.split()) <= known]
    (target / "questions.txt").write_text("\n".join(covered[::QUESTION_STEP]) + "\n")


if __name__ == "__main__":
    main()
