"""Clocks: the real one, and the one that stands still."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from common.core.utils.clock import SYSTEM, Clock, FrozenClock, epoch_milliseconds, moment_of
from common.exceptions import ConfigurationError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_system_clock_tells_aware_utc() -> None:
    """The time of day carries its offset, so that it can be compared and stored."""
    clock: Clock = SYSTEM

    assert timedelta(0) == clock.now().utcoffset()
    assert clock.monotonic() <= clock.monotonic()


def test_a_frozen_clock_stands_still() -> None:
    """Two readings without a step between them are equal."""
    clock = FrozenClock(NOON)

    assert (NOON, 0.0) == (clock.now(), clock.monotonic())
    assert clock.now() == clock.now()


def test_sleeping_on_a_frozen_clock_moves_both_hands() -> None:
    """Code that waits sees the time pass, at once."""
    clock = FrozenClock(NOON, monotonic=5.0)
    clock.sleep(1.5)

    assert (NOON + timedelta(seconds=1.5), 6.5) == (clock.now(), clock.monotonic())


def test_a_clock_set_back_leaves_the_monotonic_one() -> None:
    """A step back changes the time of day alone, as on a real machine."""
    clock = FrozenClock(NOON, monotonic=5.0)
    clock.advance(timedelta(hours=-1))

    assert (NOON - timedelta(hours=1), 5.0) == (clock.now(), clock.monotonic())


def test_a_frozen_clock_refuses_a_naive_time() -> None:
    """A time without offset would mean another hour on another machine."""
    with pytest.raises(ConfigurationError, match="aware"):
        FrozenClock(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("moment", "milliseconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
        (datetime(2026, 1, 1, 0, 0, 0, 999999, tzinfo=UTC), 1767225600999),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 1767225600000),
    ],
)
def test_milliseconds_are_whole_and_rounded_down(moment: datetime, milliseconds: int) -> None:
    """No binary fraction is on the way, so no microsecond pushes a time into the next millisecond."""
    assert milliseconds == epoch_milliseconds(moment)
    assert milliseconds == epoch_milliseconds(moment_of(milliseconds))


def test_a_naive_time_has_no_milliseconds() -> None:
    """Nobody knows which hour a naive time means."""
    with pytest.raises(TypeError):
        epoch_milliseconds(datetime(2026, 1, 1))  # noqa: DTZ001
