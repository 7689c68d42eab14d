"""Paths, methods and headers of the health endpoints: one logic for every adapter."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from common.observability.health.page import prefers_html
from common.observability.health.report import Headers, Level, Report
from common.observability.health.runner import HealthRequest, HealthRunner
from common.observability.logging.render import encode

__all__ = ["PATHS", "HealthAnswer", "is_ours", "respond", "respond_sync"]

PATHS = ("/livez", "/readyz", "/startupz", "/info", "/health", "/health/{group}", "/health/checks/{name}")
"""What is answered."""

_log = logging.getLogger("common.observability.health")
_PROBES = {"/livez": "liveness", "/readyz": "readiness", "/startupz": "startup"}


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """One HTTP answer."""

    code: int
    headers: Headers
    body: bytes

    def without_body(self) -> "HealthAnswer":
        """Return the answer to HEAD: the same headers and no body (RFC 9110, section 9.3.2)."""
        return HealthAnswer(self.code, self.headers, b"")

    def varying(self) -> "HealthAnswer":
        """Return the answer, told to depend on what the request accepts (RFC 9110, section 12.5.5)."""
        return HealthAnswer(self.code, (*self.headers, ("Vary", "Accept")), self.body)


@dataclass(frozen=True, slots=True)
class _Target:
    group: str | None = None
    """``None`` with no check stands for all groups."""
    check: str | None = None
    is_cached: bool = True
    has_page: bool = False


_UNKNOWN = _Target()
_INFO = _Target()


def is_ours(path: str) -> bool:
    """Return whether *path* belongs to the health endpoints, known or not."""
    return path in _PROBES or path in ("/info", "/health") or path.startswith("/health/")


async def respond(runner: HealthRunner, request: HealthRequest) -> HealthAnswer:
    """Answer *request*: 404 where nothing has that name, 405 for other methods than GET and HEAD."""
    target = _target(runner, request.path)
    if isinstance(answer := _immediate(runner, request, target), Level):
        if target.check is not None:
            report = await runner.evaluate_check(target.check, answer)
        else:
            report = await runner.evaluate(target.group, answer)
        answer = _shown(runner, request, target, report)
    return answer.without_body() if request.method == "HEAD" else answer


def respond_sync(runner: HealthRunner, request: HealthRequest) -> HealthAnswer:
    """Same as :func:`respond`, for code without an event loop; it blocks the thread."""
    target = _target(runner, request.path)
    if isinstance(answer := _immediate(runner, request, target), Level):
        if target.check is not None:
            report = runner.evaluate_check_sync(target.check, answer)
        else:
            report = runner.evaluate_sync(target.group, answer)
        answer = _shown(runner, request, target, report)
    return answer.without_body() if request.method == "HEAD" else answer


def _shown(runner: HealthRunner, request: HealthRequest, target: _Target, report: Report) -> HealthAnswer:
    if not target.has_page:
        return HealthAnswer(*report.http(cached=target.is_cached))
    if report.level is Level.NONE or not prefers_html(request.headers.get("accept", "")):
        return HealthAnswer(*report.http(cached=target.is_cached)).varying()
    return HealthAnswer(*runner.page(report)).varying()


def _immediate(runner: HealthRunner, request: HealthRequest, target: _Target) -> HealthAnswer | Level:
    """Return the answer where no check has to be asked, else the level at which to report."""
    if target is _UNKNOWN:
        return _problem(HTTPStatus.NOT_FOUND)
    if request.method not in ("GET", "HEAD"):
        return _problem(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET, HEAD"))
    level = _level(runner, request)
    return _info(runner, level) if target is _INFO else level


def _target(runner: HealthRunner, path: str) -> _Target:
    if path in _PROBES:
        return _Target(group=_PROBES[path], is_cached=False)
    if path == "/info":
        return _INFO
    if path == "/health":
        return _Target(has_page=True)
    name = path.removeprefix("/health/checks/")
    if name != path:
        return _Target(check=name) if name in runner.check_names() else _UNKNOWN
    name = path.removeprefix("/health/")
    return _Target(group=name, has_page=True) if name != path and name in runner.group_names() else _UNKNOWN


def _level(runner: HealthRunner, request: HealthRequest) -> Level:
    try:
        return Level(runner.detail_level(request))
    except Exception as error:  # noqa: BLE001 - who cannot be told apart sees the least, and the probe is answered
        _log.warning("The function for the detail level failed.", extra={"error.type": type(error).__qualname__})
        return Level.NONE


def _info(runner: HealthRunner, level: Level) -> HealthAnswer:
    if level is Level.NONE:
        return _problem(HTTPStatus.NOT_FOUND)
    body: dict[str, Any] = {"service": runner.service.name, "version": runner.service.version}
    if level is Level.FULL:
        body["plugins"] = [
            {"name": plugin.name, "dist": plugin.dist, "version": plugin.version, "state": str(plugin.state)}
            for plugin in runner.plugins()
        ]
    return _made(HTTPStatus.OK, "application/json", body)


def _problem(status: HTTPStatus, *headers: tuple[str, str]) -> HealthAnswer:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status)}
    return _made(status, "application/problem+json", body, *headers)


def _made(status: HTTPStatus, kind: str, body: Mapping[str, Any], *more: tuple[str, str]) -> HealthAnswer:
    content = encode(body)
    headers = (
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(content))),
        *more,
    )
    return HealthAnswer(int(status), headers, content)
