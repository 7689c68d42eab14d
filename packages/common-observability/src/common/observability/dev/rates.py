"""How often something happened in each of the last seconds."""

from dataclasses import dataclass, field

__all__ = ["WINDOW", "Rate", "SecondCounts"]

WINDOW = 60
"""Seconds that are remembered."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What was counted, at one moment."""

    per_second: float
    """Mean over the window, or over the time since the counting began where that is shorter."""
    seconds: tuple[float, ...]
    """What each second of the window counted, the oldest first; the second that is under way is left out."""


@dataclass(slots=True)
class SecondCounts:
    """Adds up by second, in a ring of :data:`WINDOW` places. Not thread-safe: its owner holds a lock."""

    began: int
    """The second, since the epoch, in which the counting began."""
    _counts: list[float] = field(default_factory=lambda: [0.0] * WINDOW)
    _latest: int = 0

    def __post_init__(self) -> None:
        self._latest = self.began

    def add(self, second: int, amount: float = 1.0) -> None:
        """Count *amount* in *second*; what is older than the window is not counted."""
        self._advance(second)
        if second > self._latest - WINDOW:
            self._counts[second % WINDOW] += amount

    def rate(self, now: int) -> Rate:
        """Return what was counted before the second *now*."""
        self._advance(now)
        whole = [self._counts[second % WINDOW] for second in range(now - WINDOW + 1, now)]
        return Rate(sum(whole) / max(1, min(now - self.began, len(whole))), tuple(whole))

    def _advance(self, second: int) -> None:
        for passed in range(max(self._latest, second - WINDOW) + 1, second + 1):
            self._counts[passed % WINDOW] = 0.0
        self._latest = max(self._latest, second)
