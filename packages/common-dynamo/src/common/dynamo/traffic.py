"""How the calls of the last seconds went; counted without OpenTelemetry, so that a health check needs no SDK."""

import time
from collections.abc import Callable
from typing import Final

from common.dynamo.locking import ForkSafeLock
from common.dynamo.value_classes import dataclass

__all__ = ["Traffic", "TrafficWindow"]

WINDOW: Final = 30
"""Seconds that are looked back on."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls of the last 30 seconds. A call is one operation of a DAO, with all its attempts."""

    calls: int = 0
    errors: int = 0
    """Calls that failed because the engine did not do its part; refusals by a caller's condition are none."""
    throttles: int = 0
    """Attempts that the engine throttled, overcome or not."""
    attempts: int = 0
    failed_trace_id: str = ""
    """Trace id of the last failed call, 32 hex digits; empty where it had none."""

    @property
    def error_ratio(self) -> float:
        """Failed calls among all calls; 0 without calls."""
        return self.errors / self.calls if self.calls else 0.0

    @property
    def throttle_ratio(self) -> float:
        """Throttled attempts among all attempts; 0 without attempts."""
        return self.throttles / self.attempts if self.attempts else 0.0


class TrafficWindow:
    """Counts in one bucket per second. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = ForkSafeLock()
        self._buckets: dict[int, list[int]] = {}
        self._failed_trace_id = ""

    def count(self, *, error: bool, attempts: int, throttles: int, trace_id: int = 0) -> None:
        """Count one call; *trace_id* is that of its span, 0 without one."""
        second = int(self._clock())
        with self._lock.raw:
            bucket = self._buckets.get(second)
            if bucket is None:
                self._drop(second)
                bucket = self._buckets[second] = [0, 0, 0, 0]
            bucket[0] += 1
            bucket[1] += error
            bucket[2] += throttles
            bucket[3] += attempts
            if error:
                self._failed_trace_id = f"{trace_id:032x}" if trace_id else ""

    def read(self) -> Traffic:
        """Return what the last 30 seconds brought."""
        with self._lock:
            self._drop(int(self._clock()))
            columns = zip((0, 0, 0, 0), *self._buckets.values(), strict=True)
            calls, errors, throttles, attempts = (sum(column) for column in columns)
            return Traffic(calls, errors, throttles, attempts, self._failed_trace_id if errors else "")

    def _drop(self, second: int) -> None:
        for old in [each for each in self._buckets if each <= second - WINDOW]:
            del self._buckets[old]
