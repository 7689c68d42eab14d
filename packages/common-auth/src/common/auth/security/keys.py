"""Signing and verification keys, and the ring that knows which of them counts when.

A key is bound to one algorithm, a ring to one issuer. What state a key is in follows from the clock alone, so every
process that loads the same ring agrees without talking to another:

======== ============================================= ======= ========
state    when                                          signs   verifies
======== ============================================= ======= ========
pending  before ``not_before``                         no      yes
active   the signing key that began last               yes     yes
retiring a later key is active, ``retire_at`` to come  no      yes
revoked  flagged, or after ``retire_at``               no      no
======== ============================================= ======= ========
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from common.auth.security.algorithms import DEFAULT_ALGORITHMS, PublicKey
from common.auth.security.clock import SYSTEM, Clock
from common.auth.security.secrets import SecretBytes
from common.core.json_types import JSONValue

__all__ = ["KeyRing", "KeySource", "KeyState", "Signer", "SigningKey", "VerificationKey"]


class KeyState(str, Enum):
    """What a key may do now."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"


class Signer(Protocol):
    """Holds a private key and signs with it; the key itself may live in a KMS and is never asked for."""

    @property
    def alg(self) -> str:
        """The JWS algorithm, such as ``ES256``."""
        ...

    def public_key(self) -> PublicKey:
        """Return the public half, as an object of the ``cryptography`` package."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Return the signature in the form of JWS: for ES256 the 64 bytes of r and s, not DER (RFC 7518, section 3.4)."""
        ...


class KeySource(Protocol):
    """Finds the key that verifies a token. :class:`KeyRing` is one."""

    @property
    def issuer(self) -> str: ...

    def find(self, kid: str, alg: str) -> "VerificationKey":
        """Return the key with id *kid* for *alg*; no I/O. Raises ``UnknownKey``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """What verifies signatures of one algorithm. ``repr`` shows no key material."""

    kid: str
    alg: str
    material: PublicKey | SecretBytes = field(repr=False)
    not_before: datetime | None = None
    retire_at: datetime | None = None
    revoked: bool = False

    @classmethod
    def from_pem(cls, pem: bytes | str, *, alg: str, kid: str | None = None) -> "VerificationKey":
        """Read a PEM public key (a private one is made public); *kid* defaults to the RFC 7638 thumbprint."""
        raise NotImplementedError

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "VerificationKey":
        """Read a JWK (RFC 7517). Private members are dropped."""
        raise NotImplementedError

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether *signature* is this key's over *message*."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What signs, with the key that verifies it."""

    signer: Signer | None
    verification: VerificationKey

    @classmethod
    def generate(cls, alg: str = "EdDSA", *, kid: str | None = None) -> "SigningKey":
        """Make a new key: Ed25519, a NIST curve, RSA with 3,072 bits, or an HMAC secret of the hash's length."""
        raise NotImplementedError

    @classmethod
    def from_pem(cls, pem: bytes | str, *, alg: str, kid: str | None = None, password: SecretBytes | None = None) -> "SigningKey":
        """Read a PEM private key."""
        raise NotImplementedError

    @classmethod
    def from_secret(cls, secret: bytes | SecretBytes, *, kid: str, alg: str = "HS256") -> "SigningKey":
        """Use an HMAC *secret*, at least as long as the hash."""
        raise NotImplementedError

    @classmethod
    def from_signer(cls, signer: Signer, *, kid: str | None = None) -> "SigningKey":
        """Sign through *signer*, such as a KMS."""
        raise NotImplementedError

    @property
    def kid(self) -> str:
        return self.verification.kid

    @property
    def alg(self) -> str:
        return self.verification.alg

    def sign(self, message: bytes) -> bytes:
        """Sign *message*. Raises ``KeySourceUnavailable`` where the signer fails."""
        raise NotImplementedError


class KeyRing:
    """The keys of one issuer. Immutable: :meth:`rotate` and :meth:`revoke` return a new ring.

    Args:
        issuer: Whose keys these are: the ``iss`` of the tokens.
        keys: At least one; key ids are unique.
        algorithms: Those that the keys may have.
        allow_symmetric: Permit HS256, HS384 and HS512, and nothing beside them: whoever can verify can then also sign.
        max_age: How long others may cache :meth:`public_jwks`; a new key is published this long before it signs.

    Raises:
        WeakKey: A key is too weak, damaged, of another kind than its algorithm, or not meant for signatures.
        ConfigurationError: No key, two with one id, two signing keys that begin together, symmetric beside
            asymmetric keys, or an algorithm that is not permitted.
    """

    def __init__(
        self,
        keys: Iterable[SigningKey | VerificationKey],
        *,
        issuer: str,
        algorithms: Collection[str] = DEFAULT_ALGORITHMS,
        allow_symmetric: bool = False,
        max_age: timedelta = timedelta(hours=1),
        clock: Clock = SYSTEM,
    ) -> None:
        raise NotImplementedError

    @property
    def issuer(self) -> str:
        raise NotImplementedError

    def active(self) -> SigningKey:
        """Return the key that signs now. Raises ``ConfigurationError`` where none may."""
        raise NotImplementedError

    def find(self, kid: str, alg: str) -> VerificationKey:
        """Return the key *kid* if it may verify now and its algorithm is *alg*. Raises ``UnknownKey``; does no I/O."""
        raise NotImplementedError

    def rotate(self, new: SigningKey, *, overlap: timedelta, lead: timedelta | None = None) -> "KeyRing":
        """Return a ring in which *new* signs after *lead* (default: ``max_age``) and today's signer verifies *overlap* longer."""
        raise NotImplementedError

    def revoke(self, kid: str) -> "KeyRing":
        """Return a ring in which *kid* neither signs nor verifies, from now on."""
        raise NotImplementedError

    def public_jwks(self) -> dict[str, JSONValue]:
        """Return the JWK set (RFC 7517, section 5) to publish: public members of asymmetric keys that verify now or later."""
        raise NotImplementedError
