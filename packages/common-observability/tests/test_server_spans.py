"""A request is one span, and one trace goes through several services."""

import asyncio
import http.client
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from common.observability.asgi import ASGIApp, Scope
from common.observability.monitoring.asgi import ServerSpanMiddleware
from common.observability.monitoring.propagation import client_span, outgoing_headers
from common.observability.testing import Canary, Spans


def answering(status: int = 200, template: str | None = "/orders/{id}") -> ASGIApp:
    """Return an application that answers *status* from the route *template*."""

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        if template is not None:
            scope["path_template"] = template
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


def ask(app: ASGIApp, **scope: Any) -> None:
    """Send one request to *app*."""

    async def send(message: Any) -> None:
        assert message

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def serve() -> None:
        base = {"type": "http", "method": "POST", "path": "/orders/1", "headers": [], "server": ("127.0.0.1", 80)}
        await app({**base, **scope}, receive, send)

    asyncio.run(serve())


def test_a_request_is_a_server_span_named_by_its_route(spans: Spans, canary: Canary) -> None:
    """Name, kind and attributes are those of the semantic conventions; path and query are left out."""
    ask(ServerSpanMiddleware(answering(201)), path=f"/orders/{canary}", query_string=str(canary).encode())

    span = spans.one("POST /orders/{id}")
    assert SpanKind.SERVER is span.kind
    assert StatusCode.UNSET is span.status.status_code
    expected = {
        "http.request.method": "POST",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": 80,
        "http.response.status_code": 201,
        "http.route": "/orders/{id}",
    }
    assert expected == dict(span.attributes or {})
    canary.assert_absent(spans.text())


@pytest.mark.parametrize(("method", "name"), [("GET", "GET"), ("BREW", "HTTP")])
def test_a_request_without_route_is_named_by_its_method(method: str, name: str, spans: Spans) -> None:
    """An unknown method is ``HTTP``, so that names stay few."""
    ask(ServerSpanMiddleware(answering(404, None)), method=method)

    assert [name] == [span.name for span in spans.all()]


def test_a_server_error_marks_the_span(spans: Spans) -> None:
    """From 500 on the span has failed; 404 is the client's business."""
    ask(ServerSpanMiddleware(answering(503)))
    ask(ServerSpanMiddleware(answering(404)))

    failed, fine = spans.all()
    assert (StatusCode.ERROR, "503") == (failed.status.status_code, (failed.attributes or {})["error.type"])
    assert StatusCode.UNSET is fine.status.status_code


def test_an_exception_marks_the_span_by_its_class_alone(spans: Spans, canary: Canary) -> None:
    """Neither event nor status text has the exception's own text, and it goes on to the server."""

    async def failing(scope: Scope, receive: Any, send: Any) -> None:
        raise ZeroDivisionError(canary.value)

    with pytest.raises(ZeroDivisionError):
        ask(ServerSpanMiddleware(failing))

    (span,) = spans.all()
    assert "ZeroDivisionError" == (span.attributes or {})["error.type"]
    assert not span.events
    canary.assert_absent(spans.text())


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/info", "/health", "/health/own", "/root/livez"])
def test_probes_make_no_span(path: str, spans: Spans) -> None:
    """Paths of health are left out, also below a root path."""
    ask(ServerSpanMiddleware(answering()), path=path, root_path="/root")

    assert () == spans.all()


def test_other_paths_that_only_look_alike_make_spans(spans: Spans) -> None:
    """Patterns are for whole paths, and a service may give its own."""
    ask(ServerSpanMiddleware(answering()), path="/healthy")
    ask(ServerSpanMiddleware(answering(), excluded=["/static/.*"]), path="/livez")
    ask(ServerSpanMiddleware(answering(), excluded=["/static/.*"]), path="/static/a.css")
    ask(ServerSpanMiddleware(answering(), excluded=[]), path="/static/a.css")

    assert 3 == len(spans.all())


def test_nothing_stays_current_after_a_request(spans: Spans) -> None:
    """The span is current inside the application, and no longer afterwards."""
    inside: list[int] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        inside.append(trace.get_current_span().get_span_context().span_id)

    async def serve() -> int:
        await ServerSpanMiddleware(app)({"type": "http", "method": "GET", "path": "/"}, *unused())
        return trace.get_current_span().get_span_context().span_id

    after = asyncio.run(serve())

    assert [spans.one("GET").context.span_id] == inside
    assert 0 == after


def parent_id(span: ReadableSpan) -> int | None:
    """Return the id of the span above."""
    return span.parent.span_id if span.parent else None


def unused() -> tuple[Any, Any]:
    """Return a ``receive`` and a ``send`` that nobody calls."""

    async def never(*_: Any) -> Any:
        raise AssertionError

    return never, never


def test_one_trace_goes_through_two_services_over_real_sockets(
    spans: Spans, serve: Callable[..., int], fetch: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """The callee's server span lies below the caller's client span, which lies below the caller's server span."""
    ledger = serve(ServerSpanMiddleware(answering(200, "/entries")), lifespan="off")

    async def shop(scope: Scope, receive: Any, send: Any) -> None:
        scope["path_template"] = "/orders"
        await asyncio.to_thread(call_ledger)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def call_ledger() -> None:
        with client_span("POST", server="ledger", headers={"x-own": "1"}) as headers:
            assert "1" == headers["x-own"]
            connection = http.client.HTTPConnection("127.0.0.1", ledger, timeout=30)
            connection.request("POST", "/entries", headers=headers)
            connection.getresponse().read()
            connection.close()

    port = serve(ServerSpanMiddleware(shop), lifespan="off")
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    fetch(port, "/orders", "POST", {"traceparent": traceparent})

    eventually(lambda: len(spans.all()) == 3)
    outer, client, inner = spans.one("POST /orders"), spans.one("POST"), spans.one("POST /entries")
    assert 0xB7AD6B7169203331 == parent_id(outer)
    assert {0x0AF7651916CD43DD8448EB211C80319C} == {span.context.trace_id for span in (outer, client, inner)}
    assert outer.context.span_id == parent_id(client)
    assert client.context.span_id == parent_id(inner)
    assert (SpanKind.CLIENT, "ledger") == (client.kind, (client.attributes or {})["server.address"])


def test_a_failing_call_marks_its_client_span(spans: Spans, canary: Canary) -> None:
    """By the class of the error, never by its text; the error goes on."""
    with pytest.raises(ConnectionError), client_span("GET", server="ledger"):
        raise ConnectionError(canary.value)

    span = spans.one("GET")
    assert StatusCode.ERROR is span.status.status_code
    assert "ConnectionError" == (span.attributes or {})["error.type"]
    canary.assert_absent(spans.text())


def test_headers_outside_of_a_span_are_left_alone() -> None:
    """Without a trace there is nothing to carry, and the caller's mapping is not changed."""
    given = {"accept": "*/*"}

    assert {"accept": "*/*"} == outgoing_headers(given)
    assert {"accept": "*/*"} == given
    assert {} == outgoing_headers()
