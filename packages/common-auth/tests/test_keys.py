"""Which keys are taken, what each may do when, and what of them is published (auth K1 to K5, K7)."""

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from common.auth.exceptions import ConfigurationError, KeySourceUnavailable, TokenInvalid, UnknownKey, WeakKey
from common.auth.security.algorithms import PublicKey
from common.auth.security.jwk import SecretMembers, thumbprint
from common.auth.security.keys import KeyRing, KeyState, SigningKey, VerificationKey
from common.auth.security.secrets import SecretBytes
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


def public_pem_of(private: Any) -> bytes:
    """Write the public half as PEM."""
    written: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return written


def rsa_public(n: int, e: int = 65537) -> PublicKey:
    """Build an RSA public key of any numbers."""
    return rsa.RSAPublicNumbers(e, n).public_key()


def roca_modulus() -> int:
    """Build a modulus with the fingerprint of the flawed generator: a power of 65537 modulo the primes' product."""
    primorial = 1
    for prime in (p for p in range(2, 702) if all(p % q for q in range(2, p))):
        primorial *= prime
    return (1 << 2047) // primorial * primorial + primorial + pow(65537, 4242, primorial)


def weak_keys() -> Iterator[tuple[str, str, PublicKey | SecretBytes]]:
    """Yield keys that must not verify anything: name, algorithm, key."""
    good = SigningKey.generate("RS256").verification.material
    assert isinstance(good, rsa.RSAPublicKey)
    numbers = good.public_numbers()
    yield "RSA 1024", "RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    yield "RSA 2047", "RS256", rsa_public((1 << 2046) + 1)
    yield "RSA too large", "RS256", rsa_public((1 << 8192) + 1)
    yield "RSA e=3", "RS256", rsa_public(numbers.n, 3)
    yield "RSA even modulus", "RS256", rsa_public(numbers.n + 1)
    yield "ROCA", "PS256", rsa_public(roca_modulus())
    yield "P-384 for ES256", "ES256", ec.generate_private_key(ec.SECP384R1()).public_key()
    yield "secp256k1 for ES256", "ES256", ec.generate_private_key(ec.SECP256K1()).public_key()
    yield "Ed25519 for ES256", "ES256", ed25519.Ed25519PrivateKey.generate().public_key()
    yield "RSA for EdDSA", "EdDSA", good
    yield "EC for RS256", "RS256", ec.generate_private_key(ec.SECP256R1()).public_key()
    yield "secret for RS256", "RS256", SecretBytes(bytes(range(7, 250, 3)))
    yield "RSA for HS256", "HS256", good
    yield "empty secret", "HS256", SecretBytes(b"")
    yield "31 bytes for HS256", "HS256", SecretBytes(bytes(range(7, 250, 7))[:31])
    yield "47 bytes for HS384", "HS384", SecretBytes(bytes(range(7, 250, 5))[:47])
    yield "63 bytes for HS512", "HS512", SecretBytes(bytes(range(7, 250, 3))[:63])
    yield "one byte over and over", "HS256", SecretBytes(b"k" * 32)
    yield "sixteen bytes twice", "HS256", SecretBytes(bytes(range(7, 250, 15))[:16] * 2)
    yield "counted up", "HS256", SecretBytes(bytes(range(64)))
    yield "counted down", "HS256", SecretBytes(bytes(range(64, 0, -1)))
    yield "few different bytes", "HS256", SecretBytes(b"abcabd" * 8)
    for placeholder in (
        "your-256-bit-secret-your-256-bit",
        "Change_Me-0fK2mZ8xQ1vB7nL4tR9yW3",
        "mySuperSecretKeyThatNobodyKnows!",
    ):
        yield placeholder, "HS256", SecretBytes(placeholder.encode())
    yield "a PEM as secret", "HS256", SecretBytes(public_pem_of(ed25519.Ed25519PrivateKey.generate()))
    yield "a JWK as secret", "HS256", SecretBytes(b'{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg"}')
    yield "an SSH key as secret", "HS256", SecretBytes(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVe")


@pytest.mark.parametrize(("alg", "material"), [row[1:] for row in weak_keys()], ids=[row[0] for row in weak_keys()])
def test_weak_keys_are_refused(alg: str, material: PublicKey | SecretBytes) -> None:
    """Short, guessable, factorable or of the wrong kind: no such key exists here (K3)."""
    with pytest.raises(WeakKey) as refused:
        VerificationKey(kid="k", alg=alg, material=material)

    assert refused.value.reason


def test_random_secrets_and_keys_are_never_called_weak() -> None:
    """The rules against weak keys leave real ones alone, in binary, hexadecimal and base64."""
    for _ in range(200):
        octets = secrets.token_bytes(32)
        for form in (octets, octets.hex().encode(), base64.b64encode(octets), base64.urlsafe_b64encode(octets)):
            SigningKey.from_secret(form, kid="k")
    VerificationKey(kid="k", alg="RS256", material=SigningKey.generate("RS256").verification.material)


def public_jwk(**changes: Any) -> dict[str, Any]:
    """Return a good public JWK, changed; ``...`` leaves a member out."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k1", **changes}
    return {name: value for name, value in jwk.items() if value is not ...}


BAD_JWKS: dict[str, dict[str, Any]] = {
    "for encryption": public_jwk(use="enc"),
    "use is no text": public_jwk(use=["sig"]),
    "operations for encryption": public_jwk(key_ops=["encrypt"]),
    "mixed operations": public_jwk(key_ops=["verify", "encrypt"]),
    "no operations": public_jwk(key_ops=[]),
    "operations are no list": public_jwk(key_ops="verify"),
    "operations are no texts": public_jwk(key_ops=[["verify"]]),
    "algorithm of another key": public_jwk(alg="RS256"),
    "algorithm none": public_jwk(alg="none"),
    "algorithm is no text": public_jwk(alg=7),
    "no algorithm": {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "k1"},
    "unknown curve": public_jwk(crv="Ed448"),
    "no curve": public_jwk(crv=..., alg="EdDSA", kty="RSA"),
    "no point": public_jwk(x=...),
    "short point": public_jwk(x="11qYAYKx"),
    "padded point": public_jwk(x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
    "point is a number": public_jwk(x=7),
    "point off the curve": public_jwk(kty="EC", crv="P-256", x="A" * 43, y="B" * 42 + "A"),
    "stray bits": {"kty": "oct", "alg": "HS256", "k": "not base64!", "kid": "k1"},
    "kid is a number": public_jwk(kid=7),
    "kid with a path": public_jwk(kid="../k1"),
    "secret without kid": {"kty": "oct", "alg": "HS256", "k": "NGw0OUg3ZnhwVjJ0UWs5YlhzQzFtWnJXNnlKZUcwYTg"},
}


@pytest.mark.parametrize("jwk", BAD_JWKS.values(), ids=BAD_JWKS)
def test_a_jwk_that_is_not_for_signatures_or_damaged_is_refused(jwk: dict[str, Any]) -> None:
    """``use``, ``key_ops``, ``alg``, ``kty`` and ``crv`` must fit, and the numbers must be a key (K3)."""
    with pytest.raises(ConfigurationError) as refused:
        VerificationKey.from_jwk(jwk)

    assert not str(refused.value).count(str(jwk.get("x", "?"))[:20])


@pytest.mark.parametrize(
    "jwk", [public_jwk(), public_jwk(use="sig"), public_jwk(key_ops=["verify"]), public_jwk(alg="EdDSA")]
)
def test_a_good_jwk_is_read(jwk: dict[str, Any]) -> None:
    """With or without the members that say what it is for."""
    assert ("k1", "EdDSA") == (VerificationKey.from_jwk(jwk).kid, VerificationKey.from_jwk(jwk).alg)


def test_a_jwk_for_another_algorithm_than_asked_is_refused() -> None:
    """The caller's word and the key's word must agree."""
    with pytest.raises(WeakKey, match="another algorithm"):
        VerificationKey.from_jwk(public_jwk(alg="EdDSA"), alg="ES256")


DOCUMENTS = [
    {},
    {"keys": {}},
    {"keys": [7]},
    {"keys": []},
    {"keys": [public_jwk(), public_jwk()]},
    [public_jwk()],
    None,
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_set_with_one_bad_key_is_refused_whole(document: Any) -> None:
    """No key set, an empty one, and one id twice: nothing is picked out of it."""
    with pytest.raises(ConfigurationError):
        KeyRing.from_jwks(document, issuer=ISSUER)


def test_a_set_with_a_key_for_encryption_or_a_secret_is_refused_whole() -> None:
    """A mixed set is a mistake of its issuer, or an attack (attack table, row 32)."""
    secret = {"kty": "oct", "alg": "HS256", "k": "NGw0OUg3ZnhwVjJ0UWs5YlhzQzFtWnJXNnlKZUcwYTg", "kid": "k2"}
    for other in (public_jwk(kid="k2", use="enc"), secret):
        with pytest.raises(ConfigurationError):
            KeyRing.from_jwks({"keys": [public_jwk(), other]}, issuer=ISSUER)


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' OR 1=1 --", "x" * 65_536, "", 7, None, "k 1", "ключ", "k1\n", ["k1"], {"k1": 1}, "a" * 65],
)
def test_a_hostile_key_id_is_refused_without_looking(kid: object, clock: FrozenClock) -> None:
    """It never reaches a key source, so no file, socket or query could come of it (K4)."""
    signing = key("k1")
    manager = token_manager(signing, clock=clock)

    with pytest.raises(TokenInvalid) as refused:
        manager.validate(forge(signing, kid=kid))
    assert refused.value.reason in {"malformed_kid", "header_too_long", "too_long"}


@pytest.mark.parametrize("kid", ["", "a" * 65, "a/b", "ключ", "k1\n"])
def test_our_own_key_ids_obey_the_grammar(kid: str) -> None:
    """A key that no token could name is refused."""
    with pytest.raises(ConfigurationError):
        SigningKey.generate("EdDSA", kid=kid)


def test_the_default_key_id_is_the_thumbprint() -> None:
    """RFC 7638, section 3.1, and RFC 8037, appendix A.3: the published examples."""
    example_7638 = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4"
        "n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd"
        "AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
    }
    assert "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" == VerificationKey.from_jwk(example_7638).kid
    assert "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" == VerificationKey.from_jwk(public_jwk(kid=...)).kid


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


@pytest.mark.parametrize("password", [None, b"a passphrase"])
def test_keys_are_read_from_pem(password: bytes | None) -> None:
    """Private and public, plain and encrypted, as bytes and as text."""
    private = ed25519.Ed25519PrivateKey.generate()
    sealed = None if password is None else SecretBytes(password)
    signing = SigningKey.from_pem(pem_of(private, password).decode(), alg="EdDSA", password=sealed)
    verifying = VerificationKey.from_pem(public_pem_of(private), alg="EdDSA")

    assert thumbprint(private.public_key()) == signing.kid == verifying.kid
    assert verifying.verify(b"message", signing.sign(b"message"))


def bad_pems() -> Iterator[tuple[str, bytes | str]]:
    """Yield what is no usable private key."""
    yield "nothing", b""
    yield "text", "hello"
    yield "not ASCII", "-----BEGIN ключ-----"
    yield "public", public_pem_of(ed25519.Ed25519PrivateKey.generate())
    yield "Ed448", pem_of(ed448.Ed448PrivateKey.generate())
    yield "encrypted", pem_of(ed25519.Ed25519PrivateKey.generate(), b"password")
    yield "truncated", pem_of(ed25519.Ed25519PrivateKey.generate())[:-40]


@pytest.mark.parametrize("pem", [row[1] for row in bad_pems()], ids=[row[0] for row in bad_pems()])
def test_an_unreadable_pem_is_a_weak_key(pem: bytes | str) -> None:
    """No error of the library crosses, and none of ours quotes the file."""
    for read in (SigningKey.from_pem, VerificationKey.from_pem):
        if read == VerificationKey.from_pem and b"PUBLIC" in (pem if isinstance(pem, bytes) else pem.encode()):
            continue
        with pytest.raises(WeakKey) as refused:
            read(pem, alg="EdDSA")
        assert refused.value.__context__ is None


def test_a_private_jwk_signs_and_a_public_one_does_not() -> None:
    """RFC 8037, appendix A.1; without the member ``d`` nothing can sign."""
    private = public_jwk(d="nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")

    assert "k1" == SigningKey.from_jwk(private).kid
    for useless in (public_jwk(), public_jwk(d="AAAA"), public_jwk(d="B" * 43)):
        with pytest.raises(WeakKey):
            SigningKey.from_jwk(useless)


def test_a_symmetric_jwk_signs() -> None:
    """RFC 7515, appendix A.1: the key of the HS256 example."""
    jwk = {
        "kty": "oct",
        "alg": "HS256",
        "kid": "hs",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    }
    signing = SigningKey.from_jwk(jwk)

    assert signing.verification.verify(b"message", signing.sign(b"message"))


def test_a_private_jwk_becomes_public_when_it_verifies() -> None:
    """Its private members are not even looked at."""
    verifying = VerificationKey.from_jwk(public_jwk(d=7, k=["?"]))

    assert isinstance(verifying.material, ed25519.Ed25519PublicKey)


def test_the_members_of_a_private_jwk_show_their_names_alone() -> None:
    """So that a traceback with locals does not print the key."""
    members = SecretMembers({"kty": "oct", "k": "secret"})

    assert "SecretMembers(kty, k)" == repr(members)
    assert ({"kty", "k"}, 2, "secret") == (set(members), len(members), members["k"])


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
