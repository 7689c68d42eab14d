"""Nothing that grants something, once made, stands in a log, a trail, a store, an error or a representation (auth X2, P21)."""

import json
import logging
import secrets
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import AuthError
from common.auth.gateway.lambda_authorizer import LambdaAuthorizer
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.api_keys import ApiKeyManager
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.authenticator import Authenticator
from common.auth.security.context import RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.login_guard import LoginGuard, LoginLimits
from common.auth.security.memory_stores import (
    MemoryApiKeyStore,
    MemoryCredentialStore,
    MemoryLoginCounterStore,
    MemoryRefreshFamilyStore,
    MemoryRevocationStore,
)
from common.auth.security.secrets import SecretBytes
from common.auth.security.stores import Credential
from common.auth.testing import quick_passwords, token_manager
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

FIRST, SECOND, WRONG = "canary-violet-tractor-mumbles", "canary-lighthouse-counts-moths", "canary-was-never-right"
PASSWORDS = (FIRST, SECOND, WRONG)
NAME = "canary-typed-into-the-field-for-the-name"


class Service:
    """Everything that logs in, with one trail; remembers each secret that it gave out, and each error."""

    def __init__(self, clock: FrozenClock) -> None:
        self.clock = clock
        self.sink = MemorySink()
        self.audit = AuditLogger([self.sink], service="users", clock=clock)
        self.passwords = quick_passwords()
        ada = Credential(user_id="u-1", password_hash=quick_passwords(peppers=self.passwords._peppers).hash(FIRST))
        self.credentials = MemoryCredentialStore([("ada", ada)])
        self.families = MemoryRefreshFamilyStore(clock=clock)
        self.revocations = MemoryRevocationStore(clock=clock)
        self.counters = MemoryLoginCounterStore(clock=clock)
        self.api_keys = MemoryApiKeyStore(clock=clock)
        key = SecretBytes(secrets.token_bytes(32))
        self.guard = LoginGuard(self.counters, key=key, limits=LoginLimits(free=3), audit=self.audit, clock=clock)
        self.tokens = token_manager(clock=clock, families=self.families, revocations=self.revocations, audit=self.audit)
        self.logins = Authenticator(
            self.credentials, self.passwords, audit=self.audit, guard=self.guard, sessions=self.tokens, clock=clock
        )
        self.keys = ApiKeyManager(self.api_keys, environment="test", audit=self.audit, clock=clock)
        ring = KeyRing([SigningKey.generate(kid="g1")], issuer="gateway", clock=clock)
        signer = GatewaySigner(ring, bound=False, clock=clock)
        self.gateway = LambdaAuthorizer(self.tokens, signer, audience="orders", audit=self.audit)
        self.given: list[str] = [*PASSWORDS, NAME]
        self.errors: list[AuthError] = []

    def parts(self) -> tuple[object, ...]:
        """Return what has a representation."""
        return (self.guard, self.tokens, self.logins, self.keys, self.gateway, self.passwords, self.audit)

    def stores(self) -> tuple[object, ...]:
        """Return what a thief of the tables would have."""
        return (self.credentials, self.families, self.revocations, self.counters, self.api_keys)

    def fails(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Call in vain, and keep the error."""
        try:
            call(*arguments, **options)
        except AuthError as error:
            self.errors.append(error)
        else:
            pytest.fail(f"{call} went well")

    def day(self) -> None:
        """Do what a user, a machine and a thief do."""
        here = RequestContext(request_id="0190163d-8694", source_ip="203.0.113.9")
        first = self.login("ada", FIRST, here)
        self.fails(self.logins.login, "ada", WRONG, here)
        self.fails(self.logins.login, NAME, FIRST, here)
        self.clock.advance(timedelta(minutes=1))
        second = self.tokens.refresh(first.refresh_token, here)
        self.given += [second.access_token, second.refresh_token]
        self.gateway_takes(second.access_token)
        self.clock.advance(timedelta(minutes=1))
        self.fails(self.tokens.refresh, first.refresh_token, here)
        self.fails(self.tokens.validate_live, second.access_token)
        self.fails(self.tokens.validate, second.access_token[:-4] + "AAAA")
        self.fails(self.tokens.validate, second.refresh_token)
        self.fails(self.logins.change_password, "u-1", WRONG, SECOND, here)
        self.logins.change_password("u-1", FIRST, SECOND, here)
        self.login("ada", SECOND, here)
        self.machines()

    def login(self, name: str, password: str, ctx: RequestContext) -> Any:
        """Log in, and keep the tokens and the device cookie."""
        tokens = self.logins.login(name, password, ctx).tokens
        assert tokens is not None
        self.given += [tokens.access_token, tokens.refresh_token, self.guard.device_cookie(name).reveal()]
        return tokens

    def gateway_takes(self, token: str) -> None:
        """Pass the gateway, and keep the assertion."""
        event = {
            "version": "2.0",
            "rawPath": "/orders",
            "headers": {"authorization": f"Bearer {token}"},
            "requestContext": {"http": {"method": "GET", "sourceIp": "203.0.113.9"}},
        }
        answer = self.gateway.http_api(event)
        self.given.append(answer["context"]["x_identity_assertion"])
        assert not self.gateway.http_api({**event, "headers": {"authorization": f"Bearer {token}x"}})["isAuthorized"]

    def machines(self) -> None:
        """Issue, use and misuse an API key."""
        issued = self.keys.issue("robot", ["prices:read"], expires=self.clock.now() + timedelta(days=1))
        text = issued.key.reveal()
        self.given.append(text)
        self.keys.verify(text, scope="prices:read")
        self.fails(self.keys.verify, text, scope="prices:write")
        self.fails(self.keys.verify, text[:-1] + ("A" if text[-1] != "A" else "B"))
        self.keys.revoke(issued.summary.key_id)
        self.fails(self.keys.verify, text)


@pytest.fixture
def after_a_day(clock: FrozenClock, caplog: pytest.LogCaptureFixture) -> Iterator[Service]:
    """Return a service that has seen a day."""
    caplog.set_level(logging.DEBUG)
    service = Service(clock)
    service.day()
    assert service.audit.close(5.0).complete
    yield service
    service.passwords.close()


def needles(service: Service) -> list[str]:
    """Return what must not be found: each secret, and the tail of each, which alone would sign a token or prove a key."""
    return [*service.given, *(text[-24:] for text in service.given)]


def test_the_day_had_everything(after_a_day: Service) -> None:
    """Enough secrets were given out, and enough was refused, for the tests below to mean something."""
    assert len(after_a_day.given) > 12
    assert len(after_a_day.errors) > 8
    assert len(after_a_day.sink.records) > 15


def test_no_secret_is_in_the_trail(after_a_day: Service) -> None:
    """Every line, as it was stored."""
    lines = b"\n".join(record.line for record in after_a_day.sink.records).decode()

    assert [] == [needle for needle in needles(after_a_day) if needle in lines]


def test_no_secret_is_in_the_log(after_a_day: Service, caplog: pytest.LogCaptureFixture) -> None:
    """At any level, of any logger, arguments included."""
    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)

    assert [] == [needle for needle in needles(after_a_day) if needle in told]


def test_no_secret_is_in_an_error(after_a_day: Service) -> None:
    """Neither in its text, its details, its causes, nor the answer to the client."""
    told = []
    for error in after_a_day.errors:
        problem = to_problem(error, request_id="r-1")
        told += [str(error), repr(error), str(error.details), json.dumps(problem.body), str(problem.headers)]
        told += [repr(error.__cause__), repr(error.__context__)]

    assert [] == [needle for needle in needles(after_a_day) if needle in "\n".join(told)]


def test_no_password_is_in_a_traceback_with_locals(after_a_day: Service) -> None:
    """What error reporters collect from our frames has no password; tokens are short-lived, and may stand there."""
    stacks = [
        traceback.TracebackException.from_exception(error, capture_locals=True).stack for error in after_a_day.errors
    ]
    ours = [str(frame.locals) for stack in stacks for frame in stack if "/common/auth/" in frame.filename]

    assert len(ours) > 10
    assert [] == [password for password in PASSWORDS if password in "\n".join(ours)]


def test_no_secret_is_in_a_representation(after_a_day: Service) -> None:
    """Of anything that was put together or returned."""
    told = " ".join(map(repr, (*after_a_day.parts(), *after_a_day.stores())))

    assert [] == [needle for needle in needles(after_a_day) if needle in told]


def test_no_secret_is_in_a_store(after_a_day: Service) -> None:
    """Whoever steals all of the tables can neither log in, nor show a token or a key (auth F14)."""
    stolen = " ".join(str(_dumped(store)) for store in after_a_day.stores())

    assert len(stolen) > 1000
    assert [] == [needle for needle in needles(after_a_day) if needle in stolen]


def _dumped(value: object, depth: int = 0) -> object:
    """Return everything that hangs on *value*, as text, whatever its representation hides."""
    if depth > 6 or isinstance(value, str | bytes | int | float | None):
        return value
    if isinstance(value, dict):
        return [(_dumped(key, depth + 1), _dumped(item, depth + 1)) for key, item in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [_dumped(item, depth + 1) for item in value]
    fields = list(getattr(value, "__dict__", {})) or list(getattr(type(value), "__slots__", ()))
    return [_dumped(getattr(value, name), depth + 1) for name in fields if hasattr(value, name)]
