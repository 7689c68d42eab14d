"""Whether the event loop of a server still turns, as seen from outside of it."""

import asyncio
import time
from collections.abc import Callable

from common.core.health import CheckContext, CheckSpec, Outcome, Status

__all__ = ["LoopHeartbeat"]


class LoopHeartbeat:
    """A liveness check: FAIL ``loop-stalled`` when the loop it watches has not turned for *limit* seconds.

    A probe that the watched loop answers itself always finds it turning; a stalled loop answers no probe at all. The
    check tells the difference where probes are answered in another thread.
    """

    spec = CheckSpec("event-loop", groups=frozenset({"liveness"}), ttl=1.0, component_type="system")

    def __init__(
        self, *, every: float = 1.0, limit: float = 10.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Watch nothing yet: PASS.

        Args:
            every: Seconds between beats.
            limit: Seconds without a beat that count as stalled.
            monotonic: Clock in seconds.
        """
        self._every = every
        self._limit = limit
        self._monotonic = monotonic
        self._last: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_watching(self) -> bool:
        """Whether there is a loop to watch."""
        return self._timer is not None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat on *loop*, from now on; call it there."""
        self.stop()
        self._last = self._monotonic()
        self._timer = loop.call_later(self._every, self.watch, loop)

    def stop(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._last = None

    async def check(self, ctx: CheckContext) -> Outcome:
        """Compare the last beat with the clock."""
        silence = 0.0 if self._last is None else self._monotonic() - self._last
        status, reason = (Status.FAIL, "loop-stalled") if silence > self._limit else (Status.PASS, "")
        return Outcome(status, reason, observed=(round(silence, 3), "s"))
