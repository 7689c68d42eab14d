"""What the validator accepts in assertion mode, and all that it does not (auth G1, G2, G4, G5, G7, G8, G11, G13)."""

import hashlib
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.exceptions import (
    AssertionInvalid,
    AssertionReplayed,
    AuthError,
    ConfigurationError,
    GatewayTrustError,
    HeaderMalformed,
    HeaderMissing,
)
from common.auth.gateway.assertions import path_hash
from common.auth.gateway.header_validator import HeaderLimits, HeaderValidator, TrustMode
from common.auth.gateway.hmac_ring import HmacRing
from common.auth.gateway.identity import Identity
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.secrets import SecretBytes
from common.auth.testing import MOMENT, access_claims, forge
from common.core.utils.clock import FrozenClock

ISSUED = int(MOMENT.timestamp())
MASTERS = HmacRing({"k": SecretBytes(hashlib.sha256(b"masters").digest())}, active="k")
RIGHT = {
    "keys": KeyRing([SigningKey.generate("EdDSA", kid="k")], issuer="gateway"),
    "roles": {"trader"},
    "sources": {"g"},
}


@pytest.fixture
def key() -> SigningKey:
    """Return the gateway's key."""
    return SigningKey.generate("EdDSA", kid="gateway-1")


@pytest.fixture
def validator(key: SigningKey, clock: FrozenClock) -> HeaderValidator:
    """Return the validator of the service ``orders``."""
    return orders([key], clock)


def orders(keys: list[SigningKey], clock: FrozenClock, **options: Any) -> HeaderValidator:
    """Make the validator of the service ``orders``, which trusts *keys* as the gateway's."""
    ring = KeyRing(keys, issuer="gateway", clock=clock)
    return HeaderValidator(
        mode=TrustMode.ASSERTION, service="orders", keys=ring, roles={"trader", "operator"}, sources={"gateway", "web"},
        clock=clock, **options,
    )  # fmt: skip


def assertion_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good assertion, changed; ``...`` leaves one out."""
    claims: dict[str, Any] = {
        "iss": "gateway", "aud": "orders", "sub": "u-ada", "roles": ["trader"], "src": "gateway", "rid": "0190163d-8694",
        "iat": ISSUED, "exp": ISSUED + 30, "jti": "j-1", **changes,
    }  # fmt: skip
    return {name: value for name, value in claims.items() if value is not ...}


def shown(
    key: SigningKey, *, typ: str = "ca-id+jwt", header: Mapping[str, Any] | None = None, **changes: Any
) -> list[Any]:
    """Return the header of an assertion that anybody with *key* could make."""
    return [(b"X-Identity-Assertion", forge(key, assertion_claims(**changes), typ=typ, **(header or {})).encode())]


def test_a_good_assertion_tells_who_is_asking(validator: HeaderValidator, key: SigningKey) -> None:
    """User, roles, scope, request id and source come out of the claims."""
    expected = Identity(
        user_id="u-ada", roles=frozenset({"trader"}), scope=frozenset({"read", "write"}), request_id="0190163d-8694",
        source="gateway",
    )  # fmt: skip

    assert expected == validator.validate("GET", b"/orders", shown(key, scope="read write"))


def test_a_user_may_have_no_role(validator: HeaderValidator, key: SigningKey) -> None:
    """No role is no role: none is made up (auth G8)."""
    assert frozenset() == validator.validate("GET", b"/orders", shown(key, roles=...)).roles


CLAIMS: dict[str, dict[str, Any]] = {
    "another service": {"aud": "inventory"},
    "several services": {"aud": ["orders", "inventory"]},
    "no audience": {"aud": ...},
    "another issuer": {"iss": "gateway2"},
    "no subject": {"sub": ...},
    "empty subject": {"sub": ""},
    "subject with a slash": {"sub": "u/ada"},
    "subject of 129 characters": {"sub": "u" * 129},
    "subject beyond ASCII": {"sub": "ad\u0456"},
    "unknown role": {"roles": ["root"]},
    "roles as text": {"roles": "trader"},
    "17 roles": {"roles": [f"r{number}" for number in range(17)]},
    "unknown source": {"src": "elsewhere"},
    "no source": {"src": ...},
    "no request id": {"rid": ...},
    "short request id": {"rid": "0190163"},
    "request id with a line feed": {"rid": "0190163d\n8694"},
    "no token id": {"jti": ...},
    "expired": {"iat": ISSUED - 60, "exp": ISSUED - 11},
    "expires as text": {"exp": str(ISSUED + 30)},
    "no expiry": {"exp": ...},
    "lives 61 seconds": {"exp": ISSUED + 61},
    "from the future": {"iat": ISSUED + 11, "exp": ISSUED + 40},
    "bound to another path": {"htm": "GET", "htp": path_hash(b"/orders/1")},
    "bound to another method": {"htm": "POST", "htp": path_hash(b"/orders")},
    "bound to a method alone": {"htm": "GET"},
    "bound to a path alone": {"htp": path_hash(b"/orders")},
    "the gateway as an actor": {"act": {"sub": "gateway"}},
    "with an origin": {"org": "eyJ.e.e"},
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_that_do_not_fit_are_refused(case: str, validator: HeaderValidator, key: SigningKey) -> None:
    """A genuine signature under claims that are not for this request proves nothing (auth G2)."""
    with pytest.raises(AssertionInvalid):
        validator.validate("GET", b"/orders", shown(key, **CLAIMS[case]))


@pytest.mark.parametrize("typ", ["at+jwt", "rt+jwt", "JWT", "CA-ID+JWT", ""])
def test_a_token_of_another_kind_is_refused(typ: str, validator: HeaderValidator, key: SigningKey) -> None:
    """An access token under the gateway's own key is no assertion (auth G2)."""
    with pytest.raises(AssertionInvalid, match="wrong_type"):
        validator.validate("GET", b"/orders", shown(key, typ=typ))


def test_a_whole_access_token_is_refused(validator: HeaderValidator, key: SigningKey) -> None:
    """Nor is an access token that was issued for this very service."""
    token = forge(key, access_claims(iss="gateway")).encode()

    with pytest.raises(AssertionInvalid):
        validator.validate("GET", b"/orders", [(b"x-identity-assertion", token)])


def test_another_key_of_the_same_id_is_refused(validator: HeaderValidator) -> None:
    """A key id is no key: the signature counts."""
    with pytest.raises(AssertionInvalid, match="bad_signature"):
        validator.validate("GET", b"/orders", shown(SigningKey.generate("EdDSA", kid="gateway-1")))


def test_an_assertion_is_bound_to_its_request(clock: FrozenClock, key: SigningKey, ada: Identity) -> None:
    """What the signer makes fits the method, path and query that it was made for, and no other (auth G2)."""
    validator = orders([key], clock, limits=HeaderLimits(bound=True))
    signer = GatewaySigner(KeyRing([key], issuer="gateway", clock=clock), clock=clock)
    headers = signer.sign(ada, audience="orders", method="GET", raw_path=b"/orders?page=2")
    for method, target in (("POST", b"/orders?page=2"), ("GET", b"/orders?page=3"), ("GET", b"/orders")):
        with pytest.raises(AssertionInvalid, match="bound_to_another_request"):
            validator.validate(method, target, headers)

    assert ada == validator.validate("GET", b"/orders?page=2", headers)


def test_a_service_can_demand_bound_assertions(clock: FrozenClock, key: SigningKey) -> None:
    """With ``bound=True`` an assertion that fits any request is refused."""
    with pytest.raises(AssertionInvalid, match="not_bound"):
        orders([key], clock, limits=HeaderLimits(bound=True)).validate("GET", b"/orders", shown(key))


@pytest.mark.parametrize(
    "header",
    [(b"X-User-ID", b"u-eve"), (b"X-User-Role", b"operator"), (b"X-User-Role", b"trader,operator"),
     (b"X-Request-ID", b"0190163d-0000"), (b"X-Source-Service", b"web")],
)  # fmt: skip
def test_a_plain_header_beside_an_assertion_must_say_the_same(
    header: tuple[bytes, bytes], validator: HeaderValidator, key: SigningKey
) -> None:
    """A difference is an attack or a mistake, and refused as a mismatch (auth G5)."""
    with pytest.raises(AssertionInvalid, match="header_mismatch") as refusal:
        validator.validate("GET", b"/orders", [*shown(key), header])
    assert header[0].decode().lower() == refusal.value.details["header"]


def test_plain_headers_that_say_the_same_pass(validator: HeaderValidator, key: SigningKey) -> None:
    """All four may stand beside the assertion; roles are compared as a set (auth G5)."""
    plain = [(b"X-User-ID", b"u-ada"), (b"X-User-Role", b"operator,trader"), (b"X-Request-ID", b"0190163d-8694"),
             (b"X-Source-Service", b"gateway")]  # fmt: skip

    identity = validator.validate("GET", b"/orders", [*plain, *shown(key, roles=["trader", "operator"])])

    assert frozenset({"operator", "trader"}) == identity.roles


def test_without_an_assertion_nobody_is_asking(validator: HeaderValidator) -> None:
    """Plain headers alone are missing proof, and no user with a default role (auth G8)."""
    with pytest.raises(HeaderMissing, match="assertion_missing"):
        validator.validate("GET", b"/orders", [(b"X-User-ID", b"u-ada"), (b"X-User-Role", b"trader")])


def test_an_assertion_passes_once(validator: HeaderValidator, key: SigningKey) -> None:
    """The same token id again is a replay, in whatever signature (auth G4)."""
    validator.validate("GET", b"/orders", shown(key))

    with pytest.raises(AssertionReplayed):
        validator.validate("GET", b"/orders", shown(key, sub="u-bob"))


def test_an_assertion_cannot_be_replayed_in_the_leeway(
    validator: HeaderValidator, key: SigningKey, clock: FrozenClock
) -> None:
    """A token id is remembered as long as its assertion would be accepted."""
    validator.validate("GET", b"/orders", shown(key))
    clock.advance(timedelta(seconds=39))

    with pytest.raises(AssertionReplayed):
        validator.validate("GET", b"/orders", shown(key))


def test_an_assertion_has_4096_bytes_at_the_most(validator: HeaderValidator, key: SigningKey) -> None:
    """4,097 bytes are malformed, before anything is decoded (auth G13)."""
    with pytest.raises(HeaderMalformed, match="header_too_long"):
        validator.validate("GET", b"/orders", [(b"x-identity-assertion", b"e" * 4097)])
    with pytest.raises(AssertionInvalid, match="not_compact"):
        validator.validate("GET", b"/orders", [(b"x-identity-assertion", b"e" * 4096)])


def test_the_signer_makes_no_assertion_that_is_too_large(key: SigningKey) -> None:
    """A gateway learns of it when it signs, not from refusals (auth G13)."""
    roles = frozenset(f"role-{number:050d}" for number in range(65))
    many = Identity(user_id="u-ada", roles=roles, request_id="0190163d-8694", source="gateway")

    with pytest.raises(ConfigurationError, match="fewer roles"):
        GatewaySigner(KeyRing([key], issuer="gateway")).sign(many, audience="orders", method="GET", raw_path=b"/")


def test_two_keys_of_the_gateway_are_good_at_once(clock: FrozenClock, key: SigningKey) -> None:
    """A rotation refuses no request (auth G11)."""
    newer = SigningKey.generate("ES256", kid="gateway-2")
    ring = KeyRing([key], issuer="gateway", clock=clock).rotate(newer, overlap=timedelta(minutes=1), lead=timedelta(0))
    validator = HeaderValidator(
        mode=TrustMode.ASSERTION, service="orders", keys=ring, roles={"trader"}, sources={"gateway"}, clock=clock
    )

    for number, each in enumerate((key, newer)):
        assert "u-ada" == validator.validate("GET", b"/orders", shown(each, jti=f"j-{number}")).user_id


def test_a_thousand_unknown_keys_cause_no_traffic(
    validator: HeaderValidator, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown key id is refused from memory: no socket is opened for it (auth G11)."""
    monkeypatch.setattr(socket, "socket", None)
    for number in range(1000):
        with pytest.raises(AssertionInvalid, match="unknown_kid"):
            validator.validate("GET", b"/orders", shown(key, header={"kid": f"unknown-{number}"}))


@pytest.mark.thorough
@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from([b"X-User-ID", b"x-identity-assertion", b"X-User-Role", b"x-request-id", b"X_User_ID"]),
                st.binary(max_size=20),
            ),
            st.one_of(
                st.binary(max_size=200), st.text(max_size=40).map(lambda text: f"{text}.e.e".encode("utf-8", "replace"))
            ),
        ),
        max_size=6,
    ),
    st.sampled_from([mode.value for mode in TrustMode]),
)
def test_no_header_whatsoever_raises_anything_foreign(headers: list[tuple[bytes, bytes]], mode: str) -> None:
    """Any bytes under any names are accepted or refused by an error of ours (auth X2)."""
    keys: Any = {"hmac": MASTERS, "assertion": RIGHT["keys"], "insecure_trust": None}[mode]
    validator = HeaderValidator(
        mode=TrustMode(mode), service="orders", keys=keys, roles={"trader"}, sources={"g"}, environment="test"
    )
    refusal: GatewayTrustError | None = None
    try:
        validator.validate("GET", b"/", headers)
    except GatewayTrustError as error:
        refusal = error

    told = "" if refusal is None else f"{refusal} {refusal.reason}"
    assert not any(len(value) > 7 and value.decode("latin-1") in told for _, value in headers)


BAD: dict[str, dict[str, Any]] = {
    "no mode": {"mode": None},
    "unknown mode": {"mode": "trust"},
    "assertion without keys": {"keys": None},
    "assertion with masters": {"keys": MASTERS},
    "hmac with a key ring": {"mode": TrustMode.HMAC},
    "hmac without keys": {"mode": TrustMode.HMAC, "keys": None},
    "insecure in production": {"mode": TrustMode.INSECURE_TRUST, "keys": None},
    "insecure where nobody said": {"mode": TrustMode.INSECURE_TRUST, "keys": None, "environment": "Production"},
    "peers without assertions": {"mode": TrustMode.INSECURE_TRUST, "environment": "test", "peers": [RIGHT["keys"]]},
    "service with a space": {"service": "the orders"},
    "source with a slash": {"sources": {"a/b"}},
    "role with a comma": {"roles": {"a,b"}},
    "roles as text": {"roles": "trader"},
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_configuration_is_refused_at_once(case: str) -> None:
    """A mode without its keys, no mode, and trust without proof in production are errors at start-up (auth G1, X3)."""
    options = {"mode": TrustMode.ASSERTION, "service": "orders", **RIGHT, **BAD[case]}

    with pytest.raises(ConfigurationError):
        HeaderValidator(**options)


@pytest.mark.parametrize(
    "limits",
    [{"ttl": timedelta(seconds=61)}, {"window": timedelta(minutes=2)}, {"assertion": 4097}, {"nonces": 0},
     {"leeway": timedelta(seconds=-1)}, {"delegation": timedelta(hours=1)}],
    ids=str,
)  # fmt: skip
def test_limits_cannot_be_laxer_than_their_maximum(limits: dict[str, Any]) -> None:
    """No option makes an assertion live long or a window wide (auth X3)."""
    with pytest.raises(ConfigurationError):
        HeaderLimits(**limits)


def test_trust_without_proof_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    """Outside of production, insecure_trust works and says at start-up what it is (auth G1)."""
    validator = HeaderValidator(
        mode=TrustMode.INSECURE_TRUST,
        service="orders",
        keys=None,
        roles={"trader"},
        sources={"web"},
        environment="test",
    )
    headers = [(b"X-User-ID", b"u-ada"), (b"X-User-Role", b"trader"), (b"X-Request-ID", b"0190163d-8694"),
               (b"X-Source-Service", b"web")]  # fmt: skip

    assert "u-ada" == validator.validate("GET", b"/", headers).user_id
    assert "WITHOUT PROOF" in caplog.text
    with pytest.raises(HeaderMissing):
        validator.validate("GET", b"/", headers[1:])


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({}, ["unbound"]),
        ({"limits": HeaderLimits(bound=True)}, []),
        ({"mode": TrustMode.HMAC, "keys": MASTERS}, ["shared_key"]),
        ({"mode": TrustMode.INSECURE_TRUST, "keys": None, "environment": "test"}, ["insecure_trust"]),
    ],
    ids=["assertion", "bound", "hmac", "insecure"],
)
def test_the_doctor_tells_what_is_weak(options: dict[str, Any], codes: list[str]) -> None:
    """Each setting that is weaker than it could be has a finding (auth X3)."""
    validator = HeaderValidator(**{"mode": TrustMode.ASSERTION, "service": "orders", **RIGHT, **options})

    assert codes == [finding.code for finding in validator.weaknesses()]


def test_an_identity_is_checked_when_it_is_made(ada: Identity) -> None:
    """A gateway cannot sign what every service would refuse."""
    for changes in (
        {"user_id": "u ada"},
        {"roles": {"a,b"}},
        {"request_id": "short"},
        {"source": ""},
        {"actors": ("a",) * 5},
    ):
        members = {"user_id": "u-ada", "request_id": "0190163d-8694", "source": "gateway", **changes}
        with pytest.raises(AuthError):
            Identity(**members)  # type: ignore[arg-type]


def test_an_identity_shows_no_assertion(validator: HeaderValidator, key: SigningKey) -> None:
    """What a service passes around and may log holds the assertion, and does not print it (auth G13)."""
    headers = shown(key)
    identity = validator.validate("GET", b"/orders", headers)

    assert headers[0][1].decode() not in f"{identity!r} {identity.evidence!r}"
