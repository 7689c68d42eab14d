"""One trace over several services: what goes into the headers of a call, and what comes out of them.

The formats are those of OpenTelemetry's global propagator, by default W3C Trace Context and Baggage (``OTEL_PROPAGATORS``
selects others).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

__all__ = ["client_span", "incoming_context", "outgoing_headers"]


def outgoing_headers(headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return *headers* and those that carry the current trace to another service; without a span, *headers* alone."""
    carrier = dict(headers or {})
    propagate.inject(carrier)
    return carrier


def incoming_context(headers: Mapping[str, str]) -> Context:
    """Return the context of the caller, from *headers* with names in lower case; an empty one where there is none."""
    return propagate.extract(headers)


@contextmanager
def client_span(
    method: str,
    *,
    server: str,
    headers: Mapping[str, str] | None = None,
    tracer_provider: trace.TracerProvider | None = None,
) -> Iterator[dict[str, str]]:
    """Measure one call of another service by a CLIENT span, and yield the headers to send.

    An exception marks the span as failed with its class name, never its text, and goes on.

    Args:
        method: The HTTP method, which names the span.
        server: Name of the service called, for ``server.address``.
        headers: Headers of the call so far.
        tracer_provider: Defaults to the global one.
    """
    tracer = trace.get_tracer("common.observability", tracer_provider=tracer_provider)
    attributes = {"http.request.method": method, "server.address": server}
    with tracer.start_as_current_span(
        method, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield outgoing_headers(headers)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise
