"""The health endpoints in a FastAPI application. Needs the extra ``[fastapi]``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from common.exceptions import MissingPart
from common.observability.asgi import local_path
from common.observability.health.app import HealthApp
from common.observability.health.routes import PATHS, is_ours
from common.observability.health.runner import HealthRunner

try:
    from fastapi import FastAPI
    from starlette.routing import Route
except ImportError as error:
    if (error.name or "").partition(".")[0] not in ("fastapi", "starlette"):
        raise
    raise MissingPart("include_health needs FastAPI", dist="common-observability", extra="fastapi") from None

__all__ = ["include_health"]


def include_health(app: FastAPI, runner: HealthRunner, *, prefix: str = "") -> None:
    """Add the health endpoints to *app*, outside of its schema, and move the lifecycle along with its lifespan.

    The endpoints are inside of the middlewares of *app*. Where probes must not pass authentication and logging, wrap
    the whole application in :class:`~common.observability.health.HealthApp` in place of this. FastAPI's own
    telemetry leaves the endpoints out, unless *app* was made with a ``telemetry["exclude"]`` of its own.

    Args:
        app: An application that has not started.
        runner: The health of this process.
        prefix: Put before every path, such as ``/internal``.
    """
    endpoint = HealthApp(runner, prefix=prefix)
    for path in PATHS:
        # An endpoint that is no function is an ASGI application to Starlette, and gets every method.
        app.router.routes.append(Route(f"{prefix.rstrip('/')}{path}", endpoint=endpoint, include_in_schema=False))
    _leave_out_of_native_telemetry(app, prefix)
    inside = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[Any]:
        runner.validate()
        async with inside(application) as state:
            runner.start_on_this_loop()
            yield state
            runner.lifecycle.drain()
        runner.stop()

    app.router.lifespan_context = lifespan


def _leave_out_of_native_telemetry(app: FastAPI, prefix: str) -> None:
    # FastAPI (0.163) takes the function as an argument of its constructor only. Older versions have no telemetry.
    config = getattr(app, "_telemetry", None)
    if isinstance(config, dict) and config.get("exclude") is None:
        config["exclude"] = lambda scope: is_ours(local_path(scope).removeprefix(prefix.rstrip("/")))
