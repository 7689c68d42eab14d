"""What each key of a ring may do when, and what of it is published (auth K1, K2, K4, K5, K7)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from common.auth.exceptions import ConfigurationError, KeySourceUnavailable, TokenInvalid, UnknownKey
from common.auth.security.keys import KeyRing, KeyState, SigningKey, VerificationKey
from common.auth.security.token_manager import TokenManager
from common.auth.testing import ISSUER, MOMENT, forge, token_manager
from common.core.utils.clock import FrozenClock

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    """Return one RSA key; making them is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def ring(*keys: SigningKey | VerificationKey, clock: FrozenClock, **options: Any) -> KeyRing:
    """Build a ring of the test's issuer."""
    return KeyRing(keys, issuer=ISSUER, clock=clock, **options)


def key(kid: str, alg: str = "EdDSA") -> SigningKey:
    """Make a signing key."""
    return SigningKey.generate(alg, kid=kid)


def test_a_rotation_runs_by_the_clock_alone(clock: FrozenClock) -> None:
    """Pending for an hour, then active while the old key retires, then the old key is gone (K1)."""
    rotated = ring(key("old"), clock=clock).rotate(key("new"), overlap=20 * MINUTE)

    def states() -> tuple[str, str, str]:
        return rotated.state("old").value, rotated.state("new").value, rotated.active().kid

    assert ("active", "pending", "old") == states()
    clock.advance(HOUR - MINUTE)
    assert ("active", "pending", "old") == states()
    clock.advance(MINUTE)
    assert ("retiring", "active", "new") == states()
    clock.advance(20 * MINUTE)
    assert ("revoked", "active", "new") == states()


@pytest.mark.parametrize("state", [KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRING])
def test_all_states_but_revoked_verify(state: KeyState, clock: FrozenClock) -> None:
    """A verifier that is a little late or early still finds the key."""
    rotated = ring(key("old"), clock=clock).rotate(key("new"), overlap=HOUR)
    if state is KeyState.RETIRING:
        clock.advance(HOUR)
    kid = "new" if state is KeyState.PENDING else "old"

    assert state is rotated.state(kid)
    assert kid == rotated.find(kid, "EdDSA").kid


def test_a_retired_key_ends_to_the_second(clock: FrozenClock) -> None:
    """It verifies until ``retire_at`` and no longer."""
    rotated = ring(key("old"), clock=clock).rotate(key("new"), overlap=HOUR)
    clock.advance(2 * HOUR - timedelta(seconds=1))
    assert "old" == rotated.find("old", "EdDSA").kid

    clock.advance(timedelta(seconds=1))
    with pytest.raises(UnknownKey):
        rotated.find("old", "EdDSA")


def test_a_token_signed_just_before_the_rotation_lives_to_its_end(clock: FrozenClock) -> None:
    """An overlap as long as the tokens live takes nobody's token away."""
    before = ring(key("old"), clock=clock)
    rotated = before.rotate(key("new"), overlap=15 * MINUTE + timedelta(seconds=10))
    clock.advance(HOUR - timedelta(seconds=1))
    token = manager_of(rotated, clock).create_access("u-1", session="s-1", epoch=0).token
    assert "old" == jwt.get_unverified_header(token)["kid"]

    clock.advance(15 * MINUTE)
    assert "u-1" == manager_of(rotated, clock).validate(token).subject


def manager_of(keys: KeyRing, clock: FrozenClock) -> TokenManager:
    """Build a token manager on *keys*."""
    return TokenManager(issuer=ISSUER, audience="orders", keys=keys, clock=clock)


def test_a_revoked_key_fails_at_once(clock: FrozenClock) -> None:
    """No overlap and no cache: the ring that comes out of ``revoke`` refuses its tokens."""
    whole = ring(key("a"), key("b").starting(MOMENT - HOUR), clock=clock)
    token = manager_of(whole, clock).create_access("u-1", session="s-1", epoch=0).token
    manager_of(whole, clock).validate(token)

    with pytest.raises(UnknownKey) as refused:
        manager_of(whole.revoke("b"), clock).validate(token)

    assert "revoked_key" == refused.value.reason
    assert "a" == whole.revoke("b").active().kid


def test_a_compromise_needs_no_lead(clock: FrozenClock) -> None:
    """``revoke`` with ``rotate(lead=0)`` exchanges the signer in one step."""
    now = ring(key("stolen"), clock=clock).rotate(key("new"), overlap=timedelta(0), lead=timedelta(0)).revoke("stolen")

    assert "new" == now.active().kid
    assert KeyState.REVOKED is now.state("stolen")


def test_nobody_signs_where_no_key_may(clock: FrozenClock) -> None:
    """Pending, revoked and verification-only rings say what is missing."""
    pending = ring(key("a").starting(MOMENT + HOUR), clock=clock)
    verifying = ring(key("a").verification, clock=clock)
    revoked = ring(key("a"), clock=clock).revoke("a")

    for without_signer in (pending, verifying, revoked):
        with pytest.raises(ConfigurationError, match="may sign now"):
            without_signer.active()
    assert KeyState.ACTIVE is verifying.state("a")


def test_a_rotation_needs_times_that_are_not_negative(clock: FrozenClock) -> None:
    """A key cannot have begun before it was made known, nor end before the next begins."""
    for times in ({"overlap": -HOUR}, {"overlap": HOUR, "lead": -HOUR}):
        with pytest.raises(ConfigurationError):
            ring(key("a"), clock=clock).rotate(key("b"), **times)


@pytest.mark.parametrize("call", ["state", "revoke"])
def test_an_unknown_key_has_no_state(call: str, clock: FrozenClock) -> None:
    """Asking about it is an error of the family's own."""
    with pytest.raises(UnknownKey):
        getattr(ring(key("a"), clock=clock), call)("b")


def bad_sets(rsa_key: rsa.RSAPrivateKey) -> dict[str, tuple[list[SigningKey | VerificationKey], dict[str, Any]]]:
    """Return sets of keys that do not go together, with the options they are tried with."""
    secret = key("hs", "HS256")
    rs512 = SigningKey.from_pem(pem_of(rsa_key), alg="RS512", kid="rs")
    return {
        "none at all": ([], {}),
        "two of one id": ([key("a"), key("a").starting(MOMENT)], {}),
        "two that begin together": ([key("a"), key("b")], {}),
        "symmetric without leave": ([secret], {}),
        "mixed": ([key("a"), secret.starting(MOMENT)], {"allow_symmetric": True}),
        "mixed, verifying only": ([key("a").verification, secret.verification], {"allow_symmetric": True}),
        "not among the default algorithms": ([rs512], {}),
        "not among those chosen": ([key("a")], {"algorithms": ["ES256"]}),
        "algorithm none": ([key("a")], {"algorithms": ["EdDSA", "none"]}),
        "unknown algorithm": ([key("a")], {"algorithms": ["ES521"]}),
        "negative age": ([key("a")], {"max_age": -HOUR}),
    }


def test_keys_that_do_not_go_together_make_no_ring(rsa_key: rsa.RSAPrivateKey, clock: FrozenClock) -> None:
    """Each of the table is refused (K2), with a message that tells what to do."""
    for name, (keys, options) in bad_sets(rsa_key).items():
        with pytest.raises(ConfigurationError) as refused:
            ring(*keys, clock=clock, **options)
        assert refused.value.reason, name


def test_a_ring_needs_an_issuer(clock: FrozenClock) -> None:
    """A key id means nothing without one."""
    with pytest.raises(ConfigurationError):
        KeyRing([key("a")], issuer="", clock=clock)


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256", "PS256"])
def test_default_algorithms_sign_and_verify(alg: str, rsa_key: rsa.RSAPrivateKey, clock: FrozenClock) -> None:
    """What one key signs, it alone verifies, and only under its own algorithm."""
    signing = SigningKey.from_pem(pem_of(rsa_key), alg=alg) if alg[1:] == "S256" and alg[0] in "RP" else key("k", alg)
    keys = ring(signing, clock=clock)

    assert keys.find(signing.kid, alg).verify(b"message", keys.active().sign(b"message"))
    assert not keys.find(signing.kid, alg).verify(b"other", keys.active().sign(b"message"))
    for other in {"EdDSA", "ES256", "RS256", "PS256", "HS256", "none"} - {alg}:
        with pytest.raises(UnknownKey):
            keys.find(signing.kid, other)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512", "ES384", "ES512"])
def test_other_algorithms_on_demand(alg: str, clock: FrozenClock) -> None:
    """They are there for those who name them."""
    keys = ring(key("k", alg), clock=clock, algorithms=[alg], allow_symmetric=True)

    assert keys.find("k", alg).verify(b"message", keys.active().sign(b"message"))


def pem_of(private: Any, password: bytes | None = None) -> bytes:
    """Write a private key as PEM."""
    sealing = NoEncryption() if password is None else BestAvailableEncryption(password)
    written: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)
    return written


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "' OR 1=1 --",
        pytest.param("x" * 65_536, id="64 KB"),
        "",
        7,
        None,
        "k 1",
        "ключ",
        "k1\n",
        ["k1"],
        {"k1": 1},
        "a" * 65,
    ],
)
def test_a_hostile_key_id_is_refused_without_looking(kid: object, clock: FrozenClock) -> None:
    """It never reaches a key source, so no file, socket or query could come of it (K4)."""
    signing = key("k1")
    manager = token_manager(signing, clock=clock)

    with pytest.raises(TokenInvalid) as refused:
        manager.validate(forge(signing, kid=kid))
    assert refused.value.reason in {"malformed_kid", "header_too_long", "too_long"}


def test_published_keys_have_public_members_only(clock: FrozenClock, rsa_key: rsa.RSAPrivateKey) -> None:
    """Never ``d, p, q, dp, dq, qi, k, oth``, whatever the key (K5)."""
    keys = ring(
        key("ed"),
        key("p256", "ES256").starting(MOMENT),
        SigningKey.from_pem(pem_of(rsa_key), alg="RS256", kid="rs").starting(MOMENT - HOUR),
        clock=clock,
    )
    published: Any = keys.public_jwks()

    members = {name for jwk in published["keys"] for name in jwk}
    assert {"kty", "alg", "kid", "use", "crv", "x", "y", "n", "e"} == members
    assert published == json.loads(json.dumps(published))
    assert {"ed", "p256", "rs"} == {jwk["kid"] for jwk in published["keys"]}
    assert "public, max-age=3600" == keys.cache_control


def test_published_keys_can_be_read_back(clock: FrozenClock) -> None:
    """What a verifier makes of the published set verifies our tokens, and PyJWT reads it too."""
    keys = ring(key("a"), key("b", "ES256").starting(MOMENT), clock=clock)
    token = manager_of(keys, clock).create_access("u-1", session="s-1", epoch=0).token
    others = KeyRing.from_jwks(keys.public_jwks(), issuer=ISSUER, clock=clock)

    assert "u-1" == manager_of(others, clock).validate(token).subject
    assert {"a", "b"} == {jwk.key_id for jwk in jwt.PyJWKSet.from_dict(dict(keys.public_jwks())).keys}


def test_a_pending_key_is_published_before_it_signs(clock: FrozenClock) -> None:
    """For as long as others may keep the set; revoked keys are not published."""
    rotated = ring(key("old"), clock=clock, max_age=2 * HOUR).rotate(key("new"), overlap=HOUR)

    def published() -> list[str]:
        listed: Any = rotated.public_jwks()["keys"]
        return [jwk["kid"] for jwk in listed]

    assert ["old", "new"] == published()
    clock.advance(2 * HOUR - MINUTE)
    assert "old" == rotated.active().kid
    clock.advance(HOUR + MINUTE)
    assert ["new"] == published()


def test_secrets_are_never_published(clock: FrozenClock) -> None:
    """A ring of HMAC keys publishes an empty set."""
    assert {"keys": []} == ring(key("hs", "HS256"), clock=clock, allow_symmetric=True).public_jwks()


class RemoteKey:
    """A key service: it signs and gives the public half; there is no way to its private key."""

    alg = "ES256"

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.public = self._private.public_key()
        self.signed = 0

    def sign(self, message: bytes, /) -> bytes:
        """Answer as JWS wants it."""
        self.signed += 1
        r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_key_service_can_sign(clock: FrozenClock) -> None:
    """The private key stays where it is; making the ring asks for nothing (K7)."""
    remote = RemoteKey()
    signing = SigningKey.from_signer(remote, public_key=remote.public)
    manager = token_manager(signing, clock=clock)
    assert 0 == remote.signed

    token = manager.create_access("u-1", session="s-1", epoch=0).token

    assert 1 == remote.signed
    assert "u-1" == manager.validate(token).subject


def test_a_failing_key_service_is_an_outage(clock: FrozenClock) -> None:
    """No token is issued, the client may come back, and the service's own error is the cause."""

    class Down(RemoteKey):
        def sign(self, message: bytes, /) -> bytes:
            raise TimeoutError("no answer")

    remote = Down()
    with pytest.raises(KeySourceUnavailable) as refused:
        token_manager(SigningKey.from_signer(remote, public_key=remote.public), clock=clock).create_access(
            "u-1", session="s-1", epoch=0
        )

    assert isinstance(refused.value.__cause__, TimeoutError)
    assert refused.value.retryable


def test_a_signer_must_fit_its_public_key() -> None:
    """A signer of one algorithm with the key of another is refused."""
    remote = RemoteKey()
    with pytest.raises(ConfigurationError):
        SigningKey(signer=remote, verification=key("k").verification)


def test_keys_and_rings_do_not_show_what_they_hold(clock: FrozenClock) -> None:
    """``repr`` tells ids, algorithms and states."""
    secret = b"W4l0H7fxpV2tQk9bXsC1mZrWyJeG0a85nU"
    signing = SigningKey.from_secret(secret, kid="hs")
    keys = ring(signing, clock=clock, allow_symmetric=True)

    assert "hs: active" in repr(keys)
    for shown in (repr(signing), repr(keys), repr(signing.verification), str(signing)):
        assert secret.decode() not in shown


@pytest.mark.parametrize("field", ["not_before", "retire_at"])
def test_times_of_keys_have_a_zone(field: str) -> None:
    """A naive time would mean another hour on another machine."""
    material = key("k").verification.material
    options: Mapping[str, Any] = {field: datetime(2026, 1, 1)}  # noqa: DTZ001 - the point

    with pytest.raises(ConfigurationError, match="time zone"):
        VerificationKey(kid="k", alg="EdDSA", material=material, **options)
    zoned: Mapping[str, Any] = {field: datetime(2026, 1, 1, tzinfo=UTC)}
    VerificationKey(kid="k", alg="EdDSA", material=material, **zoned)
