"""A named query: read, filled and searched for."""

from collections.abc import Mapping
from typing import Any

from ...errors import InputError
from ..definitions.store import Definitions
from ..engines.calls import Calls, Steps
from .core import Body, Core


def run_named(
    calls: Calls,
    core: Core,
    reference: str,
    values: Mapping[str, Any],
    texts: Mapping[str, str] | None = None,
) -> Steps[Body]:
    """The search that a definition is with these parameters, answered.

    It is read anew each time: what is put is run at once, and who may not read it any more is told.

    Args:
        calls: what is asked of the cluster.
        core: what searches it.
        reference: `name@version`, or `name` for the newest.
        values: by parameter.
        texts: values as a command line or an address has them, read as their types say.

    Raises:
        NotFoundError: no such definition, or no index of the name in it.
        InputError: a parameter that there is not, is missing, given twice, or of another type.
    """
    definition = (yield from Definitions(calls).get(reference)).definition
    read = definition.read(texts or {})
    for name in read.keys() & values.keys():
        raise InputError(f"parameter {name!r} is given twice")
    body = definition.filled({**read, **values})
    return (yield from core.search(definition.index, body))
