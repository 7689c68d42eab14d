"""One attempt to log in, from its reservation to its end, and the one audit event that it leaves."""

from types import TracebackType
from typing import Final, Self

from common.auth.exceptions import AccountLocked, AuthUnavailable, InvalidCredentials
from common.auth.security.audit_logger import AuditEmitter
from common.auth.security.clock import Clock, epoch_seconds, moment
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.login_attempts import Attempts, Hold, Refusal
from common.auth.security.login_limits import LoginLimits
from common.auth.security.login_outage import Switch
from common.core.audit import AuditOutcome

__all__ = ["Reservation"]

_ABANDONED: Final = "abandoned"


class Reservation:
    """An attempt that :meth:`LoginGuard.reserve` counted as failed, until :meth:`success`. A context manager::

        with guard.reserve(identifier, ctx) as attempt:
            known = credentials.find(identifier)
            result = passwords.verify(password, attempt.verifiable(known and known.password_hash))
            if not result.ok:
                raise attempt.failure(result.reason, user_id=known and known.user_id)
            attempt.success(known.user_id)

    Leaving it by ``AuthUnavailable`` gives the attempt back, since nothing was verified. Leaving it in any other way
    without :meth:`success` or :meth:`failure` counts as a failure.
    """

    def __init__(
        self,
        found: Hold | Refusal,
        attempts: Attempts,
        *,
        limits: LoginLimits,
        switch: Switch,
        clock: Clock,
        audit: AuditEmitter | None,
        identifier: Claimed,
        ctx: RequestContext,
    ) -> None:
        self._found = found
        self._attempts = attempts
        self._limits = limits
        self._switch = switch
        self._clock = clock
        self._audit = audit
        self._identifier = identifier
        self._ctx = ctx
        self._is_over = False

    @property
    def locked(self) -> bool:
        """Whether the attempt must fail whatever the password is; only where the guard conceals."""
        return isinstance(self._found, Refusal)

    @property
    def failures(self) -> int:
        """How many attempts of this client on this account failed in a row before; 0 where the attempt is locked."""
        return 0 if isinstance(self._found, Refusal) else self._found.failures

    def verifiable(self, stored: str | None) -> str | None:
        """Return what to verify the password against: *stored*, or ``None`` (equal work in vain) where it is locked."""
        return None if self.locked else stored

    def success(self, user_id: str, **details: object) -> None:
        """The password was right: clear what is counted for this account and client, and for nobody else.

        Writes ``authn_login_success``, or ``authn_login_successafterfail`` where attempts failed before. A store that
        does not answer fails no login; the attempt then stays counted.

        Args:
            user_id: Who it is, for the trail.
            details: ``method`` and ``client_id``, for the trail.

        Raises:
            AccountLocked: The attempt is locked, so that nothing can have been verified.
        """
        if isinstance(self._found, Refusal):
            raise self.failure("locked", user_id=user_id)
        hold, now = self._found, epoch_seconds(self._clock)
        if not self._end():
            return
        self._switch.attempt(lambda: self._attempts.succeed(hold, now))
        if hold.failures:
            self._emit("authn_login_successafterfail", None, user_id, {**details, "failures": hold.failures})
        else:
            self._emit("authn_login_success", None, user_id, details)

    def failure(self, reason: str, *, user_id: str | None = None, **details: object) -> InvalidCredentials:
        """The password was wrong or there is no such user. Nothing is stored: the attempt was counted when it began.

        Writes ``authn_login_fail``; ``authn_login_fail_max`` where it was the last free attempt; after that
        ``authn_login_lock``. An attempt that was locked writes ``authn_login_fail``, or ``excess_rate_limit_exceeded``
        where the limit was one of many accounts.

        Args:
            reason: For the trail, such as ``VerifyResult.reason``.
            user_id: Who was meant, where that user exists; else the trail has the keyed hash of the identifier.
            details: ``method`` and ``client_id``, for the trail.

        Returns:
            The error to raise. All of them look alike to a client.
        """
        found = self._found
        if self._end():
            kind, facts = self._limit_event(found) if isinstance(found, Refusal) else self._failure_event(found)
            reason = f"locked_{found.kind}" if isinstance(found, Refusal) else reason
            self._emit(kind, reason, user_id, {**details, **facts})
        if isinstance(found, Refusal):
            return AccountLocked(reason=f"locked_{found.kind}")
        return InvalidCredentials(reason=reason)

    def give_back(self) -> None:
        """Nothing was verified: the attempt does not count. No event is written."""
        found = self._found
        if self._end() and isinstance(found, Hold):
            self._switch.attempt(lambda: self._attempts.give_back(found))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, AuthUnavailable):
            self.give_back()
        elif not self._is_over:
            self.failure(_ABANDONED)

    def __repr__(self) -> str:
        return f"Reservation(locked={self.locked}, is_over={self._is_over})"

    def _end(self) -> bool:
        """Tell whether the attempt ends now; the first end counts."""
        was_over, self._is_over = self._is_over, True
        return not was_over

    def _failure_event(self, hold: Hold) -> tuple[str, dict[str, object]]:
        failures, free = hold.after.attempts, self._limits.free
        if failures < free:
            return "authn_login_fail", {"failures": failures}
        if failures == free:
            return "authn_login_fail_max", {"failures": failures, "limit": free}
        return "authn_login_lock", {"failures": failures, "until": moment(hold.after.blocked_until).isoformat()}

    def _limit_event(self, refusal: Refusal) -> tuple[str, dict[str, object]]:
        if refusal.limit is None:
            return "authn_login_fail", {}
        window = int(self._limits.window.total_seconds())
        return "excess_rate_limit_exceeded", {"limit": refusal.limit, "window": window, "bucket": refusal.kind}

    def _emit(self, kind: str, reason: str | None, user_id: str | None, details: dict[str, object]) -> None:
        if self._audit is not None:
            outcome = AuditOutcome.SUCCESS if reason is None else AuditOutcome.FAILURE
            actor = user_id if reason is None else None
            subject = user_id or self._identifier
            self._audit.emit(
                kind, outcome=outcome, actor=actor, subject=subject, reason=reason, ctx=self._ctx, **details
            )
