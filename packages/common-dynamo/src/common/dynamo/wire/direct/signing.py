"""Heads of requests, signed: what stands before the body, for one endpoint and region."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from common.dynamo.wire.sigv4 import Signer, amz_date

if TYPE_CHECKING:
    from common.dynamo.wire.direct.credentials import Credentials
    from common.dynamo.wire.direct.endpoint import Endpoint

__all__ = ["RequestSigner"]

_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_TARGET: Final = "DynamoDB_20120810."


class RequestSigner:
    """Makes the head of each request. Thread-safe.

    Args:
        endpoint: The only host that ever gets a signature.
        region: Of the credential scope.
        clock: Epoch seconds of this machine.
    """

    def __init__(self, endpoint: "Endpoint", region: str, clock: Callable[[], float] = time.time) -> None:
        self._host = endpoint.authority
        self._signer = Signer(region, "dynamodb", endpoint.path)
        self._clock = clock
        self._start = (
            f"POST {endpoint.path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: {_CONTENT_TYPE}\r\n"
            f"Accept-Encoding: identity\r\nUser-Agent: {_USER_AGENT}\r\nX-Amz-Target: {_TARGET}"
        )
        self.offset = 0.0
        """Seconds that the engine's clock is ahead of this machine's, once it has refused a signature for its time."""
        self._date = (0, "")

    def head(self, operation: str, body: bytes, credentials: "Credentials") -> bytes:
        """Return request line and headers for *body*, down to the empty line."""
        target, date, token = _TARGET + operation, self._now(), credentials.token
        headers = [("content-type", _CONTENT_TYPE), ("host", self._host), ("x-amz-date", date)]
        if token is not None:
            headers.append(("x-amz-security-token", token))
        headers.append(("x-amz-target", target))
        authorization = self._signer.authorization(credentials.access_key, credentials.secret_key, date, headers, body)
        return (
            f"{self._start}{operation}\r\nX-Amz-Date: {date}\r\n"
            f"{'' if token is None else f'X-Amz-Security-Token: {token}{_EOL}'}"
            f"Authorization: {authorization}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode("latin-1")

    def _now(self) -> str:
        second = int(self._clock() + self.offset)
        known = self._date
        if known[0] != second:
            known = self._date = (second, amz_date(second))
        return known[1]


_EOL: Final = "\r\n"
_USER_AGENT: Final = "common-dynamo"
