"""What this distribution contributes, by the same hooks that are open to everybody."""

from typing import TYPE_CHECKING

from common.core.commands import CliCommand
from common.core.markers import hookimpl
from common.observability.cli import HEALTH_COMMAND

if TYPE_CHECKING:
    from common.core.lifecycle import App

__all__ = ["common_cli_commands", "common_shutdown", "common_startup"]


@hookimpl
def common_cli_commands() -> tuple[CliCommand, ...]:
    """Contribute ``common health``."""
    return (HEALTH_COMMAND,)


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
