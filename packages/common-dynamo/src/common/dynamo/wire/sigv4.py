"""AWS Signature Version 4 of one POST request. Pure: the moment and the credentials come in as arguments.

Source: AWS Identity and Access Management User Guide, "Create a signed AWS API request". The field's words are kept: canonical
request, string to sign, credential scope, signing key.
"""

import hmac
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import quote

__all__ = ["PreparedSignature", "Signer", "amz_date"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class _SigningKey(NamedTuple):
    """A derived key, and what it was derived from."""

    secret_key: str
    day: str
    value: bytes

    def __repr__(self) -> str:
        return f"<signing key of {self.day}>"


def amz_date(moment: float) -> str:
    """Return *moment*, in epoch seconds, as ``X-Amz-Date`` has it: ``20261124T154800Z``."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


# Copies of an empty hash: making one anew costs OpenSSL several times what hashing a request does.
_EMPTY: Final = sha256()
_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class PreparedSignature:
    """All of a signature that does not depend on the body; good for a second, an operation and one pair of credentials."""

    __slots__ = ("_canonical", "_inner", "_outer", "_to_sign", "start")

    def __init__(self, canonical: str, to_sign: str, key: bytes, start: str) -> None:
        padded = key.ljust(_BLOCK, b"\0")
        self._canonical = canonical.encode()
        self._to_sign = to_sign.encode()
        self._inner = sha256(padded.translate(_INNER))
        self._outer = sha256(padded.translate(_OUTER))
        self.start = start
        """The value of the ``Authorization`` header, up to the signature."""

    def signature(self, body: bytes) -> str:
        """Return the signature for *body*, in hex."""
        digest, request = _EMPTY.copy(), _EMPTY.copy()
        digest.update(body)
        request.update(self._canonical + digest.hexdigest().encode())
        inner, outer = self._inner.copy(), self._outer.copy()  # HMAC (RFC 2104), its key taken in already
        inner.update(self._to_sign + request.hexdigest().encode())
        outer.update(inner.digest())
        return outer.hexdigest()


class Signer:
    """Signs requests to one service in one region. Thread-safe.

    The signing key holds for a day and a secret key; the last one is kept, so that a request costs one HMAC instead of five.

    Args:
        region: Of the credential scope, such as ``eu-central-1``.
        service: Of the credential scope, such as ``dynamodb``.
        path: Of the endpoint; without a query.
    """

    __slots__ = ("_canonical_start", "_key", "_scope_end")

    def __init__(self, region: str, service: str, path: str = "/") -> None:
        # Every service but S3 has the path encoded once more than it is sent.
        self._canonical_start = f"POST\n{quote(path, safe='/~')}\n\n"
        self._scope_end = f"/{region}/{service}/aws4_request"
        self._key = _SigningKey("", "", b"")

    def __repr__(self) -> str:
        return f"<Signer of {self._scope_end[1:]}>"

    def authorization(
        self, access_key: str, secret_key: str, date: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> str:
        """Return the value of the ``Authorization`` header for *body*, as it is sent; see :meth:`prepare`."""
        prepared = self.prepare(access_key, secret_key, date, headers)
        return prepared.start + prepared.signature(body)

    def prepare(
        self, access_key: str, secret_key: str, date: str, headers: Sequence[tuple[str, str]]
    ) -> PreparedSignature:
        """Return what signs requests of any body.

        Args:
            access_key: Goes into the credential scope.
            secret_key: What the signing key is derived from.
            date: See :func:`amz_date`; also one of *headers*.
            headers: Names in lower case and values without surplus spaces, sorted by name; all of them are signed.
        """
        signed = ";".join([name for name, _ in headers])
        canonical = "".join([f"{name}:{value}\n" for name, value in headers])
        scope = f"{date[:8]}{self._scope_end}"
        return PreparedSignature(
            f"{self._canonical_start}{canonical}\n{signed}\n",
            f"{_ALGORITHM}\n{date}\n{scope}\n",
            self._signing_key(secret_key, date[:8]),
            f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed}, Signature=",
        )

    def _signing_key(self, secret_key: str, day: str) -> bytes:
        key = self._key
        if key.day != day or key.secret_key != secret_key:
            # Another thread may derive the same one meanwhile; each puts a whole value in place.
            key = self._key = _SigningKey(secret_key, day, self._derive(secret_key, day))
        return key.value

    def _derive(self, secret_key: str, day: str) -> bytes:
        value = f"AWS4{secret_key}".encode()
        for part in (day + self._scope_end).split("/"):
            value = hmac.digest(value, part.encode(), "sha256")
        return value
