"""The health endpoints as a plain ASGI 3 application, alone or in front of another one."""

from common.exceptions import ConfigurationError
from common.observability.asgi import ASGIApp, Message, Receive, Scope, Send, local_path
from common.observability.health.routes import HealthAnswer, is_ours, respond
from common.observability.health.runner import HealthRequest, HealthRunner
from common.observability.logging.setup import unify_server_loggers, writes_access_line

__all__ = ["HealthApp"]


class HealthApp:
    """Answers ``/livez``, ``/readyz``, ``/startupz``, ``/health…`` and ``/info``; hands everything else on.

    It belongs outside of authentication, tracing and logging, so that a probe needs no credentials and leaves no span
    and no access line. It also moves the lifecycle along: READY when the application inside has started, STOPPED when
    it has ended.
    """

    def __init__(self, runner: HealthRunner, app: ASGIApp | None = None, *, prefix: str = "") -> None:
        """Serve *runner*.

        Args:
            runner: The health of this process.
            app: The application behind; ``None`` answers 404 for any other path.
            prefix: Put before every path, such as ``/internal``.
        """
        self._runner = runner
        self._app = app
        self._prefix = prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        if scope["type"] == "lifespan":
            await _Lifespan(self._runner, self._app, scope, receive, send).run()
            return
        path = local_path(scope)
        inside = path.removeprefix(self._prefix) if path.startswith(f"{self._prefix}/") else ""
        if scope["type"] == "http" and (self._app is None or is_ours(inside)):
            await self._answer(inside, scope, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    async def _answer(self, path: str, scope: Scope, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        answer = await respond(self._runner, HealthRequest(path, scope["method"], headers))
        token = writes_access_line.set(True)
        try:
            await _send(answer, send)
        finally:
            writes_access_line.reset(token)


class _Lifespan:
    """One run of the lifespan protocol (ASGI 2.0 of that name) around the application inside."""

    def __init__(self, runner: HealthRunner, app: ASGIApp | None, scope: Scope, receive: Receive, send: Send) -> None:
        self._runner = runner
        self._app = app
        self._scope = scope
        self._outer_receive = receive
        self._outer_send = send
        self._has_received = False

    async def run(self) -> None:
        unify_server_loggers()
        try:
            self._runner.validate()
        except ConfigurationError as error:
            # An exception would mean that the application knows no lifespan, and the server would go on.
            await self._outer_receive()
            await self._outer_send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        if self._app is None or not await self._knows_lifespan(self._app):
            await self._stand_in()

    async def _knows_lifespan(self, app: ASGIApp) -> bool:
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:
            # An application without lifespan raises before it asks for the first message.
            if self._has_received:
                raise
            return False
        return self._has_received

    async def _stand_in(self) -> None:
        await self._outer_receive()
        await self._send({"type": "lifespan.startup.complete"})
        await self._receive()
        await self._send({"type": "lifespan.shutdown.complete"})

    async def _receive(self) -> Message:
        self._has_received = True
        message = await self._outer_receive()
        if message["type"] == "lifespan.shutdown":
            self._runner.lifecycle.drain()
        return message

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._runner.start_on_this_loop()
        await self._outer_send(message)
        if kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            self._runner.stop()


async def _send(answer: HealthAnswer, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
