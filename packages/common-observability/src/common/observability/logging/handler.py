"""Writes one line per record, whole, and never harms the code that logs."""

import io
import logging
import sys
from typing import Any, BinaryIO, TextIO

from common.observability.logging.formatter import JsonFormatter

__all__ = ["LineHandler"]


class LineHandler(logging.Handler):
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

    def emit(self, record: logging.LogRecord) -> None:
        # The handler's own reentrant lock is held here, so that only this very thread can come in a second time.
        if self._is_writing:
            self.lost += 1
            return
        outermost = not self._is_rendering
        self._is_rendering = True
        try:
            line = self._lines.render(record, bare=not outermost)
            self._write(line + b"\n")
        except Exception:  # noqa: BLE001 - see the class: logging never harms the code that logs
            self.lost += 1
        finally:
            self._is_rendering = not outermost

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


def _write_to(stream: Any, line: bytes) -> None:
    if isinstance(stream, io.TextIOBase) and not hasattr(stream, "buffer"):
        stream.write(line.decode())
    else:
        # Bytes pass a text stream by, whose encoding may not have every character.
        getattr(stream, "buffer", stream).write(line)
    stream.flush()
