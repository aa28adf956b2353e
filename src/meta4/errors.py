"""Every error that meta4 raises on purpose.

    Meta4Error
    ├── InputError             what the user gave (exit code 2)
    │   ├── EmbeddingError     a vector: dims, NaN, zero, not numbers
    │   ├── ArtifactError      a model folder: missing, truncated, altered
    │   ├── ClauseError        a meta4 clause or the query around it
    │   ├── ConflictError      something exists already, and differs
    │   ├── NotFoundError      an index, model, query or document that is not there
    │   └── MissingExtraError  an optional dependency; names the install command
    └── EngineError            what the server did (exit code 1)
        ├── UnreachableError   no answer, or none in time
        ├── PushedBackError    the server is too busy, or a part of it away: ask again later
        ├── RefusedError       the server answered no (read-only, no plugin, no rights)
        └── NodeError          the embedded node did not start or stop

A message says what was expected, what came, and the way out. Subclasses also
inherit the built-in that fits, so that code which knows nothing of meta4 can catch them.
"""


class Meta4Error(Exception):
    """Root of all of them; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(Meta4Error, ValueError):
    """What the user gave cannot be used."""

    exit_code = 2


class EmbeddingError(InputError):
    """A vector that cannot be hashed or searched for."""


class ArtifactError(InputError):
    """A model folder that is missing, truncated or altered."""


class ClauseError(InputError):
    """A `meta4_similar` or `meta4_analogy` clause that cannot be rewritten."""


class ConflictError(InputError):
    """Something of that name exists already and is not the same."""


class NotFoundError(InputError, LookupError):
    """An index, model, query or document that is not there."""


class MissingExtraError(InputError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed; "
            f"install it with: pip install 'meta4[{extra}]'"
        )


class EngineError(Meta4Error, RuntimeError):
    """The server failed, or answered with an error.

    Attributes:
        status: of its answer, where that is why.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(EngineError, ConnectionError):
    """No server answered, or not in time."""


class PushedBackError(EngineError):
    """The server cannot do it now, and may a little later."""


class RefusedError(EngineError):
    """The server understood and said no."""


class NodeError(EngineError):
    """The embedded node could not be fetched, started or stopped."""
