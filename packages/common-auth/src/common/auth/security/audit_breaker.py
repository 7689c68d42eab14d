"""When a failing sink is tried again. Pure: times come in as arguments, in seconds of a monotonic clock."""

__all__ = ["Breaker"]

_LONGEST_POWER = 30


class Breaker:
    """Counts failures in a row; waits longer after each, and from *threshold* on calls the sink down.

    >>> breaker = Breaker(threshold=2, first_delay=0.5, longest_delay=60)
    >>> breaker.failed(now=10), breaker.retry_at
    (False, 10.5)
    >>> breaker.failed(now=11), breaker.retry_at, breaker.is_open
    (True, 12.0, True)
    >>> breaker.succeeded(), breaker.is_open
    (True, False)
    """

    def __init__(self, *, threshold: int, first_delay: float, longest_delay: float) -> None:
        self._threshold = threshold
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._failures = 0
        self.retry_at = 0.0
        """Until then the sink is left alone."""

    @property
    def is_open(self) -> bool:
        """Whether the sink counts as down."""
        return self._failures >= self._threshold

    def failed(self, now: float) -> bool:
        """Count a failure and tell whether the sink went down by it."""
        delay = self._first_delay * 2 ** min(self._failures, _LONGEST_POWER)
        self._failures += 1
        self.retry_at = now + min(self._longest_delay, delay)
        return self._failures == self._threshold

    def succeeded(self) -> bool:
        """Forget the failures and tell whether the sink was down until now."""
        was_open = self.is_open
        self._failures = 0
        self.retry_at = 0.0
        return was_open
