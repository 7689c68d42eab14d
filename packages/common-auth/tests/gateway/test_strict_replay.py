"""One proof, one use, over all processes of a service: the strict replay check (auth G4)."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.auth.exceptions import AssertionReplayed, ConfigurationError, StoreUnavailable
from common.auth.gateway.asgi import ASGIApp
from common.auth.gateway.claiming import ClaimingPool
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.hmac_ring import HmacRing
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.memory_stores import MemoryNonceStore
from common.auth.security.secrets import SecretBytes
from common.auth.testing.unreliable_store import UnreliableStore

TARGET = b"/orders?page=2"


@pytest.fixture
def store() -> UnreliableStore:
    """What all processes remember, and can lose."""
    return UnreliableStore(MemoryNonceStore())


@pytest.fixture
def trail() -> MemorySink:
    """Where the audit events go."""
    return MemorySink()


@pytest.fixture
def audit(trail: MemorySink) -> Iterator[AuditLogger]:
    """A logger that is closed in the end."""
    logger = AuditLogger([trail], service="orders")
    yield logger
    logger.close()


@pytest.fixture
def request_of_ada(gateway: GatewaySigner, ada: Identity) -> list[tuple[bytes, bytes]]:
    """The headers of one genuine request."""
    return gateway.sign(ada, audience="orders", method="GET", raw_path=TARGET)


def test_a_proof_passes_one_process_alone(
    orders_validator: Callable[..., HeaderValidator],
    store: UnreliableStore,
    request_of_ada: list[tuple[bytes, bytes]],
    ada: Identity,
) -> None:
    """Two processes validate it, each for the first time; one of them may serve it (auth G4)."""
    here, there = orders_validator(nonces=store), orders_validator(nonces=store)
    identities = [each.validate("GET", TARGET, request_of_ada) for each in (here, there)]
    assert [ada, ada] == identities

    here.claim(identities[0])
    with pytest.raises(AssertionReplayed, match="replayed_elsewhere"):
        there.claim(identities[1])


def test_two_services_use_up_nothing_of_each_other(store: UnreliableStore, ada: Identity) -> None:
    """Though they share a table, and by chance a nonce."""
    ring = HmacRing({"m1": SecretBytes(secrets.token_bytes(32))}, active="m1")
    identities = []
    for service in ("orders", "billing"):
        validator = HeaderValidator(
            mode=TrustMode.HMAC, service=service, keys=ring, roles={"trader"}, sources={"gateway"}, nonces=store
        )
        headers = GatewaySigner(ring).sign(ada, audience=service, method="GET", raw_path=TARGET)
        identities.append((validator, validator.validate("GET", TARGET, headers)))
    (orders, proven), (billing, _) = identities

    orders.claim(proven)
    billing.claim(proven)
    assert 2 == store.calls["claim"]


def test_validation_alone_asks_no_store(
    orders_validator: Callable[..., HeaderValidator],
    store: UnreliableStore,
    request_of_ada: list[tuple[bytes, bytes]],
) -> None:
    """It stays pure CPU; only a claim does I/O (auth G17)."""
    store.is_down = True
    identity = orders_validator(nonces=store).validate("GET", TARGET, request_of_ada)

    assert 0 == store.calls["claim"]
    with pytest.raises(StoreUnavailable):
        orders_validator(nonces=store).claim(identity)


def test_what_cannot_be_claimed_is_refused(
    orders_validator: Callable[..., HeaderValidator], ada: Identity, store: UnreliableStore
) -> None:
    """No store, no proof, or a mode without proof: each is told (auth X3)."""
    with pytest.raises(ConfigurationError, match="nonces="):
        orders_validator().claim(ada)
    with pytest.raises(Exception, match="unproven"):
        orders_validator(nonces=store).claim(ada)
    with pytest.raises(ConfigurationError, match="nothing is used up"):
        HeaderValidator(
            mode=TrustMode.INSECURE_TRUST, service="orders", keys=None, roles={"trader"}, sources={"gateway"},
            environment="test", nonces=store,
        )  # fmt: skip


def test_macs_are_used_up_too(store: UnreliableStore, ada: Identity) -> None:
    """The nonce of a MAC is claimed like the id of an assertion."""
    ring = HmacRing({"m1": SecretBytes(secrets.token_bytes(32))}, active="m1")
    headers = GatewaySigner(ring).sign(ada, audience="orders", method="GET", raw_path=TARGET)
    validators = [
        HeaderValidator(
            mode=TrustMode.HMAC, service="orders", keys=ring, roles={"trader"}, sources={"gateway"}, nonces=store
        )
        for _ in range(2)
    ]
    identities = [each.validate("GET", TARGET, headers) for each in validators]

    validators[0].claim(identities[0])
    with pytest.raises(AssertionReplayed):
        validators[1].claim(identities[1])


def raw(headers: list[tuple[bytes, bytes]]) -> bytes:
    """A whole request."""
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"GET %b HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n%b\r\n" % (TARGET, lines)


def test_the_middleware_serves_a_request_once_over_two_servers(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], store: UnreliableStore, audit: AuditLogger, trail: MemorySink,
    request_of_ada: list[tuple[bytes, bytes]],
) -> None:  # fmt: skip
    """The second gets 401, which is audited; the application behind is never asked (auth G4)."""
    ports = [
        serve(GatewayAuthMiddleware(showing, validator=orders_validator(nonces=store), audit=audit)) for _ in range(2)
    ]

    answers = [asking(port, raw(request_of_ada)) for port in ports]

    assert [200, 401] == [answer.status for answer in answers]
    assert "untrusted_request" == answers[1].json()["code"]
    assert audit.flush(5).complete
    assert [("authn_token_reuse", "replayed_elsewhere")] == [(event.type, event.reason) for event in trail.events]


def test_while_the_store_is_away_nothing_is_served(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], store: UnreliableStore, audit: AuditLogger, trail: MemorySink,
    request_of_ada: list[tuple[bytes, bytes]],
) -> None:  # fmt: skip
    """503, and one event; it is for the gateway to send the request anew."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(nonces=store), audit=audit))
    store.is_down = True

    answer = asking(port, raw(request_of_ada))

    assert (503, "auth_unavailable") == (answer.status, answer.json()["code"])
    assert audit.flush(5).complete
    assert [("gateway_rejected", "store_away")] == [(event.type, event.reason) for event in trail.events]


def test_claims_run_on_threads_of_their_own() -> None:
    """So a table that is slow holds up no event loop."""
    names: list[str] = []

    async def claim() -> None:
        await ClaimingPool().run(lambda: names.append(threading.current_thread().name))

    asyncio.run(claim())

    assert names[0].startswith("gateway-claims")


def test_claims_do_not_pile_up() -> None:
    """Behind a store that hangs, further requests are refused at once; afterwards there is room again."""
    pool, gate = ClaimingPool(threads=1, waiting=2), threading.Event()

    async def storm() -> list[object]:
        under_way = [asyncio.ensure_future(pool.run(lambda: gate.wait(10) and None)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await asyncio.gather(pool.run(lambda: None), return_exceptions=True)
        gate.set()
        await asyncio.gather(*under_way)
        await pool.run(lambda: None)
        return list(refused)

    (refused,) = asyncio.run(storm())

    assert isinstance(refused, StoreUnavailable)
    assert "claims_overloaded" == refused.reason
