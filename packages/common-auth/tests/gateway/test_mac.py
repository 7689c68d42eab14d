"""The MAC of HMAC mode: golden vectors, and what no move of bytes can keep (auth G3)."""

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.auth.exceptions import (
    AssertionInvalid,
    AssertionReplayed,
    AuthError,
    ConfigurationError,
    HeaderMalformed,
    HeaderMissing,
    WeakKey,
)
from common.auth.gateway.header_validator import HeaderLimits, HeaderValidator, TrustMode
from common.auth.gateway.hmac_ring import HmacRing
from common.auth.gateway.identity import Identity
from common.auth.gateway.mac import covered_octets, mac_of, parse_signature
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.secrets import SecretBytes
from common.core.utils.clock import FrozenClock

MASTER = SecretBytes(hashlib.sha256(b"the master of these tests").digest())
NEXT = SecretBytes(hashlib.sha256(b"the next master of these tests").digest())
Headers = list[tuple[bytes, bytes]]


@pytest.fixture
def ring() -> HmacRing:
    """Return the gateway's ring with two masters."""
    return HmacRing({"k1": MASTER, "k2": NEXT}, active="k1")


@pytest.fixture
def signer(ring: HmacRing, clock: FrozenClock) -> GatewaySigner:
    """Return the gateway's signer."""
    return GatewaySigner(ring, clock=clock)


@pytest.fixture
def validator(ring: HmacRing, clock: FrozenClock) -> HeaderValidator:
    """Return the validator of the service ``orders``, which holds nothing but its own keys."""
    return HeaderValidator(
        mode=TrustMode.HMAC,
        service="orders",
        keys=ring.only_for("orders"),
        roles={"trader", "operator"},
        sources={"gateway", "web"},
        clock=clock,
    )


@pytest.fixture
def signed(signer: GatewaySigner, ada: Identity) -> Headers:
    """Return the headers of a good request, ``GET /orders?page=2``."""
    return signer.sign(ada, audience="orders", method="GET", raw_path=b"/orders?page=2")


def changed(headers: Headers, **values: bytes | None) -> Headers:
    """Return *headers* with other values; ``None`` leaves a header out."""
    wanted = {name.replace("_", "-").encode(): value for name, value in values.items()}
    kept = [(name, wanted.get(name, value)) for name, value in headers]
    return [(name, value) for name, value in kept if value is not None]


def test_the_octets_are_those_of_the_specification() -> None:
    """Each field stands behind its length; an absent header is four times ff."""
    octets = covered_octets("k1", 1764000000, "n" * 22, "GET", b"/a?b", "orders", {b"x-user-id": b"u-1"})

    assert octets == (
        b"\0\0\0\x02v1" b"\0\0\0\x02k1" b"\0\0\0\x0a1764000000" b"\0\0\0\x16" + b"n" * 22
        + b"\0\0\0\x03GET" b"\0\0\0\x04/a?b" b"\0\0\0\x06orders" b"\0\0\0\x03u-1" + b"\xff" * 12
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("GET", b"/orders?page=2", {b"x-user-id": b"u-1"}, "bmLBd3vGdsWy85qpHfBlqo9O6w16oRz_RutdryPuBek"),
        (
            "POST",
            b"/orders",
            {b"x-user-id": b"u-1", b"x-user-role": b"trader"},
            "oJLGGhcsP0qoazSV7aGLxSfb9bUxS8yTND_IhA3cJh8",
        ),
        ("GET", b"/", {}, "nzv_gL7tFFb6tFLUcNq-wHtUOtYm0kK0sjhnn5k_7C8"),
    ],
    ids=["query", "two headers", "no header"],
)
def test_golden_vectors(ring: HmacRing, method: str, target: bytes, headers: dict[bytes, bytes], expected: str) -> None:
    """The MACs of fixed inputs, computed once by other code, never change: gateways in other languages rely on them."""
    options: dict[str, Any] = {"kid": "k1", "created": 1764000000, "nonce": "n" * 22, "audience": "orders"}
    mac = mac_of(ring.key("k1", "orders"), method=method, target=target, headers=headers, **options)

    assert expected == mac.decode()


def test_the_key_of_a_service_is_derived_as_rfc_5869_says(ring: HmacRing) -> None:
    """HKDF with SHA-256, no salt, one block: recomputed here from RFC 5869 by hand."""
    extracted = hmac.digest(bytes(32), MASTER.reveal(), hashlib.sha256)
    expanded = hmac.digest(extracted, b"common.auth gateway mac v1\x00orders\x01", hashlib.sha256)

    assert SecretBytes(expanded) == ring.key("k1", "orders")


@given(st.lists(st.one_of(st.none(), st.binary(max_size=12)), min_size=4, max_size=4), st.data())
def test_no_byte_moves_between_neighbouring_fields(values: list[bytes | None], data: st.DataObject) -> None:
    """Wherever the same bytes are cut into other fields, what the MAC covers is another text."""
    names = (b"x-user-id", b"x-user-role", b"x-request-id", b"x-source-service")
    at = data.draw(st.integers(0, 2))
    joined = (values[at] or b"") + (values[at + 1] or b"")
    cut = data.draw(st.integers(0, len(joined)))
    moved = [*values[:at], joined[:cut], joined[cut:], *values[at + 2 :]]

    octets = [
        covered_octets("k", 1, "n", "GET", b"/", "s", {n: v for n, v in zip(names, each, strict=True) if v is not None})
        for each in (values, moved)
    ]

    assert (values == moved) == (octets[0] == octets[1])


def test_a_good_request_passes(validator: HeaderValidator, signed: Headers, ada: Identity) -> None:
    """What the gateway signs is what the service gets."""
    assert ada == validator.validate("GET", b"/orders?page=2", signed)


def test_the_target_is_covered_without_a_lonely_question_mark(
    signer: GatewaySigner, validator: HeaderValidator, ada: Identity
) -> None:
    """``/orders?`` and ``/orders`` look alike to an application, so they are one target."""
    headers = signer.sign(ada, audience="orders", method="GET", raw_path=b"/orders?")

    assert ada == validator.validate("GET", b"/orders", headers)


CHANGES: dict[str, tuple[dict[str, bytes | None], type[AuthError]]] = {
    "user": ({"x_user_id": b"u-eve"}, AssertionInvalid),
    "role": ({"x_user_role": b"operator"}, AssertionInvalid),
    "roles": ({"x_user_role": b"operator,trader"}, AssertionInvalid),
    "request id": ({"x_request_id": b"0190163d-0000-0000"}, AssertionInvalid),
    "source": ({"x_source_service": b"web"}, AssertionInvalid),
    "no user": ({"x_user_id": None}, HeaderMissing),
    "no role": ({"x_user_role": None}, HeaderMissing),
    "no request id": ({"x_request_id": None}, HeaderMissing),
    "no source": ({"x_source_service": None}, HeaderMissing),
    "no signature": ({"x_identity_signature": None}, HeaderMissing),
    "empty user": ({"x_user_id": b""}, HeaderMalformed),
    "unknown role": ({"x_user_role": b"root"}, HeaderMalformed),
    "role twice": ({"x_user_role": b"trader,trader"}, HeaderMalformed),
    "unknown source": ({"x_source_service": b"elsewhere"}, HeaderMalformed),
    "signature of another form": ({"x_identity_signature": b"v2.k1.1.a.b"}, HeaderMalformed),
    "empty signature": ({"x_identity_signature": b""}, HeaderMalformed),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_request_is_refused(change: str, validator: HeaderValidator, signed: Headers) -> None:
    """Whatever header is changed or taken away, the request is refused (auth G3, G7, G8)."""
    values, error = CHANGES[change]

    with pytest.raises(error) as refusal:
        validator.validate("GET", b"/orders?page=2", changed(signed, **values))
    assert error is refusal.type


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", b"/orders?page=2"), ("GET", b"/orders?page=3"), ("GET", b"/orders"), ("get", b"/orders?page=2"),
     ("GET", b"/orders%3Fpage=2"), ("GET", b"/Orders?page=2")],
)  # fmt: skip
def test_another_request_line_is_refused(
    method: str, target: bytes, validator: HeaderValidator, signed: Headers
) -> None:
    """Method, path and query are covered as they were sent."""
    with pytest.raises(AssertionInvalid, match="bad_mac"):
        validator.validate(method, target, signed)


def test_another_service_is_refused(signer: GatewaySigner, validator: HeaderValidator, ada: Identity) -> None:
    """What was signed for one service convinces no other."""
    headers = signer.sign(ada, audience="inventory", method="GET", raw_path=b"/")

    with pytest.raises(AssertionInvalid, match="bad_mac"):
        validator.validate("GET", b"/", headers)


def test_every_flipped_character_of_the_signature_is_refused(validator: HeaderValidator, signed: Headers) -> None:
    """No character of the signature header is without meaning."""
    good = dict(signed)[b"x-identity-signature"]
    for at in range(len(good)):
        flipped = good[:at] + (b"A" if good[at : at + 1] != b"A" else b"B") + good[at + 1 :]

        with pytest.raises((AssertionInvalid, HeaderMalformed)):
            validator.validate("GET", b"/orders?page=2", changed(signed, x_identity_signature=flipped))


@pytest.mark.parametrize(("seconds", "passes"), [(30, True), (31, False), (-30, True), (-31, False)])
def test_a_request_is_good_for_thirty_seconds_either_way(
    seconds: int, passes: bool, validator: HeaderValidator, signed: Headers, clock: FrozenClock, ada: Identity
) -> None:
    """Clocks may differ by the window and no more."""
    clock.advance(timedelta(seconds=seconds))

    if passes:
        assert ada == validator.validate("GET", b"/orders?page=2", signed)
    else:
        with pytest.raises(AssertionInvalid, match="outside_window"):
            validator.validate("GET", b"/orders?page=2", signed)


def test_a_request_passes_once(validator: HeaderValidator, signed: Headers) -> None:
    """The same request again is a replay (auth G4)."""
    validator.validate("GET", b"/orders?page=2", signed)

    with pytest.raises(AssertionReplayed):
        validator.validate("GET", b"/orders?page=2", signed)


def test_a_refused_request_is_not_remembered(validator: HeaderValidator, signed: Headers, ada: Identity) -> None:
    """Nobody without the key can use up a nonce, or fill the memory of nonces."""
    with pytest.raises(AssertionInvalid):
        validator.validate("GET", b"/elsewhere", signed)

    assert ada == validator.validate("GET", b"/orders?page=2", signed)


def test_two_masters_verify_and_one_signs(
    ring: HmacRing, validator: HeaderValidator, clock: FrozenClock, ada: Identity
) -> None:
    """During a rotation requests under either key pass (auth G11)."""
    newer = GatewaySigner(HmacRing({"k2": NEXT}, active="k2"), clock=clock)

    assert ada == validator.validate("GET", b"/", newer.sign(ada, audience="orders", method="GET", raw_path=b"/"))


def test_a_thousand_unknown_key_ids_are_refused(validator: HeaderValidator, signed: Headers) -> None:
    """An unknown key id is looked up in memory and nowhere else (auth G11)."""
    good = dict(signed)[b"x-identity-signature"]
    for number in range(1000):
        unknown = good.replace(b"v1.k1.", b"v1.unknown-%d." % number)

        with pytest.raises(AssertionInvalid, match="unknown_kid"):
            validator.validate("GET", b"/orders?page=2", changed(signed, x_identity_signature=unknown))


def test_a_service_cannot_sign_for_another(ring: HmacRing, ada: Identity) -> None:
    """The ring that a service gets holds its own keys alone."""
    with pytest.raises(ConfigurationError, match="service 'orders' alone"):
        GatewaySigner(ring.only_for("orders")).sign(ada, audience="inventory", method="GET", raw_path=b"/")


def test_an_exported_ring_is_the_ring_of_the_service(ring: HmacRing) -> None:
    """What is deployed with a service gives the same keys as the masters."""
    deployed = HmacRing.of_service("orders", ring.export("orders"), active="k1")

    assert ring.key("k2", "orders") == deployed.key("k2", "orders")


@pytest.mark.parametrize(
    ("masters", "active", "error"),
    [
        ({}, "k1", ConfigurationError),
        ({"k1": MASTER}, "k2", ConfigurationError),
        ({"k.1": MASTER}, "k.1", ConfigurationError),
        ({"k1": SecretBytes(b"short")}, "k1", WeakKey),
        ({"k1": SecretBytes(b"k" * 32)}, "k1", WeakKey),
    ],
    ids=["empty", "no active", "bad kid", "short", "simple"],
)
def test_a_bad_ring_is_refused(masters: dict[str, SecretBytes], active: str, error: type[AuthError]) -> None:
    """A ring is checked when it is made (auth X3)."""
    with pytest.raises(error):
        HmacRing(masters, active=active)


def test_what_a_mac_cannot_say_is_not_signed(signer: GatewaySigner, ada: Identity) -> None:
    """Scope, actors and the absence of roles have no header, so signing them is refused, not left out."""
    for identity in (
        replace(ada, scope=frozenset({"read"})),
        replace(ada, roles=frozenset()),
        replace(ada, actors=("a",)),
    ):
        with pytest.raises(ConfigurationError):
            signer.sign(identity, audience="orders", method="GET", raw_path=b"/")


@given(st.binary(max_size=200))
def test_no_signature_header_breaks_the_parser(value: bytes) -> None:
    """Any bytes have a claim in them, or none."""
    claim = parse_signature(value)

    assert claim is None or 43 == len(claim.mac)


def test_the_memory_of_nonces_is_bounded(
    ring: HmacRing, signer: GatewaySigner, ada: Identity, clock: FrozenClock
) -> None:
    """The oldest nonce goes when more come than the limit says (auth G4)."""
    validator = HeaderValidator(
        mode=TrustMode.HMAC, service="orders", keys=ring, roles={"trader"}, sources={"gateway"},
        limits=HeaderLimits(nonces=50), clock=clock,
    )  # fmt: skip
    requests = [signer.sign(ada, audience="orders", method="GET", raw_path=b"/") for _ in range(60)]
    for headers in requests:
        validator.validate("GET", b"/", headers)

    assert 50 == len(validator._replays)
    with pytest.raises(AssertionReplayed):
        validator.validate("GET", b"/", requests[10])
    assert ada == validator.validate("GET", b"/", requests[9])


def test_a_parsed_signature_does_not_show_its_mac() -> None:
    """A MAC that stands in a log could be shown once more."""
    claim = parse_signature(b"v1.k1.1732449600.AAAAAAAAAAAAAAAAAAAAAA." + b"B" * 43)

    assert claim is not None
    assert "BBB" not in repr(claim)
