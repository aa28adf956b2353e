"""Long texts in pieces that an encoder reads whole."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ...errors import InputError
from .tokens import Place, Tokens


class Chunker:
    """Cuts texts into chunks that overlap, between words.

    A chunk is a piece of the text itself, so that its embedding is that of what it says. Only a
    word that is longer than a chunk is cut within, at a sign if there is one; where there is none,
    what is left of it may be a token more by itself than it was in the word.

    Args:
        tokens: of the encoder.
        most: tokens of a chunk, first and last mark included.
        overlap: tokens that a chunk has of the one before it, at most; words are whole here, too.

    Raises:
        InputError: more than the encoder reads of a text, or an overlap that is no less.
    """

    def __init__(self, tokens: Tokens, most: int, overlap: int) -> None:
        self._tokens, self._length, self._overlap = tokens, most - tokens.n_marks, overlap
        if not tokens.n_marks < most <= tokens.most:
            raise InputError(
                f"--chunk: expected {tokens.n_marks + 1} to {tokens.most} tokens, which is what "
                f"the encoder reads of a text, got {most}"
            )
        if overlap >= self._length:
            raise InputError(
                f"--overlap: expected fewer than the {self._length} tokens of a chunk (without "
                f"its marks), got {overlap}"
            )

    def cut(self, text: str) -> list[str]:
        """The chunks of a text, one at least."""
        places = self._tokens.places(text)
        words = self._words(text, places)
        spans = list(spans_of(len(places), words, self._length, self._overlap))
        if len(spans) < 2:
            return [text]
        return [text[places[a].start : places[b - 1].end].strip() for a, b in spans]

    def _words(self, text: str, places: Sequence[Place]) -> list[int]:
        """The tokens before which a text may be cut.

        They are those behind a space; and in a word too long for a chunk all that begin a part of
        it, as an address has some.
        """
        n = len(places)
        begun = [i for i in range(n) if i == 0 or _begins_word(text, places[i].start)]
        words = []
        for first, behind in pairwise([*begun, n]):
            words.append(first)
            if behind - first > self._length:
                inner = range(first + 1, behind)
                words += [i for i in inner if places[i].part != places[i - 1].part]
        return words


def spans_of(n: int, words: Sequence[int], length: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Where n tokens are cut, as spans of tokens that cover them all.

    Args:
        n: tokens.
        words: those before which may be cut, ascending; the first of all is one.
        length: most tokens of a span, 1 or more.
        overlap: most tokens that a span shares with the one before; fewer than `length`.

    Yields:
        (first, behind the last), each span ending behind the one before.
    """
    first = end = 0
    while end < n:
        # Where the overlap leaves no room for the next word, there is none; and where that has no
        # room in a whole span, it is cut.
        for start in (first, end):
            behind = start + length
            cut = n if behind >= n else words[bisect_right(words, behind) - 1]
            if cut > end:
                break
        else:
            cut = behind
        yield start, cut
        end = cut
        following = bisect_left(words, max(end - overlap, start + 1))
        first = min(words[following], end) if following < len(words) else end


def _begins_word(text: str, start: int) -> bool:
    """Whether a token that starts there is behind a space, or has one as its first letter."""
    return any(letter.isspace() for letter in text[max(start - 1, 0) : start + 1])
