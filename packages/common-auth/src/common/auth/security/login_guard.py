"""Bounds how often anybody may guess a password: reserve an attempt, then verify."""

from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from common.auth.security.context import RequestContext
from common.auth.security.login_limits import LoginLimits
from common.auth.security.secrets import SecretStr

__all__ = ["LoginGuard", "LoginLimits", "Reservation", "WhenBlocked"]


class WhenBlocked(StrEnum):
    """What a client learns when no attempt may begin. Neither says which limit it was."""

    TELL = "tell"
    """``RateLimited``: 429 with ``Retry-After``, before anything is hashed."""
    CONCEAL = "conceal"
    """Nothing: the reservation is locked, the caller hashes in vain, and the answer is that of a wrong password."""


class Reservation(Protocol):
    """One attempt to log in, counted as failed until :meth:`success`. A context manager::

        with guard.reserve(identifier, ctx) as attempt:
            known = credentials.find(identifier)
            result = passwords.verify(password, attempt.verifiable(known and known.password_hash))
            if not result.ok:
                raise attempt.failure(result.reason, user_id=known and known.user_id)
            attempt.success(known.user_id)

    Leaving it by ``AuthUnavailable`` gives the attempt back, since nothing was verified; leaving it in any other way
    without :meth:`success` or :meth:`failure` counts as a failure.
    """

    locked: bool
    """Whether the attempt must fail whatever the password is; only where the guard conceals."""

    def verifiable(self, stored: str | None) -> str | None:
        """Return what to verify against: *stored*, or ``None`` (equal work in vain) where the attempt is locked."""
        ...

    def success(self, user_id: str, **details: object) -> None:
        """The password was right: clear the buckets of this account and client, and write ``authn_login_success`` or,
        after failures, ``authn_login_successafterfail``.

        Raises:
            AccountLocked: The attempt is locked.
        """
        ...

    def failure(self, reason: str, *, user_id: str | None = None, **details: object) -> Exception:
        """The password was wrong, or there is no such user: write ``authn_login_fail``, ``authn_login_fail_max`` or
        ``authn_login_lock``, and return the error to raise: ``InvalidCredentials`` or ``AccountLocked``."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class LoginGuard(Protocol):
    """Sketch of the signatures; the implementation follows."""

    def reserve(self, identifier: str, ctx: RequestContext) -> Reservation:
        """Count an attempt before anything is verified.

        Raises:
            RateLimited: No attempt may begin now, and the guard tells so. Nothing was hashed.
            StoreUnavailable: The counters do not answer, and the guard is set to refuse then.
        """
        ...

    def device_cookie(self, identifier: str) -> SecretStr:
        """Return a new device cookie for whoever has just logged in as *identifier*; it comes back in ``ctx.device``."""
        ...

    def unlock(self, identifier: str) -> None:
        """Forget the failures of strangers on this account, such as after a password reset."""
        ...
