"""Work that must not hold anybody up: done by a waiting thread, and waited for only so long."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

__all__ = ["ParkedThread"]

_Job = tuple[Callable[[], object], "Future[None]"]


class ParkedThread:
    """A daemon thread that waits for work.

    It is started in advance, because none can be started while the interpreter exits (Python 3.12). In a forked child
    it is started anew at the first use; where that is its exit, the work is done by whoever asks.
    """

    def __init__(self, name: str) -> None:
        """Start a thread called *name*."""
        self._name = name
        # Reentrant, since a signal handler may ask while its own thread is asking.
        self._lock = threading.RLock()
        self._latest: Future[None] = Future()
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._pid = 0
        self._is_served = False
        self._start()

    def submit(self, work: Callable[[], object]) -> "Future[None]":
        """Have *work* done and return its future; while the work before is not done, return that one's future.

        So a sink that hangs for ever costs one thread and one call, however often it is asked.
        """
        with self._lock:
            if self._pid != os.getpid():
                self._start()
            if self._latest.done():
                self._latest = Future()
                if self._is_served:
                    self._jobs.put((work, self._latest))
                else:
                    _do(work, self._latest)
            return self._latest

    def _start(self) -> None:
        self._pid = os.getpid()
        self._jobs = SimpleQueue()
        self._latest = Future()
        self._latest.set_result(None)
        try:
            threading.Thread(target=_serve, args=(self._jobs,), name=self._name, daemon=True).start()
        except RuntimeError:
            self._is_served = False
        else:
            self._is_served = True


def _serve(jobs: "SimpleQueue[_Job]") -> None:
    while True:
        _do(*jobs.get())


def _do(work: Callable[[], object], done: "Future[None]") -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - told to whoever waits
        done.set_exception(error)
    else:
        done.set_result(None)
