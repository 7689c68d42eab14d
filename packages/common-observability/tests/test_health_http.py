"""Paths, methods, codes and headers are the same through every adapter."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common.core.health import CheckSpec, Outcome, Status
from common.core.plugins import PluginListing, PluginState
from common.observability.asgi import ASGIApp, Scope
from common.observability.health import (
    HealthApp,
    HealthRequest,
    HealthRunner,
    Level,
    ServiceDescription,
    lambda_handler,
)

Answer = tuple[int, dict[str, str], bytes]

LISTING = (
    PluginListing(name="acme-plugin", dist="acme-plugin", version="2.1", state=PluginState.LOADED),
    PluginListing(
        name="broken", dist="broken-plugin", version="0.1", state=PluginState.BLOCKED, cause="blocked by name"
    ),
)


def level_of(request: HealthRequest) -> Level:
    """Tell by a header how much the request may see."""
    return Level[request.headers.get("x-level", "NONE")]


def made() -> HealthRunner:
    """Return a runner with a good check, a warning one and a bad one, each in a group of its own."""
    runner = HealthRunner(
        service=ServiceDescription("orders", version="1.4.0"), detail_level=level_of, plugins=lambda: LISTING
    )
    runner.add(CheckSpec("good"), lambda context: True)
    runner.add(CheckSpec("warned", groups=frozenset({"slow"})), lambda context: Outcome(Status.WARN, "slow"))
    runner.add(CheckSpec("bad", groups=frozenset({"broken"})), lambda context: Outcome(Status.FAIL, "down"))
    runner.lifecycle.ready()
    return runner


def ask_asgi(
    app: ASGIApp, path: str, method: str = "GET", headers: dict[str, str] | None = None, **more: Any
) -> Answer:
    """Send one request to *app*, without a server."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("A probe has no body to read.")

    async def serve() -> None:
        raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await app({"type": "http", "method": method, "path": path, "headers": raw, **more}, receive, send)

    asyncio.run(serve())
    start, body = sent
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


@contextmanager
def adapter(name: str) -> Iterator[Callable[..., Answer]]:
    """Give one adapter as a function of path, method and headers."""
    runner = made()
    handle = lambda_handler(runner)

    def by_lambda(event: dict[str, Any]) -> Answer:
        response = handle(event, None)
        names = {key.lower(): value for key, value in response["headers"].items()}
        return response["statusCode"], names, response["body"].encode()

    def by_asgi(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        return ask_asgi(HealthApp(runner), path, method, headers)

    def by_wrapping(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        return ask_asgi(HealthApp(runner, HealthApp(HealthRunner())), path, method, headers)

    def by_prefix(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        return ask_asgi(HealthApp(runner, prefix="/internal"), f"/internal{path}", method, headers)

    def by_mount(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        return ask_asgi(HealthApp(runner), f"/mounted{path}", method, headers, root_path="/mounted")

    def by_v1(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        return by_lambda({"path": path, "httpMethod": method, "headers": headers, "requestContext": {"stage": "prod"}})

    def by_v2(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        context = {"http": {"method": method}, "stage": "$default"}
        return by_lambda({"rawPath": path, "requestContext": context, "headers": headers or {}})

    def by_v2_stage(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        context = {"http": {"method": method}, "stage": "prod"}
        return by_lambda({"rawPath": f"/prod{path}", "requestContext": context, "headers": headers or {}})

    ways = {
        "asgi": by_asgi, "wrapping": by_wrapping, "prefix": by_prefix, "mount": by_mount,
        "v1": by_v1, "v2": by_v2, "v2 stage": by_v2_stage,
    }  # fmt: skip
    yield ways[name]
    runner.stop()


ADAPTERS = ["asgi", "wrapping", "prefix", "mount", "v1", "v2", "v2 stage"]
HEALTH, PROBLEM = "application/health+json", "application/problem+json"
ANSWERS = [
    ("/livez", "GET", 200, HEALTH, "no-store", {"status": "pass"}),
    ("/readyz", "GET", 200, HEALTH, "no-store", {"status": "pass"}),
    ("/startupz", "GET", 200, HEALTH, "no-store", {"status": "pass"}),
    ("/health", "GET", 503, HEALTH, "max-age=0", {"status": "fail"}),
    ("/health/slow", "GET", 200, HEALTH, "max-age=4", {"status": "warn"}),
    ("/health/broken", "GET", 503, HEALTH, "max-age=0", {"status": "fail"}),
    ("/health/readiness", "GET", 200, HEALTH, "max-age=4", {"status": "pass"}),
    ("/health/checks/bad", "GET", 503, HEALTH, "max-age=0", {"status": "fail"}),
    ("/health/unknown", "GET", 404, PROBLEM, "no-store", None),
    ("/health/checks/unknown", "GET", 404, PROBLEM, "no-store", None),
    ("/health/checks/", "GET", 404, PROBLEM, "no-store", None),
    ("/health/", "GET", 404, PROBLEM, "no-store", None),
    ("/info", "GET", 404, PROBLEM, "no-store", None),
    ("/readyz", "POST", 405, PROBLEM, "no-store", None),
    ("/health/slow", "DELETE", 405, PROBLEM, "no-store", None),
]


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(("path", "method", "code", "kind", "cache", "body"), ANSWERS)
def test_every_adapter_gives_the_same_answer(
    name: str, path: str, method: str, code: int, kind: str, cache: str, body: Any
) -> None:
    """Status code, content type, caching and body, by path and method."""
    with adapter(name) as ask:
        status, headers, content = ask(path, method)

    assert (code, kind, cache) == (status, headers["content-type"], headers["cache-control"])
    assert str(len(content)) == headers["content-length"]
    if body is not None:
        assert body == json.loads(content)
    assert ("GET, HEAD" if code == 405 else None) == headers.get("allow")


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("path", ["/livez", "/health", "/health/unknown"])
def test_head_has_the_headers_of_get_and_no_body(name: str, path: str) -> None:
    """As RFC 9110 says, errors included."""
    with adapter(name) as ask:
        code, headers, body = ask(path, "GET")
        again = ask(path, "HEAD")

    assert body
    assert (code, headers, b"") == again


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_level_is_a_function_of_the_request(name: str) -> None:
    """By a header here; who shows none sees the status alone."""
    with adapter(name) as ask:
        _, _, none = ask("/readyz", "GET")
        _, _, summary = ask("/readyz", "GET", {"x-level": "SUMMARY"})
        _, _, full = ask("/readyz", "GET", {"x-level": "FULL"})

    assert ["status"] == list(json.loads(none))
    assert {"good", "lifecycle"} == set(json.loads(summary)["checks"])
    assert "componentType" in json.loads(full)["checks"]["good"][0]


@pytest.mark.parametrize("name", ADAPTERS)
def test_info_tells_the_service_and_at_level_full_its_plugins(name: str) -> None:
    """Nobody sees it without a level."""
    with adapter(name) as ask:
        _, _, summary = ask("/info", "GET", {"x-level": "SUMMARY"})
        _, headers, full = ask("/info", "GET", {"x-level": "FULL"})

    assert {"service": "orders", "version": "1.4.0"} == json.loads(summary)
    assert "application/json" == headers["content-type"]
    assert [
        {"name": "acme-plugin", "dist": "acme-plugin", "version": "2.1", "state": "loaded"},
        {"name": "broken", "dist": "broken-plugin", "version": "0.1", "state": "blocked"},
    ] == json.loads(full)["plugins"]


@pytest.mark.parametrize(("group", "code"), [("readiness", 200), ("liveness", 200), ("broken", 503), ("unknown", 404)])
def test_lambda_can_be_invoked_directly(group: str, code: int) -> None:
    """``{"health": "readiness"}`` needs no gateway."""
    assert code == lambda_handler(made())({"health": group}, None)["statusCode"]


def test_a_level_function_that_raises_shows_the_least(logs: Any) -> None:
    """The probe is answered all the same, and the log has the class of the error."""

    def broken(request: HealthRequest) -> Level:
        raise PermissionError("secret")

    runner = HealthRunner(detail_level=broken)
    runner.lifecycle.ready()

    assert (200, b'{"status":"pass"}') == ask_asgi(HealthApp(runner), "/readyz")[::2]
    assert ["PermissionError"] == [line["error.type"] for line in logs.lines() if "error.type" in line]
    assert "secret" not in logs.text()


def test_other_paths_go_to_the_application_behind() -> None:
    """Only health's own paths are taken; alone, everything else is 404."""

    async def behind(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    for path in ("/", "/orders", "/healthy", "/livez/", "/informal"):
        assert 418 == ask_asgi(HealthApp(made(), behind), path)[0]
        assert 404 == ask_asgi(HealthApp(made()), path)[0]
    assert 418 == ask_asgi(HealthApp(made(), behind, prefix="/internal"), "/livez")[0]


def test_a_websocket_goes_to_the_application_behind_or_is_closed() -> None:
    """Health has none."""
    seen: list[str] = []

    async def behind(scope: Scope, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def send(message: Any) -> None:
        seen.append(message["type"])

    async def serve() -> None:
        scope = {"type": "websocket", "path": "/livez", "headers": []}
        await HealthApp(made(), behind)(scope, None, send)  # type: ignore[arg-type]
        await HealthApp(made())(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(serve())

    assert ["websocket", "websocket.close"] == seen


def test_the_core_needs_no_framework(python: Callable[..., Any]) -> None:
    """Runner and adapters run without FastAPI, Starlette and the OpenTelemetry SDK."""
    program = """
import sys
from common.observability.health import HealthApp, HealthRunner, lambda_handler
runner = HealthRunner()
runner.start()
lambda_handler(runner)({"health": "readiness"}, None)
print([name for name in ("fastapi", "starlette", "opentelemetry.sdk", "boto3", "common.dynamo") if name in sys.modules])
"""
    assert "[]\n" == python(program).stdout
