"""Audit records in a file, one JSON object a line, readable by its owner alone. For POSIX systems."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_chain import ChainTail, head_of
from common.auth.security.audit_line import MAX_LINE
from common.auth.security.audit_sinks.owned_file import OwnedFile, path_template, synchronise_folder
from common.auth.security.clock import SYSTEM, Clock
from common.core.audit import AuditRecord

__all__ = ["JsonLinesSink"]

_SMALLEST: Final = 64 * 1024
_LINE_AND_FRAGMENTS: Final = 8 * MAX_LINE
_FILES_PER_RETENTION: Final = 10


class JsonLinesSink:
    """Appends each record's line to a file that this process alone writes.

    A record that has been written survives the end of the process, however it ends; one that has been flushed
    (``fdatasync``) survives the end of the machine. The logger flushes within 50 ms. What a crash has torn is closed
    by the next line, so that it spoils no other. A file that was moved away is begun anew.

    Args:
        path: The file; its folder exists. ``{pid}`` stands for the process id: use it where several processes of a
            service run on one machine.
        name: Name of the sink, unique in the service.
        max_bytes: When the file would grow beyond this, it is renamed to ``<path>.000001`` and so on, and begun anew.
        keep: How many renamed files are kept; the oldest goes first. ``None`` keeps all.
        retention: How long records are kept. A renamed file goes when its newest record is older, and a file is renamed
            once its first record is a tenth of this old, so that nothing stays for much longer. ``None`` keeps all.
        synchronise: Whether flushing brings records to the disk. Without it the end of the machine may cost what its
            operating system still held, 30 seconds or so.
        clock: Tells the time, for *retention*.

    Raises:
        ConfigurationError: *max_bytes* is below 64 KiB, *keep* below 1, *retention* below a minute, or *path* has
            braces other than ``{pid}``.

    >>> JsonLinesSink("/var/log/orders/audit-{pid}.jsonl")
    JsonLinesSink('/var/log/orders/audit-{pid}.jsonl')
    """

    durable = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "file",
        max_bytes: int = 100 * 1024 * 1024,
        keep: int | None = None,
        retention: timedelta | None = None,
        synchronise: bool = True,
        clock: Clock = SYSTEM,
    ) -> None:
        if max_bytes < _SMALLEST or (keep is not None and keep < 1):
            raise ConfigurationError(
                f"JsonLinesSink: max_bytes must be at least {_SMALLEST}, and keep at least 1 or None."
            )
        if retention is not None and retention < timedelta(minutes=1):
            raise ConfigurationError("JsonLinesSink: retention must be at least a minute, or None.")
        self._path = path_template(path, "JsonLinesSink")
        self._template = os.fspath(path)
        self.name = name
        self._max_bytes = max_bytes
        self._keep = keep
        self._retention = retention
        self._synchronises = synchronise
        self._clock = clock
        self._file: OwnedFile | None = None
        self._first: datetime | None = None
        self._last_id = ""

    def chain_tail(self) -> ChainTail:
        """Return how the trail ends: in the file, or where that is empty, in the one renamed last.

        Raises:
            OSError: The file cannot be opened or read.
            ConfigurationError: Another process writes the file, or it is no regular file.
        """
        file = self._current()
        if file.size:
            return _tail_of(file.tail(_LINE_AND_FRAGMENTS))
        numbers = _numbers(file.path)
        if not numbers:
            return ChainTail()
        with _numbered(file.path, max(numbers)).open("rb") as newest:
            newest.seek(0, os.SEEK_END)
            newest.seek(max(0, newest.tell() - _LINE_AND_FRAGMENTS))
            return ChainTail(_tail_of(newest.read()).head)

    def write(self, record: AuditRecord, /) -> None:
        """Append *record*, unless it is the last one again; no part of it stays when that fails.

        Raises:
            OSError: The file cannot be opened or written.
            ConfigurationError: Another process writes the file, or it is no regular file.
        """
        if record.event.id == self._last_id:
            return
        self._file_for(len(record.line) + 1).append(record.line)
        if self._retention is not None:
            self._first = self._first or record.event.time
        self._last_id = record.event.id

    def flush(self) -> None:
        """Bring what was written to the disk.

        Raises:
            OSError: The disk does not take it.
        """
        if self._file is not None and self._synchronises:
            self._file.synchronise()

    def close(self) -> None:
        """Flush and close the file.

        Raises:
            OSError: The disk does not take it; the file is closed all the same.
        """
        try:
            self.flush()
        finally:
            self._release()

    def __repr__(self) -> str:
        return f"JsonLinesSink({self._template!r})"

    def _file_for(self, size: int) -> OwnedFile:
        """Return the file that takes *size* more bytes: the present one, or the next one."""
        file = self._current()
        if file.size and (file.size + size > self._max_bytes or self._is_old()):
            self._rotate(file)
            return self._current()
        return file

    def _current(self) -> OwnedFile:
        if self._file is not None and not self._file.is_ours:
            self._release()
        if self._file is None:
            self._file = OwnedFile(self._path())
            self._first = _time_of(self._file.head(MAX_LINE + 1))
        return self._file

    def _is_old(self) -> bool:
        if self._retention is None or self._first is None:
            return False
        return self._clock.now() - self._first >= self._retention / _FILES_PER_RETENTION

    def _rotate(self, file: OwnedFile) -> None:
        self.flush()
        numbers = _numbers(file.path)
        file.path.rename(_numbered(file.path, max(numbers, default=0) + 1))
        self._release()
        synchronise_folder(file.path.parent)
        self._sweep(file.path, sorted([*numbers, max(numbers, default=0) + 1]))

    def _sweep(self, path: Path, numbers: list[int]) -> None:
        kept = numbers if self._keep is None else numbers[-self._keep :]
        for number in numbers:
            if number not in kept or self._is_expired(_numbered(path, number)):
                _numbered(path, number).unlink(missing_ok=True)

    def _is_expired(self, renamed: Path) -> bool:
        if self._retention is None:
            return False
        # A renamed file is not written any more, so that it is as old as its newest record.
        written = datetime.fromtimestamp(renamed.stat().st_mtime, UTC)
        return self._clock.now() - written > self._retention

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number:06d}")


def _numbers(path: Path) -> list[int]:
    prefix = f"{path.name}."
    suffixes = (name.removeprefix(prefix) for name in os.listdir(path.parent) if name.startswith(prefix))
    return [int(suffix) for suffix in suffixes if suffix.isascii() and suffix.isdigit()]


def _tail_of(octets: bytes) -> ChainTail:
    """Return how a file ends, given its last bytes: behind the last line of a chain, all is torn."""
    lines = octets.split(b"\n")
    for at in range(len(lines) - 1, -1, -1):
        # What stands behind the last line end may look like a line, and lacks its end all the same.
        head = None if at == len(lines) - 1 else head_of(lines[at])
        if head is not None:
            return ChainTail(head, b"\n".join(lines[at + 1 :]).removesuffix(b"\n"))
    return ChainTail(None, octets.removesuffix(b"\n"))


def _time_of(octets: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(octets.partition(b"\n")[0])["event"]["time"])
    except (ValueError, TypeError, KeyError):
        return None
