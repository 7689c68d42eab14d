"""Verification keys and signing keys, each bound to one algorithm. The public door is :mod:`.keys`."""

import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt import PyJWTError

from common.auth.exceptions import ConfigurationError, KeySourceUnavailable, WeakKey
from common.auth.security.algorithms import EC_CURVES, JwsAlgorithm, PrivateKey, PublicKey, algorithm_named
from common.auth.security.jwk import SecretMembers, jwk_algorithm, jwk_key, thumbprint
from common.auth.security.key_strength import require_strong_key
from common.auth.security.secrets import SecretBytes

__all__ = ["KEY_ID", "KeySource", "Signer", "SigningKey", "SigningKeySource", "VerificationKey"]

KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a key id may look like; anything else is refused without looking further."""

_RSA_BITS: Final = 3072  # 128-bit strength, NIST SP 800-57 part 1 rev. 5, table 2


class Signer(Protocol):
    """Signs with a private key that may live elsewhere, such as in a KMS; the key itself is never asked for."""

    @property
    def alg(self) -> str:
        """The JWS algorithm, such as ``ES256``."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Return the signature in the form of JWS: for ES256 the 64 bytes of r and s, not DER (RFC 7518, section 3.4)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """What verifies signatures of one algorithm. ``repr`` shows no key material.

    Raises:
        ConfigurationError: The key id breaks its grammar, or the algorithm does not exist.
        WeakKey: See :func:`common.auth.security.key_strength.require_strong_key`.
    """

    kid: str
    alg: str
    material: PublicKey | SecretBytes = field(repr=False)
    not_before: datetime | None = None
    """When it begins to sign; it verifies already before. ``None``: always has."""
    retire_at: datetime | None = None
    """When it ceases to verify. ``None``: never."""
    revoked: bool = False
    _check: Callable[[bytes, bytes], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.kid, str) or not KEY_ID.fullmatch(self.kid):
            raise ConfigurationError(f"A key id must match {KEY_ID.pattern}.", reason="malformed_kid")
        for name, time in (("not_before", self.not_before), ("retire_at", self.retire_at)):
            if time is not None and time.utcoffset() is None:
                raise ConfigurationError(
                    f"Key {self.kid!r}: {name} needs a time zone, such as UTC.", reason="naive_time"
                )
        algorithm = algorithm_named(self.alg)
        require_strong_key(algorithm, self.material, kid=self.kid)
        object.__setattr__(self, "_check", _verifier(algorithm, self.material))

    @classmethod
    def from_pem(cls, pem: bytes | str, *, alg: str, kid: str | None = None) -> "VerificationKey":
        """Read a public key in PEM.

        Args:
            pem: SubjectPublicKeyInfo, as ``openssl pkey -pubout`` writes it.
            alg: The JWS algorithm that the key is for.
            kid: The key id; by default the RFC 7638 thumbprint.

        Raises:
            WeakKey: It cannot be read, or is refused for *alg*.
        """
        key = None
        with suppress(ValueError, UnsupportedAlgorithm):  # they may quote the input, so ours is raised without them
            key = load_pem_public_key(pem.encode("ascii", "replace") if isinstance(pem, str) else pem)
        if not isinstance(key, PublicKey):
            raise WeakKey("This is no PEM public key of Ed25519, of a NIST curve or of RSA.", reason="malformed_key")
        return cls(kid=thumbprint(key) if kid is None else kid, alg=alg, material=key)

    @classmethod
    def from_jwk(
        cls, jwk: Mapping[str, object], *, alg: str | None = None, kid: str | None = None
    ) -> "VerificationKey":
        """Read a JWK (RFC 7517). Private members are not looked at: what comes out can only verify.

        Args:
            jwk: The members of the key.
            alg: The JWS algorithm, for an RSA key that does not name its own.
            kid: The key id, for a key that does not name its own; by default the RFC 7638 thumbprint.

        Raises:
            WeakKey: It cannot be read, is not for signatures, or is refused for its algorithm.
        """
        jwk = SecretMembers(jwk)
        algorithm = jwk_algorithm(jwk, alg=alg)
        material = jwk_key(jwk, algorithm)
        named = jwk.get("kid", kid)
        if named is None and not isinstance(material, SecretBytes):
            named = thumbprint(material)
        if not isinstance(named, str):
            raise ConfigurationError('The JWK has no usable key id. Give it a member "kid".', reason="malformed_kid")
        return cls(kid=named, alg=algorithm.name, material=material)

    @property
    def algorithm(self) -> JwsAlgorithm:
        """What belongs to :attr:`alg`: the kind of key, the curve, the least length."""
        return algorithm_named(self.alg)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether *signature* is this key's over *message*. Never raises, whatever the bytes are."""
        return self._check(message, signature)


def _verifier(algorithm: JwsAlgorithm, material: PublicKey | SecretBytes) -> Callable[[bytes, bytes], bool]:
    primitive = algorithm.primitive
    if isinstance(material, SecretBytes):
        return lambda message, signature: primitive.verify(message, material.reveal(), signature)
    return lambda message, signature: primitive.verify(message, material, signature)


@dataclass(frozen=True, slots=True)
class _LocalSigner:
    """Signs with a key in this process's memory."""

    alg: str
    _key: PrivateKey | SecretBytes = field(repr=False)

    def sign(self, message: bytes, /) -> bytes:
        key = self._key.reveal() if isinstance(self._key, SecretBytes) else self._key
        return algorithm_named(self.alg).primitive.sign(message, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What signs, together with what verifies it. Make one with a class method.

    >>> key = SigningKey.generate("EdDSA", kid="2026-11")
    >>> key.verification.verify(b"message", key.sign(b"message"))
    True
    """

    signer: Signer
    verification: VerificationKey

    def __post_init__(self) -> None:
        if self.signer.alg != self.verification.alg:
            raise ConfigurationError(
                f"Key {self.kid!r} signs by {self.signer.alg!r} and verifies by {self.verification.alg!r}.",
                reason="wrong_algorithm",
            )

    @classmethod
    def generate(cls, alg: str = "EdDSA", *, kid: str | None = None) -> "SigningKey":
        """Make a new key: Ed25519, a NIST curve, RSA with 3,072 bits, or a random secret of the hash's length.

        Args:
            alg: The JWS algorithm.
            kid: The key id; by default the RFC 7638 thumbprint, or a random one for a secret.
        """
        algorithm = algorithm_named(alg)
        if algorithm.is_symmetric:
            secret = SecretBytes(secrets.token_bytes(algorithm.min_secret))
            return cls.from_secret(secret, alg=alg, kid=secrets.token_urlsafe(8) if kid is None else kid)
        return cls._from_private(_generate_private(algorithm), alg, kid)

    @classmethod
    def from_pem(
        cls, pem: bytes | str, *, alg: str, kid: str | None = None, password: SecretBytes | None = None
    ) -> "SigningKey":
        """Read a private key in PEM.

        Args:
            pem: PKCS #8 or the older forms, as ``openssl genpkey`` writes them.
            alg: The JWS algorithm that the key is for.
            kid: The key id; by default the RFC 7638 thumbprint.
            password: Of an encrypted key.

        Raises:
            WeakKey: It cannot be read or decrypted, or is refused for *alg*.
        """
        sealed = SecretBytes(pem.encode("ascii", "replace") if isinstance(pem, str) else pem)
        del pem
        key = None
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):  # see from_pem of the verification key
            key = load_pem_private_key(sealed.reveal(), None if password is None else password.reveal())
        if not isinstance(key, PrivateKey):
            raise WeakKey(
                "This is no readable PEM private key of Ed25519, of a NIST curve or of RSA.", reason="malformed_key"
            )
        return cls._from_private(key, alg, kid)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object], *, alg: str | None = None, kid: str | None = None) -> "SigningKey":
        """Read a private or symmetric JWK. Same arguments as :meth:`VerificationKey.from_jwk`."""
        jwk = SecretMembers(jwk)
        verification = VerificationKey.from_jwk(jwk, alg=alg, kid=kid)
        if isinstance(verification.material, SecretBytes):
            return cls.from_secret(verification.material, kid=verification.kid, alg=verification.alg)
        key = None
        with suppress(PyJWTError, ValueError, TypeError):  # see from_pem of the verification key
            key = verification.algorithm.primitive.from_jwk(dict(jwk))
        if not isinstance(key, PrivateKey):
            raise WeakKey("The JWK has no usable private member.", reason="malformed_key")
        return cls._from_private(key, verification.alg, verification.kid)

    @classmethod
    def from_secret(cls, secret: bytes | SecretBytes, *, kid: str, alg: str = "HS256") -> "SigningKey":
        """Use an HMAC *secret*; whoever can verify can then also sign, so a ring takes it only when told to.

        Raises:
            WeakKey: Shorter than the hash, of low variety, or a placeholder.
        """
        sealed = secret if isinstance(secret, SecretBytes) else SecretBytes(secret)
        del secret
        return cls(signer=_LocalSigner(alg, sealed), verification=VerificationKey(kid=kid, alg=alg, material=sealed))

    @classmethod
    def from_signer(cls, signer: Signer, *, public_key: PublicKey, kid: str | None = None) -> "SigningKey":
        """Sign through *signer*, whose public half is *public_key*; nothing is called yet."""
        kid = thumbprint(public_key) if kid is None else kid
        return cls(signer=signer, verification=VerificationKey(kid=kid, alg=signer.alg, material=public_key))

    @classmethod
    def _from_private(cls, key: PrivateKey, alg: str, kid: str | None) -> "SigningKey":
        return cls.from_signer(_LocalSigner(alg, key), public_key=key.public_key(), kid=kid)

    @property
    def kid(self) -> str:
        """The key id, the same as of the key that verifies."""
        return self.verification.kid

    @property
    def alg(self) -> str:
        """The JWS algorithm."""
        return self.verification.alg

    def starting(self, not_before: datetime) -> "SigningKey":
        """Return the same key, which begins to sign at *not_before* (aware)."""
        return replace(self, verification=replace(self.verification, not_before=not_before))

    def sign(self, message: bytes) -> bytes:
        """Sign *message*.

        Raises:
            KeySourceUnavailable: The signer failed; its error is the cause.
        """
        try:
            return self.signer.sign(message)
        except Exception as error:  # whatever a KMS client raises, it means that nothing was signed
            raise KeySourceUnavailable(f"The signer of key {self.kid!r} failed.", reason="signer_failed") from error


def _generate_private(algorithm: JwsAlgorithm) -> PrivateKey:
    if algorithm.kty == "OKP":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.kty == "EC":
        return ec.generate_private_key(EC_CURVES[algorithm.curve]())
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


class KeySource(Protocol):
    """Finds the key that verifies a token of one issuer.

    :class:`~common.auth.security.keys.KeyRing` is one, and :class:`~common.auth.security.remote_jwks.RemoteJWKS`.
    """

    @property
    def issuer(self) -> str:
        """Whose keys these are: the ``iss`` of the tokens. A key id means nothing under another issuer."""
        ...

    def find(self, kid: str, alg: str) -> VerificationKey:
        """Return the key *kid* if it may verify now and its algorithm is *alg*; does no I/O.

        Raises:
            UnknownKey: There is none.
            KeySourceUnavailable: There are no keys to look among, such as before the first fetch of published ones.
        """
        ...


class SigningKeySource(KeySource, Protocol):
    """Also tells which key signs now."""

    def active(self) -> SigningKey:
        """Return the key that signs now.

        Raises:
            ConfigurationError: None may, or these keys only verify.
        """
        ...

    def signer(self, kid: str) -> SigningKey:
        """Return the key *kid* to sign once more what it has signed before; it may be retiring.

        Raises:
            UnknownKey: There is none that may verify now, or these keys only verify.
        """
        ...
