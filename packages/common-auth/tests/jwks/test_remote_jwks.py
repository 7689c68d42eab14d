"""Key sets that an issuer publishes: fetched from a real server on the loopback address, and never by a request (K6)."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from common.auth.exceptions import (
    AssertionInvalid,
    ConfigurationError,
    KeySourceUnavailable,
    TokenInvalid,
    UnknownKey,
)
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.remote_jwks import RemoteJWKS
from common.auth.security.token_manager import TokenManager
from common.auth.testing import AUDIENCE, ISSUER, token_manager
from common.auth.testing.jwks_server import JwksServer, answering, publishing, serving
from common.core.utils.clock import FrozenClock

WAIT = timedelta(seconds=5)
COOLDOWN = timedelta(seconds=30)
K1, K2 = (SigningKey.generate("EdDSA", kid=kid) for kid in ("k1", "k2"))


Maker = Callable[..., RemoteJWKS]
Waiter = Callable[[Callable[[], bool]], None]


@pytest.fixture(autouse=True)
def issuer(server: JwksServer) -> JwksServer:
    """Return an issuer that publishes k1."""
    server.answer = publishing(K1)
    return server


def test_a_token_of_the_issuer_is_validated_by_its_published_key(remote: Maker, clock: FrozenClock) -> None:
    """A service that holds no key at all verifies by the set it fetched."""
    token = token_manager(K1, clock=clock).create_access("u-1", session="s-1", epoch=0).token
    keys = remote()
    assert keys.start(wait=WAIT)

    verifier = TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=keys, clock=clock)

    assert "u-1" == verifier.validate(token).subject
    with pytest.raises(ConfigurationError, match="verify and do not sign"):
        verifier.create_access("u-1", session="s-1", epoch=0)


def test_a_service_believes_a_gateway_that_publishes_its_keys(issuer: JwksServer, clock: FrozenClock) -> None:
    """A header validator takes a remote set in place of a ring, and an unknown key id is refused as ever."""
    ring, other = (KeyRing([key], issuer="gateway", clock=clock) for key in (K1, K2))
    keys = RemoteJWKS(issuer.url, issuer="gateway", clock=clock)
    assert keys.start(wait=WAIT)
    orders = HeaderValidator(
        mode=TrustMode.ASSERTION, service="orders", keys=keys, roles={"trader"}, sources={"gateway"}, clock=clock
    )
    ada = Identity(user_id="u-1", request_id="0190163d-8694", source="gateway")

    def signed(by: KeyRing) -> list[tuple[bytes, bytes]]:
        return GatewaySigner(by, clock=clock).sign(ada, audience="orders", method="GET", raw_path=b"/")

    assert ada == orders.validate("GET", b"/", signed(ring))
    with pytest.raises(AssertionInvalid, match="unknown_kid"):
        orders.validate("GET", b"/", signed(other))
    keys.close()


def test_before_the_first_set_nobody_is_believed_and_nobody_is_called_a_forger(
    remote: Maker, issuer: JwksServer
) -> None:
    """Without any set the answer is an outage, not a refusal; it begins the fetch, and does not wait for it."""
    released = threading.Event()

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        released.wait(5)
        publishing(K1)(handler)

    issuer.answer = slowly
    keys = remote()

    with pytest.raises(KeySourceUnavailable) as caught:
        keys.find("k1", "EdDSA")
    assert "no_key_set" == caught.value.reason

    released.set()
    assert keys.start(wait=WAIT)
    assert "k1" == keys.find("k1", "EdDSA").kid


def test_a_thousand_unknown_key_ids_cause_one_fetch_per_cooldown(
    remote: Maker, issuer: JwksServer, clock: FrozenClock, eventually: Waiter
) -> None:
    """Whoever invents key ids cannot make this service call the issuer more often."""
    keys = remote()
    assert keys.start(wait=WAIT)
    assert 1 == issuer.asked

    for cooldown in range(3):
        clock.advance(COOLDOWN)
        for number in range(1000):
            with pytest.raises(UnknownKey):
                keys.find(f"made-up-{cooldown}-{number}", "EdDSA")
        eventually(lambda expected=cooldown + 2: keys.stats().fetches == expected)  # type: ignore[misc]

    assert 4 == issuer.asked


def test_a_fetch_that_fails_has_had_its_cooldown_too(
    remote: Maker, issuer: JwksServer, clock: FrozenClock, eventually: Waiter
) -> None:
    """An issuer that is in trouble is not asked more often than one that is well."""
    keys = remote()
    assert keys.start(wait=WAIT)
    issuer.answer = answering(b"in trouble", 500)

    for round_number in range(1, 4):
        clock.advance(COOLDOWN)
        for number in range(50):
            with pytest.raises(UnknownKey):
                keys.find(f"made-up-{round_number}-{number}", "EdDSA")
        eventually(lambda expected=round_number: keys.stats().failures == expected)  # type: ignore[misc]

    assert 4 == issuer.asked
    assert "wrong_status" == keys.stats().last_failure


def test_a_key_id_that_a_fetch_did_not_bring_is_not_asked_for_again(
    remote: Maker, issuer: JwksServer, clock: FrozenClock, eventually: Waiter
) -> None:
    """One client with an old token does not cause a fetch per cooldown; after five cooldowns it may again."""
    keys = remote()
    assert keys.start(wait=WAIT)

    def ask() -> None:
        with pytest.raises(UnknownKey):
            keys.find("forgotten", "EdDSA")

    clock.advance(COOLDOWN)
    ask()
    eventually(lambda: keys.stats().fetches == 2)
    for _ in range(3):
        clock.advance(COOLDOWN)
        ask()
    assert 2 == issuer.asked

    clock.advance(2 * COOLDOWN)
    ask()
    eventually(lambda: keys.stats().fetches == 3)


def test_a_new_key_is_found_without_a_refused_request_where_find_may_wait(
    remote: Maker, issuer: JwksServer, clock: FrozenClock
) -> None:
    """A worker thread may wait for the fetch that brings the key of a rotation."""
    keys = remote(miss_wait=WAIT)
    assert "k1" == keys.find("k1", "EdDSA").kid

    issuer.answer = publishing(K1, K2)
    clock.advance(COOLDOWN)

    assert "k2" == keys.find("k2", "EdDSA").kid
    assert 2 == issuer.asked


def test_many_who_miss_one_key_wait_for_one_fetch(remote: Maker, issuer: JwksServer) -> None:
    """Twenty threads that ask together before any set is there get their key by a single request."""
    keys = remote(miss_wait=WAIT)
    begin, found = threading.Barrier(20), []

    def ask() -> None:
        begin.wait(5)
        found.append(keys.find("k1", "EdDSA").kid)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert ["k1"] * 20 == found
    assert 1 == issuer.asked


def test_known_keys_outlive_an_outage_and_not_for_ever(clock: FrozenClock, eventually: Waiter) -> None:
    """With the address gone, tokens verify until the keys are too old; then it is an outage."""
    with serving(JwksServer(K1)) as issuer:
        keys = RemoteJWKS(issuer.url, issuer=ISSUER, clock=clock, max_stale=timedelta(hours=2))
        assert keys.start(wait=WAIT)

    clock.advance(timedelta(hours=1))
    assert "k1" == keys.find("k1", "EdDSA").kid
    eventually(lambda: keys.stats().last_failure == "unreachable")
    assert "k1" == keys.find("k1", "EdDSA").kid

    clock.advance(timedelta(hours=1, seconds=1))
    with pytest.raises(KeySourceUnavailable) as caught:
        keys.find("k1", "EdDSA")
    assert "stale_key_set" == caught.value.reason
    keys.close()


def test_a_key_that_the_issuer_withdraws_ceases_to_verify(
    remote: Maker, issuer: JwksServer, clock: FrozenClock, eventually: Waiter
) -> None:
    """A periodic fetch replaces the set; what is no longer in it is unknown."""
    keys = remote()
    assert keys.start(wait=WAIT)
    issuer.answer = publishing(K2)

    clock.advance(timedelta(minutes=15))
    keys.find("k1", "EdDSA")
    eventually(lambda: keys.stats().fetches == 2)

    with pytest.raises(UnknownKey):
        keys.find("k1", "EdDSA")
    assert "k2" == keys.find("k2", "EdDSA").kid


@pytest.mark.parametrize(
    ("said", "early", "due"),
    [
        ("public, max-age=60", 59, 60),
        ("max-age=0", 29, 30),
        ("max-age=86400", 899, 900),
        ("no-store", 899, 900),
        ("x-max-age=60", 899, 900),
    ],
)
def test_the_issuer_may_ask_to_be_asked_more_often(
    remote: Maker, issuer: JwksServer, clock: FrozenClock, said: str, early: int, due: int, eventually: Waiter
) -> None:
    """``Cache-Control`` shortens the time to the next fetch down to the cooldown, and never lengthens it."""
    issuer.answer = publishing(K1, Cache_Control=said)
    keys = remote()
    assert keys.start(wait=WAIT)

    clock.advance(timedelta(seconds=early))
    keys.find("k1", "EdDSA")
    assert 1 == keys.stats().fetches
    clock.advance(timedelta(seconds=due - early))
    keys.find("k1", "EdDSA")

    eventually(lambda: keys.stats().fetches == 2)


def test_a_redirect_is_not_followed(remote: Maker, issuer: JwksServer, eventually: Waiter) -> None:
    """Nobody calls where a redirect points to, be it a server that would answer."""
    with serving(JwksServer(K1)) as elsewhere:
        issuer.answer = answering(b"", 302, Location=elsewhere.url)
        keys = remote()
        keys.start()
        eventually(lambda: keys.stats().failures == 1)

        assert (1, 0) == (issuer.asked, elsewhere.asked)
    assert "redirected" == keys.stats().last_failure


def test_validation_never_waits_for_the_issuer(remote: Maker, issuer: JwksServer, clock: FrozenClock) -> None:
    """While a fetch hangs, known keys verify and unknown ones are refused, at once."""
    keys = remote()
    assert keys.start(wait=WAIT)
    released, reached = threading.Event(), threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        reached.set()
        released.wait(10)

    issuer.answer = hang
    clock.advance(COOLDOWN)
    forged = token_manager(K2, clock=clock).create_access("u-1", session="s-1", epoch=0).token
    verifier = TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=keys, clock=clock)
    with pytest.raises(UnknownKey):
        keys.find("k9", "EdDSA")
    assert reached.wait(5)

    good = token_manager(K1, clock=clock).create_access("u-1", session="s-1", epoch=0).token
    assert "u-1" == verifier.validate(good).subject
    with pytest.raises(TokenInvalid):
        verifier.validate(forged)
    released.set()


def test_a_service_that_knows_no_keys_yet_answers_503(remote: Maker, server: JwksServer) -> None:
    """Behind the middleware, a gateway whose keys were never fetched is an outage and no forgery."""
    server.answer = answering(b"in trouble", 500)
    ring = KeyRing([K1], issuer="https://id.example")
    orders = HeaderValidator(
        mode=TrustMode.ASSERTION, service="orders", keys=remote(), roles={"trader"}, sources={"gateway"}
    )
    ada = Identity(user_id="u-1", request_id="0190163d-8694", source="gateway")
    headers = GatewaySigner(ring).sign(ada, audience="orders", method="GET", raw_path=b"/")
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        pytest.fail("nobody gets here")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
    asyncio.run(GatewayAuthMiddleware(application, validator=orders)(scope, send, send))  # type: ignore[arg-type]

    assert 503 == sent[0]["status"]
