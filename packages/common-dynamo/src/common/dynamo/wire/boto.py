"""The boto wire: any boto3 DynamoDB client, one attempt per call.

boto3 and botocore are imported when the first client is built, never with this module. Only clients are used, never
boto3 resources, which are not thread-safe.

How a call is bounded by its deadline:

- *Reads.* Before each send a handler sets the read timeout of that one request to what is left of the deadline
  (botocore 1.43.72 and later; a client built here for an older botocore has the database's deadline as its fixed read
  timeout). A client that retries by itself is stopped at its first attempt past the deadline.
- *Connects* have a timeout per client only: at most one second for clients built here, the caller's own for others.
- The read timeout bounds each wait for bytes, not their sum; a server that drips an answer byte by byte outlasts it.

So a call ends within its deadline, plus at most one connect timeout when the host does not answer at all.

botocore takes a body that is cut off, or no JSON, for an empty answer: "no such item". A second handler finds such a
body by its length, its checksum and its brackets, and the answer counts as lost.
"""

import os
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from common.dynamo.requests import Request
from common.dynamo.wire import Answer, AnswerLost, NotSent
from common.dynamo.wire.render import ExpressionTooLarge, render

__all__ = ["BotoWire"]


class BotoWire:
    """Speak through a boto3 DynamoDB client: AWS, a compatible endpoint, a test double.

    Args:
        client: The client; it may have handlers, proxies and retries of its own.
        reason: Why this wire was chosen, in one line for the operator.
        timer: Seconds of a monotonic clock.
    """

    name = "boto"

    def __init__(
        self, client: Any, *, reason: str = "a boto3 client was given", timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._reason = reason
        self._timer = timer
        self._local = threading.local()
        self._pid = os.getpid()
        service = client.meta.service_model.service_id.hyphenize()
        self._handlers = (
            (f"before-send.{service}", self._bound_read),
            (f"response-received.{service}", self._check_body),
        )
        for event, handler in self._handlers:
            client.meta.events.register(event, handler)

    @classmethod
    def build(
        cls,
        *,
        session: Any = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        timeout: float = 2.0,
        reason: str = "a client was built from the session",
    ) -> "BotoWire":
        """Build a client that never retries by itself, and a wire on it.

        Args:
            session: A boto3 session; ``None`` for a new one, configured by the environment as usual.
            endpoint_url: A compatible endpoint; ``None`` for AWS, or what the session's configuration names.
            region: Overrides the session's region.
            timeout: Seconds; the longest that one attempt waits for an answer, and for a connection if below one.
            reason: Why this wire was chosen, in one line for the operator.

        Raises:
            ConfigurationError: No region is known.
        """
        from common.dynamo.wire.boto_client import build_client

        return cls(build_client(session, endpoint_url=endpoint_url, region=region, timeout=timeout), reason=reason)

    @property
    def reason(self) -> str:
        """Why this wire was chosen, in one line for the operator."""
        return self._reason

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of the engine."""
        address = urlsplit(self._client.meta.endpoint_url)
        return address.hostname or "", address.port or (80 if address.scheme == "http" else 443)

    @property
    def region(self) -> str | None:
        """The client's region."""
        region: str | None = self._client.meta.region_name
        return region

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* once, within *timeout* seconds.

        Raises:
            NotSent: No connection, no time left, or no credentials for the moment.
            AnswerLost: Sent, in whole or in part, and no whole answer came back.
            ConfigurationError: The client has no credentials at all.
        """
        try:
            method, parameters = render(request)
        except ExpressionTooLarge as error:
            return Answer(400, {"__type": "ValidationException", "message": str(error)})
        if timeout <= 0:
            raise NotSent("the deadline had passed")
        if self._pid != os.getpid():
            self._leave_sockets_to_parent()
        self._local.call = _Call(self._timer() + timeout)
        try:
            return _answer(getattr(self._client, method)(**parameters))
        except Exception as error:  # noqa: BLE001 - translated by its class, or raised again
            from common.dynamo.wire.boto_errors import translate

            return translate(error)
        finally:
            self._local.call = None

    def close(self) -> None:
        """Take our handlers off the client and close its sockets; the client itself stays usable."""
        for event, handler in self._handlers:
            self._client.meta.events.unregister(event, handler)
        self._client.close()

    def _bound_read(self, request: Any, **_: Any) -> None:
        """Give one HTTP request what is left of the deadline; other users of the client are left alone."""
        call: _Call | None = getattr(self._local, "call", None)
        if call is None:
            return
        left = call.deadline - self._timer()
        if left <= 0:
            raise AnswerLost(_LATE) if call.attempts else NotSent(_LATE)
        call.attempts += 1
        context = getattr(request, "context", None)
        if context is not None:
            context["read_timeout"] = left

    def _check_body(self, response_dict: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Refuse an answer whose body did not come whole; other users of the client are left alone."""
        if response_dict is None or getattr(self._local, "call", None) is None:
            return
        # As text: of an answer that is cut off within its head, the numbers may be cut off too.
        headers, body = response_dict["headers"], response_dict["body"]
        length, checksum = headers.get("content-length"), headers.get("x-amz-crc32")
        if "content-encoding" in headers:
            return
        if (
            (length is not None and length != str(len(body)))
            or (checksum is not None and checksum != str(zlib.crc32(body)))
            or (response_dict["status_code"] == 200 and body[:1] + body.rstrip()[-1:] != b"{}")
        ):
            raise AnswerLost("the body of the answer did not come whole")

    def _leave_sockets_to_parent(self) -> None:
        """After a fork: close our copies of the connections, whose other end talks to the parent."""
        self._client.close()
        self._pid = os.getpid()


@dataclass(slots=True)
class _Call:
    """The call that a thread is making."""

    deadline: float
    """On the wire's timer."""
    attempts: int = 0
    """HTTP requests begun; above one for a client that retries by itself."""


_LATE = "the client's own retries reached the deadline"


def _answer(output: Mapping[str, Any]) -> Answer:
    metadata = output.get("ResponseMetadata", {})
    return Answer(
        200,
        {name: value for name, value in output.items() if name != "ResponseMetadata"},
        request_id=metadata.get("RequestId", ""),
        headers=metadata.get("HTTPHeaders", {}),
        retry_attempts=metadata.get("RetryAttempts", 0),
    )
