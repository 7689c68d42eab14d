"""The ways in which a service can trust the identity headers of a request, and their limits."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from common.auth.exceptions import ConfigurationError

__all__ = ["USUAL_LIMITS", "HeaderLimits", "TrustMode"]

_LONGEST_TTL = timedelta(seconds=60)
_LONGEST_LEEWAY = timedelta(seconds=60)
_LONGEST_DELEGATION = timedelta(minutes=15)


class TrustMode(StrEnum):
    """What proves that a request came through the gateway. There is no default."""

    ASSERTION = "assertion"
    """A JWT that the gateway signs for one service. The service can verify it and cannot make one for another."""
    HMAC = "hmac"
    """A MAC over the four headers and the request line, with a key that gateway and service share."""
    INSECURE_TRUST = "insecure_trust"
    """Nothing: whoever reaches the service is whoever they say. Refused in production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLimits:
    """How much and how old a request's proof may be.

    Raises:
        ConfigurationError: A limit is not above zero, or laxer than its maximum.
    """

    headers: int = 256
    """Headers of a request, of any kind."""
    assertion: int = 4096
    """Bytes of an assertion; at most 4,096."""
    roles: int = 16
    """Roles of a user."""
    ttl: timedelta = timedelta(seconds=60)
    """The longest life of an assertion; at most 60 s."""
    leeway: timedelta = timedelta(seconds=10)
    """How far clocks may differ in assertion mode."""
    window: timedelta = timedelta(seconds=30)
    """How far a MAC's time may lie from ours, either way; at most 60 s."""
    delegation: timedelta = timedelta(minutes=5)
    """How long after the gateway's assertion a service may still call others on behalf of the user; at most 15 min."""
    nonces: int = 100_000
    """Proofs that are remembered against replay, some 200 bytes each."""
    bound: bool = False
    """Whether an assertion must name the method and the path of the request. One that names them must always fit."""

    def __post_init__(self) -> None:
        counts = (self.headers, self.assertion, self.roles, self.nonces)
        times = (self.ttl, self.window, self.delegation)
        if min(counts) < 1 or min(times) <= timedelta(0) or self.leeway < timedelta(0):
            raise ConfigurationError(
                "HeaderLimits: every limit must be above zero; leeway may be zero.", reason="bad_limits"
            )
        longest = (_LONGEST_TTL, _LONGEST_TTL, _LONGEST_DELEGATION)
        if (
            self.leeway > _LONGEST_LEEWAY
            or self.assertion > 4096
            or any(t > m for t, m in zip(times, longest, strict=True))
        ):
            raise ConfigurationError(
                "HeaderLimits: at most 4096 bytes of assertion, ttl, window and leeway of 60 s, delegation of 15 min.",
                reason="bad_limits",
            )


USUAL_LIMITS: Final = HeaderLimits()
