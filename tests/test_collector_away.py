"""A service with the whole family answers the same whatever becomes of its telemetry: its calls of the data layer too."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import http.client, io, json, sys, threading, time
import uvicorn
from common.dynamo import Database
from common.dynamo.exceptions import AlreadyExists
from common.dynamo.testing.examples import NOTE, Note
from common.observability import LoggingMiddleware, ServerSpanMiddleware, configure

SETUP
db = Database.embedded(entity_types=[NOTE])
notes = db.dao(NOTE)

def act(path):
    if path == "/read":
        return 200, str(notes.get("1"))
    if path == "/create":
        return 201, str(notes.create(Note(id="1", text="x"), deadline=5))
    try:
        with db.transaction() as tx:
            tx.create(notes, Note(id="2", text="x"))
            tx.create(notes, Note(id="1", text="x"))
    except AlreadyExists as error:
        return error.status, str([(failure.position, failure.code) for failure in error.failures])

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    try:
        status, body = act(scope["path"])
    except AlreadyExists as error:
        status, body = error.status, str(error.stored)
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})

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
for number in range(40):
    connection.request("GET", ("/read", "/create", "/transfer", "/create")[number % 4])
    response = connection.getresponse()
    answers.append([response.status, response.read().decode()])
server.should_exit = True
thread.join()
db.close()
print(json.dumps(answers), file=sys.stderr)
"""

EXPORTED = 'configure(service_name="orders", otlp_endpoint=ENDPOINT, otlp_logs=True, flush_within=0.2)'
RAISING = """
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter

def down(*_, **__):
    raise RuntimeError("down")

class Spans(SpanExporter):
    export = down

class Metrics(MetricExporter):
    export = shutdown = force_flush = down

class Events:
    export = down
    shutdown = force_flush = lambda *_, **__: None

class Sink(io.BytesIO):
    write = down

provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(Events()))
_logs.set_logger_provider(provider)
configure(
    service_name="orders",
    span_processors=[SimpleSpanProcessor(Spans()), BatchSpanProcessor(Spans())],
    metric_readers=[PeriodicExportingMetricReader(Metrics(), export_interval_millis=5)],
    log_stream=Sink(),
)
"""


def answers(folder: Path, setup: str, **environ: str) -> list[list[Any]]:
    """Return status and body of forty requests to a service in a process of its own."""
    program = folder / "service.py"
    program.write_text(PROGRAM.replace("SETUP", setup))
    result = subprocess.run(
        [sys.executable, str(program)],
        env={"PATH": "", "PYTHONSAFEPATH": "1", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == result.returncode, result.stderr
    told: list[list[Any]] = json.loads(result.stderr.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What is answered where nothing of telemetry is set up: each status that there is."""
    found = answers(tmp_path_factory.mktemp("off"), "")
    assert {200, 201, 409} == {status for status, _ in found}
    return found


@pytest.fixture
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """A collector that takes every connection and never answers: its address, and the connections."""
    taken: list[socket.socket] = []

    def accept(listening: socket.socket) -> None:
        while True:
            try:
                taken.append(listening.accept()[0])
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", taken
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in taken:
        connection.close()


def test_a_collector_that_is_away_changes_no_answer(expected: list[list[Any]], tmp_path: Path) -> None:
    """Connections are refused."""
    assert expected == answers(tmp_path, EXPORTED.replace("ENDPOINT", repr("http://127.0.0.1:1")))


def test_a_collector_that_hangs_changes_no_answer(
    expected: list[list[Any]], silent: tuple[str, list[socket.socket]], tmp_path: Path
) -> None:
    """It takes what is sent and never answers; the end of the process does not wait for it."""
    endpoint, taken = silent

    assert expected == answers(tmp_path, EXPORTED.replace("ENDPOINT", repr(endpoint)), OTEL_BSP_SCHEDULE_DELAY="1")
    assert taken


def test_exporters_that_raise_change_no_answer(expected: list[list[Any]], tmp_path: Path) -> None:
    """Of spans, metrics and events, and the sink of lines."""
    assert expected == answers(tmp_path, RAISING)
