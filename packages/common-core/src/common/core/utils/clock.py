"""Time as an argument: what asks for the time takes a :class:`Clock`, so that tests need no patching."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from common.exceptions import ConfigurationError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """The wall clock and the monotonic clock of one machine. Both methods are safe to call from any thread."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC; it may jump either way when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never run backwards; for deadlines, never for storing."""
        ...


class SystemClock:
    """The clocks of the operating system; use the one instance, :data:`SYSTEM`."""

    __slots__ = ()

    def now(self) -> datetime:
        """Return the time of day in UTC, to the microsecond."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return :func:`time.monotonic`, in seconds."""
        return time.monotonic()

    def __repr__(self) -> str:
        return "SYSTEM"


SYSTEM: Final = SystemClock()
"""The default of every parameter of type :class:`Clock`."""


class FrozenClock:
    """A clock that stands still until it is told to move; for tests and replays.

    Hand :meth:`sleep` to code that waits, and waiting takes no time at all.

    >>> from datetime import UTC, datetime, timedelta
    >>> clock = FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=1))
    >>> clock.now().isoformat(), clock.monotonic()
    ('2026-01-01T01:00:00+00:00', 3600.0)
    """

    def __init__(self, moment: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, monotonic: float = 0.0) -> None:
        """Stop the clock.

        Args:
            moment: Time of day, aware; kept in UTC.
            monotonic: Reading of the monotonic clock, in seconds.

        Raises:
            ConfigurationError: *moment* is naive.
        """
        if moment.tzinfo is None:
            raise ConfigurationError("FrozenClock needs an aware datetime; add tzinfo=UTC, or another offset.")
        self._lock = threading.Lock()
        self._moment = moment.astimezone(UTC)
        self._monotonic = monotonic

    def now(self) -> datetime:
        """Return the time of day that the clock was stopped at or moved to."""
        return self._moment

    def monotonic(self) -> float:
        """Return seconds; they grow by every step forward, and a step back leaves them."""
        return self._monotonic

    def advance(self, step: timedelta) -> None:
        """Let *step* pass on both clocks; a negative step sets the time of day back and leaves the monotonic clock."""
        with self._lock:
            self._moment += step
            self._monotonic += max(0.0, step.total_seconds())

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass without waiting; has the signature of :func:`time.sleep`."""
        self.advance(timedelta(seconds=seconds))

    def __repr__(self) -> str:
        return f"FrozenClock({self._moment.isoformat()})"


def epoch_milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds from 1970-01-01 UTC to *moment*, rounded down, by integer arithmetic.

    Args:
        moment: Aware; a naive one is a ``TypeError``, because nobody knows which hour it means.
    """
    return (moment - _EPOCH) // _MILLISECOND


def moment_of(milliseconds: int) -> datetime:
    """Return the UTC time that is *milliseconds* after 1970-01-01, exactly.

    Raises:
        OverflowError: The time lies beyond the year 9999.
    """
    return _EPOCH + timedelta(milliseconds=milliseconds)
