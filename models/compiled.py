"""Loops that are compiled to machine code, where a request would take ninety steps of NumPy.

Each of these costs it microseconds by itself, and more after the wait for a server, when nothing of
it is in the processor's caches any more. Compiled code is kept beside the module that it stands in,
or in the user's cache, and is made anew where that module changes: for which reason it takes
nothing from other modules of ours.
"""

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])
#: A disk that is full or not ours, or a file that was cut off.
_FAULTS = (OSError, EOFError, pickle.UnpicklingError)


def compiled(function: F) -> F:
    """The same, compiled when it is first called; other threads go on while it runs.

    Where it cannot be kept it is compiled for this process alone.
    """
    try:
        made: Any = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder can be written to
        made = numba.njit(nogil=True)(function)
    else:
        made._cache = _Forgiving(made._cache)
    fast: F = made
    return fast


class _Forgiving:
    """Numba's cache of a function, which raises nothing where it fails."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """What was kept for a signature; None where there is nothing."""
        try:
            return self._cache.load_overload(signature, context)
        except _FAULTS:
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep it, if that can be."""
        try:
            self._cache.save_overload(signature, data)
        except _FAULTS:
            return
