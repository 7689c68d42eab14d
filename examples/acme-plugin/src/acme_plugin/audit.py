"""Where Acme keeps audit records: one JSON object per line of a file, or the latest in memory."""

import errno
import os
from collections import deque
from pathlib import Path

from common.core import Settings
from common.core.audit import AuditRecord, AuditSink
from common.exceptions import ConfigurationError

REMEMBERED = 1024
"""How many records back a repeat is recognised. Repeats come right after a failed write."""


def audit_file(settings: Settings) -> Path | None:
    """Return the path in ``ACME_AUDIT_FILE``; ``None`` where it is not set."""
    name = settings.section("ACME_").text("AUDIT_FILE", None)
    return None if name is None else Path(name)


def sink_for(settings: Settings) -> AuditSink:
    """Return the sink that *settings* ask for; no file is touched before the first record."""
    path = audit_file(settings)
    return RecentSink() if path is None else FileSink(path)


def prepare_folder(settings: Settings) -> None:
    """Make the folder of the audit file, where one is set.

    Raises:
        ConfigurationError: It cannot be made.
    """
    path = audit_file(settings)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder of ACME_AUDIT_FILE cannot be made ({type(error).__name__}). "
            "Name a file in a folder that the service may write to."
        ) from error


class FileSink:
    """Appends records to a file that only its owner may read, one per line.

    A record is written by one call of the operating system, so it survives the end of the process; :meth:`flush` brings
    it to the disk. Several processes may share a file. A line cut short by a full disk is closed by the next write, and
    readers skip it. Rotate the file by copying and truncating: it stays open until :meth:`close`.
    """

    name = "acme-file"
    durable = True

    def __init__(self, path: Path) -> None:
        """Append to *path*; it is opened, and made where it is missing, at the first write."""
        self._path = path
        self._descriptor: int | None = None
        self._is_torn = False
        self._stored: deque[str] = deque(maxlen=REMEMBERED)

    def write(self, record: AuditRecord, /) -> None:
        """Append *record*, unless its event is among the latest stored.

        Raises:
            OSError: The file cannot be opened, or the disk is full. The record is not stored; write it again.
        """
        if record.event.id in self._stored:
            return
        descriptor = self._open()
        line = b"\n" * self._is_torn + record.line + b"\n"
        written = os.write(descriptor, line)
        self._is_torn = written < len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, "The audit record was cut short")
        self._stored.append(record.event.id)

    def flush(self) -> None:
        """Wait until the disk has everything written."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __repr__(self) -> str:
        return f"FileSink({str(self._path)!r})"

    def _open(self) -> int:
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            size = os.fstat(self._descriptor).st_size
            self._is_torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        return self._descriptor


class RecentSink:
    """Keeps the latest records in memory; for development, and for services whose audit goes elsewhere."""

    name = "acme-recent"
    durable = False

    def __init__(self, capacity: int = 1000) -> None:
        """Keep at most *capacity* records; older ones are dropped."""
        self._records: deque[AuditRecord] = deque(maxlen=capacity)

    @property
    def records(self) -> tuple[AuditRecord, ...]:
        """The records kept, oldest first."""
        return tuple(self._records)

    def write(self, record: AuditRecord, /) -> None:
        """Keep *record*, unless its event is kept already."""
        if all(record.event.id != kept.event.id for kept in self._records):
            self._records.append(record)

    def flush(self) -> None:
        """Do nothing: memory is as far as records go."""

    def close(self) -> None:
        """Do nothing; the records stay readable."""
