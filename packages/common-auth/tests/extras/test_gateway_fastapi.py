"""The gateway's rules as FastAPI dependencies, beside the same rules as middleware (auth G16)."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from common.auth.exceptions import ConfigurationError
from common.auth.gateway.fastapi import add_problem_answers, current_identity, require_role, require_scope
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware
from common.auth.gateway.peers import PeerRule
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.memory_stores import MemoryNonceStore
from common.auth.testing.unreliable_store import UnreliableStore

KEYS = KeyRing([SigningKey.generate("EdDSA", kid="gateway-1")], issuer="gateway")
GATEWAY = GatewaySigner(KEYS)
Get = Callable[..., tuple[int, dict[str, str], Any]]

ADA = Identity(
    user_id="u-ada",
    roles=frozenset({"trader"}),
    scope=frozenset({"orders:read"}),
    request_id="0190163d-8694-739b",
    source="gateway",
)


def signed(path: str, identity: Identity = ADA) -> list[tuple[bytes, bytes]]:
    """Return the headers of a genuine request."""
    return GATEWAY.sign(identity, audience="orders", method="GET", raw_path=path.encode())


class Doors:
    """One application in two dresses: behind the middleware, and with the dependency alone."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.trail = MemorySink()
        self.audit = AuditLogger([self.trail], service="orders")
        validator = HeaderValidator(
            mode=TrustMode.ASSERTION, service="orders", keys=KEYS, roles={"trader", "operator"}, sources={"gateway"},
            **options,
        )  # fmt: skip
        self.app = FastAPI()
        add_problem_answers(self.app, audit=self.audit)
        if kind == "middleware":
            self.app.add_middleware(GatewayAuthMiddleware, validator=validator, audit=self.audit, exempt=["/open"])
            self.identity = current_identity()
        else:
            self.identity = current_identity(validator, audit=self.audit)
        self._add_routes()

    def _add_routes(self) -> None:
        identity, app = self.identity, self.app

        @app.get("/me")
        async def me(
            found: Annotated[Identity, Depends(identity)],
            x_user_id: Annotated[str | None, Header()] = None,
            x_identity_assertion: Annotated[str | None, Header()] = None,
        ) -> dict[str, object]:
            return {"user": found.user_id, "header": x_user_id, "assertion": x_identity_assertion}

        @app.get("/operators", dependencies=[Depends(require_role("operator", identity=identity))])
        async def operators() -> str:
            return "operators"

        @app.get("/traders")
        def traders(found: Annotated[Identity, Depends(require_role("operator", "trader", identity=identity))]) -> str:
            return found.user_id

        @app.get("/reading")
        async def reading(found: Annotated[Identity, Depends(require_scope("orders:read", identity=identity))]) -> str:
            return found.user_id

        @app.get("/writing", dependencies=[Depends(require_scope("orders:read", "orders:write", identity=identity))])
        async def writing() -> str:
            return "writing"

        @app.get("/open")
        async def public(x_user_id: Annotated[str | None, Header()] = None) -> str | None:
            return x_user_id

        @app.websocket("/feed")
        async def feed(socket: WebSocket, found: Annotated[Identity, Depends(identity)]) -> None:
            await socket.accept()
            await socket.send_text(found.user_id)
            await socket.close()


@pytest.fixture(params=["middleware", "dependency"], scope="module")
def doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    """Return the application in each of its dresses."""
    made = Doors(request.param)
    yield made
    made.audit.close()


@pytest.fixture(scope="module")
def port(doors: Doors, serve: Callable[[Any], int]) -> int:
    """Return where it is served."""
    return serve(doors.app)


TABLE: dict[str, tuple[str, Callable[[], list[tuple[bytes, bytes]]], int, str | None, str | None]] = {
    "genuine": ("/me", lambda: signed("/me"), 200, None, None),
    "with equal header": ("/me", lambda: [*signed("/me"), (b"X-User-ID", b"u-ada")], 200, None, None),
    "nothing": ("/me", list, 401, "untrusted_request", "gateway_rejected"),
    "plain headers alone": ("/me", lambda: [(b"X-User-ID", b"u-eve")], 401, "untrusted_request", "gateway_rejected"),
    "mismatch": ("/me", lambda: [*signed("/me"), (b"X-User-ID", b"u-eve")], 401, "untrusted_request", "gateway_mismatch"),
    "for another path": ("/me", lambda: signed("/you"), 401, "untrusted_request", "gateway_rejected"),
    "header twice": ("/me", lambda: [*signed("/me"), *[(b"X-User-ID", b"u-ada")] * 2], 400, "malformed_header", "gateway_spoof"),
    "look-alike": ("/me", lambda: [*signed("/me"), (b"X_User_ID", b"u-eve")], 400, "malformed_header", "gateway_spoof"),
    "grammar": ("/me", lambda: [*signed("/me"), (b"X-User-ID", b"u ada")], 400, "malformed_header", "input_validation_fail"),
    "role missing": ("/operators", lambda: signed("/operators"), 403, "forbidden", "authz_fail"),
    "one of two roles": ("/traders", lambda: signed("/traders"), 200, None, None),
    "scope granted": ("/reading", lambda: signed("/reading"), 200, None, None),
    "scope missing": ("/writing", lambda: signed("/writing"), 403, "insufficient_scope", "authz_fail"),
    "role without proof": ("/operators", list, 401, "untrusted_request", "gateway_rejected"),
}  # fmt: skip


@pytest.mark.parametrize("row", TABLE)
def test_middleware_and_dependency_keep_the_same_rules(row: str, doors: Doors, port: int, get: Get) -> None:
    """Status, code, request id and the one audit event are those of the table, in either dress (auth G16)."""
    path, headers, status, code, event = TABLE[row]
    before = len(doors.trail.records)
    answered, answer_headers, body = get(port, path, headers())
    doors.audit.flush(5)

    assert (status, code) == (answered, body.get("code") if status != 200 else None)
    assert ([] if event is None else [event]) == [each.type for each in doors.trail.events[before:]]
    if status != 401:
        assert ADA.request_id == answer_headers["x-request-id"]


def test_an_endpoint_sees_the_proven_headers_alone(port: int, get: Get) -> None:
    """A header parameter gets what was proven, and never the assertion (auth G5)."""
    assert {"user": "u-ada", "header": "u-ada", "assertion": None} == get(port, "/me", signed("/me"))[2]


def test_a_websocket_needs_an_identity_too(port: int) -> None:
    """Without proof it is refused before it is accepted (auth G14)."""
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws://127.0.0.1:{port}/feed")
    headers = [(name.decode(), value.decode()) for name, value in signed("/feed")]
    with connect(f"ws://127.0.0.1:{port}/feed", additional_headers=headers) as opened:
        assert "u-ada" == opened.recv()
    assert 403 == refusal.value.response.status_code


def test_the_scheme_is_in_the_schema(doors: Doors) -> None:
    """OpenAPI tells that every endpoint but the open one needs the gateway's assertion (auth G16)."""
    schema = doors.app.openapi()

    scheme = schema["components"]["securitySchemes"]["gateway"]
    assert ("apiKey", "header", "X-Identity-Assertion") == (scheme["type"], scheme["in"], scheme["name"])
    secured = {path for path, item in schema["paths"].items() if item["get"].get("security") == [{"gateway": []}]}
    assert {"/me", "/operators", "/traders", "/reading", "/writing"} == secured


def test_an_open_endpoint_behind_the_middleware_has_no_identity(serve: Callable[[Any], int], get: Get) -> None:
    """Where the middleware let somebody pass unknown, asking for the identity is refused, not guessed (auth G8)."""
    app = FastAPI()
    add_problem_answers(app)
    validator = HeaderValidator(
        mode=TrustMode.ASSERTION, service="orders", keys=KEYS, roles={"trader"}, sources={"gateway"}
    )
    app.add_middleware(GatewayAuthMiddleware, validator=validator, exempt=["/me"])

    @app.get("/me")
    async def me(found: Annotated[Identity, Depends(current_identity())]) -> str:
        return found.user_id

    assert 401 == get(serve(app), "/me", signed("/me"))[0]


def test_a_dependency_without_middleware_and_validator_refuses_everybody(serve: Callable[[Any], int], get: Get) -> None:
    """A forgotten middleware lets nobody in (auth X3)."""
    app = FastAPI()
    add_problem_answers(app)

    @app.get("/me")
    async def me(found: Annotated[Identity, Depends(current_identity())]) -> str:
        return found.user_id

    assert 401 == get(serve(app), "/me", signed("/me"))[0]


def test_no_role_is_no_requirement() -> None:
    """A requirement of nothing is a mistake that shows at start-up."""
    with pytest.raises(ConfigurationError):
        require_role()
    with pytest.raises(ConfigurationError):
        require_scope()


def test_the_dependency_checks_the_peer_too(get: Get, serve: Callable[[Any], int]) -> None:
    """In addition to the assertion, as the middleware does; where the middleware proves, it checks (auth G10)."""
    validator = HeaderValidator(
        mode=TrustMode.ASSERTION, service="orders", keys=KEYS, roles={"trader"}, sources={"gateway"}
    )
    app = FastAPI()
    add_problem_answers(app)
    here, elsewhere = PeerRule(networks=["127.0.0.0/8"]), PeerRule(networks=["192.0.2.0/24"])
    for path, rule in (("/here", here), ("/elsewhere", elsewhere)):
        app.get(path, dependencies=[Depends(current_identity(validator, peers=rule))])(lambda: "in")

    port = serve(app)
    assert 401 == get(port, "/here", [])[0]
    assert 200 == get(port, "/here", signed("/here"))[0]
    assert 401 == get(port, "/elsewhere", signed("/elsewhere"))[0]
    with pytest.raises(ConfigurationError):
        current_identity(peers=here)


@pytest.mark.parametrize("kind", ["middleware", "dependency"])
def test_a_proof_is_used_up_for_all_processes_in_either_dress(kind: str, serve: Callable[[Any], int], get: Get) -> None:
    """The second process refuses what the first one has served; with the store away nothing is served (auth G4, G16)."""
    store = UnreliableStore(MemoryNonceStore())
    doors = [Doors(kind, nonces=store) for _ in range(2)]
    ports = [serve(each.app) for each in doors]
    request = signed("/me")

    answers = [get(port, "/me", request) for port in ports]
    store.is_down = True
    unserved = get(ports[0], "/me", signed("/me"))

    assert [200, 401, 503] == [status for status, _, _ in (*answers, unserved)]
    assert ["untrusted_request", "auth_unavailable"] == [answers[1][2]["code"], unserved[2]["code"]]
    for each in doors:
        each.audit.close()
