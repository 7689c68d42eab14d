"""A service on all four parts of the family and every installed plugin, on a free port of the loopback interface.

    python service.py FOLDER [without-pluggy]

It prints its port and serves until its standard input is closed. Spans go to FOLDER, log lines to standard error; the
gateway's public keys are in ``PROBE_GATEWAY_JWKS``. With ``without-pluggy``, every call of a hook fails while it serves.
"""

import asyncio
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pluggy
import uvicorn
from pydantic import BaseModel

from common.auth.exceptions import AuthError
from common.auth.gateway.asgi import Receive, Scope, Send
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware, identity_of, request_id_of
from common.auth.health import AuditCheck
from common.auth.security.audit_logger import AuditLogger, SinkPolicy
from common.auth.security.audit_settings import owners_of_sinks
from common.auth.security.claim_sources import OWN_CLAIMS, claim_sources
from common.auth.security.context import RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.token_manager import TokenManager
from common.core import App, Plugins, Settings
from common.core.audit import AuditOutcome, AuditType
from common.dynamo import Database, EntityType, Key
from common.dynamo.dao import UserDAO
from common.entities import UserCreate
from common.exceptions import CommonError, to_problem
from common.observability import configure
from common.observability.health import HealthApp, HealthRunner, Level, owners_of_checks
from common.observability.logging import LoggingMiddleware
from common.observability.monitoring.asgi import ServerSpanMiddleware

log = logging.getLogger("probe")

WAYS_TO_CALL = ("__call__", "call_extra", "call_historic", "get_hookimpls")
"""A hook, or its implementations one by one."""
POLICY = SinkPolicy(timeout=0.2, failures=2, first_delay=0.01, longest_delay=0.05)
NOTE_STORED = AuditType("note_stored", frozenset({"note"}))


class Note(BaseModel):
    """What the service keeps."""

    id: str
    text: str


NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))


class Service:
    """The application behind all layers: notes, users and tokens."""

    def __init__(self, plugins: Plugins, audit: AuditLogger, database: Database) -> None:
        """Build it once, when plugins have started."""
        keys = KeyRing([SigningKey.generate("EdDSA")], issuer="service")
        self.audit = audit
        self.notes = database.dao(NOTE)
        self.users = UserDAO(database, plugins.password_hasher())
        self.tokens = TokenManager(issuer="service", audience="all", keys=keys, claims=claim_sources(plugins))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by JSON, an error of the family by problem details."""
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        content = (await receive())["body"]
        try:
            status, body = await asyncio.to_thread(self.answer, scope, json.loads(content or b"{}"))
        except AuthError:
            raise  # the gateway's middleware answers it, and writes it into the trail
        except CommonError as error:
            problem = to_problem(error, request_id=request_id_of(scope))
            status, body = problem.status, problem.body
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    def answer(self, scope: Scope, content: Any) -> tuple[int, Mapping[str, Any]]:
        """Do what was asked for; returns the status and the body of the answer."""
        _, room, name = scope["path"].split("/")
        scope["path_template"] = f"/{room}/{{name}}"
        answers: dict[str, Callable[[Identity, str, Any], Mapping[str, Any]]] = {
            "PUT notes": self.store,
            "GET notes": self.read,
            "DELETE notes": self.clear,
            "PUT users": self.register,
            "GET tokens": self.issue,
            "GET hooks": self.ask_pluggy,
        }
        identity = identity_of(scope)
        assert identity is not None
        return 200, answers[f"{scope['method']} {room}"](identity, name, content)

    def store(self, identity: Identity, name: str, content: Any) -> Mapping[str, Any]:
        """Keep a note."""
        note = self.notes.put(Note(id=name, text=content["text"]))
        context = RequestContext(request_id=identity.request_id, source_service=identity.source)
        self.audit.emit(
            NOTE_STORED.name, outcome=AuditOutcome.SUCCESS, actor=identity.user_id, ctx=context, note=note.id
        )
        return note.model_dump()

    def read(self, identity: Identity, name: str, content: Any) -> Mapping[str, Any]:
        """Show a note."""
        return self.notes.require(name).model_dump()

    def clear(self, identity: Identity, name: str, content: Any) -> Mapping[str, Any]:
        """Remove a note, as an operator."""
        identity.require_role("operator")
        self.notes.delete(name)
        return {}

    def register(self, identity: Identity, name: str, content: Any) -> Mapping[str, Any]:
        """Register a user, and check the password."""
        wanted = UserCreate(username=name, email=f"{name}@example.org", password=content["password"])
        applied = self.users.create(wanted, request_id=content["request_id"])
        checked = self.users.authenticate(name, content["password"])
        return {"username": applied.entry.username, "replayed": applied.replayed, "authentic": checked.ok}

    def issue(self, identity: Identity, name: str, content: Any) -> Mapping[str, Any]:
        """Issue a token, and show the claims that plugins have added."""
        issued = self.tokens.create_access(name, session="s-1", epoch=0)
        claims = self.tokens.validate(issued.token).members
        return {claim: value for claim, value in claims.items() if claim not in OWN_CLAIMS}

    def ask_pluggy(self, identity: Identity, name: str, content: Any) -> Mapping[str, Any]:
        """Call a hook during a request, as nothing else here does; proves that this would be noticed."""
        marker = pluggy.HookspecMarker("probe")
        manager = pluggy.PluginManager("probe")
        manager.add_hookspecs(type("Hooks", (), {"hook": marker(lambda: None)}))
        return {"answers": manager.hook.hook()}


async def live(receive: Receive, send: Send) -> None:
    """Follow the lifespan protocol."""
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def pluggy_fails() -> Iterator[None]:
    """Make every way to call a hook fail, and be told in the log."""

    def fail(*arguments: object, **keywords: object) -> NoReturn:
        log.warning("A hook was called during a request.")
        raise CommonError("a hook was called during a request")

    ways = {name: getattr(pluggy.HookCaller, name) for name in WAYS_TO_CALL}
    for name in ways:
        setattr(pluggy.HookCaller, name, fail)
    try:
        yield
    finally:
        for name, way in ways.items():
            setattr(pluggy.HookCaller, name, way)


def serve(app: Any) -> None:
    """Serve until standard input is closed; whoever started us may be gone without a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))

    def end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    server.run(sockets=[listener])


def main(folder: Path, *, has_pluggy: bool) -> None:
    """Put the parts together as the guides say."""
    settings = Settings.from_environment()
    plugins = Plugins()
    plugins.load(settings)
    telemetry = configure(settings=settings, plugins=plugins, span_file=folder / "spans.jsonl", log_stream=sys.stderr)
    owners = owners_of_sinks(plugins)
    audit = AuditLogger(plugins.audit_sinks(), service="probe", types=[NOTE_STORED], policy=POLICY, owners=owners)
    runner = HealthRunner(
        plugins.health_checks(),
        owners=owners_of_checks(plugins),
        detail_level=lambda request: Level.FULL,
        plugins=plugins.listing,
    )
    runner.add(AuditCheck(audit))
    gateway = KeyRing.from_jwks(json.loads(settings.section("PROBE_").text("GATEWAY_JWKS")), issuer="gateway")
    validator = HeaderValidator(
        mode=TrustMode.ASSERTION,
        service="probe",
        keys=gateway,
        roles={"trader", "operator"},
        sources={"gateway"},
    )
    with Database.embedded(plugins=plugins, entity_types=[NOTE]) as database:
        app = App(settings=settings, plugins=plugins, provides=(runner, audit, database))
        with plugins.running(app, stop_within=1.0):
            service = Service(plugins, audit, database)
            guarded = GatewayAuthMiddleware(service, validator=validator, audit=audit)
            layers = HealthApp(runner, ServerSpanMiddleware(LoggingMiddleware(guarded)))
            if has_pluggy:
                serve(layers)
            else:
                with pluggy_fails():
                    serve(layers)
    telemetry.shutdown(1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), has_pluggy="without-pluggy" not in sys.argv)
