"""Whose requests they are: credentials that are given, and those of a boto3 session.

Importing this imports neither boto3 nor botocore.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import field
from typing import Any, Final, Protocol, TypeVar

from common.dynamo.exceptions import Unavailable
from common.dynamo.locking import ForkSafeLock
from common.dynamo.value_classes import dataclass
from common.dynamo.wire import NotSent
from common.exceptions import CommonError, ConfigurationError

__all__ = ["CredentialSource", "Credentials", "SessionCredentials", "StaticCredentials", "from_environment"]

T = TypeVar("T")

_FRESH: Final = 0.1
"""Seconds for which an answer of botocore's serves all calls: far below the minutes by which it renews ahead."""
_PAUSE: Final = 5.0
"""Seconds between two attempts at what has just brought nothing: other credentials, or any at all."""


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


class SessionCredentials:
    """The credentials of a boto3 session, fetched when they are first needed; botocore renews them ahead of their expiry.

    Args:
        session: A boto3 session.
        timer: Seconds of a monotonic clock.
    """

    def __init__(self, session: Any, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._timer = timer
        self._lock = ForkSafeLock()
        self._pid = os.getpid()
        self._origin: Any = None
        """What botocore renews; ``None`` before the first call."""
        self._held: tuple[float, Credentials | None] = (0.0, None)
        """The latest answer of the origin, and until when it serves."""
        self._none_until = 0.0
        self._renewal_from = 0.0

    def __repr__(self) -> str:
        return f"<SessionCredentials of {type(self._session).__name__}>"

    def current(self) -> Credentials:
        """Return the credentials for one attempt.

        Raises:
            NotSent: They could not be fetched for the moment.
            ConfigurationError: The session has none, or may not have them.
        """
        until, credentials = self._held
        if credentials is not None and self._timer() < until:
            return credentials
        return self._frozen()

    def renew(self, refused: Credentials) -> Credentials | None:
        """Return other credentials than *refused*: those that another thread has fetched meanwhile, else new ones.

        Tried once in five seconds, by one thread at a time.

        Raises:
            NotSent: They could not be fetched for the moment.
            ConfigurationError: The session has none any more, or may not have them.
        """
        with self._lock:
            found = self._frozen()
            if found != refused:
                return found
            if self._timer() < self._renewal_from:
                return None
            self._renewal_from = self._timer() + _PAUSE
            _fetched(self._renew_origin)
            found = self._frozen()
        return None if found == refused else found

    def _frozen(self) -> Credentials:
        if self._pid != os.getpid():
            self._leave_lock_to_parent()
        origin = self._load() if self._origin is None else self._origin
        found = _fetched(origin.get_frozen_credentials)
        credentials = Credentials(found.access_key, found.secret_key, found.token or None)
        self._held = (self._timer() + _FRESH, credentials)
        return credentials

    def _load(self) -> Any:
        """Ask the session, which may ask files, a command or the machine's metadata service; one thread does."""
        with self._lock:
            if self._origin is None and self._timer() >= self._none_until:
                self._origin = _fetched(self._session.get_credentials)
                self._none_until = self._timer() + _PAUSE
            if self._origin is None:
                raise ConfigurationError(_missing())
            return self._origin

    def _renew_origin(self) -> None:
        if hasattr(self._origin, "_protected_refresh"):
            # Private: in public, botocore renews by its own clock alone, which the engine has just contradicted.
            with self._origin._refresh_lock:
                self._origin._protected_refresh(is_mandatory=True)
        elif self._origin.method != "explicit":
            # A file or the environment may say something else by now. Another provider's would be another identity.
            found = self._session._session.get_component("credential_provider").load_credentials()
            if found is not None and found.method == self._origin.method:
                self._origin = found

    def _leave_lock_to_parent(self) -> None:
        """After a fork: give botocore a lock of our own, since a thread of the parent may have held the one it has."""
        with self._lock:
            if self._pid != os.getpid() and hasattr(self._origin, "_refresh_lock"):
                self._origin._refresh_lock = threading.Lock()
            self._pid = os.getpid()


def _fetched(fetch: Callable[[], T]) -> T:
    """Return what *fetch* brings, with what may go wrong told as the outcome of an attempt that was never made."""
    try:
        return fetch()
    except Unavailable as error:
        raise NotSent(str(error)) from error
    except CommonError:
        raise
    except Exception as error:
        from common.dynamo.wire.direct.credential_errors import outcome

        raise outcome(error) from error


def _missing() -> str:
    try:
        from_environment()
    except ConfigurationError as error:
        return str(error)
    return f"No AWS credentials were found. Configure the session, or set {_ACCESS_KEY} and {_SECRET_KEY}."
