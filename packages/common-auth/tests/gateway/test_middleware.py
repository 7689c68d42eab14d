"""The door of a service as ASGI middleware: who passes, what is answered, what is left behind."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from common.auth.exceptions import ConfigurationError, RoleRequired
from common.auth.gateway.asgi import ASGIApp, Message, Receive, Scope, Send
from common.auth.gateway.header_validator import HeaderValidator
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware, identity_of
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink

PUBLIC = ("/livez", ("GET", "/news"))


@pytest.fixture
def trail() -> MemorySink:
    """Return where the audit events go."""
    return MemorySink()


@pytest.fixture
def audit(trail: MemorySink) -> Iterator[AuditLogger]:
    """Return a logger that is closed in the end."""
    logger = AuditLogger([trail], service="orders")
    yield logger
    logger.close()


@pytest.fixture
def signing(gateway: GatewaySigner, ada: Identity) -> Callable[..., bytes]:
    """Return a function that makes the head of a request that the gateway has signed."""

    def make(target: str = "/orders", method: str = "GET") -> bytes:
        headers = gateway.sign(ada, audience="orders", method=method, raw_path=target.encode())
        return b"".join(b"%b: %b\r\n" % header for header in headers)

    return make


def request(lines: bytes = b"", target: str = "/orders", method: str = "GET") -> bytes:
    """Return a whole request."""
    return f"{method} {target} HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n".encode() + lines + b"\r\n"


def test_a_refusal_is_problem_details(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any],
) -> None:  # fmt: skip
    """The answer has the media type, code and request id of RFC 9457's form, and is not cached."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator()))

    answer = asking(port, request(b"X-Request-ID: my-request-1\r\n"))

    assert 401 == answer.status
    assert ["application/problem+json"] == answer.header("content-type")
    assert ["no-store"] == answer.header("cache-control")
    assert ["Bearer"] == answer.header("www-authenticate")
    assert ("untrusted_request", "my-request-1") == (answer.json()["code"], answer.json()["request_id"])


@pytest.mark.parametrize(
    "target", ["/livez/../orders", "//livez", "/livez/", "/livez%2f..", "/%6civez", "/LIVEZ", "/livez;a=b", "/livez%00"]
)
def test_exempt_paths_match_to_the_byte(
    target: str, serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any],
) -> None:  # fmt: skip
    """What merely resembles an exempt path needs an identity like any other (auth G9)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), exempt=["/livez"]))

    assert 401 == asking(port, request(target=target)).status
    assert 200 == asking(port, request(target="/livez?full")).status


def test_an_exempt_path_learns_no_identity(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], signing: Callable[..., bytes],
) -> None:  # fmt: skip
    """Even a genuine identity is taken off there, and spoofs are taken off with it (auth G9)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), exempt=["/livez"]))

    seen = asking(port, request(signing("/livez") + b"X-User-ID: u-eve\r\nX_User_Role: root\r\n", "/livez")).json()

    assert None is seen["user"]
    assert [["x-request-id", "0190163d-8694-739b"]] == seen["headers"]


@pytest.mark.parametrize(
    ("method", "lines", "status"),
    [
        ("POST", b"", 200),
        ("GET", b"", 401),
        ("POST", b"X-Request-ID: my-request-1\r\n", 200),
        ("POST", b"X-User-ID: u-eve\r\n", 401),
        ("POST", b"X-Identity-Assertion: eyJ.e.e\r\n", 401),
        ("POST", b"X_User_ID: u-eve\r\n", 400),
        ("POST", b"X-User-Role: root\r\n", 400),
    ],
)
def test_an_anonymous_endpoint_is_open_to_nobody_in_particular(
    method: str, lines: bytes, status: int, serve: Callable[..., int], showing: ASGIApp,
    orders_validator: Callable[..., HeaderValidator], asking: Callable[[int, bytes], Any],
) -> None:  # fmt: skip
    """Who claims nothing passes as nobody; who claims an identity must prove it (auth G8)."""
    app = GatewayAuthMiddleware(showing, validator=orders_validator(), anonymous=[("POST", "/users")])
    answer = asking(serve(app), request(lines, "/users", method))

    assert status == answer.status
    if status == 200:
        assert None is answer.json()["user"]


def test_an_anonymous_endpoint_still_knows_a_proven_user(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], signing: Callable[..., bytes],
) -> None:  # fmt: skip
    """Open to everybody does not mean blind."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), anonymous=["/news"]))

    assert "u-ada" == asking(port, request(signing("/news"), "/news")).json()["user"]


@pytest.mark.parametrize("paths", ["/livez", ["livez"], ["/a%2f"], ["/a?b"], [("get", "/a")], ["/\u00e9"]], ids=repr)
def test_an_endpoint_that_can_never_match_is_refused(
    paths: Any, showing: ASGIApp, orders_validator: Callable[..., HeaderValidator]
) -> None:
    """A path with an escape, a query or no slash is a mistake that shows at start-up (auth X3)."""
    with pytest.raises(ConfigurationError):
        GatewayAuthMiddleware(showing, validator=orders_validator(), exempt=paths)
    with pytest.raises(ConfigurationError):
        GatewayAuthMiddleware(showing, validator=orders_validator(), exempt=["/a"], anonymous=["/a"])


def test_a_proxy_that_strips_the_proof_makes_nobody(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], signing: Callable[..., bytes],
) -> None:  # fmt: skip
    """Behind a proxy that obeys ``Connection: X-Identity-Assertion`` the request is refused, not anonymous (auth G8)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator()))
    with stripping_proxy(port) as proxy:
        stripped = asking(proxy, request(signing() + b"Connection: X-Identity-Assertion\r\n"))
        passed = asking(proxy, request(signing() + b"X-User-ID: u-ada\r\nConnection: X-User-ID\r\n"))

    assert 401 == stripped.status
    assert "u-ada" == passed.json()["user"]


class stripping_proxy:  # noqa: N801 - reads as a function
    """A proxy that removes the headers that ``Connection`` names (RFC 9110, section 7.6.1); one thread a connection."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, socket.create_connection(("127.0.0.1", self._target), timeout=10) as server:
                    server.sendall(self._stripped(client.recv(65536)))
                    while part := server.recv(65536):
                        client.sendall(part)

    @staticmethod
    def _stripped(raw: bytes) -> bytes:
        lines = raw.split(b"\r\n")
        named = b",".join(line.partition(b":")[2] for line in lines if line.lower().startswith(b"connection:"))
        dropped = {name.strip().lower() for name in named.split(b",")} | {b"connection"}
        kept = [line for line in lines[1:] if line.partition(b":")[0].lower() not in dropped]
        return b"\r\n".join([lines[0], b"Connection: close", *kept])


async def echo_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept a WebSocket and say who is asking."""
    await receive()
    identity = identity_of(scope)
    await send({"type": "websocket.accept", "headers": [(b"x-identity-assertion", b"leaked")]})
    await send({"type": "websocket.send", "text": "nobody" if identity is None else identity.user_id})
    await send({"type": "websocket.close"})


async def starting(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a lifespan, and WebSockets."""
    if scope["type"] == "lifespan":
        started.append(scope.get("common.auth.identity", "untouched"))
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": f"{message['type']}.complete"})
    else:
        await echo_socket(scope, receive, send)


started: list[object] = []


def test_a_lifespan_passes_untouched(
    serve: Callable[..., int], orders_validator: Callable[..., HeaderValidator]
) -> None:
    """Start-up and shutdown reach the application (auth G14)."""
    started.clear()
    serve(GatewayAuthMiddleware(starting, validator=orders_validator()))

    assert ["untouched"] == started


# granian sends no headers of ours with the handshake
@pytest.mark.parametrize(
    ("server", "request_id"),
    [("uvicorn-h11", "0190163d-8694-739b"), ("hypercorn", "0190163d-8694-739b"), ("granian", None)],
)
def test_a_websocket_is_refused_before_it_is_accepted(
    server: str, request_id: str | None, serve: Callable[..., int], orders_validator: Callable[..., HeaderValidator],
    gateway: GatewaySigner, ada: Identity,
) -> None:  # fmt: skip
    """Without proof the handshake is answered 403; with proof the socket opens and knows its user (auth G14)."""
    port = serve(GatewayAuthMiddleware(starting, validator=orders_validator()), server)
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws://127.0.0.1:{port}/feed")
    signed = gateway.sign(ada, audience="orders", method="GET", raw_path=b"/feed")
    headers = [(name.decode(), value.decode()) for name, value in signed]
    with connect(f"ws://127.0.0.1:{port}/feed", additional_headers=headers) as opened:
        assert opened.response is not None
        answer = (opened.recv(), opened.response.headers.get("x-request-id"))

        assert opened.response.headers.get("x-identity-assertion") is None
    assert 403 == refusal.value.response.status_code
    assert ("u-ada", request_id) == answer


def test_a_connection_of_an_unknown_kind_is_no_way_in(
    showing: ASGIApp, orders_validator: Callable[..., HeaderValidator]
) -> None:
    """What ASGI may bring in future does not pass by being new (auth G14)."""
    middleware = GatewayAuthMiddleware(showing, validator=orders_validator())

    with pytest.raises(ConfigurationError):
        asyncio.run(middleware({"type": "webtransport", "headers": []}, nothing, drop))


async def nothing() -> Message:
    """Receive nothing."""
    return {"type": "http.disconnect"}


async def drop(message: Message) -> None:
    """Send nowhere."""


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """Demand a role that nobody has, or answer by what must not get out."""
    identity = identity_of(scope)
    assert identity is not None
    if scope["path"] == "/leak":
        leaks = [(b"X-Identity-Assertion", b"leak"), (b"X-User-ID", b"leak"), (b"x-request-id", b"another")]
        await send({"type": "http.response.start", "status": 200, "headers": [*leaks, (b"content-length", b"0")]})
        await send({"type": "http.response.body"})
    identity.require_role("operator")


def test_an_error_of_ours_that_the_application_raises_is_answered_and_audited(
    serve: Callable[..., int], orders_validator: Callable[..., HeaderValidator], asking: Callable[[int, bytes], Any],
    signing: Callable[..., bytes], audit: AuditLogger, trail: MemorySink,
) -> None:  # fmt: skip
    """A missing role becomes 403 as problem details, and one event that names the user (auth A2)."""
    port = serve(GatewayAuthMiddleware(refusing, validator=orders_validator(), audit=audit))
    answer = asking(port, request(signing()))
    audit.flush(5)

    assert (403, "forbidden") == (answer.status, answer.json()["code"])
    assert [("authz_fail", "u-ada", "role_missing")] == [(e.type, e.actor, e.reason) for e in trail.events]


def test_no_identity_header_goes_back_to_a_client(
    serve: Callable[..., int], orders_validator: Callable[..., HeaderValidator], asking: Callable[[int, bytes], Any],
    signing: Callable[..., bytes],
) -> None:  # fmt: skip
    """Whatever the application answers, an assertion stays inside; an error behind the answer is not ours (auth G13)."""
    loop_errors = serve_and_ask(serve, orders_validator, asking, signing("/leak"))

    assert b"leak" not in loop_errors[0]
    assert ["0190163d-8694-739b"] == loop_errors[1]


def serve_and_ask(
    serve: Callable[..., int], orders_validator: Callable[..., HeaderValidator], asking: Callable[[int, bytes], Any],
    lines: bytes,
) -> tuple[bytes, list[str]]:  # fmt: skip
    """Return all headers of the answer in one text, and its request ids."""
    answer = asking(serve(GatewayAuthMiddleware(refusing, validator=orders_validator())), request(lines, "/leak"))
    return json.dumps(answer.headers).encode(), answer.header("x-request-id")


def test_errors_of_configuration_stay_bugs(
    orders_validator: Callable[..., HeaderValidator], gateway: GatewaySigner, ada: Identity
) -> None:
    """A wrong configuration is not dressed up as a client's problem."""

    async def misconfigured(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConfigurationError("wrong")

    middleware = GatewayAuthMiddleware(misconfigured, validator=orders_validator())
    headers = gateway.sign(ada, audience="orders", method="GET", raw_path=b"/")
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "headers": headers}

    with pytest.raises(ConfigurationError, match="wrong"):
        asyncio.run(middleware(scope, nothing, drop))


def test_one_request_id_in_log_trail_and_answer(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], audit: AuditLogger, trail: MemorySink, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """The three places agree, whether the client brought the id or the middleware made it (auth G15)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), audit=audit))
    with caplog.at_level(logging.WARNING, "common.auth.gateway"):
        answers = [
            asking(port, request(lines)) for lines in (b"X-Request-ID: my-request-1\r\n", b"", b"X-Request-ID: a b\r\n")
        ]
    audit.flush(5)

    answered = [answer.header("x-request-id")[0] for answer in answers]
    assert answered == [answer.json()["request_id"] for answer in answers]
    assert answered == [event.request_id for event in trail.events]
    assert answered == [record.__dict__["request_id"] for record in caplog.records]
    assert "my-request-1" == answered[0]
    assert [36, 36] == [len(made) for made in answered[1:]]


def test_the_request_id_of_the_assertion_counts(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], gateway: GatewaySigner, ada: Identity,
) -> None:  # fmt: skip
    """Where the plain header is missing, the id that the gateway signed is used everywhere (auth G15)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator()))
    signed = gateway.sign(ada, audience="orders", method="GET", raw_path=b"/orders")[0]
    answer = asking(port, request(b"%b: %b\r\n" % signed))

    assert ada.request_id == answer.json()["request_id"] == answer.header("x-request-id")[0]


def test_no_assertion_gets_into_log_or_trail(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], signing: Callable[..., bytes], audit: AuditLogger, trail: MemorySink,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """However a request is refused, neither its assertion nor a part of it is written down (auth G13)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), audit=audit))
    lines = signing()
    canary = lines.split(b".")[1][20:60]
    with caplog.at_level(logging.DEBUG):
        for extra in (b"", b"", b"X-User-ID: u-eve\r\n", lines, b"X-Request-ID: again-and-again\r\n"):
            asking(port, request(lines + extra))
        asking(port, request(lines.replace(b".", b",")))
        asking(port, request(lines, "/orders?elsewhere"))
    audit.flush(5)

    written = [record.line for record in trail.records] + [caplog.text.encode()]
    assert 6 == len(trail.records)
    assert not any(canary in line for line in written)


@pytest.mark.parametrize(
    ("lines", "event"),
    [
        (b"", "gateway_rejected"),
        (b"X-User-ID: a\r\nX-User-ID: b\r\n", "gateway_spoof"),
        (b"X-User-ID: a b\r\n", "input_validation_fail"),
        (b"X-Identity-Assertion: eyJ.e.e\r\n", "gateway_rejected"),
    ],
)
def test_each_refusal_leaves_one_event(
    lines: bytes, event: str, serve: Callable[..., int], showing: ASGIApp,
    orders_validator: Callable[..., HeaderValidator], asking: Callable[[int, bytes], Any], audit: AuditLogger,
    trail: MemorySink,
) -> None:  # fmt: skip
    """Each way to be refused at the gateway's door has its type of event, and causes exactly one (auth A2)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), audit=audit))
    asking(port, request(lines))
    audit.flush(5)

    assert [(event, "127.0.0.1", "GET", "/orders")] == [
        (each.type, each.source_ip, each.details["method"], each.details["path"]) for each in trail.events
    ]


def test_a_replay_and_a_mismatch_have_events_of_their_own(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], signing: Callable[..., bytes], audit: AuditLogger, trail: MemorySink,
) -> None:  # fmt: skip
    """What is likely an attack is told from what is likely a mistake (auth G4, G5, A2)."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), audit=audit))
    lines = signing()
    statuses = [asking(port, request(each)).status for each in (lines, lines, signing() + b"X-User-ID: u-eve\r\n")]
    audit.flush(5)

    assert [200, 401, 401] == statuses
    assert ["authn_token_reuse", "gateway_mismatch"] == [event.type for event in trail.events]


def test_roles_are_asked_of_the_identity(ada: Identity) -> None:
    """A role that the user has is enough; none of them is an error that names them."""
    ada.require_role("operator", "trader")

    with pytest.raises(RoleRequired, match="admin, operator"):
        ada.require_role("operator", "admin")
