"""Health in a FastAPI application; needs the extra ``[fastapi]``."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
from fastapi import Depends, FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import SpanKind

from common.core.health import CheckSpec, Outcome, Status
from common.observability.health import HealthApp, HealthRunner, Level, State
from common.observability.health.fastapi import include_health
from common.observability.logging import LoggingMiddleware, bind
from common.observability.monitoring.asgi import ServerSpanMiddleware
from common.observability.monitoring.sampling import EXCLUDED_URLS, exclude_probes
from common.observability.testing import Logs, Spans

Serve: TypeAlias = Callable[..., int]
Fetch: TypeAlias = Callable[..., Any]
Eventually: TypeAlias = Callable[[Callable[[], Any]], Any]


def made() -> HealthRunner:
    """Return a runner with a warning check."""
    runner = HealthRunner(detail_level=lambda request: Level[request.headers.get("x-level", "NONE")])
    runner.add(CheckSpec("warned"), lambda context: Outcome(Status.WARN, "slow"))
    runner.add(CheckSpec("bad", groups=frozenset({"broken"})), lambda context: False)
    return runner


PATHS = [
    "/livez", "/readyz", "/startupz", "/health", "/health/broken", "/health/checks/warned", "/health/unknown",
    "/health/checks/unknown", "/info",
]  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "/internal"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_included_routes_answer_as_the_plain_application(method: str, prefix: str, serve: Serve, fetch: Fetch) -> None:
    """Code, headers and body are the same as those of ``HealthApp``, on real sockets, for every path and method."""
    app = FastAPI()
    include_health(app, made(), prefix=prefix)
    included, plain = serve(app), serve(HealthApp(made(), prefix=prefix))

    for path in PATHS:
        one, two = (fetch(port, f"{prefix}{path}", method) for port in (included, plain))
        for answer in (one, two):
            answer.headers.pop("date", None)
        assert (two.status, two.headers, two.body) == (one.status, one.headers, one.body), path


def test_the_endpoints_are_no_part_of_the_schema() -> None:
    """Clients of the API need not know of them."""
    app = FastAPI()
    include_health(app, made())

    assert {} == app.openapi()["paths"]


def test_the_lifecycle_follows_the_applications_own_lifespan(serve: Serve, fetch: Fetch) -> None:
    """Not ready inside of start-up, ready after it, and what the application made is handed on."""
    runner, seen = made(), []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        seen.append(runner.lifecycle.state)
        yield {"database": "open"}
        seen.append(runner.lifecycle.state)

    app = FastAPI(lifespan=lifespan)
    include_health(app, runner)
    states: list[Any] = []

    async def run() -> None:
        async with app.router.lifespan_context(app) as state:
            states.append((runner.lifecycle.state, state))

    asyncio.run(run())

    assert [State.STARTING, State.DRAINING] == seen
    assert [(State.READY, {"database": "open"})] == states
    assert State.STOPPED is runner.lifecycle.state


def test_an_instrumented_application_has_no_spans_of_probes(
    spans: Spans, serve: Serve, fetch: Fetch, eventually: Eventually
) -> None:
    """By OpenTelemetry's own instrumentation of FastAPI, with the patterns that ``configure`` sets: only the other request."""
    environ: dict[str, str] = {}
    exclude_probes(environ)
    app = FastAPI()
    include_health(app, made())
    app.get("/orders/health")(lambda: "ok")
    FastAPIInstrumentor.instrument_app(app, excluded_urls=environ[EXCLUDED_URLS])
    port = serve(app)
    for path in ("/livez", "/readyz", "/health", "/health/checks/warned") * 25:
        fetch(port, path)
    fetch(port, "/orders/health")

    eventually(lambda: spans.named("GET /orders/health"))
    assert {"GET /orders/health"} == {span.name.removesuffix(" http send") for span in spans.all()}


@pytest.mark.parametrize("prefix", ["", "/internal"])
def test_fastapis_own_telemetry_has_no_spans_of_probes(
    prefix: str, spans: Spans, serve: Serve, fetch: Fetch, eventually: Eventually
) -> None:
    """A version that traces by itself traces the other request, and one that does not traces nothing."""
    app = FastAPI()
    include_health(app, made(), prefix=prefix)
    app.get("/orders")(lambda: "ok")
    traces_itself = hasattr(app, "_telemetry")
    port = serve(app)
    for path in PATHS:
        fetch(port, f"{prefix}{path}")
    fetch(port, "/orders")
    if traces_itself:
        eventually(lambda: spans.named("GET /orders"))

    servers = [span.name for span in spans.all() if span.kind is SpanKind.SERVER]
    assert (["GET /orders"] if traces_itself else []) == servers


def test_an_exclusion_of_the_applications_own_is_kept() -> None:
    """Who excludes by himself decides for probes too."""
    app = FastAPI()
    own = {"exclude": lambda scope: False}
    app._telemetry = own  # type: ignore[assignment]
    include_health(app, made())

    assert app._telemetry["exclude"] is own["exclude"]


def test_route_templates_of_fastapi_name_spans_and_access_lines(
    spans: Spans, logs: Logs, serve: Serve, fetch: Fetch, eventually: Eventually
) -> None:
    """Without any instrumentation package: the template, never the path; ids of the trace are in the line."""
    app = FastAPI()

    @app.get("/users/{name}")
    def user(name: str) -> str:
        logging.getLogger("orders").info("reading")
        return name

    port = serve(ServerSpanMiddleware(LoggingMiddleware(app)))
    fetch(port, "/users/ann")

    eventually(lambda: spans.named("GET /users/{name}"))
    (span,) = spans.all()
    (line,) = logs.lines("common.observability.access")
    (inside,) = logs.lines("orders")
    assert "GET /users/{name} 200" == line["message"]
    assert f"{span.context.trace_id:032x}" == line["trace_id"] == inside["trace_id"]
    assert line["request_id"] == inside["request_id"]
    assert "ann" not in spans.text() + json.dumps([line, inside])


def test_fields_bound_in_the_middleware_reach_sync_and_async_endpoints(logs: Logs, serve: Serve, fetch: Fetch) -> None:
    """Both kinds of endpoints and dependencies, 50 requests at once, no mixing."""
    app = FastAPI()
    log = logging.getLogger("orders")

    def dependency() -> None:
        log.info("dependency")

    @app.get("/sync/{n}")
    def sync(n: int, _: None = Depends(dependency)) -> None:
        with bind(n=n):
            log.info("sync")

    @app.get("/async/{n}")
    async def asynchronous(n: int) -> None:
        with bind(n=n):
            await asyncio.sleep(0.001)
            log.info("async")

    port = serve(LoggingMiddleware(app, access_log=False))

    async def every() -> None:
        calls = [(kind, n) for kind in ("sync", "async") for n in range(25)]
        await asyncio.gather(
            *(
                asyncio.to_thread(fetch, port, f"/{kind}/{n}", headers={"x-request-id": f"{kind}-{n}"})
                for kind, n in calls
            )
        )

    asyncio.run(every())

    lines = logs.lines("orders")
    assert 75 == len(lines)
    assert all(line["request_id"] == f"{line['message']}-{line['n']}" for line in lines if "n" in line)
    assert 25 == len({line["request_id"] for line in lines if line["message"] == "dependency"})
