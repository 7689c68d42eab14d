"""How many failed logins are too many, and how long whoever failed has to wait. Pure arithmetic.

Sources: NIST SP 800-63B-4, section 3.2.2 (at most 100 consecutive failures, growing waits); OWASP ASVS 5.0, 6.1.1 and
6.3.1; OWASP "Slow Down Online Guessing Attacks with Device Cookies".
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.stores import LoginCounter

__all__ = ["USUAL_LOGIN_LIMITS", "LoginLimits"]

_MOST_CONSECUTIVE: Final = 100
_MOST_SHARDS: Final = 256
_LARGEST_EXPONENT: Final = 40
_TIMES: Final = ("first_delay", "longest_delay", "memory", "window")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLimits:
    """What a guard permits. The limits of an account hold in each of its buckets: strangers, known networks, devices.

    Raises:
        ConfigurationError: A limit is not above zero, the cap is above 100, or a limit is below its number of shards.

    >>> limits = LoginLimits()
    >>> [limits.delay(failures) for failures in (9, 10, 11, 12, 19, 20, 99)]
    [0.0, 1.0, 2.0, 4.0, 512.0, 900.0, 900.0]
    """

    free: int = 10
    """How many attempts in a row may fail before the next one has to wait."""
    first_delay: timedelta = timedelta(seconds=1)
    """The wait after the last free attempt; it doubles with each further failure."""
    longest_delay: timedelta = timedelta(seconds=900)
    cap: int = _MOST_CONSECUTIVE
    """After so many failures in a row nobody gets another attempt, until :meth:`LoginGuard.unlock` or for
    :attr:`memory`; at most 100."""
    memory: timedelta = timedelta(days=30)
    """How long failures are remembered after the last one."""
    network: int = 300
    """Failed attempts from one network within one window, over all accounts."""
    everybody: int = 10_000
    """Failed attempts of strangers within one window, over all networks and accounts."""
    window: timedelta = timedelta(minutes=15)
    network_shards: int = 4
    """Over how many items the counter of one network is spread; each has its share of the limit."""
    global_shards: int = 16
    """Over how many items the counter of everybody is spread."""
    known_network_for: timedelta = timedelta(days=90)
    """How long a network counts as the owner's after a login from it; zero: no network ever does."""
    device_for: timedelta = timedelta(days=180)
    """How long a device cookie is good."""
    ipv4_prefix: int = 24
    """How many bits of an IPv4 address name its network."""
    ipv6_prefix: int = 48
    """How many bits of an IPv6 address name its network; a customer commonly has 64, 56 or 48."""

    def __post_init__(self) -> None:
        if not 1 <= self.free <= self.cap <= _MOST_CONSECUTIVE:
            raise ConfigurationError(
                f"LoginLimits: free must be at least 1, cap at least free and at most {_MOST_CONSECUTIVE} "
                "(NIST SP 800-63B-4, section 3.2.2).",
                reason="bad_login_limits",
            )
        if any(getattr(self, name) <= timedelta(0) for name in _TIMES) or self.device_for <= timedelta(0):
            raise ConfigurationError("LoginLimits: every time must be above zero.", reason="bad_login_limits")
        if self.longest_delay < self.first_delay or self.known_network_for < timedelta(0):
            raise ConfigurationError(
                "LoginLimits: longest_delay is below first_delay, or known_network_for is negative.",
                reason="bad_login_limits",
            )
        for limit, shards in ((self.network, self.network_shards), (self.everybody, self.global_shards)):
            if not 1 <= shards <= min(limit, _MOST_SHARDS):
                raise ConfigurationError(
                    f"LoginLimits: a counter has 1 to {_MOST_SHARDS} shards and at least one attempt for each.",
                    reason="bad_login_limits",
                )
        if not (1 <= self.ipv4_prefix <= 32 and 1 <= self.ipv6_prefix <= 128):
            raise ConfigurationError("LoginLimits: a prefix has 1 to 32 or 128 bits.", reason="bad_login_limits")

    def delay(self, failures: int) -> float:
        """Return how many seconds the next attempt has to wait after *failures* in a row, below the cap."""
        if failures < self.free:
            return 0.0
        doubled = self.first_delay.total_seconds() * 2.0 ** min(failures - self.free, _LARGEST_EXPONENT)
        return min(doubled, self.longest_delay.total_seconds())

    def is_blocked(self, counter: LoginCounter | None, now: float) -> bool:
        """Whether no attempt may begin at *now*. What has expired blocks nobody, deleted or not."""
        return counter is not None and counter.expires_at > now and counter.blocked_until > now

    def after_attempt(self, counter: LoginCounter | None, now: float) -> LoginCounter:
        """Return what a counter says while an attempt is under way that began at *now*, and after it has failed."""
        live = counter if counter is not None and counter.expires_at > now else None
        attempts = 1 if live is None else live.attempts + 1
        forgotten = now + self.memory.total_seconds()
        blocked = forgotten if attempts >= self.cap else now + self.delay(attempts)
        return LoginCounter(
            attempts=attempts,
            blocked_until=round(blocked, 3) if attempts >= self.free else 0.0,
            expires_at=round(max(forgotten, 0.0 if live is None else live.expires_at), 3),
        )


USUAL_LOGIN_LIMITS: Final = LoginLimits()
