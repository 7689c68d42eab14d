"""Requests do not depend on who collects: a collector may be away, hang, refuse, cut off or talk nonsense."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

Behave = Callable[[socket.socket], None]

PROGRAM = """
import asyncio, http.client, json, logging, sys, threading, time
import uvicorn
from opentelemetry import metrics, trace
from common.observability import LoggingMiddleware, ServerSpanMiddleware, configure, observe

log = logging.getLogger("app")
orders = metrics.get_meter("app").create_counter("orders")

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    with observe("app.work", low={"kind": scope["path"]}):
        log.info("working")
        orders.add(1)
    if scope["path"] == "/broken":
        raise ZeroDivisionError
    status = 404 if scope["path"] == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

obs = configure(service_name="orders", otlp_endpoint=ENDPOINT, otlp_logs=True, flush_within=0.2)
config = uvicorn.Config(
    ServerSpanMiddleware(LoggingMiddleware(app)), host="127.0.0.1", port=0, log_config=None, lifespan="off"
)
server = uvicorn.Server(config)
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.005)
connection = http.client.HTTPConnection(*server.servers[0].sockets[0].getsockname(), timeout=30)
answers = []
for number in range(60):
    path = ("/orders", "/missing", "/broken")[number % 3]
    connection.request("GET", path, headers={"x-request-id": f"r-{number}"})
    response = connection.getresponse()
    # For a broken application the server itself answers, outside of what sets the id.
    request_id = [] if response.status == 500 else [response.getheader("x-request-id")]
    answers.append([response.status, response.read().decode(), *request_id])
    if number == 30:
        # While exporters are at work.
        threading.Thread(target=obs.flush, args=(0.1,), daemon=True).start()
server.should_exit = True
thread.join()
print(json.dumps(answers), file=sys.stderr)
"""


def hang(connection: socket.socket) -> None:
    """Take the request and never answer."""
    while connection.recv(65_536):
        continue


def cut_off(connection: socket.socket) -> None:
    """Close in the middle of the request."""
    connection.recv(16)


def refuse(connection: socket.socket) -> None:
    """Answer that it is out of order, for good."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def babble(connection: socket.socket) -> None:
    """Answer what is not HTTP."""
    connection.recv(65_536)
    connection.sendall(b"\x00\xffnonsense\r\n\r\n")


@contextmanager
def collecting(behave: Behave) -> Iterator[tuple[int, list[socket.socket]]]:
    """Listen on a free port and treat every connection in that way; yield the port and the connections."""
    open_ones: list[socket.socket] = []

    def treat(connection: socket.socket) -> None:
        try:
            with connection:
                behave(connection)
        except OSError:
            # The program has ended.
            return

    def accept(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            open_ones.append(connection)
            threading.Thread(target=treat, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1], open_ones
        for connection in open_ones:
            connection.close()
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def expected() -> list[list[Any]]:
    """What 60 requests are answered."""
    rounds = range(0, 60, 3)
    broken = [500, "Internal Server Error"]
    return [answer for at in rounds for answer in ([200, "ok", f"r-{at}"], [404, "ok", f"r-{at + 1}"], broken)]


def test_the_answers_are_those_without_telemetry(expected: list[list[Any]], python: Callable[..., Any]) -> None:
    """Where the operator has switched all of it off, nothing is exported and every request is answered as expected."""
    with collecting(refuse) as (port, connections):
        result = python(PROGRAM.replace("ENDPOINT", repr(f"http://127.0.0.1:{port}")), OTEL_SDK_DISABLED="true")

    assert 0 == result.returncode, result.stderr
    assert expected == json.loads(result.stderr.splitlines()[-1])
    assert [] == connections


@pytest.mark.thorough
@pytest.mark.parametrize(
    "behave", [None, hang, cut_off, refuse, babble], ids=["away", "hang", "cut off", "refuse", "babble"]
)
def test_requests_are_answered_the_same_whatever_the_collector_does(
    behave: Behave | None, expected: list[list[Any]], python: Callable[..., Any]
) -> None:
    """Status, body and id of every request; and the process ends in time, with what it could not export."""
    with ExitStack() as stack:
        port, connections = (1, None) if behave is None else stack.enter_context(collecting(behave))
        result = python(PROGRAM.replace("ENDPOINT", repr(f"http://127.0.0.1:{port}")))

    assert 0 == result.returncode, result.stderr
    assert expected == json.loads(result.stderr.splitlines()[-1])
    assert connections != [], "Nothing was exported, so nothing was tried."


def test_an_exporter_that_raises_changes_no_answer(expected: list[list[Any]], python: Callable[..., Any]) -> None:
    """Neither one for spans, nor one for metrics, nor a handler's own sink."""
    broken = """
import io
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter

class Spans(SpanExporter):
    def export(self, spans):
        raise RuntimeError("down")

class Metrics(MetricExporter):
    def export(self, metrics_data, timeout_millis=0, **_):
        raise RuntimeError("down")

    def force_flush(self, timeout_millis=0):
        raise RuntimeError("down")

    def shutdown(self, timeout_millis=0, **_):
        raise RuntimeError("down")

class Sink(io.BytesIO):
    def write(self, _):
        raise OSError("disk full")

"""
    program = broken + PROGRAM.replace(
        "otlp_endpoint=ENDPOINT, otlp_logs=True",
        "span_processors=[SimpleSpanProcessor(Spans()), BatchSpanProcessor(Spans())], "
        "metric_readers=[PeriodicExportingMetricReader(Metrics(), export_interval_millis=5)], log_stream=Sink()",
    )
    result = python(program)

    assert 0 == result.returncode, result.stderr
    assert expected == json.loads(result.stderr.splitlines()[-1])
