"""JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037): read strictly, written without private members."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.auth.exceptions import WeakKey
from common.auth.security.algorithms import ALGORITHMS, EC_CURVES, JwsAlgorithm, PublicKey, algorithm_named
from common.auth.security.secrets import SecretBytes
from common.core.json_types import JSONValue

__all__ = ["SecretMembers", "base64url", "jwk_algorithm", "jwk_key", "public_members", "thumbprint"]

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_BY_CURVE: Final = {algorithm.curve: algorithm for algorithm in ALGORITHMS.values() if algorithm.curve}
_EC_NAMES: Final = {curve().name: name for name, curve in EC_CURVES.items()}


class SecretMembers(Mapping[str, object]):
    """A mapping whose ``repr`` tells the names of its members and no value."""

    def __init__(self, members: Mapping[str, object]) -> None:
        self._members = dict(members)

    def __getitem__(self, name: str) -> object:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"SecretMembers({', '.join(map(str, self._members))})"


def base64url(octets: bytes) -> str:
    """Return the base64url form of *octets* without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def jwk_algorithm(jwk: Mapping[str, object], *, alg: str | None = None) -> JwsAlgorithm:
    """Return the one algorithm that *jwk* is for.

    Args:
        jwk: The members of the key.
        alg: Names it where the key does not; only the curves of elliptic keys leave no choice.

    Raises:
        WeakKey: The key is for encryption, for another algorithm, or names none.
    """
    _require_signature_use(jwk)
    named = jwk.get("alg", alg)
    if alg is not None and named != alg:
        raise WeakKey("The JWK is for another algorithm than was asked for.", reason="wrong_algorithm")
    if named is None and isinstance(jwk.get("crv"), str):
        named = getattr(_BY_CURVE.get(str(jwk["crv"])), "name", None)
    if named is None:
        raise WeakKey('The JWK does not say its algorithm. Add the member "alg".', reason="no_algorithm")
    algorithm = algorithm_named(named)
    if jwk.get("kty") != algorithm.kty or jwk.get("crv", algorithm.curve) != algorithm.curve:
        raise WeakKey(f"The JWK is not the key that {algorithm.name} needs.", reason="wrong_key_type")
    return algorithm


def _require_signature_use(jwk: Mapping[str, object]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise WeakKey('The JWK is not for signatures: its "use" is not "sig".', reason="key_use")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or not operations or any(o not in ("sign", "verify") for o in operations):
        raise WeakKey('The JWK is not for signatures: its "key_ops" are not "sign" or "verify".', reason="key_ops")


def jwk_key(jwk: Mapping[str, object], algorithm: JwsAlgorithm) -> PublicKey | SecretBytes:
    """Return the verifying half of *jwk*. Private members are not looked at.

    Raises:
        WeakKey: A member is missing, is not base64url, has the wrong length, or is no point of the curve.
    """
    key = None
    try:
        key = _READERS[algorithm.kty](jwk)
    except (ValueError, OverflowError) as error:
        reason = str(error) if isinstance(error, _BadMember) else "it is not a valid key"
    if key is None:
        # Outside the except block, so that no library's error, which may quote the key, hangs on ours.
        raise WeakKey(f"The JWK cannot be used: {reason}.", reason="malformed_key")
    return key


class _BadMember(ValueError):
    """Says which member is wrong, without its value."""


def _octets(jwk: Mapping[str, object], member: str, length: int | None = None) -> bytes:
    text = jwk.get(member)
    if not isinstance(text, str) or not _SEGMENT.fullmatch(text):
        raise _BadMember(f"its member {member!r} is missing or not base64url")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if length is not None and len(octets) != length:
        raise _BadMember(f"its member {member!r} does not have {length} bytes")
    return octets


def _integer(jwk: Mapping[str, object], member: str, length: int | None = None) -> int:
    return int.from_bytes(_octets(jwk, member, length), "big")


def _read_okp(jwk: Mapping[str, object]) -> PublicKey:
    return ed25519.Ed25519PublicKey.from_public_bytes(_octets(jwk, "x", 32))


def _read_ec(jwk: Mapping[str, object]) -> PublicKey:
    curve = EC_CURVES[str(jwk["crv"])]()
    length = (curve.key_size + 7) // 8
    return ec.EllipticCurvePublicNumbers(_integer(jwk, "x", length), _integer(jwk, "y", length), curve).public_key()


def _read_rsa(jwk: Mapping[str, object]) -> PublicKey:
    return rsa.RSAPublicNumbers(_integer(jwk, "e"), _integer(jwk, "n")).public_key()


def _read_oct(jwk: Mapping[str, object]) -> SecretBytes:
    return SecretBytes(_octets(jwk, "k"))


_READERS: Final[Mapping[str, Callable[[Mapping[str, object]], PublicKey | SecretBytes]]] = {
    "OKP": _read_okp,
    "EC": _read_ec,
    "RSA": _read_rsa,
    "oct": _read_oct,
}


def public_members(key: PublicKey) -> dict[str, JSONValue]:
    """Return the members of the JWK of *key* that define it, in lexicographic order (RFC 7638, section 3.2)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url(raw)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        length = (key.curve.key_size + 7) // 8
        x, y = (base64url(n.to_bytes(length, "big")) for n in (key.public_numbers().x, key.public_numbers().y))
        return {"crv": _EC_NAMES[key.curve.name], "kty": "EC", "x": x, "y": y}
    numbers = key.public_numbers()
    return {"e": _unsigned(numbers.e), "kty": "RSA", "n": _unsigned(numbers.n)}


def _unsigned(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def thumbprint(key: PublicKey) -> str:
    """Return the SHA-256 thumbprint of *key* (RFC 7638), 43 characters of base64url."""
    canonical = json.dumps(public_members(key), separators=(",", ":"), sort_keys=True)
    return base64url(hashlib.sha256(canonical.encode("ascii")).digest())
