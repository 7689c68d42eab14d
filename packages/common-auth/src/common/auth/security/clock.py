"""The family's clock, in the unit of tokens. No other module of common-auth asks for the time by itself."""

from datetime import UTC, datetime

from common.core.utils.clock import SYSTEM, Clock

__all__ = ["SYSTEM", "Clock", "epoch_seconds", "moment"]


def epoch_seconds(clock: Clock) -> float:
    """Return the time on *clock* as a NumericDate: seconds since 1970-01-01 UTC (RFC 7519, section 2)."""
    return clock.now().timestamp()


def moment(seconds: float) -> datetime:
    """Return the NumericDate *seconds* as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
