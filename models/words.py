"""Vectors of words, learned from somebody's own texts.

Mikolov et al., "Distributed representations of words and phrases and their compositionality",
NIPS 2013: a word's vector is to tell the words around it from words drawn at random (skip-gram with
negative sampling), so that words that stand in like company come to lie together. gensim computes
it, in one thread: several would each change what the others read, and no two runs would be alike.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError

#: Words on either side of a word that are its company, and words drawn against each of these.
_WINDOW, _DRAWN = 5, 5
#: From this share of all words on a word is passed over at times, the more often the commoner.
_COMMON = 1e-3
#: What gensim reads of a text; it drops the rest of a longer one, so that those come in pieces.
_MOST_WORDS = 10_000
#: They keep letters of one word apart, or join them, as Persian and Hindi write them.
_JOINERS = "\u200c\u200d"


class Counts(NamedTuple):
    """What stands in texts.

    Attributes:
        words: how often each word does.
        n_words: all of them together.
        n_texts: how many texts there are.
    """

    words: Counter[str]
    n_words: int
    n_texts: int


class WordVectors(NamedTuple):
    """Words and what was learned of them, the most frequent first.

    Attributes:
        words: n of them.
        counts: how often each stands in the texts.
        embeddings: (n, dims) float32, of any length.
    """

    words: list[str]
    counts: list[int]
    embeddings: NDArray[np.float32]


def words_of(text: str) -> list[str]:
    """The words of a text: unbroken runs of letters, digits and the marks on them, in lower case.

    Forms of the same letter are one (NFKC). Where a script puts no space between words, what stands
    between two spaces or signs is one word.
    """
    lowered = unicodedata.normalize("NFKC", text).lower()
    return _pattern().findall(unicodedata.normalize("NFKC", lowered))  # marks in their order again


def count_words(texts: Iterable[str], advance: Callable[[int], None]) -> Counts:
    """Count the words of texts.

    Args:
        texts: read once.
        advance: called with how many texts more were read.
    """
    counter: Counter[str] = Counter()
    n_texts = 0
    for text in texts:
        counter.update(words_of(text))
        n_texts += 1
        advance(1)
    return Counts(counter, counter.total(), n_texts)


def learn_words(
    texts: Iterable[str],
    counts: Counts,
    *,
    dims: int,
    min_count: int,
    epochs: int,
    seed: int,
    advance: Callable[[int], None],
) -> WordVectors:
    """Learn a vector for each word that is frequent enough.

    What is held in memory grows with the number of different words, not with the texts.

    Args:
        texts: read anew for each epoch.
        counts: of the same texts.
        dims: of the vectors.
        min_count: how often a word is to be there.
        epochs: how often all texts are gone through.
        seed: the same seed and texts give the same vectors on one machine.
        advance: called with how many texts more were read.

    Raises:
        InputError: fewer than two words are frequent enough; the texts are not those counted.
        MissingExtraError: gensim is not installed.
    """
    make = _gensim()
    kept = {
        word: count
        for word, count in sorted(counts.words.items(), key=lambda item: (-item[1], item[0]))
        if count >= min_count
    }
    if len(kept) < 2:  # one word alone has nothing to be told from
        most = max(counts.words.values(), default=0)
        raise InputError(
            f"expected two words or more that occur {min_count:,} times, got {len(kept)} among "
            f"{len(counts.words):,} different words, of which the most frequent occurs {most:,} "
            f"times; give more text, or a smaller --min-count"
        )
    network = make(
        vector_size=dims,
        window=_WINDOW,
        negative=_DRAWN,
        sample=_COMMON,
        sg=1,
        min_count=1,
        seed=seed,
        workers=1,
    )
    network.build_vocab_from_freq(kept)
    passes = _Passes(texts, counts.n_words, advance)
    network.train(passes, total_words=counts.n_words, epochs=epochs)
    if passes.error is not None:
        raise passes.error
    rows = [network.wv.key_to_index[word] for word in kept]
    return WordVectors(list(kept), list(kept.values()), network.wv.vectors[rows])


class _Passes:
    """Texts as gensim reads them, once in each epoch: lists of words, none too long for it.

    It reads in a thread, and would wait forever for one that an exception ended: what goes wrong
    is kept instead, and nothing more is given.
    """

    def __init__(self, texts: Iterable[str], n_words: int, advance: Callable[[int], None]) -> None:
        self._texts, self._n_words, self._advance = texts, n_words, advance
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[list[str]]:
        if self.error is None:
            try:
                yield from self._pieces()
            except Exception as error:
                self.error = error

    def _pieces(self) -> Iterator[list[str]]:
        n_words = 0
        for text in self._texts:
            words = words_of(text)
            n_words += len(words)
            for start in range(0, len(words), _MOST_WORDS):
                yield words[start : start + _MOST_WORDS]
            self._advance(1)
        if n_words != self._n_words:
            raise InputError(
                f"the texts were changed while they were read: {self._n_words:,} words at first, "
                f"then {n_words:,}"
            )


@cache
def _pattern() -> re.Pattern[str]:
    """A word; `re` knows letters and digits, and no marks, without which Hindi is in pieces."""
    every = map(chr, range(sys.maxunicode + 1))
    marks = "".join(sign for sign in every if unicodedata.category(sign)[0] == "M")
    return re.compile(rf"[^\W_](?:[^\W_]|[{marks}{_JOINERS}])*")


def _gensim() -> Any:
    try:
        from gensim.models.word2vec import Word2Vec
    except ImportError as error:
        if sys.version_info >= (3, 14):
            raise InputError(
                "learning words needs the package 'gensim', which there is for Python 3.11 to "
                "3.13 and not yet for later ones; use one of these"
            ) from error
        raise MissingExtraError("gensim", "words", "learning words") from error
    return Word2Vec
