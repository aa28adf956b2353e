"""Loops that are compiled to machine code, where a request would take ninety steps of NumPy.

Each of these costs it microseconds by itself, and more after the wait for a server, when nothing of
it is in the processor's caches any more. Compiled code is kept beside the module that it stands in,
or in the user's cache, and is made anew where that module changes: for which reason it takes
nothing from other modules of ours.
"""

import functools
import pickle
from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_MAKING = RLock()
#: A disk that is full or not ours, or a file that was cut off.
_FAULTS = (OSError, EOFError, pickle.UnpicklingError)


def compiled(function: F) -> F:
    """The same, compiled when it is first called; other threads go on while it runs.

    Where it cannot be kept it is compiled for this process alone.
    """
    later: Any = _Later(function)
    return later  # type: ignore[no-any-return]


class _Later:
    """A loop before it is called: Numba takes half a second and 130 MB, which few commands need."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._made: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        return self.dispatcher(*arguments)

    @property
    def dispatcher(self) -> Any:
        """Numba's own; with it those of its module, which it may call."""
        if self._made is None:
            with _MAKING:
                module = self._function.__globals__
                there = {name: one for name, one in module.items() if isinstance(one, _Later)}
                every = {*there.values(), self}
                made = {one: one._made or _dispatcher(one._function) for one in every}
                module.update({name: made[one] for name, one in there.items()})
                for one in every:  # last: who sees one made calls it, and it may call the others
                    one._made = made[one]
        return self._made


def _dispatcher(function: Callable[..., Any]) -> Any:
    import numba

    try:
        made = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder can be written to
        return numba.njit(nogil=True)(function)
    made._cache = _Forgiving(made._cache)
    return made


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
