"""Running one service: plugins, telemetry, health, audit and the server around the application."""

import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import uvicorn

from common.auth.health import AuditCheck
from common.auth.security.audit_settings import audit_logger
from common.core import App, Plugins, Settings
from common.observability import configure
from common.observability.asgi import ASGIApp
from common.observability.dev_switch import is_page_on
from common.observability.health import HealthApp, HealthRunner, Level, ServiceDescription, owners_of_checks
from common.observability.logging import LoggingMiddleware
from common.observability.monitoring.asgi import ServerSpanMiddleware
from exchange.services.chassis import Chassis
from exchange.services.trust import GATEWAY

STOP_SECONDS = 5.0


def host(build: Callable[[Chassis], ASGIApp], bound: socket.socket) -> None:
    """Serve what *build* makes, on *bound*, until SIGTERM or SIGINT; then flush and close everything."""
    signal.signal(signal.SIGTERM, end_in_order)  # before configure(), which would else end the process by the signal
    settings = Settings.from_environment()
    plugins = Plugins()
    plugins.load(settings)
    telemetry = configure(
        service_name=settings.service_name, service_version=settings.service_version, plugins=plugins, dev=False
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines repeat our spans, with ids in their paths
    audit = audit_logger(settings, plugins)
    runner = HealthRunner(
        plugins.health_checks(),
        service=ServiceDescription(settings.service_name, version=settings.service_version),
        detail_level=lambda request: Level.FULL,  # the exchange listens on loopback alone
        owners=owners_of_checks(plugins),
        plugins=plugins.listing,
    )
    runner.add(AuditCheck(audit))
    chassis = Chassis(settings, plugins, audit, runner)
    try:
        application = ServerSpanMiddleware(LoggingMiddleware(build(chassis)))
        app = App(settings=settings, plugins=plugins, provides=(runner, audit, *chassis.provided))
        with plugins.running(app, stop_within=STOP_SECONDS):
            serve(HealthApp(runner, shown(application, chassis)), bound, behind_proxy=settings.service_name != GATEWAY)
    finally:
        telemetry.shutdown(STOP_SECONDS)


def shown(application: ASGIApp, chassis: Chassis) -> ASGIApp:
    """Return *application* with the page of a developer in front, where the settings ask for it."""
    if not is_page_on(chassis.settings):
        return application
    from common.observability.dev import DevApp  # which is not loaded where it is off

    return DevApp.around(application, settings=chassis.settings, plugins=chassis.plugins, runner=chassis.health)


def end_in_order(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by the way that a return would take, so that plugins are stopped and the trail is closed.

    uvicorn raises the signal that ended it once more when it is done; by its default action that would be all.
    """
    raise SystemExit(0)


def serve(app: ASGIApp, bound: socket.socket, *, behind_proxy: bool) -> None:
    """Run uvicorn on a socket that is bound already; logging is the family's.

    Args:
        app: What is served.
        bound: Where.
        behind_proxy: Whether the client's address is what the gateway says in ``X-Forwarded-For``. The gateway itself
            believes nobody.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
        proxy_headers=behind_proxy,
        forwarded_allow_ips="127.0.0.1",
    )
    uvicorn.Server(config).run(sockets=[bound])
