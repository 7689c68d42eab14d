"""A service's own structlog chain writes the lines that the formatter writes."""

import io
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from common.observability.logging import JsonFormatter, LineHandler, Redaction, bind, structlog_chain

AT = 1_800_000_000.123456
SERVICE = {"service.name": "orders", "service.version": "1.4.0"}

EVENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("debug", "nothing more", {}),
    ("info", "paid", {"order_id": "o-7", "amount": 12.5, "tags": ["a", "b"], "nested": {"deep": {"password": "x"}}}),
    ("warning", "secrets", {"api_key": "abc", "refreshToken": "def", "card_number": "4111"}),
    ("error", "any value", {"raw": b"\xff", "nan": float("nan"), "long": "y" * 9_000, "surrogate": "\ud800"}),
    ("critical", "posing", {"level": "none", "timestamp": "never", "trace_id": "mine", "service.name": "other"}),
    ("info", "bound wins not", {"request_id": "of the event"}),
]


class FrozenFormatter(JsonFormatter):
    """The formatter, at one moment."""

    def render(self, record: logging.LogRecord, *, bare: bool = False) -> bytes:
        record.created = AT
        return super().render(record, bare=bare)


def both(redaction: Redaction | None = None) -> tuple[logging.Logger, io.BytesIO, Any, io.BytesIO]:
    """Return a logger of each kind, and where its lines go."""
    ours, theirs = io.BytesIO(), io.BytesIO()
    logger = logging.Logger("orders", logging.DEBUG)  # noqa: LOG001
    logger.addHandler(LineHandler(FrozenFormatter(service=SERVICE, redaction=redaction), ours))
    chain = structlog_chain(service=SERVICE, redaction=redaction, clock=lambda: AT)
    bound = structlog.wrap_logger(structlog.BytesLogger(theirs), processors=chain).bind(logger="orders")
    return logger, ours, bound, theirs


@pytest.mark.parametrize("in_span", [False, True])
@pytest.mark.parametrize(("level", "message", "fields"), EVENTS, ids=[event for _, event, _ in EVENTS])
def test_both_chains_write_the_same_line(level: str, message: str, fields: dict[str, Any], in_span: bool) -> None:
    """Byte for byte: head, ids, the event's fields, bound fields, redaction and cutting."""
    logger, ours, bound, theirs = both()
    tracer = TracerProvider().get_tracer("test")
    with bind(request_id="r-1", step="settle"), tracer.start_as_current_span("work") if in_span else nullcontext():
        getattr(logger, level)(message, extra=fields)
        getattr(bound, level)(message, **fields)

    assert ours.getvalue() == theirs.getvalue()
    assert in_span == (b'"span_id":' in ours.getvalue())


@pytest.mark.parametrize(
    "form",
    [
        lambda error: True,
        lambda error: (type(error), error, error.__traceback__),
        lambda error: error,
    ],
    ids=["true", "tuple", "exception"],
)
def test_exceptions_are_told_alike(form: Callable[[BaseException], Any]) -> None:
    """In whichever of structlog's forms an exception comes: its type, its masked text, its stack without locals."""
    logger, ours, bound, theirs = both()
    try:
        raise ValueError("password=hunter2")
    except ValueError as error:
        logger.exception("failed")
        bound.exception("failed", exc_info=form(error))

    assert ours.getvalue() == theirs.getvalue()
    assert b"ValueError" in ours.getvalue()
    assert b"hunter2" not in ours.getvalue()


def test_own_redaction_holds_in_both() -> None:
    """Further names and patterns in fields."""
    logger, ours, bound, theirs = both(Redaction(names=frozenset({"account"}), patterns_in_fields=True))

    fields = {"account": "a-1", "note": "Bearer abcdef123456"}
    logger.info("moved", extra=fields)
    bound.info("moved", **fields)

    assert ours.getvalue() == theirs.getvalue()
    assert b"a-1" not in theirs.getvalue()
    assert b"abcdef123456" not in theirs.getvalue()


def test_structlogs_own_processors_go_before() -> None:
    """What they add is a field like any other, and is redacted."""
    sink = io.BytesIO()

    def add(_: Any, __: str, event: Any) -> Any:
        return {**event, "tenant": "t-1", "secret": "s"}

    log = structlog.wrap_logger(
        structlog.BytesLogger(sink), processors=[structlog.contextvars.merge_contextvars, add, *structlog_chain()]
    )
    with structlog.contextvars.bound_contextvars(request_id="r-9"):
        log.info("hello")

    line = sink.getvalue()
    assert all(part in line for part in (b'"tenant":"t-1"', b'"request_id":"r-9"', b'"secret":"[redacted]"'))
    assert b'"logger":"root"' in line
