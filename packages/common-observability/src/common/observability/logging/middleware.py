"""The request's id on every line, and one access line per request. Plain ASGI 3: no framework is needed."""

import logging
import re
import time
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any

from common.observability.asgi import ASGIApp, Message, Receive, Scope, Send, header, route_template
from common.observability.logging.context import bind
from common.observability.logging.flight_recorder import debug_ring
from common.observability.logging.setup import unify_server_loggers, writes_access_line

__all__ = ["LoggingMiddleware"]

_ACCESS = logging.getLogger("common.observability.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def _new_id() -> str:
    return uuid.uuid4().hex


class LoggingMiddleware:
    """Binds ``request_id`` to the lines of a request, answers it as ``X-Request-ID``, and writes the access line.

    The id is the caller's own where it is harmless (letters, digits and ``._:-``, at most 128 of them), else a new one.
    The access line names the route's template, such as ``/orders/{id}``, never the path, which may hold an id or a
    name; a request that no route answered has none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access_log: bool = True,
        route_of: Callable[[Scope], str | None] = route_template,
        new_id: Callable[[], str] = _new_id,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wrap *app*.

        Args:
            app: The application inside.
            access_log: Whether to write one INFO line per request; uvicorn's own is then left out.
            route_of: Tells the template of the route that answered, after the answer.
            new_id: Makes request ids.
            monotonic: Clock in seconds, for the duration.
        """
        self._app = app
        self._access_log = access_log
        self._route_of = route_of
        self._new_id = new_id
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        if scope["type"] == "lifespan":
            unify_server_loggers()
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(scope)
        with debug_ring(), bind(request_id=request_id):
            await self._serve(scope, receive, send, request_id)

    def _request_id(self, scope: Scope) -> str:
        given = header(scope, b"x-request-id") or ""
        return given if _REQUEST_ID.fullmatch(given) else self._new_id()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        answer = _Answer(send, request_id)
        logs = self._access_log and scope["type"] == "http"
        token = writes_access_line.set(logs or writes_access_line.get())
        started = self._monotonic()
        error: BaseException | None = None
        try:
            await self._app(scope, receive, answer)
        except BaseException as raised:
            error = raised
            raise
        finally:
            if logs:
                self._write_line(scope, answer.status, self._monotonic() - started, error)
            writes_access_line.reset(token)

    def _write_line(self, scope: Scope, status: int | None, seconds: float, error: BaseException | None) -> None:
        method, route = str(scope.get("method", "")), self._route_of(scope)
        code = 500 if status is None else status
        fields: MutableMapping[str, Any] = {
            "http.request.method": method,
            "http.response.status_code": code,
            "duration_ms": round(seconds * 1000, 3),
        }
        if route is not None:
            fields["http.route"] = route
        if error is not None:
            fields["error.type"] = type(error).__qualname__
        _ACCESS.info("%s %s %d", method, route or "-", code, extra=fields)


class _Answer:
    """Sends what the application sends, with the request's id among the headers; remembers the status."""

    __slots__ = ("_request_id", "_send", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode("latin-1")
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            others = (header for header in message.get("headers", ()) if header[0].lower() != b"x-request-id")
            headers = [*others, (b"x-request-id", self._request_id)]
            message = {**message, "headers": headers}
        await self._send(message)
