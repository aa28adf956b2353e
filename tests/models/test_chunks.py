"""Long texts in chunks: nothing of them is lost, and none is more than the encoder reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.encoders import write_tokenizer
from support.texts import stdlib_texts

from meta4.errors import InputError
from meta4.models.sentences.chunks import Chunker, spans_of
from meta4.models.sentences.sentence_models import load_sentence_encoder
from meta4.models.sentences.tokens import Tokens


@st.composite
def cuts(draw):
    """Tokens, the first ones of words, the length of a span and its overlap."""
    widths = draw(st.lists(st.integers(1, 9), max_size=30))
    words = [0, *np.cumsum(widths).tolist()]
    length = draw(st.integers(1, 12))
    return words[-1], words[:-1], length, draw(st.integers(0, length - 1))


@given(cuts())
def test_spans_cover_all_and_are_no_longer_than_asked(drawn):
    n, words, length, overlap = drawn
    spans = list(spans_of(*drawn))
    assert bool(spans) == bool(n)
    covered, before = set(), (0, 0)
    for first, behind in spans:
        covered |= set(range(first, behind))
        assert 0 < behind - first <= length
        assert max(before[1] - overlap, 0) <= first <= before[1] < behind
        # Whole words, but for those that are longer than a span.
        if behind not in (*words, n):
            assert first == before[1]
            assert not any(first < word <= first + length for word in words)
        if first not in words:
            assert first == before[1]
        before = (first, behind)
    assert covered == set(range(n))


@given(cuts())
def test_a_span_has_as_many_whole_words_as_it_has_room_for(drawn):
    n, words, length, _ = drawn
    for first, behind in spans_of(*drawn):
        following = min((word for word in (*words, n) if word > behind), default=None)
        assert following is None or following - first > length


@pytest.mark.parametrize(("most", "overlap"), [(256, 0), (256, 64), (32, 8), (12, 3)])
def test_real_texts_are_whole_and_read_whole(most, overlap):
    encoder = load_sentence_encoder("minilm-l6")
    chunker = Chunker(encoder.tokens, most, overlap)
    texts = ["short", *sorted(stdlib_texts(), key=len)[-20:], " pre\tformed\n\nlines  of text" * 99]
    texts.append("an/address?" * 300)
    for text in texts:
        chunks = chunker.cut(text)
        rows, n_cut = encoder.tokens.of(chunks)
        assert n_cut == 0
        assert max(map(len, rows)) <= most
        whole = encoder.tokens.places(text)
        assert sum(len(row) - 2 for row in rows) >= len(whole)
        assert all(chunk in text for chunk in chunks)
        if not overlap:  # as chunks, texts have the very tokens that they have whole
            assert sum(len(row) - 2 for row in rows) == len(whole)
            assert "".join("".join(chunks).split()) == "".join(text.split())


def test_an_encoder_reads_only_so_much(tmp_path):
    write_tokenizer(tmp_path)
    tokens = Tokens(tmp_path / "tokenizer.json", 8, "a test")
    assert Chunker(tokens, 3, 1).cut("berlin is in germany is in paris") == [
        "berlin is in",
        "in germany is",
        "is in paris",
    ]
    for short in (" ", "", " paris is\n"):
        assert Chunker(tokens, 8, 0).cut(short) == [short]
    for most, overlap, words in (
        (9, 0, "--chunk: expected 1 to 8 tokens"),
        (0, 0, "--chunk: expected 1 to 8 tokens"),
        (4, 4, "--overlap: expected fewer than the 4 tokens"),
    ):
        with pytest.raises(InputError, match=words):
            Chunker(tokens, most, overlap)
