"""Log records leave by OTLP in place of lines; needs the extra ``[otlp]``."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

Received = list[tuple[str, bytes]]

PROGRAM = """
import logging, os, sys
from opentelemetry import trace
from common.observability import bind, configure
obs = configure(service_name="orders", otlp_endpoint=ENDPOINT, otlp_logs=LOGS)
log = logging.getLogger("orders.api")
log.setLevel("DEBUG")
with bind(request_id="r-1"), trace.get_tracer("test").start_as_current_span("POST /orders") as span:
    log.info("paid %s", "o-7", extra={"amount": 12.5, "password": "hunter2", "nested": {"tags": ["a", 1, None], "token": "t"}})
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        log.exception("failed")
log.debug("a" * 9000)
print("%032x" % span.get_span_context().trace_id, file=sys.stderr)
"""


def plain(value: Any) -> Any:
    """Return a value of OTLP as one of Python."""
    match kind := value.WhichOneof("value"):
        case "array_value":
            return [plain(part) for part in value.array_value.values]
        case "kvlist_value":
            return {part.key: plain(part.value) for part in value.kvlist_value.values}
        case None:
            return None
    return getattr(value, kind)


def records(received: Received) -> list[Any]:
    """Return the log records that arrived, in order."""
    requests = [ExportLogsServiceRequest.FromString(body) for path, body in received if path == "/v1/logs"]
    scopes = [scope for request in requests for resource in request.resource_logs for scope in resource.scope_logs]
    return [record for scope in scopes for record in scope.log_records]


def run(python: Callable[..., Any], port: int, logs: bool = True, **environ: str) -> Any:
    """Run the program against the collector on *port*."""
    program = PROGRAM.replace("ENDPOINT", repr(f"http://127.0.0.1:{port}")).replace("LOGS", str(logs))
    result = python(program, OTEL_EXPORTER_OTLP_COMPRESSION="none", **environ)
    assert 0 == result.returncode, result.stderr
    return result


def test_records_arrive_redacted_with_fields_and_ids(
    collector: tuple[int, Received], python: Callable[..., Any]
) -> None:
    """What a line would hold is in the record: message, level, time, ids, fields; and no line is written."""
    port, received = collector
    result = run(python, port)

    first, failed, long = records(received)
    assert ("paid o-7", 9, "INFO") == (plain(first.body), first.severity_number, first.severity_text)
    assert {
        "logger": "orders.api",
        "request_id": "r-1",
        "amount": 12.5,
        "password": "[redacted]",
        "nested": {"tags": ["a", 1, None], "token": "[redacted]"},
    } == {attribute.key: plain(attribute.value) for attribute in first.attributes}
    assert result.stderr.splitlines()[-1] == first.trace_id.hex() == failed.trace_id.hex()
    assert first.span_id == failed.span_id
    assert 0 < first.time_unix_nano <= failed.time_unix_nano <= long.time_unix_nano
    assert ("ERROR", 17) == (failed.severity_text, failed.severity_number)
    assert "ValueError" in {plain(attribute.value) for attribute in failed.attributes}
    assert ("DEBUG", b"") == (long.severity_text, long.trace_id)
    assert plain(long.body).endswith("more]")
    assert not [body for path, body in received if b"hunter2" in body]
    assert "" == result.stdout


def test_lines_are_the_default_and_the_operator_decides(
    collector: tuple[int, Received], python: Callable[..., Any]
) -> None:
    """An endpoint alone sends no logs; ``OTEL_LOGS_EXPORTER`` goes before the argument, both ways."""
    port, received = collector

    lines = run(python, port, logs=False).stdout.splitlines()
    assert ["INFO", "ERROR", "DEBUG"] == [json.loads(line)["level"] for line in lines]
    assert 3 == len(run(python, port, OTEL_LOGS_EXPORTER="none").stdout.splitlines())
    assert 3 == len(run(python, port, OTEL_SDK_DISABLED="true").stdout.splitlines())
    assert [] == records(received)

    assert "" == run(python, port, logs=False, OTEL_LOGS_EXPORTER="otlp").stdout
    assert 3 == len(records(received))


EVENT = """
import sys
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from common.observability import configure
if FOREIGN:
    _logs.set_logger_provider(LoggerProvider(shutdown_on_exit=False))
configure(service_name="orders", otlp_endpoint=ENDPOINT, otlp_logs=True)
_logs.get_logger("library").emit(event_name="library.event", attributes={"index": 1})
"""


@pytest.mark.parametrize("foreign", [False, True])
def test_events_of_libraries_go_the_same_way(
    foreign: bool, collector: tuple[int, Received], python: Callable[..., Any]
) -> None:
    """Such as those of a cancelled transaction; a provider that is there already is kept, and has them."""
    port, received = collector
    program = EVENT.replace("ENDPOINT", repr(f"http://127.0.0.1:{port}")).replace("FOREIGN", repr(foreign))
    result = python(program, OTEL_EXPORTER_OTLP_COMPRESSION="none")

    assert (0, "", "") == (result.returncode, result.stdout, result.stderr)
    assert ([] if foreign else ["library.event"]) == [one.event_name for one in records(received)]


def test_what_the_exporter_says_of_itself_is_a_line(python: Callable[..., Any]) -> None:
    """With the collector away, the operator reads why on standard output; the records do not come back to it."""
    result = run(python, 1)

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines
    assert all(line["logger"].startswith("opentelemetry.") for line in lines)
    assert {"orders"} == {line["service.name"] for line in lines}


def test_what_is_logged_while_records_are_sent_does_not_come_back(
    collector: tuple[int, Received], python: Callable[..., Any]
) -> None:
    """Libraries below the exporter log each request at DEBUG: as lines, or every export would make the next one."""
    port, received = collector
    program = PROGRAM.replace("ENDPOINT", repr(f"http://127.0.0.1:{port}")).replace("LOGS", "True")
    result = python(
        f"{program}\nlogging.getLogger().setLevel('DEBUG')\nfor _ in range(3): log.info('x'); obs.flush()\n"
    )

    assert 0 == result.returncode, result.stderr
    assert 6 == len(records(received))
    assert result.stdout
