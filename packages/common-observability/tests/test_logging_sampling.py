"""Which lines of a request are written, and which are kept until they are needed."""

import asyncio
import gc
import io
import json
import logging
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from common.observability.logging import (
    FlightRecorder,
    JsonFormatter,
    LineHandler,
    LoggingMiddleware,
    TraceSampling,
    bind,
    configure_logging,
    debug_ring,
)

CAPACITY = 20_480


@pytest.fixture
def sink() -> io.BytesIO:
    """Where lines go."""
    return io.BytesIO()


@pytest.fixture
def handler(sink: io.BytesIO) -> LineHandler:
    """Writes INFO and above."""
    handler = LineHandler(JsonFormatter(), sink)
    handler.setLevel(logging.INFO)
    return handler


@pytest.fixture
def log(handler: LineHandler) -> logging.Logger:
    """A logger of its own, with a flight recorder before its handler."""
    logger = logging.Logger("test", logging.DEBUG)  # noqa: LOG001
    logger.addHandler(FlightRecorder(handler, capacity=CAPACITY))
    logger.addHandler(handler)
    return logger


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def messages(sink: io.BytesIO) -> list[str]:
    """Return the messages of the lines that were written."""
    return [json.loads(line)["message"] for line in sink.getvalue().splitlines()]


def test_a_sampled_trace_keeps_all_its_lines_and_an_unsampled_one_its_trouble(
    log: logging.Logger, handler: LineHandler, sink: io.BytesIO
) -> None:
    """Of 1,000 traces at a ratio of a tenth, each is told as a whole or by WARNING and above."""
    handler.addFilter(TraceSampling())
    tracer = TracerProvider(sampler=TraceIdRatioBased(0.1)).get_tracer("test")
    expected: dict[str, list[str]] = {}
    for _ in range(1_000):
        with tracer.start_as_current_span("request") as span:
            context = span.get_span_context()
            whole = ["INFO", "INFO", "WARNING", "ERROR"] if context.trace_flags.sampled else ["WARNING", "ERROR"]
            expected[f"{context.trace_id:032x}"] = whole
            log.info("begun")
            log.info("read")
            log.warning("slow")
            log.error("failed")

    written: dict[str, list[str]] = {}
    for line in map(json.loads, sink.getvalue().splitlines()):
        written.setdefault(line["trace_id"], []).append(line["level"])
    assert expected == written
    assert 50 < sum(len(levels) == 4 for levels in written.values()) < 200


def test_a_line_outside_of_any_span_is_written(log: logging.Logger, handler: LineHandler, sink: io.BytesIO) -> None:
    """There is no decision to follow."""
    handler.addFilter(TraceSampling())

    log.info("started")

    assert ["started"] == messages(sink)


def test_an_error_brings_the_debug_lines_of_its_request(log: logging.Logger, sink: io.BytesIO) -> None:
    """They come before it, oldest first, with their own time, level and fields; others' lines do not."""
    with debug_ring():
        log.debug("of another request")
    with debug_ring(), bind(request_id="r-1"):
        log.debug("asked %s", "ledger", extra={"password": "hunter2"})
        log.info("answered")
        log.debug("added up")
        log.error("does not add up")
        log.error("again")

    assert ["answered", "asked ledger", "added up", "does not add up", "again"] == messages(sink)
    line = json.loads(sink.getvalue().splitlines()[1])
    assert ("DEBUG", "r-1", "[redacted]") == (line["level"], line["request_id"], line["password"])


def test_without_an_error_the_debug_lines_are_not_written(log: logging.Logger, sink: io.BytesIO) -> None:
    """A warning is none; and outside of a request there is no ring."""
    with debug_ring():
        log.debug("fine")
        log.warning("slow")
    log.debug("outside")
    log.error("outside too")

    assert ["slow", "outside too"] == messages(sink)


def test_lines_that_sampling_leaves_out_are_kept_for_an_error(
    log: logging.Logger, handler: LineHandler, sink: io.BytesIO
) -> None:
    """The story of a failed request is whole, although its trace is not sampled."""
    handler.addFilter(TraceSampling())
    tracer = TracerProvider(sampler=TraceIdRatioBased(0.0)).get_tracer("test")
    with debug_ring(), tracer.start_as_current_span("request"):
        log.info("begun")
        log.error("failed")

    assert ["begun", "failed"] == messages(sink)


def test_the_ring_stays_within_its_bytes(log: logging.Logger, sink: io.BytesIO) -> None:
    """After 1 MB of DEBUG lines the latest are there, 20 KB of them at most."""
    with debug_ring() as ring:
        for number in range(2_000):
            log.debug("step %d", number, extra={"filling": "x" * 400})
            assert ring.size <= CAPACITY
        log.error("failed")
        assert 0 == ring.size

    *steps, last = messages(sink)
    assert "failed" == last
    assert [f"step {number}" for number in range(2_000 - len(steps), 2_000)] == steps
    assert CAPACITY - 1_000 < len(b"\n".join(sink.getvalue().splitlines()[:-1])) <= CAPACITY


def test_a_line_larger_than_the_ring_is_not_kept(log: logging.Logger, handler: LineHandler) -> None:
    """One line never takes more than all of them may."""
    small = logging.Logger("small", logging.DEBUG)  # noqa: LOG001
    small.addHandler(FlightRecorder(handler, capacity=100))
    with debug_ring() as ring:
        small.debug("x" * 1_000)

        assert 0 == ring.size


def test_the_ring_is_freed_with_its_request(log: logging.Logger) -> None:
    """Nothing holds it afterwards; a task that outlives the request holds an empty one."""
    lasting = asyncio.Event()

    async def work() -> None:
        log.debug("in the background")
        await lasting.wait()
        log.debug("after the request")

    async def every() -> tuple[int, Any]:
        with debug_ring() as ring:
            task = asyncio.create_task(work())
            log.debug("x" * 5_000)
            await asyncio.sleep(0)
        size = ring.size
        lasting.set()
        await task
        assert 0 == ring.size
        return size, weakref.ref(ring)

    size, ring = asyncio.run(every())
    gc.collect()

    assert 0 == size
    assert ring() is None


def test_an_exception_that_leaves_the_request_brings_its_lines(root: logging.Logger, sink: io.BytesIO) -> None:
    """The server logs the error outside of the middleware, when the request's fields and lines are gone."""
    configure_logging(level="INFO", stream=sink, flight_recorder=True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        logging.getLogger("app").debug("looked it up")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(LoggingMiddleware(app)({"type": "http", "method": "GET", "headers": []}, None, None))  # type: ignore[arg-type]

    written = messages(sink)
    assert {"looked it up", "GET - 500"} <= set(written)


def test_configuring_again_leaves_one_recorder_or_none(root: logging.Logger, sink: io.BytesIO) -> None:
    """A second call replaces the first, the recorder included, and levels follow."""
    for _ in range(2):
        configure_logging(level="WARNING", stream=sink, flight_recorder=4_096)
        assert [FlightRecorder, LineHandler] == [
            type(one) for one in root.handlers if "common." in type(one).__module__
        ]
        assert logging.DEBUG == root.level
    configure_logging(level="WARNING", stream=sink, sampled=True)

    assert [LineHandler] == [type(one) for one in root.handlers if "common." in type(one).__module__]
    assert logging.WARNING == root.level


def test_a_processor_that_logs_does_not_stop_the_recorder(sink: io.BytesIO) -> None:
    """Its own lines are kept as well, made without processors."""
    logger = logging.Logger("test", logging.DEBUG)  # noqa: LOG001

    def talk(_: Any, __: str, fields: Any) -> Any:
        logger.debug("processing")
        return fields

    handler = LineHandler(JsonFormatter(processors=[talk]), sink)
    handler.setLevel(logging.INFO)
    logger.addHandler(FlightRecorder(handler))
    logger.addHandler(handler)
    with debug_ring():
        logger.debug("step")
        logger.error("failed")

    assert ["processing", "step", "failed"] == messages(sink)
