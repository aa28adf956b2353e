"""Names of indexes as they go into a request's path: nothing else can be said with them."""

import re

from ...errors import InputError

#: What both engines refuse in a name, and what would end it in a path.
_NEVER = re.compile(r'[\s\\/?"<>|#:%]')
_OF_SEVERAL = re.compile(r"[*,]")
_MOST_BYTES = 255


def check_type(name: object) -> None:
    """Refuse what is no text.

    Raises:
        InputError: a list of names, say.
    """
    if not isinstance(name, str):
        several = isinstance(name, list | tuple | set)
        way = "; join several with commas, or give them an alias" if several else ""
        raise InputError(f"index: expected one name, got {type(name).__name__} {name!r}{way}")
    if not name.isprintable():  # halves of letters among them
        raise InputError(f"index {name!r}: expected letters that can be printed")


def names_several(name: str) -> bool:
    """Whether a name is a pattern or several, even where there is one such index only."""
    return _OF_SEVERAL.search(name) is not None


def check_index(name: str, *, pattern: bool = False) -> str:
    """The name, if it is one.

    Args:
        name: what was given.
        pattern: whether it may stand for several.

    Raises:
        InputError: it is none, or names several where one is meant.
    """
    check_type(name)
    parts = name.split(",") if pattern else [name]
    if not name or any(len(part.encode(errors="replace")) > _MOST_BYTES for part in parts):
        raise InputError(f"index {name[:40]!r}: expected a name of 1 to {_MOST_BYTES} bytes")
    if _NEVER.search(name) or name[0] in "_-+" or name in (".", "..") or not name.isprintable():
        raise InputError(
            f"index {name!r}: expected letters, digits, '-', '_' and '.', beginning with a "
            f"letter or digit"
        )
    if not pattern and names_several(name):
        raise InputError(f"index {name!r} may name several; name one of them")
    return name
