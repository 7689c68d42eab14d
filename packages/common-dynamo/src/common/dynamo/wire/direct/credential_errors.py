"""What goes wrong while a session fetches credentials, as the outcome of an attempt; importing this imports botocore."""

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    InfiniteLoopConfigError,
    InvalidConfigError,
    MissingDependencyException,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
    UnknownCredentialError,
)

from common.dynamo.wire import NotSent
from common.exceptions import ConfigurationError

__all__ = ["outcome"]

_FINAL: Final = (
    ConfigNotFound,
    ConfigParseError,
    InfiniteLoopConfigError,
    InvalidConfigError,
    MissingDependencyException,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
    UnknownCredentialError,
)
"""What another attempt does not mend."""
_PASSING: Final = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError"})


def outcome(error: Exception) -> Exception:
    """Return the error to raise for *error*; itself, where it comes neither from botocore nor from the system.

    Texts of botocore may hold what a command or a server has said, so they are not repeated.
    """
    name = type(error).__name__
    if isinstance(error, PartialCredentialsError):
        return ConfigurationError(f"The AWS credentials lack {error.kwargs.get('cred_var', 'a part')}. Set it, too.")
    if isinstance(error, _FINAL):
        return ConfigurationError(f"The AWS credentials cannot be had: {name}. Correct the session's configuration.")
    if isinstance(error, ClientError):
        return _refused(error)
    # botocore raises a bare RuntimeError for new credentials that have expired already.
    if isinstance(error, BotoCoreError | OSError | RuntimeError):
        return NotSent(f"the credentials could not be fetched: {name}")
    return error


def _refused(error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status >= 500 or code in _PASSING:
        return NotSent(f"the credentials could not be fetched: {code}")
    return ConfigurationError(
        f"The AWS credentials were refused to the session: {code}. Correct its role, or what may assume it."
    )
