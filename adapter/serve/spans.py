"""OpenTelemetry's spans, where its API is installed; where nobody has set it up they go nowhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from .request import Request

#: None where the API is not installed; packages beside it may be.
_TRACE: Any
try:
    _TRACE, _PROPAGATE = map(import_module, ("opentelemetry.trace", "opentelemetry.propagate"))
except ImportError:
    _TRACE = None


@contextmanager
def span(request: Request) -> Iterator[Callable[[int], None]]:
    """A request's span, which takes the status of its answer.

    It is a child of what the request's headers name, and what is sent to the engine for it is a
    child of its own.
    """
    if _TRACE is None:
        yield lambda _: None
        return
    given = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    with _TRACE.get_tracer("meta4").start_as_current_span(
        f"meta4 {request.endpoint.kind.value}",
        context=_PROPAGATE.extract(given),
        kind=_TRACE.SpanKind.SERVER,
        attributes={"http.request.method": request.method},
    ) as made:
        if made.is_recording():
            own: dict[str, str] = {}
            _PROPAGATE.inject(own)
            kept = [one for one in request.headers if one[0].decode("latin-1") not in own]
            request.headers[:] = [*kept, *((k.encode(), v.encode()) for k, v in own.items())]
        yield lambda status: made.set_attribute("http.response.status_code", status)
