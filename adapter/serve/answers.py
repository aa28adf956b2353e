"""What the gateway itself says to whoever asked, in the engines' own formats."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from ...errors import (
    EngineError,
    InputError,
    Meta4Error,
    NotFoundError,
    PushedBackError,
    RefusedError,
    UnreachableError,
)

Json = dict[str, Any]
Headers = list[tuple[bytes, bytes]]
JSON = b"application/json"
#: Elasticsearch's clients ask for their own version's words.
COMPATIBLE = b"application/vnd.elasticsearch+json"
#: Shorter ones are not worth compressing.
_SHORT = 1400
#: Of errors for which no engine said one; the first that fits.
_STATUS: Mapping[type[Meta4Error], int] = {
    NotFoundError: 404,
    InputError: 400,
    RefusedError: 400,
    PushedBackError: 503,
    UnreachableError: 504,
}


@dataclass(frozen=True)
class Answer:
    """A whole one.

    Attributes:
        status: of HTTP.
        body: bytes.
        headers: with the type of the body.
    """

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)


def answer_of(
    value: Any, request: Mapping[bytes, bytes], query: bytes, status: int = 200
) -> Answer:
    """A value as JSON, as the request's headers would have it.

    Args:
        value: what is said.
        request: its headers, in small letters.
        query: its query string, which may ask for lines a person can read.
        status: of HTTP.
    """
    pretty = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("pretty", ["false"])[-1]
    indented = orjson.OPT_INDENT_2 if pretty in ("", "true") else 0
    body = orjson.dumps(value, option=indented | orjson.OPT_SERIALIZE_NUMPY)
    wanted = request.get(b"accept", b"")
    kind = wanted.partition(b",")[0] if wanted.startswith(COMPATIBLE) else JSON
    headers = [(b"content-type", kind)]
    if len(body) > _SHORT and b"gzip" in request.get(b"accept-encoding", b""):
        body = gzip.compress(body, 1)
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", str(len(body)).encode()))
    return Answer(status, body, headers)


def status_of(error: Meta4Error) -> int:
    """What HTTP calls it."""
    if isinstance(error, EngineError) and error.status is not None:
        return error.status
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    return 502


def error_body(error: Meta4Error) -> Json:
    """An error as an engine says it: a type by which programs know it, a reason for people."""
    return error_of(_type_of(error), str(error), status_of(error))


def error_of(kind: str, reason: str, status: int) -> Json:
    """An error in the engines' words."""
    cause = {"type": kind, "reason": reason}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


def _type_of(error: Meta4Error) -> str:
    status = status_of(error)
    if status in (401, 403):
        return "security_exception"
    if isinstance(error, NotFoundError):
        return "resource_not_found_exception"
    if isinstance(error, InputError):
        return "illegal_argument_exception"
    return "meta4_exception"
