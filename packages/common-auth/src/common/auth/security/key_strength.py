"""Refuses keys that are weak, damaged, or of another kind than their algorithm."""

import hmac
import re
from itertools import pairwise
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from common.auth.exceptions import WeakKey
from common.auth.security.algorithms import EC_CURVES, JwsAlgorithm, PublicKey
from common.auth.security.secrets import SecretBytes

__all__ = ["require_strong_key", "require_strong_secret"]

_MIN_RSA_BITS: Final = 2048  # NIST SP 800-131A rev. 2, table 2
_MAX_RSA_BITS: Final = 8192  # larger ones make every verification an attack on the processor
_MIN_RSA_EXPONENT: Final = 65537  # NIST SP 800-56B rev. 2, section 6.2
_MAX_RSA_EXPONENT: Final = 1 << 256

_PLACEHOLDER: Final = re.compile(
    rb"secret|change.?me|password|passphrase|default|example|placeholder|insecure|replace.?(?:me|this)|your.{0,12}key"
    rb"|sample|test.?key|abcdefgh|12345678|qwerty|-----begin|^ssh-|\"kty\"",
    re.IGNORECASE,
)
_LEAST_VARIETY: Final = 8
"""Distinct bytes; even 32 random hexadecimal digits have fewer only once in 10^7."""
_LONGEST_REPEATED_UNIT: Final = 16


def require_strong_key(algorithm: JwsAlgorithm, key: PublicKey | SecretBytes, *, kid: str = "") -> None:
    """Accept *key* for *algorithm*.

    Raises:
        WeakKey: It is of another kind or curve, an RSA key under 2,048 bits, with a small or even exponent or of the
            ROCA family (CVE-2017-15361), or a secret that :func:`require_strong_secret` refuses.
    """
    named = f"Key {kid!r} " if kid else "The key "
    if algorithm.is_symmetric:
        if not isinstance(key, SecretBytes):
            raise WeakKey(f"{named}is no secret, and {algorithm.name} needs one.", reason="wrong_key_type")
        require_strong_secret(key, at_least=algorithm.min_secret, what=named.strip())
    elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm.kty == "OKP":
        pass
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm.kty == "EC":
        if not isinstance(key.curve, EC_CURVES[algorithm.curve]):
            raise WeakKey(f"{named}is not on the curve {algorithm.curve} of {algorithm.name}.", reason="wrong_curve")
    elif isinstance(key, rsa.RSAPublicKey) and algorithm.kty == "RSA":
        _require_strong_rsa(key.public_numbers(), named)
    else:
        raise WeakKey(f"{named}is not the {algorithm.kty} key that {algorithm.name} needs.", reason="wrong_key_type")


def _require_strong_rsa(numbers: rsa.RSAPublicNumbers, named: str) -> None:
    bits = numbers.n.bit_length()
    if not _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS:
        raise WeakKey(f"{named}has {bits} bits; RSA needs {_MIN_RSA_BITS} to {_MAX_RSA_BITS}.", reason="rsa_size")
    if not _MIN_RSA_EXPONENT <= numbers.e < _MAX_RSA_EXPONENT or numbers.e % 2 == 0:
        raise WeakKey(f"{named}has a public exponent that is even or below 65537.", reason="rsa_exponent")
    if numbers.n % 2 == 0 or _is_roca(numbers.n):
        raise WeakKey(f"{named}has a modulus that can be factored (CVE-2017-15361). Make a new key.", reason="roca")


def _powers_of_65537(prime: int) -> frozenset[int]:
    powers = {1}
    power = 65537 % prime
    while power not in powers:
        powers.add(power)
        power = power * 65537 % prime
    return frozenset(powers)


_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


def _is_roca(modulus: int) -> bool:
    """Tell moduli of the flawed Infineon generator by their fingerprint.

    Both primes of such a modulus are 65537^a modulo each of the first small primes, and so is their product (Nemec,
    Sys, Svenda, Klinec, Matyas: "The Return of Coppersmith's Attack", CCS 2017, section 2.1). The primes used here are
    those modulo which 65537 does not generate everything; a random modulus passes all of them once in about 10^8.
    """
    return all(modulus % prime in _powers_of_65537(prime) for prime in _PRIMES)


def require_strong_secret(secret: SecretBytes, *, at_least: int, what: str = "The secret") -> None:
    """Accept *secret* as a key of an HMAC.

    Raises:
        WeakKey: Shorter than *at_least* bytes, of few different bytes, a short unit repeated, an even progression, or
            a placeholder out of somebody's documentation.
    """
    if len(secret) < at_least:
        raise WeakKey(f"{what} has {len(secret)} bytes; at least {at_least} are needed.", reason="short_secret")
    if len(set(secret.reveal())) < _LEAST_VARIETY or _repeats(secret) or _progresses(secret):
        raise WeakKey(f"{what} is not random. Make one with secrets.token_bytes({at_least}).", reason="low_variety")
    if _PLACEHOLDER.search(secret.reveal()):
        raise WeakKey(f"{what} is a placeholder. Make one with secrets.token_bytes({at_least}).", reason="placeholder")


def _repeats(secret: SecretBytes) -> bool:
    return any(
        hmac.compare_digest(secret.reveal()[unit:], secret.reveal()[:-unit])
        for unit in range(1, min(_LONGEST_REPEATED_UNIT, len(secret) // 2) + 1)
    )


def _progresses(secret: SecretBytes) -> bool:
    return len({(after - before) % 256 for before, after in pairwise(secret.reveal())}) == 1
