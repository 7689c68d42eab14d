"""One attempt to log in where no guard counts attempts: it has the form of a reservation, and leaves the same events."""

from types import TracebackType
from typing import Protocol, Self

from common.auth.exceptions import AuthUnavailable, InvalidCredentials
from common.auth.security.audit_values import AuditEmitter
from common.auth.security.context import Claimed, RequestContext
from common.core.audit import AuditOutcome

__all__ = ["LoginAttempt", "UnguardedAttempt"]


class LoginAttempt(Protocol):
    """What an authenticator needs of an attempt; :class:`~common.auth.security.reservation.Reservation` is one."""

    def verifiable(self, stored: str | None) -> str | None: ...
    def success(self, user_id: str, **details: object) -> None: ...
    def failure(self, reason: str, *, user_id: str | None = None, **details: object) -> InvalidCredentials: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class UnguardedAttempt:
    """Counts nothing and refuses nobody.

    Args:
        audit: Gets one event; ``None`` where the caller writes its own.
        identifier: What somebody typed as their name.
        ctx: The request.
    """

    def __init__(self, audit: AuditEmitter | None, identifier: Claimed, ctx: RequestContext) -> None:
        self._audit = audit
        self._identifier = identifier
        self._ctx = ctx
        self._is_over = False

    def verifiable(self, stored: str | None) -> str | None:
        """Return *stored*."""
        return stored

    def success(self, user_id: str, **details: object) -> None:
        """Write ``authn_login_success``."""
        self._end("authn_login_success", AuditOutcome.SUCCESS, user_id, user_id, None, details)

    def failure(self, reason: str, *, user_id: str | None = None, **details: object) -> InvalidCredentials:
        """Write ``authn_login_fail``, and return the error to raise."""
        subject = user_id or self._identifier
        self._end("authn_login_fail", AuditOutcome.FAILURE, None, subject, reason, details)
        return InvalidCredentials(reason=reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, AuthUnavailable) and not self._is_over:
            self.failure("abandoned")

    def _end(
        self,
        kind: str,
        outcome: AuditOutcome,
        actor: str | None,
        subject: str | Claimed,
        reason: str | None,
        details: dict[str, object],
    ) -> None:
        was_over, self._is_over = self._is_over, True
        if self._audit is not None and not was_over:
            self._audit.emit(
                kind, outcome=outcome, actor=actor, subject=subject, reason=reason, ctx=self._ctx, **details
            )
