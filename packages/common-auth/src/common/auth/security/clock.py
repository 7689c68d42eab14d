"""The time, as an argument. No other module of common-auth reads the system's clock."""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

__all__ = ["SYSTEM", "Clock", "moment"]


class Clock(Protocol):
    """Tells the time. A test passes :class:`common.auth.testing.ManualClock`."""

    def time(self) -> float:
        """Return the seconds since the Unix epoch (UTC); may jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back, for deadlines."""
        ...


class _SystemClock:
    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def __repr__(self) -> str:
        return "SYSTEM"


SYSTEM: Final[Clock] = _SystemClock()
"""The clock of the machine."""


def moment(seconds: float) -> datetime:
    """Return *seconds* since the Unix epoch as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
