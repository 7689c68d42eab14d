"""Runs checks before their answers get old, so that probes only read."""

import os
import threading
import time
from collections.abc import Callable, Sequence

from common.core.health import CheckSpec
from common.observability.health.execution import CheckRun, Executors, Flight
from common.observability.health.waiting import wait_sync

__all__ = ["BackgroundRefresh"]

_LONGEST, _SHORTEST = 1.0, 0.01
"""Seconds between two looks at what is due."""


class BackgroundRefresh:
    """A daemon thread that runs every check again when half of its ``ttl`` (``ttl_fail``) is over.

    A probe that finds an answer too old then knows that the refresh itself is in trouble, and says ``stale``.
    """

    def __init__(
        self,
        runs: Callable[[], Sequence[CheckRun]],
        executors: Callable[[CheckSpec], Executors],
        deadline: float,
    ) -> None:
        """Prepare; :meth:`start` begins.

        Args:
            runs: Gives the checks of this process.
            executors: Tells where one of them runs.
            deadline: Seconds that one round waits for its checks.
        """
        self._runs = runs
        self._executors = executors
        self._deadline = deadline
        self._ended = threading.Event()
        self._pid = 0

    @property
    def is_running(self) -> bool:
        """Whether the thread is there; a forked child has none of its parent's."""
        return self._pid == os.getpid() and not self._ended.is_set()

    def start(self) -> None:
        """Start the thread, unless it is there."""
        if self.is_running:
            return
        self._ended = threading.Event()
        self._pid = os.getpid()
        threading.Thread(target=self._serve, args=(self._ended,), name="common-health-refresh", daemon=True).start()

    def stop(self) -> None:
        """End the thread after its round."""
        self._ended.set()

    def _serve(self, ended: threading.Event) -> None:
        self._round()
        while not ended.wait(self._pause()):
            self._round()

    def _pause(self) -> float:
        left = (run.remaining() - run.half_life() for run in self._runs())
        return min(_LONGEST, max(_SHORTEST, min(left, default=_LONGEST)))

    def _round(self) -> None:
        flights: dict[CheckRun, Flight] = {}
        for run in self._runs():
            if run.remaining() > run.half_life():
                continue
            if (flight := run.refresh(self._executors(run.spec))) is not None:
                flights[run] = flight
        if flights:
            wait_sync(flights, time.monotonic() + self._deadline)
