"""Bounds how many passwords are hashed at once, and how many may wait."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from common.auth.exceptions import ConfigurationError, HashingOverloaded
from common.auth.security.clock import SYSTEM, Clock

__all__ = ["HashingPool", "PoolStats"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoolStats:
    """How a pool is doing."""

    slots: int
    busy: int
    waiting: int
    queue: int
    """How many may wait."""
    refused: int
    """How many were turned away since the pool was made."""


class HashingPool:
    """A fixed number of slots for work that keeps a core busy.

    :meth:`run` takes a slot in the calling thread, :meth:`arun` and :meth:`run_within` run the work in a thread of the
    pool; all share the same slots, and none uses the event loop's default executor, which everything else in the process
    needs. Threads start with the first work that needs one.

    Args:
        slots: How much runs at once; by default the number of processors, at most 4.
        queue: How many may wait for a slot.
        wait: Seconds that one may wait.
        clock: For the deadlines.

    Raises:
        ConfigurationError: No slot, or a negative limit.
    """

    def __init__(self, slots: int | None = None, *, queue: int = 64, wait: float = 5.0, clock: Clock = SYSTEM) -> None:
        slots = min(os.cpu_count() or 1, 4) if slots is None else slots
        if slots < 1 or queue < 0 or wait < 0:
            raise ConfigurationError(
                "A hashing pool needs a slot, and limits that are not negative.", reason="bad_pool"
            )
        self._slots = slots
        self._queue = queue
        self._wait = wait
        self._clock = clock
        self._free = threading.Semaphore(slots)
        self._lock = threading.Lock()
        self._busy = self._waiting = self._refused = 0
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False

    def run(self, work: Callable[[], T]) -> T:
        """Run *work* in this thread, as soon as a slot is free.

        Raises:
            HashingOverloaded: The queue is full, or no slot became free in time; *work* did not begin.
        """
        with self._lock:
            deadline = self._enqueue()
        return self._run_before(deadline, work)

    async def arun(self, work: Callable[[], T]) -> T:
        """Same as :meth:`run`, but in a thread of the pool. A cancelled caller gives its place back."""
        return await asyncio.wrap_future(self._submit(work))

    def run_within(self, seconds: float, work: Callable[[], T]) -> T:
        """Same as :meth:`run`, but in a thread of the pool, and this thread waits for *seconds* at the most.

        Raises:
            HashingOverloaded: Also with the reason ``over_budget``: *work* was not done in time. What had begun keeps
                its slot until it ends.
        """
        future = self._submit(work)
        done, _ = wait([future], seconds)
        if not done:
            future.cancel()
            raise HashingOverloaded("The work took longer than it may.", retry_after=seconds, reason="over_budget")
        return future.result()

    def stats(self) -> PoolStats:
        """Return the counters of this moment."""
        with self._lock:
            return PoolStats(self._slots, self._busy, self._waiting, self._queue, self._refused)

    def close(self) -> None:
        """End the threads once what has begun is done. What only waits, or comes later, is refused."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True)

    def _submit(self, work: Callable[[], T]) -> "Future[T]":
        with self._lock:
            deadline = self._enqueue()
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._slots, thread_name_prefix="common-auth-hashing")
            future = self._threads.submit(self._run_before, deadline, work)
        future.add_done_callback(self._leave_if_cancelled)
        return future

    def _run_before(self, deadline: float, work: Callable[[], T]) -> T:
        with self._slot(deadline):
            return work()

    def _enqueue(self) -> float:
        """Take a place in the queue, under the lock; return until when it counts, on the monotonic clock."""
        if self._closed:
            raise self._refusal()
        if self._waiting >= self._queue + self._slots - self._busy:
            self._refused += 1
            raise HashingOverloaded(
                "Too many passwords wait to be hashed.", retry_after=self._wait, reason="queue_full"
            )
        self._waiting += 1
        return self._clock.monotonic() + self._wait

    @contextmanager
    def _slot(self, deadline: float) -> Iterator[None]:
        """Change a place in the queue for a slot, and give the slot back."""
        acquired = self._free.acquire(timeout=max(0.0, deadline - self._clock.monotonic()))
        try:
            with self._lock:
                self._waiting -= 1
                if self._closed or not acquired:
                    self._refused += 1
                    raise self._refusal()
                self._busy += 1
            try:
                yield
            finally:
                with self._lock:
                    self._busy -= 1
        finally:
            if acquired:
                self._free.release()

    def _refusal(self) -> HashingOverloaded:
        if self._closed:
            return HashingOverloaded("The hashing pool is closed: the service is stopping.", reason="pool_closed")
        return HashingOverloaded("No hashing slot became free.", retry_after=self._wait, reason="waited_too_long")

    def _leave_if_cancelled(self, future: "Future[T]") -> None:
        if future.cancelled():
            with self._lock:
                self._waiting -= 1

    def __repr__(self) -> str:
        return f"HashingPool(slots={self._slots}, queue={self._queue})"
