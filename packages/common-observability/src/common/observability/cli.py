"""``common health``: an exec probe."""

import sys
from typing import TYPE_CHECKING

from common.core.commands import CliCommand
from common.core.health import Status
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from common.core.lifecycle import App

__all__ = ["HEALTH_COMMAND"]


def _configure(parser: "ArgumentParser") -> None:
    parser.add_argument("--group", default="readiness", help="liveness, readiness, startup or a group of the service")


def _run(app: "App", arguments: "Namespace") -> int:
    from common.observability.health.lifecycle import Lifecycle
    from common.observability.health.report import Level, ServiceDescription
    from common.observability.health.runner import HealthRunner

    # A process of its own knows nothing of the service's lifecycle: it counts as started.
    lifecycle = Lifecycle()
    lifecycle.ready()
    service = ServiceDescription(app.settings.service_name, version=app.settings.service_version)
    runner = HealthRunner(app.plugins.health_checks(), service=service, lifecycle=lifecycle)
    if arguments.group not in runner.group_names():
        known = ", ".join(runner.group_names())
        raise ConfigurationError(f"There is no health group {arguments.group!r}. Known: {known}.")
    report = runner.evaluate_sync(arguments.group, Level.FULL)
    _, _, body = report.http()
    sys.stdout.write(f"{body.decode()}\n")
    runner.stop()
    return int(report.status is Status.FAIL)


HEALTH_COMMAND = CliCommand(
    "health", "Run the health checks of one group in this process; exit 0, or 1 when they fail.", _run, _configure
)
"""Contributed through ``common_cli_commands``."""
