"""Servers' answers that say no, as errors of ours: their own reason dug out."""

from typing import Any

from ...errors import EngineError, NotFoundError, RefusedError, UnreachableError


def unreachable(url: str, *, timed_out: bool) -> UnreachableError:
    """No connection, or no answer in time."""
    reason = "no answer in time" if timed_out else "no connection"
    return UnreachableError(
        f"{url}: {reason}; is the server up? Start one here with: meta4 node start"
    )


def foreign(url: str) -> RefusedError:
    """What answers is no search engine that we know."""
    return RefusedError(
        f"{url} is neither OpenSearch nor Elasticsearch; name a server with --url or META4_URL"
    )


def refusal(url: str, status: int, info: Any) -> EngineError | NotFoundError:
    """The error for an answer with a status of 400 or above, and its body.

    `NotFoundError` for 404, `RefusedError` for any other 4xx, `EngineError` where the server
    failed.
    """
    reason = root_cause(info)
    if status == 404:
        return NotFoundError(f"{url}: {reason}")
    kind = RefusedError if 400 <= status < 500 else EngineError
    return kind(f"{url} answered {status}: {reason}{_hint(reason)}")


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
    if "script_lang not supported" in reason:
        return " (this server runs no scripts: use strategy native, and 3cosadd for analogies)"
    return ""


def redacted(url: str) -> str:
    """The URL without its user and password."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
