"""From the password as it was given to the octets that are hashed, without leaving it where a traceback shows it."""

import base64
import hmac
from dataclasses import dataclass
from typing import Final

from common.auth.security.password_format import Normalisation
from common.auth.security.password_policy import MAX_BYTES, MAX_CHARACTERS
from common.auth.security.secrets import SecretBytes, SecretStr

__all__ = ["SealedPassword", "prehash"]

_UNPEPPERED: Final = SecretBytes(b"common-auth password pre-hash without pepper, version 1")
"""Public. It keeps digests of other systems, such as leaked lists of SHA-384, from being tried against bcrypt alone."""


@dataclass(frozen=True, slots=True)
class SealedPassword:
    """A password out of sight, cut to what is hashed."""

    text: SecretStr | SecretBytes
    fault: str = ""
    """Why no hash of it exists: ``empty``, ``too_long``, ``not_unicode`` or ``not_text``; empty where it may."""

    @classmethod
    def of(cls, password: object) -> "SealedPassword":
        """Seal *password*, text or bytes. Never raises: what cannot be a password has a fault instead."""
        if isinstance(password, str):
            sealed = SecretStr(password[:MAX_CHARACTERS])
            fault = "too_long" if len(password) > MAX_CHARACTERS else _fault_of(sealed)
            return cls(sealed, fault)
        if isinstance(password, bytes):
            fault = "too_long" if len(password) > MAX_BYTES else "" if password else "empty"
            return cls(SecretBytes(password[:MAX_BYTES]), fault)
        return cls(SecretBytes(b""), "not_text")

    def octets(self, normalisation: Normalisation) -> SecretBytes:
        """Return the UTF-8 of text in the form *normalisation*, and bytes as they are.

        Lone surrogates, which no UTF-8 has, become three octets each; such a password has a fault and never matches.
        """
        if isinstance(self.text, SecretBytes):
            return self.text
        return SecretBytes(normalisation.apply(self.text.reveal()).encode("utf-8", "surrogatepass"))


def _fault_of(text: SecretStr) -> str:
    if not len(text):
        return "empty"
    return "not_unicode" if any("\ud800" <= character <= "\udfff" for character in text.reveal()) else ""


def prehash(octets: SecretBytes, pepper: SecretBytes | None) -> SecretBytes:
    """Return 64 ASCII characters for bcrypt: base64 of HMAC-SHA-384 under *pepper*.

    bcrypt alone stops at 72 bytes, and takes the password followed by NUL over and over as its key, so that ``a`` and
    ``a\\0a`` are one; 64 characters without NUL are out of reach of both (OWASP Password Storage Cheat Sheet,
    "Pre-Hashing Passwords with bcrypt").
    """
    key = _UNPEPPERED if pepper is None else pepper
    return SecretBytes(base64.b64encode(hmac.digest(key.reveal(), octets.reveal(), "sha384")))
