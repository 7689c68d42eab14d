"""What botocore raises, as the outcome of an attempt; the one place that knows its exceptions."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    TokenRetrievalError,
)

from common.dynamo.exceptions import Unavailable
from common.dynamo.wire import Answer, AnswerLost, NotSent, WireFailure
from common.exceptions import ConfigurationError

_BEFORE_SENDING = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    ProxyConnectionError,
    TokenRetrievalError,
)


def translate(error: Exception) -> Answer:
    """Return the engine's refusal that *error* stands for, or raise what became of the attempt.

    Raises:
        NotSent: No connection was made, or credentials could not be fetched.
        AnswerLost: Anything else that botocore raises: the request may have been sent.
        ConfigurationError: There are no credentials.
        Exception: *error* itself, when it is none of botocore's: a handler of the client's owner raised it.
    """
    if isinstance(error, Unavailable):
        # Signing was not possible: the credentials of an assumed role could not be fetched.
        raise NotSent(str(error)) from error
    if isinstance(error, ClientError):
        return refusal(error.response)
    if isinstance(error, ParamValidationError):
        # Its text holds the values, so it is not repeated.
        return Answer(400, {"__type": "ValidationException", "message": "The client refused the parameters"})
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        raise ConfigurationError(
            "No complete AWS credentials were found. Configure the session, or set the AWS_* variables."
        ) from error
    if isinstance(error, BotoCoreError):
        raise _failure(error) from error
    raise error


def _failure(error: BotoCoreError) -> WireFailure:
    name = type(error).__name__
    if isinstance(error, _BEFORE_SENDING) or any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)
    ):
        return NotSent(name)
    return AnswerLost(name)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what lies behind *error*: Python's chain, and the errors that botocore and urllib3 carry along."""
    pending: list[Any] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        carried = getattr(cause, "kwargs", {}).get("error"), getattr(cause, "reason", None)
        pending += [cause.__cause__, cause.__context__, *carried, *cause.args]


def refusal(response: Mapping[str, Any]) -> Answer:
    """Return botocore's error *response* as the engine's own error body."""
    metadata = response.get("ResponseMetadata", {})
    error = response.get("Error", {})
    code = str(error.get("Code", "")).rpartition("#")[2].partition(":")[0]
    body: dict[str, Any] = {"__type": code, "message": str(error.get("Message", ""))}
    for member in ("Item", "CancellationReasons"):
        if response.get(member):
            body[member] = response[member]
    status = int(metadata.get("HTTPStatusCode", 400))
    return Answer(
        # A test double may report an error without a status, or with that of a success.
        status if status != 200 else 400,
        body,
        request_id=metadata.get("RequestId", ""),
        headers=metadata.get("HTTPHeaders", {}),
        retry_attempts=metadata.get("RetryAttempts", 0),
    )
