"""One SQLite database, in a file or in memory, shared by threads, processes and forks.

A file is in WAL mode: readers never wait for the writer, and each thread has a connection of its own. Writers of one
process queue at a lock, those of several processes at SQLite's, always within the caller's timeout. Memory is one
connection behind a lock.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

from common.dynamo.wire import AnswerLost, NotSent
from common.dynamo.wire.embedded import forks
from common.dynamo.wire.embedded.file_format import FileRefused, connect, make_file, prepare, refusal
from common.exceptions import ConfigurationError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OPENING_SECONDS = 10.0
_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.010


class SchemaChanged(Exception):
    """A table that was there is gone: another process took it away."""


class _Handle:
    """The connection of one thread, and the lock that keeps it open while it is at work."""

    __slots__ = ("__weakref__", "connection", "lock")

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None
        self.lock = threading.Lock()

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __del__(self) -> None:
        self.close()


class Storage:
    """Run work in transactions of one SQLite database.

    Args:
        path: The file, made when missing; ``None`` for memory.
        fast: Whether commits may skip waiting for the disk (see :class:`~common.dynamo.wire.embedded.EmbeddedWire`).
        timer: Seconds of a monotonic clock.
        sleep: Waits that many seconds.
        random: A number in [0, 1).

    Raises:
        FileRefused: The file is damaged, foreign, or of a newer version.
    """

    def __init__(
        self,
        path: str | None,
        *,
        fast: bool,
        timer: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        self.path = path
        self._fast = fast
        self._timer = timer
        self._sleep = sleep
        self._random = random
        self._writer = threading.Lock()
        self._registry = threading.Lock()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._local = threading.local()
        self._pid: int | None = os.getpid()
        self._paused: list[_Handle] = []
        self._closed = False
        self._shared = _Handle() if path is None else None
        self._prepare()

    def _prepare(self) -> None:
        if self.path is not None:
            make_file(self.path)
            forks.watch(self)
        handle = self._shared or self._register()
        # Processes of one service often start together, and only one of them can set up the file.
        deadline = self._timer() + _OPENING_SECONDS
        try:
            self._patiently(lambda: prepare(self._open(handle, deadline), self.path), deadline)
        except sqlite3.Error as error:
            raise refusal(self.path, error) from error

    # Work -------------------------------------------------------------------------------------------------------------

    def read(self, work: Work[T], timeout: float, *, snapshot: bool = False) -> T:
        """Return what *work* reads, from one snapshot if it makes several statements and *snapshot* is set."""
        deadline = self._timer() + timeout
        handle = self._occupy(timeout)
        try:
            if snapshot:
                connection = self._begin(handle, "BEGIN", deadline)
                try:
                    return work(connection)
                finally:
                    self._undo(connection)
            connection = handle.connection or self._open(handle, deadline)
            return self._patiently(lambda: work(connection), deadline)
        except sqlite3.Error as error:
            raise self._failure(error) from error
        finally:
            handle.lock.release()

    def write(self, work: Work[T], timeout: float, *, keep: bool = True) -> T:
        """Run *work* in one exclusive transaction and commit it, or undo it if *keep* is not set."""
        deadline = self._timer() + timeout
        handle = self._occupy(timeout)
        try:
            if not self._writer.acquire(timeout=max(0.0, deadline - self._timer())):
                raise NotSent("another writer held the database until the deadline")
            try:
                connection = self._begin(handle, "BEGIN IMMEDIATE", deadline)
                result = self._inside(connection, work)
                self._finish(connection, keep=keep)
                return result
            finally:
                self._writer.release()
        finally:
            handle.lock.release()

    def _inside(self, connection: sqlite3.Connection, work: Work[T]) -> T:
        try:
            return work(connection)
        except sqlite3.Error as error:
            self._undo(connection)
            raise self._failure(error) from error
        except BaseException:
            self._undo(connection)
            raise

    def _finish(self, connection: sqlite3.Connection, *, keep: bool) -> None:
        if not keep:
            self._undo(connection)
            return
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(connection)
            raise self._failure(error, committing=True) from error

    @staticmethod
    def _undo(connection: sqlite3.Connection) -> None:
        # SQLite has already undone a transaction that ran into a full disk or an I/O error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def _begin(self, handle: _Handle, statement: str, deadline: float) -> sqlite3.Connection:
        try:
            connection = handle.connection or self._open(handle, deadline)
            self._patiently(lambda: connection.execute(statement), deadline)
        except sqlite3.Error as error:
            raise self._failure(error) from error
        return connection

    def _patiently(self, attempt: Callable[[], T], deadline: float) -> T:
        """Repeat *attempt* while another process is in the way, until *deadline*."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return attempt()
            except sqlite3.OperationalError as error:
                left = deadline - self._timer()
                if (error.sqlite_errorcode & 0xFF) not in _BUSY or left <= 0:
                    raise
                self._sleep(min(left, pause * (0.5 + self._random())))
                pause = min(_LONGEST_PAUSE, pause * 2)

    def _failure(self, error: sqlite3.Error, *, committing: bool = False) -> Exception:
        """Return the error to raise in place of SQLite's; messages of SQLite hold no values."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            return NotSent("another process held the database until the deadline")
        if code in _DAMAGED:
            return FileRefused(self.path or "(memory)", "it is damaged", "Restore it from a copy")
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            return NotSent(f"the database could not be written: {error}")
        if code == sqlite3.SQLITE_IOERR:
            return AnswerLost("the disk failed during a commit") if committing else NotSent(f"the disk failed: {error}")
        if "no such table" in str(error):
            return SchemaChanged()
        return FileRefused(
            self.path or "(memory)", f"SQLite reports: {error}", "Report this with the steps that led to it"
        )

    # Connections ------------------------------------------------------------------------------------------------------

    def _occupy(self, timeout: float) -> _Handle:
        if self._pid != os.getpid() or self._closed:
            raise self._unusable()
        handle = self._shared
        if handle is None:
            handle = getattr(self._local, "handle", None) or self._register()
        if not handle.lock.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX)):
            raise NotSent("another thread held the database until the deadline")
        return handle

    def _unusable(self) -> ConfigurationError:
        if self._closed:
            return ConfigurationError("The embedded database was closed. Open another one.")
        if self.path is None:
            return ConfigurationError(
                "An embedded database in memory belongs to the process that made it. "
                "Give it a file, Database.embedded(path), to share it with forked processes."
            )
        return ConfigurationError(
            "The process was forked behind the back of Python, with an embedded database open. Open it after the fork."
        )

    def _register(self) -> _Handle:
        handle = _Handle()
        with self._registry:
            self._handles.add(handle)
        self._local.handle = handle
        return handle

    def _open(self, handle: _Handle, deadline: float) -> sqlite3.Connection:
        if handle.connection is None:
            handle.connection = self._patiently(lambda: connect(self.path, fast=self._fast), deadline)
        return handle.connection

    def close(self) -> None:
        """Close every connection, after the work in progress."""
        self._closed = True
        with self._registry:
            handles = [*self._handles, *([self._shared] if self._shared else [])]
        for handle in handles:
            with handle.lock:
                handle.close()

    # Forks ------------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close every connection: SQLite's locks do not survive a fork ("How To Corrupt An SQLite Database File")."""
        self._registry.acquire()
        self._paused = list(self._handles)
        for handle in self._paused:
            handle.lock.acquire()
            handle.close()
        self._pid = None

    def after_fork(self) -> None:
        """Go on, in parent and child; connections open again when they are needed."""
        self._pid = os.getpid()
        for handle in self._paused:
            handle.lock.release()
        self._paused = []
        self._registry.release()
