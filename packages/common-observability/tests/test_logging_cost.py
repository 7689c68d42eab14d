"""What a line costs, told by the functions that it enters: seconds mislead on a busy machine.

``benchmarks/observability.py`` measures the seconds.
"""

import io
import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider

from common.core.testing import functions_entered
from common.observability.logging import JsonFormatter, LineHandler, bind

EVENT = {"order_id": "o-7", "amount": 12.5, "kind": "limit", "filled": True, "price": 101}


def logger_with(handler: logging.Handler, level: int = logging.INFO) -> logging.Logger:
    """Return a logger of its own that writes to *handler*."""
    logger = logging.Logger("test", level)  # noqa: LOG001
    logger.addHandler(handler)
    return logger


@pytest.fixture
def ours() -> logging.Logger:
    """JSON lines with context, trace ids and redaction."""
    return logger_with(LineHandler(JsonFormatter(service={"service.name": "orders"}), io.BytesIO()))


@pytest.fixture
def text() -> logging.Logger:
    """The standard library's own lines of text."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return logger_with(handler)


def test_a_line_enters_hardly_more_functions_than_one_of_text(ours: logging.Logger, text: logging.Logger) -> None:
    """Five event fields, three of the context, trace ids and redaction, against text without fields: 1.8 at most."""
    with TracerProvider().get_tracer("test").start_as_current_span("work"), bind(user="u-1", tenant="t", step="settle"):
        line = functions_entered(lambda: ours.info("paid %s", "o-7", extra=EVENT))
        reference = functions_entered(lambda: text.info("paid %s", "o-7"))

    assert line <= 1.8 * reference, (line, reference)


def test_a_further_field_costs_a_few_functions_whatever_there_is_already(ours: logging.Logger) -> None:
    """The cost of a line grows with its fields, and with nothing else: no field is looked at twice."""

    def line(fields: int) -> int:
        extra = {f"field_{number}": number for number in range(fields)}
        return functions_entered(lambda: ours.info("paid", extra=extra))

    assert line(40) - line(20) == line(60) - line(40)
    assert line(40) - line(20) <= 20 * 3


def test_a_disabled_call_costs_what_it_costs_in_the_standard_library(
    ours: logging.Logger, text: logging.Logger
) -> None:
    """Our configuration puts nothing before the level."""
    assert functions_entered(lambda: text.debug("no")) == functions_entered(lambda: ours.debug("no"))
