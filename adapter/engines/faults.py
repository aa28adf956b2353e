"""Servers' answers that say no, as errors of ours: their own reason dug out."""

from typing import Any

from ...errors import EngineError, NotFoundError, PushedBackError, RefusedError, UnreachableError

#: Too many requests, or a node, its primary or a proxy's server away.
_PUSHED_BACK = frozenset({429, 502, 503, 504})
#: Said with 404 where a node ended, and is back, between a search's two phases.
#: Types of what is no fault of a shard that is away.
_REFUSED = frozenset({"security_exception", "illegal_argument_exception", "index_closed_exception"})
_LOST_BETWEEN_PHASES = "No search context found"


def unreachable(url: str, *, timed_out: bool) -> UnreachableError:
    """No connection, or no answer in time."""
    reason = "no answer in time" if timed_out else "no connection"
    return UnreachableError(
        f"{url}: {reason}; is the server up? Start one here with: meta4 node start"
    )


def cut_off(url: str) -> UnreachableError:
    """An answer that ends before its end, or has none at all."""
    return UnreachableError(f"{url}: the answer was cut off; is the server up?")


def whole(answer: Any, url: str) -> Any:
    """The answer, if it is one."""
    if answer is None or answer == "":
        raise cut_off(url)
    return answer


def untrusted(url: str, error: Exception) -> UnreachableError:
    """The server's certificate, or ours, was not accepted."""
    reason = str(error).rpartition("SSLError")[2].strip("(): ")[:200] or "TLS failed"
    return UnreachableError(
        f"{url}: {reason}; name the certificates that it is signed with in META4_CA_FILE, and "
        f"ours, if it asks for one, in META4_CLIENT_CERT"
    )


def foreign(url: str) -> RefusedError:
    """What answers is no search engine that we know."""
    return RefusedError(
        f"{url} is neither OpenSearch nor Elasticsearch; name a server with --url or META4_URL"
    )


def refusal(url: str, status: int, info: Any) -> EngineError | NotFoundError:
    """The error for an answer with a status of 400 or above, and its body.

    `NotFoundError` for 404, `PushedBackError` where waiting helps, `RefusedError` for any other
    4xx, `EngineError` where the server failed.
    """
    reason = root_cause(info)
    if status == 404 and not may_pass(status, reason):
        return NotFoundError(f"{url}: {reason}")
    message = f"{url} answered {status}: {reason}{_hint(reason)}"
    if may_pass(status, reason):
        return PushedBackError(message, status)
    return RefusedError(message, status) if status < 500 else EngineError(message, status)


def part_refused(url: str, answer: Any) -> EngineError | NotFoundError:
    """The error for a part of an answer that is one by itself: the server sent no status for it."""
    reason = root_cause(answer)
    kind = answer["error"].get("type") if isinstance(answer["error"], dict) else None
    if kind == "index_not_found_exception":
        return NotFoundError(f"{url}: {reason}")
    if kind in _REFUSED:
        return RefusedError(f"{url} refused: {reason}")
    return PushedBackError(f"{url} failed: {reason}")


def may_pass(status: int, reason: str) -> bool:
    """Whether the same may be taken later: a full disk answers 429 too, and stays full."""
    passing = status in _PUSHED_BACK or _LOST_BETWEEN_PHASES in reason
    return passing and not is_read_only(reason)


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


def hosts_of(url: str) -> list[str]:
    """The nodes that a URL names: one, or several with commas between.

    Each node that does not answer is left for the next, twice around.
    """
    return [host.strip() for host in url.split(",") if host.strip()]


def redacted(url: str) -> str:
    """The URL, or several, without users and passwords."""
    return ",".join(_redacted(host) for host in hosts_of(url))


def _redacted(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
