"""Loops that are compiled to machine code, where a request would take ninety steps of NumPy.

Each of these costs it microseconds by itself, and more after the wait for a server, when nothing of
it is in the processor's caches any more. Compiled code is kept beside the module that it stands in,
or in the user's cache, and is made anew where that module changes: for which reason it calls
compiled code of its own module alone.
"""

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.caching import NullCache

F = TypeVar("F", bound=Callable[..., Any])
_MADE: list[Any] = []


def compiled(function: F) -> F:
    """The same, compiled when it is first called; other threads go on while it runs."""
    try:
        made: F = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder can be written to: it is compiled for this process
        made = numba.njit(nogil=True)(function)
    _MADE.append(made)
    return made


def rehearsed(work: Callable[[], Any]) -> None:
    """Do some work, so that all that it takes is compiled.

    Where what was compiled cannot be kept, or what was kept cannot be read (a disk that is full, a
    file that was cut off), it is compiled for this process alone.
    """
    try:
        work()
    except (OSError, EOFError, pickle.UnpicklingError):
        for function in _MADE:
            function._cache = NullCache()
        work()
