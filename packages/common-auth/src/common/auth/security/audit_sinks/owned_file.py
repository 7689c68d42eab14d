"""A file that one process appends whole lines to and its owner alone can read. For POSIX systems."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from common.auth.exceptions import ConfigurationError

__all__ = ["OwnedFile", "path_template", "synchronise_folder"]

_OWNER_ONLY: Final = 0o600
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


def path_template(path: str | os.PathLike[str], whose: str) -> Callable[[], Path]:
    """Return a function that puts the process id in the place of ``{pid}``.

    Raises:
        ConfigurationError: *path* has braces other than ``{pid}``.
    """
    template = os.fspath(path)
    if set("{}") & set(template.replace("{pid}", "")):
        raise ConfigurationError(f"{whose}: in the path, braces may only stand around pid: {{pid}}.")
    return lambda: Path(template.replace("{pid}", str(os.getpid())))


class OwnedFile:
    """An open file, locked against other writers; mode 0600, whatever it was before.

    What a crash has left behind the last line end is :attr:`torn`. It stays as it is until the next line, which closes
    it and is written together with its line end.

    Raises:
        OSError: The file cannot be opened.
        ConfigurationError: Another process writes it, or it is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = os.getpid()
        self._file = os.open(path, _FLAGS, _OWNER_ONLY)
        self._is_dirty = False
        try:
            self.size = _take_over(self._file, path)
            self.torn = _behind_the_last_line(self._file, self.size)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def is_ours(self) -> bool:
        """Whether this process has opened it, no parent has, and it still is what its path names."""
        if self._pid != os.getpid():
            return False
        try:
            return os.path.samestat(os.stat(self.path, follow_symlinks=False), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def append(self, line: bytes) -> None:
        """Append *line* and a line end by one ``write``, or leave the file as it was.

        Raises:
            OSError: The file cannot be written.
        """
        if self._is_dirty:
            self.cut_back()
        octets = b"\n" + line + b"\n" if self.torn else line + b"\n"
        try:
            _write_whole(self._file, octets)
        except OSError:
            self._is_dirty = True
            self.cut_back()
            raise
        self.size += len(octets)
        self.torn = b""

    def cut_back(self) -> None:
        """Take back what a failed write has left.

        Raises:
            OSError: The disk does not take that either; the next :meth:`append` tries again, before anything else.
        """
        os.ftruncate(self._file, self.size)
        self._is_dirty = False

    def drop_torn(self) -> None:
        """Cut off what stands behind the last line end."""
        self.size -= len(self.torn)
        self.torn = b""
        self.cut_back()

    def tail(self, size: int) -> bytes:
        """Return the last *size* bytes, or all there are."""
        return os.pread(self._file, size, max(0, self.size - size))

    def head(self, size: int) -> bytes:
        """Return the first *size* bytes, or all there are."""
        return os.pread(self._file, size, 0)

    def synchronise(self) -> None:
        """Bring what was written to the disk, unless a parent of this process opened the file.

        Raises:
            OSError: The disk does not take it.
        """
        if self._pid == os.getpid():
            getattr(os, "fdatasync", os.fsync)(self._file)

    def close(self) -> None:
        """Close the file; its lock goes with it."""
        os.close(self._file)


def _take_over(file: int, path: Path) -> int:
    """Make the open file ours alone, and return its size in bytes."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"Audit file {path.name!r} is no regular file. Name another path.")
    _lock(file, path)
    if stat.S_IMODE(status.st_mode) != _OWNER_ONLY:
        os.fchmod(file, _OWNER_ONLY)
    return os.fstat(file).st_size


def _lock(file: int, path: Path) -> None:
    import fcntl  # absent on Windows, where the rest of common-auth works

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(
            f"Audit file {path.name!r} is written by another process. Give each process its own: put {{pid}} into the path."
        ) from None


_BLOCK: Final = 16 * 1024


def _behind_the_last_line(file: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        block = os.pread(file, min(_BLOCK, size - len(found)), max(0, size - len(found) - _BLOCK))
        before, end, behind = block.rpartition(b"\n")
        found = (behind if end else before + behind) + found
        if end:
            break
    return found


def _write_whole(file: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(file, octets) :]


def synchronise_folder(folder: Path) -> None:
    """Bring the names in *folder* to the disk.

    Raises:
        OSError: The disk does not take it.
    """
    with _opened(folder) as handle:
        os.fsync(handle)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)
