"""Which keys are taken, and how they are read (auth K3, K4)."""

import base64
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from common.auth.exceptions import ConfigurationError, WeakKey
from common.auth.security.algorithms import PublicKey
from common.auth.security.jwk import SecretMembers, thumbprint
from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
from common.auth.security.secrets import SecretBytes
from common.auth.testing import ISSUER


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
