"""Words of texts in any script, and texts that fail or change while they are learned from."""

import sys
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meta4.errors import InputError, MissingExtraError
from meta4.models import words
from meta4.models.words import count_words, learn_words, words_of

TEXTS = ["tea milk sugar", "mast sail rope"] * 20
SETTINGS = {"dims": 4, "min_count": 1, "epochs": 3, "seed": 0}


class Spoiled:
    """Texts that are others, or none, from some time on."""

    def __init__(self, fault, from_pass):
        self._fault, self._from, self._pass = fault, from_pass, 0

    def __iter__(self):
        self._pass += 1
        yield from TEXTS
        if self._pass >= self._from:
            if isinstance(self._fault, Exception):
                raise self._fault
            yield self._fault


def nothing(n):
    pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat's 2 cats—no_more!", ["the", "cat", "s", "2", "cats", "no", "more"]),
        ("Straße CAFÉ cafe\u0301 ﬁne", ["straße", "café", "café", "fine"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("क्\u200dष", ["क्\u200dष"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("\u0301 \u200c ... \ud800", []),
        ("中文 没有", ["中文", "没有"]),
    ],
)
def test_words_of_a_text(text, expected):
    assert words_of(text) == expected


@given(st.text())
def test_words_are_lower_case_and_have_no_space(text):
    for word in words_of(text):
        assert word
        assert not any(letter.isspace() for letter in word)
        assert words_of(word) == [word]


def test_a_text_of_any_length_is_read_whole(monkeypatch):
    monkeypatch.setattr(words, "_MOST_WORDS", 7)
    text = " ".join(str(i) for i in range(100))
    pieces = list(words._Passes([text, "", "a b"], 102, nothing))
    assert max(map(len, pieces)) == 7
    assert list(chain.from_iterable(pieces)) == [*text.split(), "a", "b"]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="gensim has no wheels for it")
@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (InputError("line 7: spoiled"), InputError, "line 7: spoiled"),
        (OSError("gone"), OSError, "gone"),
        ("more words", InputError, "120 words at first, then 122"),
    ],
)
@pytest.mark.parametrize("from_pass", [1, 2])
def test_a_fault_while_learning_ends_it(fault, error, message, from_pass):
    counts = count_words(TEXTS, nothing)
    with pytest.raises(error, match=message):
        learn_words(Spoiled(fault, from_pass), counts, **SETTINGS, advance=nothing)


def test_without_gensim(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models.word2vec", None)
    counts = count_words(TEXTS, nothing)
    error, message = MissingExtraError, "meta4\\[words\\]"
    if sys.version_info >= (3, 14):
        error, message = InputError, "Python 3.11 to 3.13"
    with pytest.raises(error, match=message):
        learn_words(TEXTS, counts, **SETTINGS, advance=nothing)
