"""Keeping to a rate of capacity units per second: what long walks through a table must not exceed.

Units are known only after a call, so each call first takes what it is expected to consume, and the difference is put right
afterwards. Over any time *t* no more than ``units_per_second * t`` is consumed, and what the calls on their way consume
beyond what was expected of them.

>>> now = [0.0]
>>> pace = UnitPace(5, monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
>>> for _ in range(3):
...     taken = pace.take(items=10)
...     pace.settle(taken, 20.0, items=10)
...     print(now[0])
0.0
4.0
8.0
"""

from collections.abc import Callable
from typing import Final

from common.dynamo.locking import ForkSafeLock
from common.exceptions import ConfigurationError

__all__ = ["UnitPace"]

_SLICE: Final = 1.0
"""Seconds whose units one call may consume, at most, where items are not larger than expected."""
_FIRST_GUESS: Final = 1.0
"""Units that an item is taken for before anything is known: few items are larger than 4 KB."""
_WEIGHT: Final = 0.5
"""Of what was known before, where a call has told something new."""


class UnitPace:
    """Lets calls through at a rate, whatever they do and in however many threads. It never sends anything."""

    def __init__(
        self, units_per_second: float, *, monotonic: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        """Take the rate.

        Args:
            units_per_second: Read and write capacity units together, above zero.
            monotonic: Seconds of a clock that never goes back.
            sleep: Waits that many seconds.

        Raises:
            ConfigurationError: The rate is not a number above zero.
        """
        is_number = isinstance(units_per_second, int | float) and not isinstance(units_per_second, bool)
        if not is_number or not 0 < units_per_second < float("inf"):
            raise ConfigurationError(
                "units_per_second is a number of capacity units above 0; leave it out for no limit."
            )
        self.units_per_second = float(units_per_second)
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = ForkSafeLock()
        self._free_at = monotonic()
        self._per_item = _FIRST_GUESS
        self._has_learned = False

    def __repr__(self) -> str:
        return f"<UnitPace: {self.units_per_second:g} units per second>"

    def limit(self, callers: int = 1) -> int:
        """Return how many items a call may examine, so that *callers* at once consume the units of one second."""
        with self._lock:
            return max(1, int(self.units_per_second * _SLICE / callers / self._per_item))

    def take(self, units: float | None = None, *, items: int = 1) -> float:
        """Wait until it is a call's turn; return the units that were set aside for it.

        Args:
            units: What the call is expected to consume; ``None`` for what *items* have consumed so far.
            items: How many it examines.
        """
        with self._lock:
            expected = self._per_item * items if units is None else units
            now = self._monotonic()
            turn = max(self._free_at, now)
            self._free_at = turn + expected / self.units_per_second
        if turn > now:
            self._sleep(turn - now)
        return expected

    def settle(self, taken: float, consumed: float, *, items: int = 0) -> None:
        """Put what a call has *consumed* in the place of what was *taken*; learn from it where it examined *items*."""
        with self._lock:
            self._free_at += (consumed - taken) / self.units_per_second
            if items and consumed:
                weight = _WEIGHT if self._has_learned else 0.0
                self._per_item = weight * self._per_item + (1 - weight) * consumed / items
                self._has_learned = True
