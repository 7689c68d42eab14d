"""Audit records in a file, one JSON object a line, readable by its owner alone. For POSIX systems."""

import os
import stat
from pathlib import Path
from typing import Final

from common.auth.exceptions import ConfigurationError
from common.core.audit import AuditRecord

__all__ = ["JsonLinesSink"]

_OWNER_ONLY: Final = 0o600
_SMALLEST: Final = 64 * 1024
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class JsonLinesSink:
    """Appends each record's line to a file that this process alone writes.

    A record that has been written survives the end of the process, however it ends; one that has been flushed
    (``fdatasync``) survives the end of the machine. The logger flushes within 50 ms. A line that a crash has torn is
    closed when the file is opened next, so that it spoils no other. A file that was moved away is begun anew.

    Args:
        path: The file; its folder exists. ``{pid}`` stands for the process id: use it where several processes of a
            service run on one machine.
        name: Name of the sink, unique in the service.
        max_bytes: When the file would grow beyond this, it is renamed to ``<path>.000001`` and so on, and begun anew.
        keep: How many renamed files are kept; the oldest goes first. ``None`` keeps all.

    Raises:
        ConfigurationError: *max_bytes* is below 64 KiB, *keep* below 1, or *path* has braces other than ``{pid}``.

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
    ) -> None:
        if max_bytes < _SMALLEST or (keep is not None and keep < 1):
            raise ConfigurationError(
                f"JsonLinesSink: max_bytes must be at least {_SMALLEST}, and keep at least 1 or None."
            )
        self._template = os.fspath(path)
        if set("{}") & set(self._template.replace("{pid}", "")):
            raise ConfigurationError("JsonLinesSink: in the path, braces may only stand around pid: {pid}.")
        self.name = name
        self._max_bytes = max_bytes
        self._keep = keep
        self._pid = 0
        self._path = Path()
        self._file: int | None = None
        self._size = 0
        self._last_id = ""

    def write(self, record: AuditRecord, /) -> None:
        """Append *record*, unless it is the last one again; no part of it stays when that fails.

        Raises:
            OSError: The file cannot be opened or written.
            ConfigurationError: Another process writes the file, or it is no regular file.
        """
        if record.event.id == self._last_id:
            return
        line = record.line + b"\n"
        file = self._file_for(len(line))
        try:
            _write_whole(file, line)
        except OSError:
            self._undo(file)
            raise
        self._size += len(line)
        self._last_id = record.event.id

    def flush(self) -> None:
        """Bring what was written to the disk.

        Raises:
            OSError: The disk does not take it.
        """
        if self._file is not None and self._pid == os.getpid():
            _synchronise(self._file)

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

    def _file_for(self, size: int) -> int:
        """Return the file that takes *size* more bytes: the present one, the next one, or one opened anew."""
        if self._file is not None and (self._pid != os.getpid() or self._was_moved(self._file)):
            self._release()
        if self._file is None:
            self._open()
        if self._size and self._size + size > self._max_bytes:
            self._rotate()
        assert self._file is not None  # noqa: S101 - for the type checker: both branches above end in _open()
        return self._file

    def _open(self) -> None:
        self._pid = os.getpid()
        self._path = Path(self._template.replace("{pid}", str(self._pid)))
        file = os.open(self._path, _FLAGS, _OWNER_ONLY)
        try:
            self._size = _take_over(file, self._path)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _rotate(self) -> None:
        self.flush()
        numbers = self._numbers()
        self._path.rename(self._numbered(max(numbers, default=0) + 1))
        self._release()
        self._open()
        _synchronise_folder(self._path.parent)
        if self._keep is not None:
            for number in sorted([*numbers, max(numbers, default=0) + 1])[: -self._keep]:
                self._numbered(number).unlink(missing_ok=True)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number:06d}")

    def _numbers(self) -> list[int]:
        prefix = f"{self._path.name}."
        suffixes = (name.removeprefix(prefix) for name in os.listdir(self._path.parent) if name.startswith(prefix))
        return [int(suffix) for suffix in suffixes if suffix.isascii() and suffix.isdigit()]

    def _was_moved(self, file: int) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path, follow_symlinks=False), os.fstat(file))
        except FileNotFoundError:
            return True

    def _undo(self, file: int) -> None:
        try:
            os.ftruncate(file, self._size)
        except OSError:
            # The torn line is closed when the file is opened again.
            self._release()

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _take_over(file: int, path: Path) -> int:
    """Make the open file ours alone, close a torn line at its end, and return its size in bytes."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"Audit file {path.name!r} is no regular file. Name another path.")
    _lock(file, path)
    if stat.S_IMODE(status.st_mode) != _OWNER_ONLY:
        os.fchmod(file, _OWNER_ONLY)
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        _write_whole(file, b"\n")
        size += 1
    return size


def _lock(file: int, path: Path) -> None:
    import fcntl  # absent on Windows, where the rest of common-auth works

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(
            f"Audit file {path.name!r} is written by another process. Give each process its own: put {{pid}} into the path."
        ) from None


def _write_whole(file: int, line: bytes) -> None:
    while line:
        line = line[os.write(file, line) :]


def _synchronise(file: int) -> None:
    getattr(os, "fdatasync", os.fsync)(file)


def _synchronise_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
