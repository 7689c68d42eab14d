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

__all__ = ["Signer", "amz_date"]

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
        """Return the value of the ``Authorization`` header.

        Args:
            access_key: Goes into the credential scope.
            secret_key: What the signing key is derived from.
            date: See :func:`amz_date`; also one of *headers*.
            headers: Names in lower case and values without surplus spaces, sorted by name; all of them are signed.
            body: As it is sent.
        """
        signed = ";".join([name for name, _ in headers])
        canonical = "".join([f"{name}:{value}\n" for name, value in headers])
        request = f"{self._canonical_start}{canonical}\n{signed}\n{sha256(body).hexdigest()}"
        day = date[:8]
        scope = f"{day}{self._scope_end}"
        to_sign = f"{_ALGORITHM}\n{date}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(secret_key, day), to_sign.encode(), "sha256").hex()
        return f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"

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
