"""Bounds how often anybody may guess a password: reserve an attempt, then verify.

Counting after the verification would let as many guesses through as run at once. An attempt is therefore counted as
failed before anything is hashed, by one conditional write, and cleared when the password was right.
"""

import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError, RateLimited
from common.auth.security.audit_logger import AuditEmitter
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.device_cookies import DeviceCookies
from common.auth.security.key_strength import require_strong_secret
from common.auth.security.login_attempts import Attempts, Hold, Refusal
from common.auth.security.login_buckets import Claim, LoginBuckets, canonical_identifier
from common.auth.security.login_limits import USUAL_LOGIN_LIMITS, LoginLimits
from common.auth.security.login_outage import BoundedCounters, OnOutage, Switch
from common.auth.security.memory_stores import MemoryLoginCounterStore
from common.auth.security.reservation import Reservation
from common.auth.security.secrets import SecretBytes, SecretStr
from common.auth.security.stores import LoginCounterStore
from common.core.audit import AuditOutcome

__all__ = ["LoginGuard", "LoginLimits", "OnOutage", "Reservation", "WhenBlocked"]

E = TypeVar("E", bound=StrEnum)

_KEY_BYTES: Final = 32
_USUAL_FREE: Final = USUAL_LOGIN_LIMITS.free
_LOCAL_BUCKETS: Final = 100_000


class WhenBlocked(StrEnum):
    """What a client learns when no attempt may begin. Neither says which limit it was."""

    TELL = "tell"
    """``RateLimited``: 429 with ``Retry-After``, before anything is hashed."""
    CONCEAL = "conceal"
    """Nothing: the reservation is locked, the caller hashes in vain, and the answer is that of a wrong password."""


class LoginGuard:
    """Counts attempts to log in by account, account and network, network, and over all. Safe to use from any thread.

    Whoever comes with a good device cookie, or from a network that the account's owner has logged in from, is counted
    apart: strangers who lock themselves out do not lock the owner out. An account that does not exist is counted and
    locked like any other.

    Args:
        store: Where the counters are; shared by all processes.
        key: Names the buckets and signs device cookies, at least 32 bytes; the same in all processes. Another key
            forgets every count and cookie.
        limits: How many are too many.
        when_blocked: What a client learns then.
        on_outage: What happens while *store* does not answer.
        audit: Gets the events of every login: ``authn_login_success``, ``_successafterfail``, ``_fail``, ``_fail_max``,
            ``_lock``, ``excess_rate_limit_exceeded``; and ``sys_monitor_disabled`` and ``_enabled`` about *store*.
        canonical: Brings an identifier into the form in which the credential store compares it; it must be at least as
            forgiving as the store.
        pause: Seconds until a store that failed is asked again.
        clock: The time.
        entropy: Makes device cookies: returns that many random bytes.
        choose: Chooses a shard: returns a number below the one it is given.

    Raises:
        ConfigurationError: An option is none of its kind.
        WeakKey: *key* is too short or too simple.

    >>> from common.auth.exceptions import RateLimited
    >>> key = SecretBytes(secrets.token_bytes(32))
    >>> guard = LoginGuard(MemoryLoginCounterStore(), key=key, limits=LoginLimits(free=1))
    >>> with guard.reserve("ada", RequestContext(source_ip="192.0.2.7")) as attempt:
    ...     error = attempt.failure("wrong_password")
    >>> type(error).__name__
    'InvalidCredentials'
    >>> try:
    ...     guard.reserve("ada", RequestContext(source_ip="198.51.100.9"))
    ... except RateLimited as error:
    ...     list(error.headers())
    ['Retry-After']
    """

    def __init__(
        self,
        store: LoginCounterStore,
        *,
        key: SecretBytes,
        limits: LoginLimits = USUAL_LOGIN_LIMITS,
        when_blocked: WhenBlocked = WhenBlocked.TELL,
        on_outage: OnOutage = OnOutage.LOCAL,
        audit: AuditEmitter | None = None,
        canonical: Callable[[str], str] = canonical_identifier,
        pause: float = 5.0,
        clock: Clock = SYSTEM,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        choose: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        require_strong_secret(key, at_least=_KEY_BYTES, what="The key of the login guard")
        if pause < 0:
            raise ConfigurationError("LoginGuard: pause is negative.", reason="bad_option")
        self._limits = limits
        self._when_blocked = _option(WhenBlocked, when_blocked)
        self._audit = audit
        self._clock = clock
        self._cookies = DeviceCookies(key, entropy=entropy)
        self._buckets = LoginBuckets(key, limits=limits, cookies=self._cookies, canonical=canonical)
        self._shared = Attempts(store, limits=limits, buckets=self._buckets, choose=choose)
        local = BoundedCounters(MemoryLoginCounterStore(clock=clock), capacity=_LOCAL_BUCKETS, clock=clock)
        self._local = Attempts(local, limits=limits, buckets=self._buckets, choose=choose)
        self._switch = Switch(
            on_outage=_option(OnOutage, on_outage), pause=pause, clock=clock, tell=self._tell_of_outage
        )

    def reserve(self, identifier: str, ctx: RequestContext, *, silent: bool = False) -> Reservation:
        """Count an attempt, before anything is verified.

        Args:
            identifier: What somebody typed as their name; any text.
            ctx: Its ``source_ip`` and ``device`` decide under what the attempt is counted.
            silent: Write no event, since the caller writes its own, such as that of a change of the password.

        Raises:
            RateLimited: No attempt may begin now, and the guard tells so. Nothing was hashed. The event is written.
            StoreUnavailable: The counters do not answer, and the guard is set to refuse then.
        """
        now = epoch_seconds(self._clock)
        claim = self._buckets.claim(identifier, source_ip=ctx.source_ip, device=ctx.device, now=now)
        attempts, found = self._reserve(claim, now)
        reservation = Reservation(
            found, attempts, limits=self._limits, switch=self._switch, clock=self._clock,
            audit=None if silent else self._audit,
            identifier=Claimed(identifier if isinstance(identifier, str) else ""), ctx=ctx,
        )  # fmt: skip
        if isinstance(found, Refusal) and self._when_blocked is WhenBlocked.TELL:
            reservation.failure("locked")
            raise RateLimited("Too many failed logins.", retry_after=found.retry_after, reason=f"locked_{found.kind}")
        return reservation

    def device_cookie(self, identifier: str) -> SecretStr:
        """Return a new device cookie for whoever has just logged in as *identifier*.

        Set it ``HttpOnly``, ``Secure`` and ``SameSite=Strict``, for as long as :attr:`LoginLimits.device_for`, and hand
        what comes back to :attr:`RequestContext.device`. It grants nothing.
        """
        expiry = epoch_seconds(self._clock) + self._limits.device_for.total_seconds()
        return self._cookies.make(self._buckets.account_of(identifier), expires_at=expiry)

    def unlock(self, identifier: str, ctx: RequestContext | None = None) -> None:
        """Forget the failures of strangers on this account, such as after its password was reset.

        Args:
            identifier: Same as of :meth:`reserve`.
            ctx: The request of whoever has proven to be the owner: what is counted for their network and device on this
                account is forgotten too.

        Raises:
            StoreUnavailable: The counters do not answer. It can be repeated.
        """
        source_ip, device = (None, None) if ctx is None else (ctx.source_ip, ctx.device)
        now = epoch_seconds(self._clock)
        claim = self._buckets.claim(identifier, source_ip=source_ip, device=device, now=now)
        self._local.forget(claim)
        self._switch.require(lambda: self._shared.forget(claim))

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about these settings."""
        told = (
            (self._audit is None, "no_audit", "Failed logins leave no trail. Give the guard an audit logger."),
            (self._limits.free > _USUAL_FREE, "many_attempts", f"More than {_USUAL_FREE} attempts cost no wait."),
        )
        return tuple(Finding("logins", code, message) for applies, code, message in told if applies)

    def __repr__(self) -> str:
        return (
            f"LoginGuard(free={self._limits.free}, cap={self._limits.cap}, when_blocked={self._when_blocked.value!r})"
        )

    def _reserve(self, claim: Claim, now: float) -> tuple[Attempts, Hold | Refusal]:
        return self._switch.call(
            lambda: (self._shared, self._shared.reserve(claim, now)),
            lambda: (self._local, self._local.reserve(claim, now)),
        )

    def _tell_of_outage(self, cause: str | None) -> None:
        if self._audit is not None:
            self._audit.emit(
                "sys_monitor_enabled" if cause is None else "sys_monitor_disabled",
                outcome=AuditOutcome.SUCCESS if cause is None else AuditOutcome.FAILURE,
                reason="login_counters",
                cause=cause,
            )


def _option(kind: type[E], value: E) -> E:
    try:
        return kind(value)
    except ValueError:
        raise ConfigurationError(f"{kind.__name__} is one of {', '.join(kind)}.", reason="bad_option") from None
