"""Writes one line per record, whole, and never harms the code that logs."""

import io
import logging
import os
import sys
import threading
from functools import cache
from typing import Any, BinaryIO, TextIO
from weakref import WeakSet

from common.observability.logging.formatter import JsonFormatter

__all__ = ["LineHandler", "RootHandler"]


class RootHandler(logging.Handler):
    """A handler of this distribution on the root logger; whoever configures logging again takes it off."""


class LineHandler(RootHandler):
    """Sends lines of JSON to a stream.

    A sink that fails loses lines, counted in :attr:`lost`, and nothing else: no exception reaches the code that logs,
    and no traceback with the record's arguments reaches the terminal. A processor that logs gets its line, which is
    rendered without processors; a sink that logs does not, since its line would come back to it.
    """

    def __init__(self, formatter: JsonFormatter, stream: BinaryIO | TextIO | None = None) -> None:
        """Prepare a handler.

        Args:
            formatter: Makes the lines.
            stream: Where they go; text streams get text. ``None`` is whatever ``sys.stdout`` is at that moment.
        """
        super().__init__()
        self._lines = formatter
        self._stream = stream
        self._sink: Any = stream if isinstance(stream, io.RawIOBase | io.BufferedIOBase) else None
        self._is_rendering = False
        self._is_writing = False
        self.setFormatter(formatter)
        self.lost = 0
        """Lines that no sink took."""
        _HANDLERS.add(self)
        _keep_lines_whole_across_forks()

    @property
    def lines(self) -> JsonFormatter:
        """What makes the lines."""
        return self._lines

    def emit(self, record: logging.LogRecord) -> None:
        # The handler's own reentrant lock is held here, so that only this very thread can come in a second time.
        if self._is_writing:
            self.lost += 1
            return
        if (line := self.rendered(record)) is not None:
            self.write_line(line)

    def rendered(self, record: logging.LogRecord) -> bytes | None:
        """Return the line of *record* with its end, or ``None`` where it could not be made; the lock must be held."""
        outermost = not self._is_rendering
        self._is_rendering = True
        try:
            return self._lines.render(record, bare=not outermost) + b"\n"
        except Exception:  # noqa: BLE001 - see the class: logging never harms the code that logs
            self.lost += 1
            return None
        finally:
            self._is_rendering = not outermost

    def write_line(self, line: bytes) -> None:
        """Write a line that :meth:`rendered` made; one that the sink does not take is counted as lost."""
        try:
            self._write(line)
        except Exception:  # noqa: BLE001 - see the class: logging never harms the code that logs
            self.lost += 1

    def _write(self, line: bytes) -> None:
        self._is_writing = True
        try:
            if self._sink is not None:
                self._sink.write(line)
                self._sink.flush()
            else:
                _write_to(sys.stdout if self._stream is None else self._stream, line)
        finally:
            self._is_writing = False

    def flush(self) -> None:
        """Do nothing: each line is flushed as it is written."""

    def begin_in_child(self) -> None:
        """Forget what other threads of the parent were doing: they are not here."""
        self._is_rendering = self._is_writing = False


_HANDLERS: WeakSet[LineHandler] = WeakSet()
_FORK_WITHIN = 1.0
"""Seconds that a fork waits for a line in the middle of being written."""


@cache
def _keep_lines_whole_across_forks() -> None:
    """Let no process fork while a thread is writing a line.

    The child would have half of the line in its stream's buffer, and that buffer's lock held by a thread that does not
    exist there. A sink that hangs holds a fork up no longer than a second.
    """
    held = threading.local()

    def before() -> None:
        locks = [handler.lock for handler in tuple(_HANDLERS) if handler.lock is not None]
        held.locks = [lock for lock in locks if lock.acquire(timeout=_FORK_WITHIN)]

    def in_parent() -> None:
        for lock in held.locks:
            lock.release()

    def in_child() -> None:
        # The standard library has made the locks anew.
        for handler in tuple(_HANDLERS):
            handler.begin_in_child()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _write_to(stream: Any, line: bytes) -> None:
    if isinstance(stream, io.TextIOBase) and not hasattr(stream, "buffer"):
        stream.write(line.decode())
    else:
        # Bytes pass a text stream by, whose encoding may not have every character.
        getattr(stream, "buffer", stream).write(line)
    stream.flush()
