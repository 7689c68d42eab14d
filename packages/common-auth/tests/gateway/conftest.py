"""Real servers on free ports of 127.0.0.1, raw sockets to speak to them, and a gateway that signs."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from common.auth.gateway.asgi import ASGIApp, Receive, Scope, Send
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import identity_of, request_id_of
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.keys import KeyRing, SigningKey

SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What came back over the socket."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, raw: bytes) -> Answer:
    """Send *raw* and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(raw)
        octets = b""
        try:
            while part := connection.recv(65536):
                octets += part
        except ConnectionResetError:
            pass  # a server may close while bytes of ours are still on their way
    head, _, body = octets.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:])
    return Answer(int(lines[0].split()[1]), tuple((name, value.strip()) for name, _, value in pairs), body)


async def show(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer by what the application sees: the identity, and every header whose name starts with x."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    identity = identity_of(scope)
    seen = {
        "user": None if identity is None else identity.user_id,
        "roles": None if identity is None else sorted(identity.roles),
        "actors": None if identity is None else list(identity.actors),
        "request_id": request_id_of(scope),
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"] if name[:1] == b"x"],
    }
    body = json.dumps(seen).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": f"{message['type']}.complete"})


@contextmanager
def _uvicorn(app: ASGIApp, http: str) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=http, ws="wsproto", lifespan="auto", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        _wait_until(lambda: server.started)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        listener.close()


@contextmanager
def _hypercorn(app: ASGIApp) -> Iterator[int]:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = config.accesslog = None
    config.graceful_timeout = 0.1
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    serving = serve(app, config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: loop.run_until_complete(serving))
    thread.start()
    try:
        _wait_until(lambda: _is_open(port))
        yield port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(SECONDS)
        loop.close()


@contextmanager
def _granian(app: ASGIApp) -> Iterator[int]:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = Server(app, port=port, interface=Interfaces.ASGI, log_enabled=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()))
    thread.start()
    try:
        _wait_until(lambda: _is_open(port))
        yield port
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(SECONDS)
        loop.close()


SERVERS: dict[str, Callable[[ASGIApp], Any]] = {
    "uvicorn-h11": lambda app: _uvicorn(app, "h11"),
    "uvicorn-httptools": lambda app: _uvicorn(app, "httptools"),
    "hypercorn": _hypercorn,
    "granian": _granian,
}


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., int]]:
    """Return a function that serves an application, by default on uvicorn with h11, and returns its port."""
    with ExitStack() as stack:

        def start(app: ASGIApp, server: str = "uvicorn-h11") -> int:
            port: int = stack.enter_context(SERVERS[server](app))
            return port

        yield start


@pytest.fixture(scope="session")
def asking() -> Callable[[int, bytes], Answer]:
    """Return a function that sends raw bytes to a port and returns the answer."""
    return ask


@pytest.fixture(scope="session")
def showing() -> ASGIApp:
    """Return an application that answers by what it sees."""
    return show


@pytest.fixture(scope="session")
def gateway_keys() -> KeyRing:
    """Return the gateway's ring."""
    return KeyRing([SigningKey.generate("EdDSA", kid="gateway-1")], issuer="gateway")


@pytest.fixture(scope="session")
def gateway(gateway_keys: KeyRing) -> GatewaySigner:
    """Return the gateway's signer."""
    return GatewaySigner(gateway_keys)


@pytest.fixture
def ada() -> Identity:
    """Return a user as the gateway knows her."""
    return Identity(user_id="u-ada", roles=frozenset({"trader"}), request_id="0190163d-8694-739b", source="gateway")


@pytest.fixture(scope="session")
def orders_validator(gateway_keys: KeyRing) -> Callable[..., HeaderValidator]:
    """Return a function that makes the validator of the service ``orders`` in assertion mode."""

    def make(**options: Any) -> HeaderValidator:
        settings = {"keys": gateway_keys, "roles": {"trader", "operator"}, "sources": {"gateway"}, **options}
        return HeaderValidator(mode=TrustMode.ASSERTION, service="orders", **settings)

    return make
