"""What the gateway tells of itself: figures for Prometheus, and a line of JSON for each request.

Nothing of what is asked for or who asks is among it: neither vectors nor documents, credentials,
addresses or query strings.
"""

import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ...errors import Meta4Error
from ..search.planned import PlannedClause
from .request import Message, Request

Send = Callable[[Message], Awaitable[None]]
log = logging.getLogger("meta4.serve")
#: Seconds: what a request costs where nothing waits, to where nobody waits any more.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60)
#: nginx's for a client that closed before its answer.
_GONE = 499
_DOCUMENTS = tuple(10.0**power for power in range(1, 9))
_RECALLS = (0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


def failure(request: str) -> str:
    """What is being raised, as a line of the log.

    Args:
        request: its id.
    """
    return orjson.dumps({"id": request, "failure": traceback.format_exc()}).decode()


class Seen:
    """One request as it is told of.

    Attributes:
        id: that the answer has too, as `x-meta4-request`.
        status: of the answer; 0 before there is one.
    """

    def __init__(self) -> None:
        self.id = uuid4().hex[:16]
        self.status = 0

    def sending(self, send: Send) -> Send:
        """The same, with the id in the head of the answer."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                own = (b"x-meta4-request", self.id.encode())
                message = {**message, "headers": [*message["headers"], own]}
            await send(message)

        return told

    def gone(self) -> None:
        """Whoever asked did not wait."""
        self.status = _GONE


class Watch:
    """Figures of one gateway."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "meta4_requests", "Requests answered.", ["kind", "status"], registry=registry
        )
        self._seconds = Histogram(
            "meta4_request_seconds", "From a request's head to its answer's end.", ["kind"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._engine = Histogram(
            "meta4_engine_seconds", "From a request sent on to the head of the engine's answer.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._refusals = Counter(
            "meta4_refusals", "Requests that the gateway said no to.", ["error"], registry=registry
        )
        self._documents = Histogram(
            "meta4_documents_looked_into", "By a clause, as far as counts tell.",
            buckets=_DOCUMENTS, registry=registry,
        )  # fmt: skip
        self._promised = Histogram(
            "meta4_recall_promised", "To a clause.", buckets=_RECALLS, registry=registry
        )
        self._widened = Counter(
            "meta4_widened", "Clauses that looked again, farther.", registry=registry
        )
        self._under_way = Gauge("meta4_requests_under_way", "Not yet answered.", registry=registry)

    @contextmanager
    def request(self, request: Request) -> Iterator[Seen]:
        """Tell of a request as long as it lasts."""
        seen, begun, kind = Seen(), time.perf_counter(), request.endpoint.kind.value
        self._under_way.inc()
        try:
            yield seen
        finally:
            took = time.perf_counter() - begun
            self._under_way.dec()
            self._requests.labels(kind, seen.status).inc()
            self._seconds.labels(kind).observe(took)
            if log.isEnabledFor(logging.INFO):
                told: dict[str, Any] = {
                    "id": seen.id,
                    "method": request.method,
                    "kind": kind,
                    "status": seen.status,
                    "ms": round(took * 1000, 2),
                }
                log.info(orjson.dumps(told).decode())

    def asked_engine(self, seconds: float) -> None:
        """A request was sent on, and the answer has begun."""
        self._engine.observe(seconds)

    def searched(self, clause: PlannedClause) -> None:
        """A clause was answered."""
        looked = clause.looked
        if looked.documents is not None:
            self._documents.observe(looked.documents)
        if looked.promised is not None:
            self._promised.observe(looked.promised)
        if looked.rounds > 1:
            self._widened.inc()

    def refused(self, error: Meta4Error) -> None:
        """A request got an error of ours."""
        self._refusals.labels(type(error).__name__).inc()

    def figures(self) -> bytes:
        """As Prometheus reads them."""
        found: bytes = generate_latest(self._registry)
        return found
