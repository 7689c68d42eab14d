"""Health, logs, metrics and traces for services.

The names below are the public door; each is imported when it is first used, so that a service which only logs does not
pay for the OpenTelemetry SDK. Further public modules: :mod:`common.observability.health`,
:mod:`common.observability.logging`, :mod:`common.observability.monitoring` and those that they name,
:mod:`common.observability.hookspecs` (the hooks) and :mod:`common.observability.testing` (pytest fixtures).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.observability.health import HealthApp, HealthRunner, Level
    from common.observability.logging import LoggingMiddleware, bind, configure_logging
    from common.observability.monitoring import Observability, configure, observe
    from common.observability.monitoring.asgi import ServerSpanMiddleware
    from common.observability.monitoring.propagation import outgoing_headers

_HOMES = {
    "HealthApp": "common.observability.health",
    "HealthRunner": "common.observability.health",
    "Level": "common.observability.health",
    "LoggingMiddleware": "common.observability.logging",
    "Observability": "common.observability.monitoring",
    "ServerSpanMiddleware": "common.observability.monitoring.asgi",
    "bind": "common.observability.logging",
    "configure": "common.observability.monitoring",
    "configure_logging": "common.observability.logging",
    "observe": "common.observability.monitoring",
    "outgoing_headers": "common.observability.monitoring.propagation",
}

__all__ = [
    "HealthApp",
    "HealthRunner",
    "Level",
    "LoggingMiddleware",
    "Observability",
    "ServerSpanMiddleware",
    "bind",
    "configure",
    "configure_logging",
    "observe",
    "outgoing_headers",
]


def __getattr__(name: str) -> Any:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
