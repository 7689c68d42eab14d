"""A service of all parts is asked with canaries, and neither answers, trail, health, logs nor spans have one (OT10).

What a client sends stands in path, query, headers, body, password and token, believed and not. One thing is told on
purpose: the trail keeps the path of a refused request, so refused requests have their canaries everywhere else.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry.trace import SpanKind

from common.auth.exceptions import AuthError, InvalidCredentials
from common.auth.gateway.asgi import Receive, Scope, Send
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware, identity_of, request_id_of
from common.auth.gateway.signer import GatewaySigner
from common.auth.health import AuditCheck
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_settings import owners_of_sinks
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.token_manager import TokenManager
from common.auth.testing import access_claims, forge, quick_passwords
from common.core import App, Plugins, Settings
from common.core.audit import AuditOutcome
from common.dynamo import Database
from common.dynamo.testing import FaultPlan, FaultRates
from common.dynamo.testing.canaries import AMOUNT, CANARY, PASSWORD, SCRAP, SECRET, CanaryKit, Scrap, find_canaries
from common.exceptions import CommonError, to_problem
from common.observability.health import HealthApp, HealthRunner, Level, owners_of_checks
from common.observability.logging import LoggingMiddleware
from common.observability.monitoring.asgi import ServerSpanMiddleware
from common.observability.testing import Logs, Metrics, Spans

Eventually = Callable[[Callable[[], object]], None]

log = logging.getLogger("common.test")


class Desk:
    """The application: it does what it is asked, says only that it has, and knows many ways to refuse."""

    def __init__(self, database: Database, audit: AuditLogger) -> None:
        """Work on *database*, and write into *audit* what a service writes."""
        keys = KeyRing([SigningKey.generate("EdDSA")], issuer="desk")
        self.audit = audit
        self.passwords = quick_passwords()
        self.kit = CanaryKit(database, self.passwords)
        self.tokens = TokenManager(issuer="desk", audience="desk", keys=keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by ``{}``, or by problem details."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        content = json.loads((await receive())["body"] or b"{}")
        status, body = 200, {}
        try:
            await asyncio.to_thread(self.serve, scope, content)
        except AuthError:
            raise
        except CommonError as error:
            log.warning("The desk refused.", exc_info=error)
            problem = to_problem(error, request_id=request_id_of(scope))
            status, body = problem.status, dict(problem.body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    def serve(self, scope: Scope, content: Mapping[str, str]) -> None:
        """Serve ``/<room>/<name>``."""
        _, room, name = scope["path"].split("/", 2)
        scope["path_template"] = f"/{room}/{{name}}"
        rooms: Mapping[str, Callable[[Scope, str, Mapping[str, str]], object]] = {
            "scraps": self.scrap,
            "people": self.register,
            "sessions": self.log_in,
            "tokens": self.read_token,
            "cash": lambda scope, name, content: self.kit.balances.withdraw(name, content["amount"], request_id=name),
            "secrets": lambda scope, name, content: identity(scope).require_role("operator"),
        }
        rooms[room](scope, name, content)

    def scrap(self, scope: Scope, name: str, content: Mapping[str, str]) -> None:
        """Store a scrap, or read one."""
        if scope["method"] == "PUT":
            self.kit.scraps.create(Scrap(id=name, text=content["text"]))
        else:
            self.kit.scraps.require(name)

    def register(self, scope: Scope, name: str, content: Mapping[str, str]) -> None:
        """Register somebody whose password is good enough."""
        self.passwords.validate_strength(content["password"]).require()
        self.kit.users.create(self.kit.newcomer(content["password"]), request_id=self.kit.new_id())
        self.audit.emit("user_created", outcome=AuditOutcome.SUCCESS, fields=["password"], ctx=context_of(scope))

    def log_in(self, scope: Scope, name: str, content: Mapping[str, str]) -> None:
        """Check a password, and tell the trail more than it asks for."""
        if not self.kit.users.authenticate(name, content["password"]).ok:
            told: dict[str, Any] = {"method": "password", "password": content["password"], "typed": content}
            self.audit.emit(
                "authn_login_fail",
                outcome=AuditOutcome.FAILURE,
                subject=Claimed(name),
                reason="wrong_password",
                ctx=context_of(scope),
                **told,
            )
            raise InvalidCredentials(reason="wrong_password")

    def read_token(self, scope: Scope, name: str, content: Mapping[str, str]) -> None:
        """Validate a token; its id reaches the trail as a hash."""
        self.audit.emit("authn_token_created", outcome=AuditOutcome.SUCCESS, jti=name, ctx=context_of(scope))
        self.tokens.validate(content["token"])


def identity(scope: Scope) -> Identity:
    """Return who is asking."""
    found = identity_of(scope)
    assert found is not None
    return found


def context_of(scope: Scope) -> RequestContext:
    """Return the request as the trail wants it, with a session id that is a canary."""
    return RequestContext(request_id=request_id_of(scope), session=f"session of {CANARY}")


@dataclass(frozen=True)
class Request:
    """What is sent, and the status that comes of it."""

    status: int
    method: str
    path: str
    content: Mapping[str, str] | None = None
    headers: tuple[tuple[str, str], ...] | None = None
    """Instead of those of the gateway."""


FORGED = forge(SigningKey.generate("EdDSA", kid=CANARY), access_claims(sub=CANARY, jti=CANARY))
BELIEVED = (
    Request(200, "PUT", f"/scraps/{CANARY}", {"text": CANARY}),
    Request(409, "PUT", f"/scraps/{CANARY}?q={CANARY}", {"text": CANARY}),
    Request(200, "GET", f"/scraps/{CANARY}"),
    Request(404, "GET", f"/scraps/{CANARY}-unknown"),
    Request(422, "PUT", f"/cash/{CANARY}", {"amount": f"{AMOUNT}999"}),
    Request(200, "PUT", f"/people/{CANARY}", {"password": PASSWORD}),
    Request(422, "PUT", f"/people/{CANARY}", {"password": CANARY * 20}),
    Request(401, "PUT", f"/sessions/{CANARY}", {"password": PASSWORD}),
    Request(401, "PUT", f"/sessions/{quote(PASSWORD)}", {"password": f"{PASSWORD} "}),
    Request(401, "PUT", f"/tokens/{CANARY}", {"token": CANARY}),
    Request(401, "PUT", f"/tokens/{CANARY}", {"token": FORGED}),
    Request(403, "GET", f"/secrets/all?q={CANARY}"),
)
"""As the gateway passes them on."""
REFUSED = (
    Request(401, "GET", f"/scraps/all?q={CANARY}", headers=()),
    Request(401, "GET", f"/scraps/all?q={CANARY}", headers=(("Authorization", f"Bearer {CANARY}"), ("Cookie", CANARY))),
    Request(401, "GET", "/scraps/all", headers=(("X-Identity-Assertion", CANARY),)),
    Request(401, "GET", "/scraps/all", headers=(("X-Identity-Assertion", FORGED),)),
    Request(400, "GET", "/scraps/all", headers=(("X-User-ID", CANARY), ("X-User-Role", CANARY))),
    Request(400, "GET", "/scraps/all", headers=(("X-Identity-Assertion", CANARY), ("X-Identity-Assertion", FORGED))),
    Request(400, "GET", "/scraps/all", headers=(("X_Identity_Assertion", CANARY),)),
)
"""As somebody sends them who goes around the gateway."""
PROBES = (
    f"/livez?q={CANARY}",
    f"/readyz?q={CANARY}",
    f"/health?q={CANARY}",
    f"/health/{CANARY}",
    f"/health/checks/{CANARY}",
)


@dataclass(frozen=True)
class Service:
    """The service on its way."""

    port: int
    gateway: GatewaySigner
    audit: AuditLogger
    faults: FaultPlan
    trails: tuple[Path, ...]
    fetch: Callable[..., Any]

    def send(self, request: Request) -> Any:
        """Send a request, by default as the gateway does, for a user whose id tells nothing."""
        user = Identity(user_id="u-1", roles=frozenset({"trader"}), request_id="request-001", source="gateway")
        signed = self.gateway.sign(user, audience="desk", method=request.method, raw_path=request.path.encode())
        headers = signed if request.headers is None else [(n.encode(), v.encode()) for n, v in request.headers]
        body = b"" if request.content is None else json.dumps(request.content).encode()
        return self.fetch(self.port, request.path, method=request.method, headers=headers, body=body)


@pytest.fixture
def service(logs: Logs, tmp_path: Path, serve: Callable[[Any], int], fetch: Callable[..., Any]) -> Iterator[Service]:
    """All layers around the desk, on a real socket, with the trail in the family's file and in acme's.

    Logging is set up before the server starts, as everywhere: so uvicorn's own access line is left out.
    """
    trails = (tmp_path / "family.jsonl", tmp_path / "acme.jsonl")
    variables = {"COMMON_AUTH_AUDIT_FILE": str(trails[0]), "ACME_AUDIT_FILE": str(trails[1])}
    settings = Settings.from_environment({"COMMON_AUTH_PASSWORDS": "off", **variables})
    plugins = Plugins()
    plugins.load(settings)
    audit = AuditLogger(plugins.audit_sinks(), service="desk", owners=owners_of_sinks(plugins))
    runner = HealthRunner(
        plugins.health_checks(), owners=owners_of_checks(plugins), detail_level=lambda request: Level.FULL
    )
    runner.add(AuditCheck(audit))
    keys = KeyRing([SigningKey.generate("EdDSA")], issuer="gateway")
    validator = HeaderValidator(
        mode=TrustMode.ASSERTION, service="desk", keys=keys, roles={"trader", "operator"}, sources={"gateway"}
    )
    faults = FaultPlan()
    database = Database.embedded(
        plugins=plugins, entity_types=[SCRAP, SECRET], faults=faults, sleep=lambda seconds: None
    )
    app = App(settings=settings, plugins=plugins, provides=(runner, audit, database))
    with database, plugins.running(app):
        desk = GatewayAuthMiddleware(Desk(database, audit), validator=validator, audit=audit)
        port = serve(HealthApp(runner, ServerSpanMiddleware(LoggingMiddleware(desk))))
        yield Service(port, GatewaySigner(keys), audit, faults, trails, fetch)


def served(spans: Spans) -> int:
    """Return how many requests have come to their very end: the span of the server is the last thing to end."""
    return sum(span.kind is SpanKind.SERVER for span in spans.all())


def test_nothing_that_was_sent_comes_out_of_a_service(
    service: Service, spans: Spans, metrics: Metrics, logs: Logs, eventually: Eventually
) -> None:
    """Successes, refusals by every layer, and an engine that is away: what was asked for is told nowhere."""
    requests = [*BELIEVED, *REFUSED]
    answers = [service.send(request) for request in requests]
    service.faults.rates = FaultRates(refuse=1.0)
    answers.append(service.send(Request(503, "GET", f"/scraps/{CANARY}")))
    service.faults.heal()
    probes = [service.fetch(service.port, path) for path in PROBES]
    assert service.audit.flush(10).complete
    eventually(lambda: served(spans) == len(answers))

    told = {"spans": spans.text(), "metrics": metrics.text(), "logs": logs.text()}
    told |= {f"answer {number}": str(answer) for number, answer in enumerate((*answers, *probes))}
    told |= {f"trail {path.name}": path.read_text() for path in service.trails}
    assert [] == find_canaries(told)
    assert [*(request.status for request in requests), 503] == [answer.status for answer in answers]
    assert [200, 200, 200, 404, 404] == [probe.status for probe in probes]


def test_what_was_searched_tells_of_every_request(
    service: Service, spans: Spans, logs: Logs, eventually: Eventually
) -> None:
    """The same requests do leave spans, access lines, and events of each kind: the search above had where to look."""
    for request in (*BELIEVED, *REFUSED):
        service.send(request)
    service.audit.flush(10)
    eventually(lambda: served(spans) == len(BELIEVED) + len(REFUSED))
    events = [json.loads(line)["event"] for line in service.trails[0].read_bytes().splitlines()]
    access = logs.lines("common.observability.access")

    assert len(BELIEVED) + len(REFUSED) == len(access)
    assert {"PUT /scraps/{name}", "Scrap.create", "UserDAO.authenticate"} <= {span.name for span in spans.all()}
    kinds = {"authn_login_fail", "authn_token_created", "authz_fail", "user_created"}
    assert kinds | {"gateway_rejected", "gateway_spoof"} <= {event["type"] for event in events}
    assert service.trails[0].read_bytes() == service.trails[1].read_bytes()
    assert all(event.get("session") for event in events if event["type"] in kinds - {"authz_fail"})
