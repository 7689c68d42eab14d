"""Notices that a sink hangs: the one thing that neither the sink's own thread nor a request can do."""

import threading
from collections.abc import Callable

__all__ = ["Supervisor"]


class Supervisor:
    """Calls *look* every *interval* seconds on a thread of its own, from :meth:`start` to :meth:`stop`."""

    def __init__(self, look: Callable[[], None], *, interval: float) -> None:
        self._look = look
        self._interval = interval
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None and not self._ended.is_set():
            self._thread = threading.Thread(target=self._run, name="audit-supervisor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait until it has ended."""
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            self._look()
