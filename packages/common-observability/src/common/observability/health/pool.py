"""Threads for checks that block."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["DaemonPool", "LoopThread"]


class DaemonPool:
    """A bounded number of daemon threads, started as they are needed.

    A check that hangs holds one of them for ever, and nothing else: no worker of the web server, and not the end of
    the process, which waits for the threads of :class:`concurrent.futures.ThreadPoolExecutor`.
    """

    def __init__(self, size: int) -> None:
        """Allow *size* threads; none is started yet."""
        self._size = size
        self._jobs: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0

    def submit(self, job: Callable[[], object]) -> None:
        """Have *job* run as soon as a thread is free; it must not raise."""
        with self._lock:
            self._unfinished += 1
            if self._unfinished > self._threads and self._threads < self._size:
                self._threads += 1
                name = f"common-health-{self._threads}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._unfinished -= 1


class LoopThread:
    """An event loop in a daemon thread of its own, for asynchronous checks where no loop runs."""

    def __init__(self) -> None:
        """Start the thread."""
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name="common-health-loop", daemon=True).start()

    def stop(self) -> None:
        """End the thread; what still runs on the loop is left where it is."""
        self.loop.call_soon_threadsafe(self.loop.stop)

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()
