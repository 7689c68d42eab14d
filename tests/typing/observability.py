"""What a type checker knows of common-observability; read by mypy, never run."""

from collections.abc import Callable, Mapping
from typing import Any, assert_type

from opentelemetry.trace import Span

from common.core import Plugins
from common.core.health import CheckContext, CheckSpec, Outcome, Status
from common.observability import (
    HealthApp,
    HealthRunner,
    Level,
    LoggingMiddleware,
    Observability,
    ServerSpanMiddleware,
    bind,
    configure,
    observe,
    outgoing_headers,
)
from common.observability.health import Finding, Report, Transition, lambda_handler
from common.observability.logging import Bound, LineHandler, bound_fields, configure_logging, render
from common.observability.monitoring.span_file import read_spans
from common.observability.monitoring.spans import SpanRecord


async def asynchronous(context: CheckContext) -> bool:
    """An asynchronous check."""
    return context.remaining() > 0


def synchronous(context: CheckContext) -> Outcome | None:
    """A check that blocks."""
    return None


async def health(plugins: Plugins) -> None:
    """The runner and what it gives."""
    runner = HealthRunner(plugins.health_checks(), listeners=[listen], plugins=plugins.listing)
    runner.add(CheckSpec("a"), asynchronous)
    runner.add(CheckSpec("b"), synchronous)
    runner.add(CheckSpec("c"))  # type: ignore[call-overload]
    runner.add(CheckSpec("d"), telemetry)  # type: ignore[arg-type]
    assert_type(runner.evaluate_sync("readiness", Level.FULL), Report)
    report = await runner.evaluate()
    assert_type(report, Report)
    assert_type(report.status, Status)
    assert_type(report.findings, tuple[Finding, ...])
    assert_type(lambda_handler(runner), Callable[[Mapping[str, Any], Any], dict[str, Any]])
    HealthApp(runner, ServerSpanMiddleware(LoggingMiddleware(HealthApp(runner))))


def listen(transition: Transition) -> None:
    """A listener."""
    assert_type(transition.before, Status)


def telemetry() -> None:
    """Set-up and spans."""
    assert_type(configure(service_name="orders"), Observability)
    assert_type(configure().flush(deadline=1.0), bool)
    with observe("orders.settle", low={"kind": "limit"}) as span:
        assert_type(span, Span)
    assert_type(outgoing_headers(), dict[str, str])
    assert_type(read_spans("spans.jsonl"), list[SpanRecord])


def logs() -> None:
    """Context and rendering."""
    assert_type(bind(order_id="o-1"), Bound)
    assert_type(bound_fields(), Mapping[str, object])
    assert_type(configure_logging(level="DEBUG"), LineHandler)
    assert_type(render({"message": "hello"}), bytes)
