"""Turning clients' exceptions into ours, and digging the server's own reason out of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opensearchpy import exceptions as client

from ...errors import EngineError, NotFoundError, RefusedError, UnreachableError


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Run calls of the client, raising only meta4's errors.

    Raises:
        UnreachableError: no connection or no answer in time.
        NotFoundError: 404.
        RefusedError: any other status that says no (4xx).
        EngineError: the server failed (5xx).
    """
    try:
        yield
    except client.ConnectionError as error:
        reason = "no answer in time" if error.status_code == "TIMEOUT" else "no connection"
        raise UnreachableError(
            f"{url}: {reason}; is the server up? Start one here with: meta4 node start"
        ) from error
    except client.NotFoundError as error:
        raise NotFoundError(f"{url}: {root_cause(error.info)}") from error
    except client.TransportError as error:
        reason = root_cause(error.info)
        status = error.status_code if isinstance(error.status_code, int) else 500
        hint = _hint(reason)
        kind = RefusedError if 400 <= status < 500 else EngineError
        raise kind(f"{url} answered {status}: {reason}{hint}") from error


def root_cause(info: Any) -> str:
    """The innermost reason of an error's body, or of one item of a bulk answer."""
    if not isinstance(info, dict):
        return str(info) or "no reason given"
    error = info.get("error", info)
    if not isinstance(error, dict):
        return str(error)
    failed = error.get("failed_shards")
    if failed:
        return root_cause(failed[0].get("reason", {}))
    inner = error
    while isinstance(inner.get("caused_by"), dict):
        inner = inner["caused_by"]
    return str(inner.get("reason") or inner.get("type") or error)


def is_read_only(reason: str) -> bool:
    """Whether a refusal is a block on writes, which no waiting lifts."""
    return "read-only" in reason or "read_only" in reason


def _hint(reason: str) -> str:
    if is_read_only(reason):
        return (
            " (the cluster or index takes no writes, often because a disk is nearly full; "
            "free some space or lift the block, then run the command again)"
        )
    if "knn_vector" in reason and "No handler" in reason:
        return " (the k-NN plugin is missing; install opensearch-knn on every node)"
    return ""
