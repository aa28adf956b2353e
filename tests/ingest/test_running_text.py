"""Files of text as a corpus is read from them: whole, in pieces of a bounded length."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meta4.errors import InputError
from meta4.ingest.files import text_files
from meta4.ingest.files.text_files import read_running_text

MOST = 8
FIXTURES = [HealthCheck.function_scoped_fixture]


@pytest.fixture
def short_pieces(monkeypatch):
    monkeypatch.setattr(text_files, "_PIECE", MOST)


@settings(suppress_health_check=FIXTURES)
@given(text=st.text(st.sampled_from("ab é中  \n")), mark=st.booleans())
def test_nothing_is_lost_and_no_word_is_cut(text, mark, tmp_path, short_pieces):
    file = tmp_path / "x.txt"
    file.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
    pieces = list(read_running_text(file))
    assert "".join(pieces) == text
    for before, after in pairwise(pieces):
        assert len(before) < 2 * MOST
        assert before.endswith(("\n", " ")) or " " not in before
        assert after


def test_where_a_text_is_none_is_said(tmp_path, short_pieces):
    file = tmp_path / "x.txt"
    file.write_bytes(b"one\ntwo\n" + b"\xff\n")
    with pytest.raises(InputError, match=r"cannot be read as text, in line \d or soon after"):
        list(read_running_text(file))
