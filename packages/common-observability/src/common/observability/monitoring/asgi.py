"""A span for every request that a service answers. Plain ASGI 3: no framework and no instrumentation package is needed.

Names and attributes follow the semantic conventions for HTTP server spans, v1.44.0, with one deviation on purpose:
``url.path`` and ``url.query`` are left out, since paths hold ids and names (decision 0404).
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from common.observability.asgi import PROBE_PATHS, ASGIApp, Message, Receive, Scope, Send, local_path, route_template
from common.observability.monitoring.propagation import incoming_context

__all__ = ["ServerSpanMiddleware"]

# FastAPI (0.163) and Starlette's own middleware (1.10) trace by themselves, path included; each leaves alone a request
# whose scope says so. Without this, every request would have two server spans.
_NATIVE_TELEMETRY_OFF: dict[str, object] = {"fastapi.telemetry": None, "starlette.opentelemetry": True}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})


class ServerSpanMiddleware:
    """Makes a SERVER span per request, below the caller's span where the request carries one.

    The span is called ``POST /orders/{id}`` after the route's template, or ``POST`` where no template is known. A
    status of 500 or above, or an exception, marks it as failed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        route_of: Callable[[Scope], str | None] = route_template,
        excluded: Iterable[str] = PROBE_PATHS,
        tracer_provider: trace.TracerProvider | None = None,
    ) -> None:
        """Wrap *app*.

        Args:
            app: The application inside.
            route_of: Tells the template of the route that answered, after the answer.
            excluded: Regular expressions for whole paths that make no span.
            tracer_provider: Defaults to the global one.
        """
        self._app = app
        self._route_of = route_of
        self._excluded = re.compile("|".join(f"(?:{pattern})" for pattern in excluded) or r"(?!)")
        self._tracer = trace.get_tracer("common.observability", tracer_provider=tracer_provider)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        scope.update({**_NATIVE_TELEMETRY_OFF, **scope})
        if scope["type"] != "http" or self._excluded.fullmatch(local_path(scope)):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        method = _method(scope)
        span = self._tracer.start_span(
            method, incoming_context(headers), SpanKind.SERVER, attributes=_attributes(scope, method)
        )
        token = context.attach(trace.set_span_in_context(span))
        try:
            await self._serve(scope, receive, send, span)
        finally:
            self._name(span, scope, method)
            context.detach(token)
            span.end()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    _fail(span, str(status))
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except BaseException as error:
            _fail(span, type(error).__qualname__)
            raise

    def _name(self, span: Span, scope: Scope, method: str) -> None:
        if span.is_recording() and (route := self._route_of(scope)) is not None:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)


def _method(scope: Scope) -> str:
    given = str(scope.get("method", "")).upper()
    return given if given in _METHODS else "HTTP"


def _attributes(scope: Scope, method: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "http.request.method": "_OTHER" if method == "HTTP" else method,
        "url.scheme": str(scope.get("scheme", "http")),
        "network.protocol.version": str(scope.get("http_version", "1.1")),
    }
    if server := scope.get("server"):
        attributes["server.address"] = str(server[0])
        if server[1] is not None:
            attributes["server.port"] = server[1]
    return attributes


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
