"""The page over HTTP, as a plain ASGI 3 application, alone or in front of another one."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from common.observability.asgi import ASGIApp, Receive, Scope, Send, local_path
from common.observability.dev.admission import refusal
from common.observability.dev.audit import LiveAudit
from common.observability.dev.feed import encode_feed, read_query
from common.observability.dev.health import ShownHealth
from common.observability.dev.page import render_page, security_headers
from common.observability.dev.spans import LiveSpans
from common.observability.dev.view import LiveView
from common.observability.dev_switch import require_page_on
from common.observability.health.report import Level
from common.observability.health.runner import HealthRunner
from common.observability.hookspecs import SPAN_PROCESSORS
from common.observability.logging.setup import writes_access_line

if TYPE_CHECKING:
    from common.core.plugins import Plugins
    from common.core.settings import Settings

__all__ = ["DevApp"]

_Answer: TypeAlias = tuple[HTTPStatus, Sequence[tuple[str, str]], bytes]


class DevApp:
    """Answers ``/dev`` with the page and ``/dev/feed`` with what a page of another process reads; hands on the rest.

    It belongs inside of :class:`~common.observability.health.HealthApp` and outside of tracing and authentication: what
    it answers leaves no span and no access line. It answers this machine alone, unless *allow_remote* says otherwise.
    """

    def __init__(
        self,
        view: LiveView,
        app: ASGIApp | None = None,
        *,
        settings: "Settings",
        runner: HealthRunner | None = None,
        path: str = "/dev",
        title: str = "",
        allow_remote: bool = False,
    ) -> None:
        """Show *view*.

        Args:
            view: What is shown.
            app: The application behind; ``None`` answers 404 for any other path.
            settings: They have to switch the page on.
            runner: The health of this process, asked whenever somebody looks.
            path: Where the page is; ``/`` for a server that serves nothing else.
            title: What the page is called; by default the service's name.
            allow_remote: Answer other machines too, by any name. There is no authentication: whoever gets through
                sees operations, traces and audit events.

        Raises:
            ConfigurationError: The page is off, or the environment is production.
        """
        require_page_on(settings)
        self._view = view
        self._app = app
        self._runner = runner
        self._title = title or settings.service_name
        self._page = path if path == "/" else path.rstrip("/")
        self._feed = f"{path.rstrip('/')}/feed"
        self._allow_remote = allow_remote

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        if scope["type"] == "http" and (self._app is None or local_path(scope) in (self._page, self._feed)):
            await _send(await self._answer(scope), scope, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live_through(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _answer(self, scope: Scope) -> _Answer:
        path = local_path(scope)
        if path not in (self._page, self._feed):
            return _plain(HTTPStatus.NOT_FOUND)
        if scope["method"] not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET, HEAD"))
        if (status := refusal(scope, allow_remote=self._allow_remote)) is not None:
            return _plain(status)
        await self._note_health()
        if path == self._feed:
            told = self._view.told_since(read_query(scope.get("query_string", b"")))
            return HTTPStatus.OK, [("Content-Type", "application/json"), *security_headers()], encode_feed(told)
        headers = [("Content-Type", "text/html; charset=utf-8"), *security_headers()]
        return HTTPStatus.OK, headers, render_page(self._view.shown(), self._title)

    async def _note_health(self) -> None:
        if self._runner is not None:
            report = await self._runner.evaluate(None, Level.FULL)
            self._view.note_health(ShownHealth.of(report, self._view.now()))

    @classmethod
    def around(
        cls, app: ASGIApp, *, settings: "Settings", plugins: "Plugins", runner: HealthRunner | None = None
    ) -> "DevApp":
        """Return *app* with the page in front, fed by what this distribution's plugin has contributed to *plugins*.

        That plugin contributes a span processor and an audit sink where the page is on, by the hooks that are open to
        everybody.

        Raises:
            ConfigurationError: The page is off, or the environment is production.
        """
        view = LiveView()
        for found in plugins.contributions(SPAN_PROCESSORS):
            if isinstance(found.value, LiveSpans):
                found.value.show_on(view)
        for sink in plugins.audit_sinks():
            if isinstance(sink, LiveAudit):
                sink.show_on(view)
        return cls(view, app, settings=settings, runner=runner)


def _plain(status: HTTPStatus, *more: tuple[str, str]) -> _Answer:
    headers = [("Content-Type", "text/plain; charset=utf-8"), *security_headers(), *more]
    return status, headers, f"{status.value} {status.phrase}\n".encode()


async def _send(answer: _Answer, scope: Scope, send: Send) -> None:
    status, headers, body = answer
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    encoded.append((b"content-length", str(len(body)).encode()))
    token = writes_access_line.set(True)
    try:
        await send({"type": "http.response.start", "status": int(status), "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
    finally:
        writes_access_line.reset(token)


async def _live_through(receive: Receive, send: Send) -> None:
    """Stand in for an application at the lifespan protocol."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
