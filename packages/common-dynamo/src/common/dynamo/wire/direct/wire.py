"""The direct wire: signs and speaks HTTP itself, one attempt per call."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from common.dynamo.requests import Request
from common.dynamo.wire import Answer, AnswerLost, NotSent
from common.dynamo.wire.direct.bodies import MalformedBody, NotJson, error_body, output_body, request_body
from common.dynamo.wire.direct.connection import RawAnswer, Stale
from common.dynamo.wire.direct.pool import Pool
from common.dynamo.wire.direct.signing import RequestSigner
from common.dynamo.wire.render import ExpressionTooLarge

if TYPE_CHECKING:
    import ssl

    from common.dynamo.wire.direct.credentials import Credentials, CredentialSource
    from common.dynamo.wire.direct.endpoint import Endpoint

__all__ = ["DirectWire"]

_LOG: Final = logging.getLogger("common.dynamo")
_EXPIRED: Final = frozenset({"ExpiredTokenException", "ExpiredToken", "TokenRefreshRequired"})
_UNTIMELY: Final = frozenset(
    {"InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired"}
)
"""What an engine says of a signature whose time it does not accept; the first two also of a wrong secret key."""
_SKEW: Final = 60.0
"""Seconds of difference between the clocks from which on a refusal is put down to them; AWS accepts 300."""


class DirectWire:
    """Speak to DynamoDB, or a compatible endpoint, over kept-alive connections of its own. Thread-safe and fork-safe.

    Args:
        endpoint: Where the engine is; credentials never go anywhere else, and no redirect is followed.
        region: Of the signature.
        credentials: Asked for every request.
        tls: For an https endpoint; ``None`` for the certificate authorities that boto3 would trust.
        reason: Why this wire was chosen, in one line for the operator.
        connections: Kept at most; a thread that finds all of them in use waits for one.
        connect_timeout: Seconds, for one connection and its TLS handshake.
        idle: Seconds after which an unused connection is closed instead of used.
        largest_answer: Bytes of a body; 16 MB of items stay below the default with their JSON around them.
        timer: Seconds of a monotonic clock, for deadlines.
        clock: Epoch seconds, for signatures.
    """

    name = "direct"

    def __init__(
        self,
        endpoint: "Endpoint",
        region: str,
        credentials: "CredentialSource",
        *,
        tls: "ssl.SSLContext | None" = None,
        reason: str = "a direct wire was given",
        connections: int = 64,
        connect_timeout: float = 1.0,
        idle: float = 20.0,
        largest_answer: int = 64 * 1024 * 1024,
        timer: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._region = region
        self._credentials = credentials
        self._context = tls
        self._reason = reason
        self._timer = timer
        self._clock = clock
        self._signer = RequestSigner(endpoint, region, clock)
        self._pool = Pool(
            endpoint,
            self._tls if endpoint.scheme == "https" else None,
            size=connections,
            connect_timeout=connect_timeout,
            idle=idle,
            largest_answer=largest_answer,
            timer=timer,
        )

    def __repr__(self) -> str:
        return f"<DirectWire to {self._endpoint.authority} in {self._region}>"

    @property
    def reason(self) -> str:
        """Why this wire was chosen, in one line for the operator."""
        return self._reason

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of the engine."""
        return self._endpoint.host, self._endpoint.port

    @property
    def region(self) -> str | None:
        """The region that requests are signed for."""
        return self._region

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* once, within *timeout* seconds.

        It goes out a second time only where the first one was certainly not applied: the connection had been closed while it
        waited; the credentials had expired and newer ones are to be had; the signature's time was refused and the engine's
        clock is known now.

        Raises:
            NotSent: No connection, no time left, or no credentials for the moment.
            AnswerLost: Sent, in whole or in part, and no whole, sound answer came back.
            ConfigurationError: There are no credentials at all, or no certificate authorities.
        """
        try:
            body = request_body(request)
        except (ExpressionTooLarge, NotJson) as error:
            return Answer(400, {"__type": "ValidationException", "message": str(error)})
        deadline = self._timer() + timeout
        if timeout <= 0:
            raise NotSent("the deadline had passed")
        credentials = self._credentials.current()
        raw, answer = self._exchange(request.operation, body, credentials, deadline)
        renewed = None if raw.status == 200 else self._corrected(answer, raw, credentials)
        if renewed is None:
            return answer
        return self._exchange(request.operation, body, renewed, deadline)[1]

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _exchange(
        self, operation: str, body: bytes, credentials: "Credentials", deadline: float
    ) -> tuple[RawAnswer, Answer]:
        message = self._signer.head(operation, body, credentials) + body
        connection = self._pool.take(deadline)
        try:
            try:
                raw = connection.exchange(message, deadline)
            except Stale:
                raw = None
            if raw is None:
                connection = self._pool.replace(connection, deadline)
                raw = connection.exchange(message, deadline)
            return raw, _answer(raw)
        except AnswerLost:
            # It may be whole and sound HTTP; who answers so is not the engine.
            connection.is_reusable = False
            raise
        finally:
            self._pool.give_back(connection)

    def _corrected(self, refusal: Answer, raw: RawAnswer, used: "Credentials") -> "Credentials | None":
        """Return the credentials to try once more with; ``None`` where that would change nothing."""
        code = refusal.body["__type"]
        if code in _EXPIRED:
            return self._credentials.renew(used)
        if code in _UNTIMELY and self._learn_time(raw.headers.get(b"date")):
            return used
        return None

    def _learn_time(self, date: bytes | None) -> bool:
        """Take the engine's clock for the right one; tell whether it differs from the one that was signed by."""
        offset = _seconds_ahead(date, self._clock())
        if offset is None or abs(offset - self._signer.offset) < _SKEW:
            return False
        self._signer.offset = offset
        _LOG.warning("The engine's clock is %+.0f s off this machine's; requests are signed by the engine's.", offset)
        return True

    def _tls(self) -> "ssl.SSLContext":
        if self._context is None:
            from common.dynamo.wire.direct.tls import tls_context

            self._context = tls_context(None)
        return self._context


def _seconds_ahead(date: bytes | None, now: float) -> float | None:
    if date is None:
        return None
    from email.utils import parsedate_to_datetime  # dear to import, and hardly ever needed

    try:
        return parsedate_to_datetime(date.decode("latin-1")).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _answer(raw: RawAnswer) -> Answer:
    if raw.status != 200:
        return _refusal(raw)
    try:
        body = output_body(raw.body)
    except MalformedBody as error:
        raise AnswerLost(str(error)) from error
    return _told(raw, body)


def _refusal(raw: RawAnswer) -> Answer:
    kind = raw.headers.get(b"x-amzn-errortype")
    if raw.status < 400:
        raise AnswerLost(f"HTTP status {raw.status} is no answer of DynamoDB")
    try:
        body = error_body(raw.body, None if kind is None else kind.decode("latin-1"))
    except MalformedBody as error:
        raise AnswerLost(f"HTTP status {raw.status}: {error}") from error
    return _told(raw, body)


def _told(raw: RawAnswer, body: dict[str, Any]) -> Answer:
    request_id = raw.headers.get(b"x-amzn-requestid", b"").decode("latin-1")
    extended = raw.headers.get(b"x-amz-id-2")
    if extended is None:
        return Answer(raw.status, body, request_id)
    return Answer(raw.status, body, request_id, {"x-amz-id-2": extended.decode("latin-1")})
