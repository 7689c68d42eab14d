"""One id and one access line per request, for any ASGI application."""

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from common.observability.asgi import ASGIApp, Scope
from common.observability.logging import LoggingMiddleware
from common.observability.testing import Canary, Logs


async def orders(scope: Scope, receive: Any, send: Any) -> None:
    """Answer 201, and log a line; leave the route as FastAPI does."""
    logging.getLogger("orders").info("placing")
    scope["path_template"] = "/orders/{id}"
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": b"ok"})


def ask(app: ASGIApp, **scope: Any) -> list[dict[str, Any]]:
    """Send one request to *app* and return what it sent."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def serve() -> None:
        await app(request, receive, send)

    request = {"type": "http", "method": "POST", "path": "/orders/o-1", "headers": [], **scope}
    asyncio.run(serve())
    return sent


def requests(logs: Logs) -> list[dict[str, Any]]:
    """Return the lines about requests; at DEBUG, asyncio has lines of its own."""
    return [line for line in logs.lines() if line["logger"] != "asyncio"]


def test_a_request_has_one_id_in_its_lines_and_its_answer(logs: Logs) -> None:
    """The lines of the application, the access line and the answer carry the same new id."""
    start, _ = ask(LoggingMiddleware(orders, new_id=lambda: "r-1"))

    assert [(b"x-own", b"1"), (b"x-request-id", b"r-1")] == start["headers"]
    assert ["r-1", "r-1"] == [line["request_id"] for line in requests(logs)]


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [(b"req-1.a:b_C", True), (b"", False), (b"a b", False), (b"x" * 129, False), (b'{"a":1}', False), (b"\xff", False)],
)
def test_a_harmless_id_of_the_caller_is_kept(given: bytes, is_kept: bool) -> None:
    """Letters, digits and ``._:-``, at most 128 of them; anything else gets a new id."""
    start, _ = ask(LoggingMiddleware(orders), headers=[(b"x-request-id", given)])

    answered = dict(start["headers"])[b"x-request-id"]
    assert is_kept == (given == answered)
    assert is_kept or re.fullmatch(rb"[0-9a-f]{32}", answered)


def test_the_answer_has_one_id_even_where_the_application_sets_its_own() -> None:
    """Ours, which is in the lines."""

    async def own(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Request-ID", b"theirs")]})

    (start,) = ask(LoggingMiddleware(own, new_id=lambda: "r-1"))

    assert [(b"x-request-id", b"r-1")] == start["headers"]


def test_the_access_line_tells_method_route_status_and_duration(logs: Logs, canary: Canary) -> None:
    """It names the template of the route, never the path."""
    clock = iter([10.0, 10.25])
    ask(LoggingMiddleware(orders, monotonic=lambda: next(clock)), path=f"/orders/{canary}", query_string=b"q=1")

    (line,) = logs.lines("common.observability.access")
    expected = {
        "level": "INFO",
        "message": "POST /orders/{id} 201",
        "http.request.method": "POST",
        "http.route": "/orders/{id}",
        "http.response.status_code": 201,
        "duration_ms": 250.0,
    }
    assert expected == {name: line[name] for name in expected}
    canary.assert_absent(logs.text())


def test_a_request_without_route_has_an_access_line_without_path(logs: Logs) -> None:
    """An unknown path is nobody's template, and stays out."""

    async def nothing(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    ask(LoggingMiddleware(nothing), path="/no/such")

    (line,) = logs.lines("common.observability.access")
    assert "POST - 404" == line["message"]
    assert "http.route" not in line


def test_a_failing_request_has_an_access_line_with_the_class_of_the_error(logs: Logs, canary: Canary) -> None:
    """Status 500, the name of the class, no text; the error goes on to the server."""

    async def failing(scope: Scope, receive: Any, send: Any) -> None:
        raise ZeroDivisionError(canary.value)

    with pytest.raises(ZeroDivisionError):
        ask(LoggingMiddleware(failing))

    (line,) = logs.lines("common.observability.access")
    assert (500, "ZeroDivisionError") == (line["http.response.status_code"], line["error.type"])
    canary.assert_absent(logs.text())


def test_access_lines_can_be_switched_off(logs: Logs) -> None:
    """The id is still bound."""
    ask(LoggingMiddleware(orders, access_log=False))

    assert ["orders"] == [line["logger"] for line in requests(logs)]


def test_a_websocket_has_an_id_and_no_access_line(logs: Logs) -> None:
    """The lines of a connection carry its id."""

    async def socket(scope: Scope, receive: Any, send: Any) -> None:
        logging.getLogger("orders").info("connected")

    ask(LoggingMiddleware(socket, new_id=lambda: "w-1"), type="websocket")

    assert [("orders", "w-1")] == [(line["logger"], line["request_id"]) for line in requests(logs)]


def test_requests_do_not_mix_on_a_real_server(logs: Logs, serve: Callable[..., int], fetch: Callable[..., Any]) -> None:
    """Each of 40 requests, one after another and at once, answers its own id."""

    async def echo(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"]:
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        await asyncio.sleep(0.01)
        await asyncio.to_thread(logging.getLogger("orders").info, scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    port = serve(LoggingMiddleware(echo))

    async def every() -> None:
        calls = (asyncio.to_thread(fetch, port, f"/r{n}", headers={"X-Request-ID": f"r{n}"}) for n in range(40))
        await asyncio.gather(*calls)

    asyncio.run(every())

    lines = logs.lines("orders")
    assert 40 == len(lines)
    assert all(line["message"] == f"/{line['request_id']}" for line in lines)
