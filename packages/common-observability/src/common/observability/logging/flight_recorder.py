"""What led to an error: the lines of a request that were too fine to write, until they are needed."""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from common.observability.logging.handler import LineHandler, RootHandler

__all__ = ["RING_BYTES", "DebugRing", "FlightRecorder", "debug_ring"]

RING_BYTES = 20_480
"""Bytes of lines that are kept for one request."""


class DebugRing:
    """The latest lines of one request that were not written. The handler's lock guards it."""

    __slots__ = ("__weakref__", "_is_closed", "_lines", "_target", "size")

    def __init__(self) -> None:
        self._lines: deque[bytes] | None = None
        self._target: LineHandler | None = None
        self._is_closed = False
        self.size = 0
        """Bytes held."""

    def add(self, line: bytes, capacity: int, target: LineHandler) -> None:
        """Keep *line*, and let go of the oldest ones beyond *capacity* bytes; nothing is kept after the request."""
        if self._is_closed:
            return
        if self._lines is None:
            self._lines, self._target = deque(), target
        self._lines.append(line)
        self.size += len(line)
        while self.size > capacity:
            self.size -= len(self._lines.popleft())

    def write(self) -> None:
        """Have the lines written, oldest first, and keep none."""
        lines, self._lines, self.size = self._lines, None, 0
        for line in lines or ():
            if self._target is not None:
                self._target.write_line(line)

    def close(self) -> None:
        """Keep nothing any more: a task that outlives its request holds an empty ring."""
        self._is_closed, self._lines, self.size = True, None, 0


_RING: ContextVar[DebugRing | None] = ContextVar("common_log_ring", default=None)


@contextmanager
def debug_ring() -> Iterator[DebugRing]:
    """Give the block a ring of its own, as ``LoggingMiddleware`` does for a request; without a recorder it stays empty."""
    ring = DebugRing()
    token = _RING.set(ring)
    try:
        yield ring
    except Exception:
        # Whoever logs the error may do so outside of the block: a server does.
        ring.write()
        raise
    finally:
        ring.close()
        try:
            _RING.reset(token)
        except ValueError:
            # An abandoned generator is closed in another context, and the one with the ring is gone.
            return


class FlightRecorder(RootHandler):
    """Keeps what its target does not write, and writes it before an ERROR of the same request.

    Lines are rendered and redacted when they are logged, so the ring holds bytes, no objects of the service. That makes
    a DEBUG line as dear as a written one: it is meant for services whose errors are rare and hard to explain.
    """

    def __init__(self, target: LineHandler, *, capacity: int = RING_BYTES) -> None:
        """Record for *target*; :func:`~common.observability.logging.configure_logging` puts both in place.

        Args:
            target: Writes the lines; its level and filters say which ones at once.
            capacity: Bytes per request.
        """
        self._target = target
        self._capacity = capacity
        super().__init__()

    def createLock(self) -> None:  # noqa: N802 - the name is the standard library's
        """Share the target's lock: two would be taken in both orders where a processor logs."""
        self.lock = self._target.lock

    def emit(self, record: logging.LogRecord) -> None:
        """Keep *record*, or write what was kept before it; see the class."""
        ring = _RING.get()
        if ring is None:
            return
        if record.levelno >= logging.ERROR:
            ring.write()
        elif not self._is_written(record) and (line := self._target.rendered(record)) is not None:
            ring.add(line, self._capacity, self._target)

    def _is_written(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._target.level and bool(self._target.filter(record))
