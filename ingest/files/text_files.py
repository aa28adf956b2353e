"""Files of text, as they come: with a byte order mark or without."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ...errors import InputError

#: Letters of a line that are read at once.
_PIECE = 1 << 20
#: The longer ones first: one of UTF-32 begins as one of UTF-16 does.
_OTHERS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@contextmanager
def opened_text(path: Path) -> Iterator[BinaryIO]:
    """A file of UTF-8, behind its byte order mark if it has one.

    Raises:
        InputError: no such file, or the mark of another encoding.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    with file:
        start = file.read(len(codecs.BOM_UTF32_LE))
        for mark, encoding in _OTHERS.items():
            if start.startswith(mark):
                raise InputError(
                    f"{path}: expected UTF-8, got {encoding}; write it anew, as with: "
                    f"iconv -f {encoding} -t UTF-8"
                )
        file.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
        yield file


def read_lines(path: Path) -> list[str]:
    """A file's lines, which end as those of Unix or of Windows do.

    Raises:
        InputError: see `opened_text`; or no UTF-8.
    """
    with opened_text(path) as file:
        try:
            text = file.read().decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: cannot be read as text ({error})") from error
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_running_text(path: Path) -> Iterator[str]:
    """Stream a file's lines, very long ones in pieces that end between words.

    Raises:
        InputError: see `read_lines`.
    """
    with opened_text(path) as file, io.TextIOWrapper(file, encoding="utf-8") as text:
        number, rest = 1, ""
        try:
            while piece := text.readline(_PIECE):
                line = rest + piece
                number += line.endswith("\n")
                goes_on = len(piece) == _PIECE and not line.endswith("\n")
                whole = (line.rfind(" ") + 1 if goes_on else 0) or len(line)
                rest = line[whole:]
                yield line[:whole]
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: cannot be read as text, in line {number} or soon after ({error.reason}); "
                f"expected UTF-8"
            ) from error
        if rest:
            yield rest
