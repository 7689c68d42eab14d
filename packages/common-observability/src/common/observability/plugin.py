"""What this distribution contributes, by the same hooks that are open to everybody."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from common.core.commands import CliCommand
from common.core.markers import hookimpl
from common.observability.cli import HEALTH_COMMAND
from common.observability.dev_switch import is_page_on

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from common.core.audit import AuditSink
    from common.core.lifecycle import App
    from common.core.settings import Settings

__all__ = [
    "common_audit_sinks",
    "common_cli_commands",
    "common_shutdown",
    "common_span_processors",
    "common_startup",
]


@hookimpl
def common_cli_commands() -> tuple[CliCommand, ...]:
    """Contribute ``common health``."""
    return (HEALTH_COMMAND,)


@hookimpl
def common_span_processors(settings: "Settings") -> "Iterable[SpanProcessor]":
    """Contribute what shows spans on the development page, where that is on."""
    if not is_page_on(settings):
        return ()
    from common.observability.dev.spans import LiveSpans

    return (LiveSpans(),)


@hookimpl
def common_audit_sinks(settings: "Settings") -> "Iterable[AuditSink]":
    """Contribute what shows audit events on the development page, where that is on."""
    if not is_page_on(settings):
        return ()
    from common.observability.dev.audit import LiveAudit

    return (LiveAudit(),)


@hookimpl(trylast=True)
def common_startup(app: "App") -> None:
    """Let the health runners among ``app.provides`` be READY, after all other plugins have started."""
    from common.observability.health.runner import HealthRunner

    for runner in app.provided(HealthRunner):
        runner.start()


@hookimpl
def common_shutdown(app: "App") -> None:
    """Let them be STOPPED, and bring spans and metrics out within what is left of the deadline."""
    from common.observability.health.runner import HealthRunner

    for runner in app.provided(HealthRunner):
        runner.stop()
    _flush(app.remaining())


def _flush(remaining: float | None) -> None:
    from common.observability.monitoring import current
    from common.observability.monitoring.handle import FLUSH_WITHIN

    if (handle := current()) is not None:
        handle.flush(FLUSH_WITHIN if remaining is None else min(remaining, FLUSH_WITHIN))
