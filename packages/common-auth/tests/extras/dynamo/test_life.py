"""Logins, sessions and keys as a service lives with them, on a table: what is stored, and what time and outages do to it."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from common.auth.dynamo.entity_types import DENIED, EPOCH, NONCE, SESSION
from common.auth.exceptions import (
    AssertionReplayed,
    InvalidCredentials,
    RateLimited,
    RevocationUnavailable,
    StoreUnavailable,
    TokenError,
)
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.api_keys import ApiKeyManager
from common.auth.security.authenticator import Authenticator, Rehash
from common.auth.security.clock import epoch_seconds
from common.auth.security.context import RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.login_guard import LoginGuard
from common.auth.security.password_manager import PasswordManager
from common.auth.security.secrets import SecretBytes
from common.auth.security.session_values import Freshness
from common.auth.security.token_manager import TokenManager
from common.auth.testing import MOMENT, quick_passwords, token_manager
from common.auth.testing.store_laws import make_family
from common.core.utils.clock import FrozenClock
from common.dynamo.execution import Pattern
from common.dynamo.requests import Scan
from common.dynamo.testing import FaultPlan, FaultRates, spend

CTX = RequestContext(client_id="web", source_ip="192.0.2.7")
RIGHT = "violet-tractor-mumbles-sonnet"


def manager(stores: Any, clock: FrozenClock) -> TokenManager:
    """A token manager on the stores."""
    return token_manager(
        clock=clock, families=stores.sessions, revocations=stores.revocations, accounts=stores.credentials
    )


@pytest.fixture
def passwords() -> PasswordManager:
    """A password manager whose hashes take a millisecond."""
    return quick_passwords(cost=5)


@pytest.fixture
def user(stores: Any, passwords: PasswordManager) -> str:
    """Who logs in: a user of the ledger, with a password."""
    return str(stores.make_user("ada", passwords.hash(RIGHT)))


def everything(stores: Any) -> str:
    """Every item of every table, as it is stored, in one text."""
    tables = {definition.name for definition in stores.db.table_definitions()}
    found = []
    for table in tables:
        found += stores.db.execute(Scan(table=table, consistent=True), Pattern("Test.dump", "Scan")).body["Items"]
    return repr(found)


def test_nothing_stored_lets_anybody_in(stores: Any, clock: FrozenClock, passwords: PasswordManager, user: str) -> None:
    """No token, key, secret or password that was issued or typed is in any item, whole or in its parts (auth F14)."""
    tokens, keys = manager(stores, clock), ApiKeyManager(stores.api_keys, environment="test", clock=clock)
    guard = LoginGuard(stores.counters, key=SecretBytes(secrets.token_bytes(32)), clock=clock)
    logins = Authenticator(stores.credentials, passwords, guard=guard, sessions=tokens, clock=clock)
    result = logins.login("ada", RIGHT, CTX)
    assert result.tokens is not None
    pairs = [result.tokens, tokens.refresh(result.tokens.refresh_token, CTX)]
    key = keys.issue("billing", ["orders:read"], expires=MOMENT + timedelta(days=30)).key.reveal()
    keys.verify(key)
    tokens.revoke_token(pairs[0].access_token)
    tokens.revoke_session(pairs[0].session)
    cookie = guard.device_cookie("ada").reveal()

    whole = [token for pair in pairs for token in (pair.access_token, pair.refresh_token)] + [key, cookie, RIGHT]
    parts = [part for token in whole for part in token.split(".") if len(part) > 20] + [key.split("_")[3]]
    dump = everything(stores)
    assert result.user_id in dump
    assert not [issued for issued in (*whole, *parts) if issued in dump]


def test_an_epoch_never_expires(stores: Any) -> None:
    """Its item has no attribute that the table's sweep looks at; those of sessions and denials have (auth F7, F9)."""
    stores.revocations.raise_epoch("u-1")
    stores.revocations.deny("t", expires_at=2_000_000_000.5)
    stores.sessions.create(make_family())

    assert EPOCH.ttl is None
    dumped = everything(stores)
    assert 3 == dumped.count("'_x'")  # the denial, the session, and its place in the user's list
    assert "'_x': {'N': '2000000001'}" in dumped


def test_what_has_expired_and_is_still_there_counts_for_nothing(stores: Any, clock: FrozenClock, user: str) -> None:
    """Denials, nonces and sessions are held to the clock of the caller, not to the sweep of the table (auth F9)."""
    tokens, now = manager(stores, clock), epoch_seconds(clock)
    pair = tokens.start_session(user, CTX)
    jti = tokens.validate(pair.access_token).token_id
    assert jti is not None
    stores.revocations.deny(jti, expires_at=now - 1)
    stores.nonces.claim("n", expires_at=now - 1, now=now - 60)

    assert user == tokens.validate_live(pair.access_token, freshness=Freshness.STRICT).subject
    assert stores.nonces.claim("n", expires_at=now + 60, now=now)
    clock.advance(timedelta(days=8))
    with pytest.raises(TokenError):
        tokens.refresh(pair.refresh_token, CTX)
    assert stores.sessions.find(pair.session) is not None
    assert {SESSION.ttl, DENIED.ttl, NONCE.ttl} == {"expires_at", "sweep_at"}


def test_during_an_outage_what_must_be_known_is_refused(
    patient_stores: Any, faults: FaultPlan, clock: FrozenClock
) -> None:
    """Strict fails closed; what was learnt before serves for a while; nothing is renewed, and nobody logs in (auth F8)."""
    user = patient_stores.make_user("ada", None)
    tokens = manager(patient_stores, clock)
    pair = tokens.start_session(user, CTX)
    tokens.validate_live(pair.access_token)
    faults.rates = FaultRates(refuse=1.0)

    with pytest.raises(RevocationUnavailable):
        tokens.validate_live(pair.access_token, freshness=Freshness.STRICT)
    assert user == tokens.validate_live(pair.access_token).subject
    with pytest.raises((StoreUnavailable, RevocationUnavailable)):
        tokens.refresh(pair.refresh_token, CTX)
    faults.heal()
    assert tokens.refresh(pair.refresh_token, CTX).session == pair.session


def test_a_password_that_was_hashed_for_less_is_hashed_anew_at_login(
    stores: Any, passwords: PasswordManager, clock: FrozenClock
) -> None:
    """In the user's own item, where it still is what was verified (auth P8)."""
    cheap = PasswordManager(peppers=passwords._peppers, cost=4, testing=True)
    user = stores.make_user("ada", cheap.hash(RIGHT))
    logins = Authenticator(stores.credentials, passwords, clock=clock)

    first, second = logins.login("ADA", RIGHT, CTX), logins.login("ada", RIGHT, CTX)

    assert [(user, Rehash.STORED), (user, None)] == [(each.user_id, each.rehash) for each in (first, second)]
    assert ["$2b$05$"] == [stored[stored.index("$2b$") :][:7] for stored in stores.credentials.stored_hashes()]


def test_of_two_hundred_guesses_at_once_ten_are_verified(
    stores: Any, passwords: PasswordManager, clock: FrozenClock, user: str
) -> None:
    """The attempt is reserved in the table before a password is looked at, whichever process takes it (auth L1)."""
    key = SecretBytes(secrets.token_bytes(32))
    verified: list[str] = []

    class Counting:
        """Counts what is compared with the stored hash."""

        def __getattr__(self, name: str) -> Any:
            return getattr(passwords, name)

        def verify(self, password: Any, stored: str | None) -> Any:
            """Count, and verify."""
            verified.extend([stored] if stored else [])
            return passwords.verify(password, stored)

    def guess(number: int) -> str:
        guard = LoginGuard(stores.counters, key=key, clock=clock)
        logins = Authenticator(stores.credentials, Counting(), guard=guard, clock=clock)  # type: ignore[arg-type]
        try:
            logins.login("ada", f"wrong-{number}", CTX)
        except (InvalidCredentials, RateLimited) as error:
            return type(error).__name__
        return "logged in"

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(guess, range(200)))

    assert "logged in" not in answers
    assert 1 <= len(verified) <= 10


def test_an_assertion_is_used_up_for_every_process(stores: Any, clock: FrozenClock) -> None:
    """By one conditional write; expired entries that are still there do not count (auth G4)."""
    keys = KeyRing([SigningKey.generate("EdDSA", kid="g1")], issuer="gateway", clock=clock)
    ada = Identity(user_id="u-ada", roles=frozenset({"trader"}), request_id="0190163d-8694", source="gateway")
    headers = GatewaySigner(keys, clock=clock).sign(ada, audience="orders", method="GET", raw_path=b"/orders")
    processes = [
        HeaderValidator(
            mode=TrustMode.ASSERTION, service="orders", keys=keys, roles={"trader"}, sources={"gateway"},
            nonces=stores.nonces, clock=clock,
        )
        for _ in range(2)
    ]  # fmt: skip
    identities = [process.validate("GET", b"/orders", headers) for process in processes]

    with spend(wcu=1, rcu=0, trips=1):
        processes[0].claim(identities[0])
    with spend(rcu=0, trips=1), pytest.raises(AssertionReplayed):
        processes[1].claim(identities[1])


ISSUE: dict[str, Callable[[Any], object]] = {
    "sessions": lambda stores: stores.sessions,
    "revocations": lambda stores: stores.revocations,
    "counters": lambda stores: stores.counters,
    "api_keys": lambda stores: stores.api_keys,
    "nonces": lambda stores: stores.nonces,
    "credentials": lambda stores: stores.credentials,
}


@pytest.mark.parametrize("name", ISSUE)
def test_a_store_shows_its_table_and_nothing_else(name: str, stores: Any) -> None:
    """In its ``repr``."""
    shown = repr(ISSUE[name](stores))

    assert shown.endswith(")")
    assert "Store(" in shown
