"""Services that call on behalf of a user: what they hand on, and what they cannot add (auth G12)."""

import http.client
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import AssertionInvalid, ConfigurationError
from common.auth.gateway.asgi import ASGIApp, Receive, Scope, Send
from common.auth.gateway.header_validator import HeaderLimits, HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware, identity_of
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.testing import MOMENT, forge
from common.core.utils.clock import FrozenClock

NAMES = ("orders", "inventory", "assets", "prices", "news")
ISSUED = int(MOMENT.timestamp())


class Fleet:
    """A gateway and services, each with a key of its own, and each trusting the gateway and all the others."""

    def __init__(self, clock: FrozenClock) -> None:
        self.clock = clock
        self.keys = {name: SigningKey.generate("EdDSA", kid=f"{name}-1") for name in ("gateway", *NAMES)}
        self.rings = {name: KeyRing([key], issuer=name, clock=clock) for name, key in self.keys.items()}

    def signer(self, name: str) -> GatewaySigner:
        """Return what *name* signs with."""
        return GatewaySigner(self.rings[name], clock=self.clock)

    def validator(self, name: str, **options: Any) -> HeaderValidator:
        """Return what *name* validates with."""
        settings = {
            "keys": self.rings["gateway"],
            "peers": [self.rings[peer] for peer in NAMES if peer != name],
            "roles": {"trader", "operator"},
            "sources": {"gateway"},
            "clock": self.clock,
            **options,
        }
        return HeaderValidator(mode=TrustMode.ASSERTION, service=name, **settings)

    def arrive(self, identity: Identity, first: str = "orders") -> Identity:
        """Return *identity* as the first service gets it from the gateway."""
        headers = self.signer("gateway").sign(identity, audience=first, method="GET", raw_path=b"/")
        return self.validator(first).validate("GET", b"/", headers)

    def hop(self, identity: Identity, source: str, target: str) -> Identity:
        """Return *identity* as *target* gets it from *source*."""
        headers = self.signer(source).sign_outgoing(identity, audience=target, method="GET", raw_path=b"/")
        return self.validator(target).validate("GET", b"/", headers)


@pytest.fixture
def fleet(clock: FrozenClock) -> Fleet:
    """Return a fleet on the clock of the test."""
    return Fleet(clock)


def test_user_roles_and_request_id_reach_the_third_service(fleet: Fleet, ada: Identity) -> None:
    """A → B → C: the same user, roles, scope and request, and both services as actors, the nearest first."""
    scoped = replace(ada, scope=frozenset({"read"}))

    third = fleet.hop(fleet.hop(fleet.arrive(scoped), "orders", "inventory"), "inventory", "assets")

    assert replace(scoped, source="inventory", actors=("inventory", "orders")) == third


def test_four_services_may_act_and_not_a_fifth(fleet: Fleet, ada: Identity) -> None:
    """The chain ends where nobody could say any more who asked."""
    identity = fleet.arrive(ada)
    for source, target in (("orders", "inventory"), ("inventory", "assets"), ("assets", "prices"), ("prices", "news")):
        identity = fleet.hop(identity, source, target)

    assert ("prices", "assets", "inventory", "orders") == identity.actors
    with pytest.raises(ConfigurationError, match="At most 4"):
        fleet.signer("news").sign_outgoing(identity, audience="orders", method="GET", raw_path=b"/")


def test_the_received_assertion_is_never_sent_on(fleet: Fleet, ada: Identity) -> None:
    """What goes out is under the service's own key; the received one would be refused by the next service."""
    received = fleet.signer("gateway").sign(ada, audience="orders", method="GET", raw_path=b"/")
    identity = fleet.validator("orders").validate("GET", b"/", received)
    sent = fleet.signer("orders").sign_outgoing(identity, audience="inventory", method="GET", raw_path=b"/")

    assert dict(received)[b"x-identity-assertion"] != dict(sent)[b"x-identity-assertion"]
    with pytest.raises(AssertionInvalid, match="wrong_aud"):
        fleet.validator("inventory").validate("GET", b"/", received)


def test_an_identity_changed_by_hand_convinces_nobody(fleet: Fleet, ada: Identity) -> None:
    """A service that widens roles, scope, or changes the user before it signs is found out by the next (auth G12)."""
    arrived = fleet.arrive(ada)
    for changes in (
        {"roles": frozenset({"trader", "operator"})},
        {"roles": frozenset({"operator"})},
        {"scope": frozenset({"write"})},
        {"user_id": "u-eve"},
        {"request_id": "0190163d-0000"},
    ):
        with pytest.raises(AssertionInvalid, match=r"widened|origin_of_another_request"):
            fleet.hop(replace(arrived, **changes), "orders", "inventory")


def test_a_service_may_hand_on_less(fleet: Fleet, ada: Identity) -> None:
    """Fewer roles than were given are fine: least privilege."""
    assert frozenset() == fleet.hop(replace(fleet.arrive(ada), roles=frozenset()), "orders", "inventory").roles


def claims(origin: str | None, **changes: Any) -> dict[str, Any]:
    """Return the claims by which ``orders`` asks ``inventory``, changed; ``...`` leaves one out."""
    good: dict[str, Any] = {
        "iss": "orders", "aud": "inventory", "sub": "u-ada", "roles": ["trader"], "src": "orders",
        "rid": "0190163d-8694-739b", "iat": ISSUED, "exp": ISSUED + 30, "jti": "j-1", "act": {"sub": "orders"},
        "org": origin, **changes,
    }  # fmt: skip
    return {name: value for name, value in good.items() if value is not ...}


FORGERIES: dict[str, dict[str, Any]] = {
    "no origin": {"org": ...},
    "origin is no text": {"org": {"sub": "u-ada"}},
    "origin is no assertion": {"org": "eyJ.e.e"},
    "no actor": {"act": ...},
    "somebody else acts": {"act": {"sub": "assets"}},
    "the origin went to somebody else": {"act": {"sub": "orders", "act": {"sub": "assets"}}},
    "somebody else calls": {"src": "gateway"},
    "another user": {"sub": "u-eve"},
    "one role more": {"roles": ["trader", "operator"]},
    "a scope": {"scope": "write"},
    "another request": {"rid": "0190163d-0000"},
    "an actor that is no service": {"act": {"sub": "orders", "act": {"sub": "a b"}}},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_service_with_its_own_key_cannot_go_beyond_what_it_was_given(
    forgery: str, fleet: Fleet, ada: Identity
) -> None:
    """Whatever a service signs, the gateway's word in it decides (auth G12)."""
    evidence = fleet.arrive(ada).evidence
    assert evidence is not None
    assert evidence.assertion is not None
    origin = evidence.assertion.reveal()
    good = forge(fleet.keys["orders"], claims(origin, jti="j-0"), typ="ca-id+jwt").encode()
    forged = forge(fleet.keys["orders"], claims(origin, **FORGERIES[forgery]), typ="ca-id+jwt").encode()
    inventory = fleet.validator("inventory")

    assert ("orders",) == inventory.validate("GET", b"/", [(b"x-identity-assertion", good)]).actors
    with pytest.raises(AssertionInvalid):
        inventory.validate("GET", b"/", [(b"x-identity-assertion", forged)])


@pytest.mark.parametrize("origin", [..., {"sub": "u-ada"}, 7])
def test_a_delegation_without_a_ground_says_so(origin: Any, fleet: Fleet) -> None:
    """The trail tells a missing origin from one that does not hold."""
    forged = forge(fleet.keys["orders"], claims(None, org=origin), typ="ca-id+jwt").encode()

    with pytest.raises(AssertionInvalid, match="no_origin"):
        fleet.validator("inventory").validate("GET", b"/", [(b"x-identity-assertion", forged)])


@pytest.mark.parametrize(("seconds", "passes"), [(10, True), (11, False)])
def test_the_clock_of_the_next_service_may_be_behind(seconds: int, passes: bool, fleet: Fleet, ada: Identity) -> None:
    """By the leeway, to the second, and no more."""
    arrived = fleet.arrive(ada)
    fleet.clock.advance(-timedelta(seconds=seconds))

    if passes:
        assert "u-ada" == fleet.hop(arrived, "orders", "inventory").user_id
    else:
        with pytest.raises(AssertionInvalid, match="origin_too_old"):
            fleet.hop(arrived, "orders", "inventory")


@pytest.mark.parametrize(("most", "passes"), [(2, True), (1, False)])
def test_as_many_roles_as_are_permitted_pass(most: int, passes: bool, fleet: Fleet) -> None:
    """The limit itself is inside."""
    two = Identity(user_id="u-1", roles=frozenset({"trader", "operator"}), request_id="0190163d-8694", source="gateway")
    headers = fleet.signer("gateway").sign(two, audience="orders", method="GET", raw_path=b"/")
    orders = fleet.validator("orders", limits=HeaderLimits(roles=most))

    if passes:
        assert two == orders.validate("GET", b"/", headers)
    else:
        with pytest.raises(AssertionInvalid, match="unknown_role"):
            orders.validate("GET", b"/", headers)


def test_an_origin_forged_by_the_service_itself_is_refused(fleet: Fleet) -> None:
    """The origin must be the gateway's: the key of a service does not sign for users it never saw."""
    origin_claims = claims(..., iss="gateway", aud="orders", src="gateway", act=...)  # type: ignore[arg-type]
    own_origin = forge(fleet.keys["orders"], origin_claims, typ="ca-id+jwt")
    forged = forge(fleet.keys["orders"], claims(own_origin), typ="ca-id+jwt").encode()

    with pytest.raises(AssertionInvalid, match="origin_unknown_kid"):
        fleet.validator("inventory").validate("GET", b"/", [(b"x-identity-assertion", forged)])


def test_a_service_that_is_no_peer_is_refused(fleet: Fleet, ada: Identity) -> None:
    """Only the services that are named may call on behalf of users."""
    headers = fleet.signer("orders").sign_outgoing(fleet.arrive(ada), audience="inventory", method="GET", raw_path=b"/")

    with pytest.raises(AssertionInvalid, match="unknown_kid"):
        fleet.validator("inventory", peers=[fleet.rings["assets"]]).validate("GET", b"/", headers)


@pytest.mark.parametrize(("seconds", "passes"), [(300, True), (301, False)])
def test_a_delegation_ends_minutes_after_the_gateways_word(
    seconds: int, passes: bool, fleet: Fleet, ada: Identity
) -> None:
    """The gateway's assertion has expired long before, as proof of a request; as ground of a delegation it lasts."""
    arrived = fleet.arrive(ada)
    fleet.clock.advance(timedelta(seconds=seconds))

    if passes:
        assert ("orders",) == fleet.hop(arrived, "orders", "inventory").actors
    else:
        with pytest.raises(AssertionInvalid, match="origin_too_old"):
            fleet.hop(arrived, "orders", "inventory")


def test_an_identity_made_by_hand_is_not_handed_on(fleet: Fleet, ada: Identity) -> None:
    """There is nothing to show the next service, and the error says what is missing."""
    with pytest.raises(ConfigurationError, match="HeaderValidator in mode assertion"):
        fleet.signer("orders").sign_outgoing(ada, audience="inventory", method="GET", raw_path=b"/")


def calling(fleet: Fleet, name: str, target: str, port: int) -> ASGIApp:
    """Return the service *name*, which asks *target* on behalf of its caller and returns the answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        identity = identity_of(scope)
        assert identity is not None
        path = scope["path"]
        signed = fleet.signer(name).sign_outgoing(identity, audience=target, method="GET", raw_path=path.encode())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={key.decode(): value.decode() for key, value in signed})
        body = connection.getresponse().read()
        connection.close()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    return app


def test_three_services_over_real_sockets(
    fleet: Fleet, ada: Identity, serve: Callable[..., int], showing: ASGIApp, asking: Callable[[int, bytes], Any]
) -> None:
    """Orders asks inventory, which asks assets: assets knows the user, both services, and the one request id."""
    assets = serve(GatewayAuthMiddleware(showing, validator=fleet.validator("assets")))
    inventory = serve(
        GatewayAuthMiddleware(calling(fleet, "inventory", "assets", assets), validator=fleet.validator("inventory"))
    )
    orders = serve(
        GatewayAuthMiddleware(calling(fleet, "orders", "inventory", inventory), validator=fleet.validator("orders")),
        "uvicorn-httptools",
    )
    signed = fleet.signer("gateway").sign(ada, audience="orders", method="GET", raw_path=b"/holdings")
    lines = b"".join(b"%b: %b\r\n" % header for header in signed)

    seen = json.loads(
        asking(orders, b"GET /holdings HTTP/1.1\r\nHost: o\r\nConnection: close\r\n" + lines + b"\r\n").body
    )

    assert ("u-ada", ["trader"], ["inventory", "orders"]) == (seen["user"], seen["roles"], seen["actors"])
    assert ada.request_id == seen["request_id"]
