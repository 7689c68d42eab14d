"""Cookies that tell the owner's device from strangers (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

A cookie proves that somebody logged in to this one account from this device before. It grants nothing: whoever has it
still needs the password, and only fails into a bucket of their own.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Final

from common.auth.security.jwk import base64url
from common.auth.security.secrets import SecretBytes, SecretStr

__all__ = ["DeviceCookies"]

_FORM: Final = re.compile(r"d1\.([A-Za-z0-9_-]{22})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)
_NONCE_BYTES: Final = 16


class DeviceCookies:
    """Makes and reads device cookies: ``d1.<nonce>.<expiry>.<HMAC-SHA-256>``, 83 characters or fewer.

    Args:
        key: Signs them.
        entropy: Returns that many random bytes.
    """

    def __init__(self, key: SecretBytes, *, entropy: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._key = key
        self._entropy = entropy

    def make(self, account: str, *, expires_at: float) -> SecretStr:
        """Return a new cookie for *account*, a keyed hash; good until *expires_at*."""
        nonce = base64url(self._entropy(_NONCE_BYTES))
        expiry = str(int(expires_at))
        return SecretStr(f"d1.{nonce}.{expiry}.{self._tag(account, nonce, expiry)}")

    def nonce_of(self, presented: str, *, account: str, now: float) -> str | None:
        """Return the nonce of a cookie that was made here for *account* and has not expired; else ``None``."""
        found = _FORM.fullmatch(presented) if isinstance(presented, str) else None
        if found is None:
            return None
        nonce, expiry, tag = found.groups()
        is_ours = hmac.compare_digest(tag, self._tag(account, nonce, expiry))
        return nonce if is_ours and now < int(expiry) else None

    def _tag(self, account: str, nonce: str, expiry: str) -> str:
        octets = f"device cookie\0{account}\0{nonce}\0{expiry}".encode()
        return base64url(hmac.digest(self._key.reveal(), octets, hashlib.sha256))
