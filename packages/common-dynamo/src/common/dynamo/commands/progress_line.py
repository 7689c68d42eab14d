"""Telling how far a long walk is: one line that changes on a terminal, a line now and then elsewhere."""

import shutil
from collections.abc import Callable
from typing import Final, TextIO

from common.dynamo.backfill_progress import BackfillCounts

__all__ = ["ProgressLine", "progress_text"]

_REDRAW_SECONDS: Final = 0.1
_LINE_SECONDS: Final = 5.0
_BAR: Final = 24
_CLEAR: Final = "\r\x1b[2K"
"""To the start of the line, and erase it (ECMA-48, EL)."""


class ProgressLine:
    """Shows counts on a stream. Used by one thread at a time."""

    def __init__(self, stream: TextIO, *, total: int | None, monotonic: Callable[[], float]) -> None:
        """Take the stream.

        Args:
            stream: Where it writes, usually standard error.
            total: Items to go through, about; ``None`` where that is not known.
            monotonic: Seconds of a clock that never goes back.
        """
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._total = total
        self._monotonic = monotonic
        self._started = monotonic()
        self._shown_at = self._started - _LINE_SECONDS if self._is_terminal else self._started
        self._first: BackfillCounts | None = None
        self._is_open = False

    def show(self, counts: BackfillCounts) -> None:
        """Show *counts*, unless something was shown a moment ago."""
        now = self._monotonic()
        if self._first is None:
            self._first = counts
        if now - self._shown_at < (_REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS):
            return
        self._shown_at = now
        text = progress_text(counts, self._first, total=self._total, seconds=now - self._started)
        if self._is_terminal:
            width = shutil.get_terminal_size().columns
            self._stream.write(f"{_CLEAR}{text[: width - 1]}")
            self._is_open = True
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, so that something else can be written."""
        if self._is_open:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._is_open = False


def progress_text(counts: BackfillCounts, first: BackfillCounts, *, total: int | None, seconds: float) -> str:
    """Return *counts* in words, with a bar and the time left where there is a *total*.

    Args:
        counts: Now.
        first: When it began; earlier runs are no measure of the speed of this one.
        total: Items to go through, about.
        seconds: Since it began.
    """
    done = max(counts.scanned, counts.examined)
    words = [f"examined {counts.examined:,}", f"rewritten {counts.rewritten:,}"]
    failed = counts.invalid + counts.refused + counts.unsettled
    if failed:
        words.append(f"failed {failed:,}")
    speed = (done - max(first.scanned, first.examined)) / seconds if seconds > 0 else 0.0
    if speed:
        words.append(f"{speed:,.0f} items/s")
    if not total:
        return ", ".join(words)
    fraction = min(1.0, done / total)
    if speed and fraction < 1:
        words.append(f"about {_duration((total - done) / speed)} left")
    filled = int(fraction * _BAR)
    return f"[{'#' * filled}{'-' * (_BAR - filled)}] {fraction:4.0%}  {', '.join(words)}"


def _duration(seconds: float) -> str:
    """Return *seconds* as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
