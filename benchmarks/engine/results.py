"""What was measured, part by part, in `benchmarks/results/ENGINE.json`."""

from collections.abc import Mapping

from meta4.adapter.cli.common import notes
from meta4.errors import InputError

from .. import report
from .collection import Body

#: By part: what it measured, and at which commit.
Parts = dict[str, Body]


def kept(name: str, documents: int) -> Parts:
    """What runs before have measured with as many documents.

    Args:
        name: of the engine.
        documents: how many are measured now.
    """
    try:
        _, details = report.read_results(name)
    except FileNotFoundError:
        return {}
    if details["documents"] == documents:
        parts: Parts = details["parts"]
        return parts
    notes.print(
        f"results/{name}.json is of {details['documents']:,} documents: its figures are not kept"
    )
    return {}


def with_part(parts: Mapping[str, Body], name: str, found: Body) -> Parts:
    """With what a part has measured now in the place of what it had."""
    return {**parts, name: {"commit": report.commit(), "found": found}}


def found_in(details: Body, part: str, name: str) -> Body:
    """What a part has measured.

    Raises:
        InputError: it has not been run.
    """
    try:
        found: Body = details["parts"][part]["found"]
    except KeyError:
        raise InputError(
            f"results/{name}.json has nothing of {part!r}; run: "
            f"python -m benchmarks.engine {name} --only {part}"
        ) from None
    return found
