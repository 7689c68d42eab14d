"""What a logger refuses when it is made: sinks that are none, and options that cannot be meant (auth A8, X3)."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_lane import SinkPolicy
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.secrets import SecretBytes
from common.core.audit import AuditOutcome, AuditRecord, AuditType

OK = AuditOutcome.SUCCESS
Making = Callable[..., AuditLogger]
Sinks = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]


class AsyncWrite(MemorySink):
    """Has the one method that must not be asynchronous."""

    async def write(self, record: AuditRecord, /) -> None:  # type: ignore[override]
        """Never get here."""


class AsyncCallable:
    """Is called asynchronously."""

    async def __call__(self, record: AuditRecord) -> None:
        """Never get here."""


class SneakyWrite(MemorySink):
    """Looks synchronous, and returns a coroutine."""

    def write(self, record: AuditRecord, /) -> Any:
        return AsyncWrite().write(record)


def with_callable() -> MemorySink:
    """Return a sink whose write is an object that is called asynchronously."""
    sink = MemorySink("callable")
    sink.write = AsyncCallable()  # type: ignore[method-assign, assignment]
    return sink


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        (AsyncWrite("acme"), r"Audit sink 'acme' \(AsyncWrite\): write\(\) is async"),
        (with_callable(), r"'callable' .* write\(\) is async"),
        (object(), r"object is no audit sink: its name"),
        (MemorySink("Upper Case"), r"its name must match"),
    ],
    ids=["async def", "async __call__", "no sink", "bad name"],
)
def test_what_cannot_be_a_sink_is_refused_by_name(sink: Any, message: str) -> None:
    """The error says which sink, which method and what to do; no coroutine is left un-awaited (auth A8)."""
    with pytest.raises(ConfigurationError, match=message):
        AuditLogger([sink], service="orders")
    gc.collect()


def test_two_sinks_of_one_name_are_refused() -> None:
    """Counters and gaps are told by name."""
    with pytest.raises(ConfigurationError, match="Two audit sinks are called 'memory'"):
        AuditLogger([MemorySink(), MemorySink()], service="orders")


def test_a_coroutine_that_slips_through_is_a_failure_and_not_a_warning(logging_to: Making, until: Until) -> None:
    """It is closed, counted, and the other sinks go on (auth A8)."""
    audit = logging_to(SneakyWrite("sneaky"), MemorySink())
    audit.emit("order_placed", outcome=OK)
    until(lambda: audit.stats().sinks[0].failures >= 2)
    gc.collect()

    assert 0 == audit.stats().sinks[0].written


@pytest.mark.parametrize(
    "options",
    [
        {"service": "the orders"},
        {"service": ""},
        {"queue": 0},
        {"key": SecretBytes(b"short")},
        {"key": SecretBytes(b"k" * 32)},
        {"types": [AuditType("twice"), AuditType("twice")]},
    ],
    ids=["service", "no service", "queue", "short key", "simple key", "type twice"],
)
def test_bad_options_are_refused_at_once(options: dict[str, Any]) -> None:
    """A logger that could not do its work is not made (auth X3)."""
    with pytest.raises(ConfigurationError):
        AuditLogger([], **{"service": "orders", **options})


@pytest.mark.parametrize("name", ["timeout", "failures", "first_delay", "longest_delay", "flush_interval"])
def test_a_policy_of_no_time_is_refused(name: str) -> None:
    """Every time and count is above zero (auth X3)."""
    with pytest.raises(ConfigurationError):
        SinkPolicy(**{name: 0})
