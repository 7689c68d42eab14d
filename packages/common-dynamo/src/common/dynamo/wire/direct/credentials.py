"""Whose requests they are: credentials that are given, and those of a boto3 session.

Importing this imports neither boto3 nor botocore.
"""

import os
from dataclasses import dataclass, field
from typing import Final, Protocol

from common.exceptions import ConfigurationError

__all__ = ["CredentialSource", "Credentials", "StaticCredentials", "from_environment"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key and what belongs to it, as one attempt is signed with them.

    Raises:
        ConfigurationError: Key or token hold what no header can carry, such as the end of a line.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    """Of a session that ends; ``None`` for a user's own key."""

    def __post_init__(self) -> None:
        for name, value in (("access key", self.access_key), ("session token", self.token or "-")):
            if not (value.isascii() and value.isprintable()) or " " in value or not value:
                raise ConfigurationError(
                    f"The {name} of the AWS credentials is empty, or has white space or letters that no such key has."
                )
        if not self.secret_key:
            raise ConfigurationError("The secret key of the AWS credentials is empty.")


class CredentialSource(Protocol):
    """Where a wire has its credentials from. Implementations are thread-safe and fork-safe."""

    def current(self) -> Credentials:
        """Return the credentials for one attempt; cheap, since every request asks, and renewed ahead of their expiry.

        Raises:
            NotSent: They could not be fetched for the moment.
            ConfigurationError: There are none.
        """
        ...

    def renew(self, refused: Credentials) -> Credentials | None:
        """Return others than *refused*, which the engine has called expired; ``None`` where there are none.

        Raises:
            NotSent: They could not be fetched for the moment.
            ConfigurationError: There are none any more.
        """
        ...


class StaticCredentials:
    """Credentials that stay as they are.

    >>> StaticCredentials("AKIDEXAMPLE", "secret").current()
    Credentials(access_key='AKIDEXAMPLE')
    """

    def __init__(self, access_key: str, secret_key: str, token: str | None = None) -> None:
        self._credentials = Credentials(access_key, secret_key, token)

    def __repr__(self) -> str:
        return f"<StaticCredentials {self._credentials.access_key}>"

    def current(self) -> Credentials:
        """Return the credentials."""
        return self._credentials

    def renew(self, refused: Credentials) -> Credentials | None:
        """Return ``None``: there are no others."""
        return None


_ACCESS_KEY: Final = "AWS_ACCESS_KEY_ID"
_SECRET_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
_TOKENS: Final = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
"""The first is of old; botocore asks in this order."""


def from_environment() -> StaticCredentials | None:
    """Return the credentials of the environment as they are now; a later change of it is not seen, as with boto3.

    Returns:
        ``None`` where the environment has none, not even in part.

    Raises:
        ConfigurationError: Only one of access key and secret key is set.
    """
    access_key, secret_key = (os.environ.get(name, "") for name in (_ACCESS_KEY, _SECRET_KEY))
    if not access_key and not secret_key:
        return None
    for name, value, other in ((_ACCESS_KEY, access_key, _SECRET_KEY), (_SECRET_KEY, secret_key, _ACCESS_KEY)):
        if not value:
            raise ConfigurationError(
                f"The environment has half of the AWS credentials: {other} is set and {name} is not. Set both, or none."
            )
    token = next((os.environ[name] for name in _TOKENS if os.environ.get(name)), None)
    return StaticCredentials(access_key, secret_key, token)
