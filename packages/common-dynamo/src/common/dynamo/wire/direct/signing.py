"""Heads of requests, signed: what stands before the body, for one endpoint and region."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from common.dynamo.wire.sigv4 import PreparedSignature, Signer, amz_date

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
            f"Accept-Encoding: identity\r\nUser-Agent: {_USER_AGENT}\r\nX-Amz-Target: "
        )
        self.offset = 0.0
        """Seconds that the engine's clock is ahead of this machine's, once it has refused a signature for its time."""
        self._heads: dict[str, _Head] = {}

    def head(self, operation: str, body: bytes, credentials: "Credentials") -> bytes:
        """Return request line and headers for *body*, down to the empty line."""
        second = int(self._clock() + self.offset)
        head = self._heads.get(operation)
        if head is None or head.second != second or head.credentials is not credentials:
            head = self._heads[operation] = self._prepared(operation, second, credentials)
        return b"%s%s\r\nContent-Length: %d\r\n\r\n" % (head.start, head.signature.signature(body).encode(), len(body))

    def _prepared(self, operation: str, second: int, credentials: "Credentials") -> "_Head":
        target, date, token = _TARGET + operation, amz_date(second), credentials.token
        headers = [("content-type", _CONTENT_TYPE), ("host", self._host), ("x-amz-date", date)]
        if token is not None:
            headers.append(("x-amz-security-token", token))
        headers.append(("x-amz-target", target))
        signature = self._signer.prepare(credentials.access_key, credentials.secret_key, date, headers)
        lines = [f"{self._start}{target}", f"X-Amz-Date: {date}"]
        if token is not None:
            lines.append(f"X-Amz-Security-Token: {token}")
        start = "\r\n".join([*lines, f"Authorization: {signature.start}"])
        return _Head(second, credentials, start.encode("latin-1"), signature)


class _Head(NamedTuple):
    """The head of an operation's requests within one second, up to their signature."""

    second: int
    credentials: "Credentials"
    start: bytes
    signature: PreparedSignature

    def __repr__(self) -> str:
        return f"<head of second {self.second}>"


_USER_AGENT: Final = "common-dynamo"
