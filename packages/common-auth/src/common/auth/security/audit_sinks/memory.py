"""Keeps audit records in memory, for tests."""

import threading
from collections import deque

from common.core.audit import AuditEvent, AuditRecord

__all__ = ["MemorySink"]


class MemorySink:
    """Keeps the newest records. Safe to read from any thread.

    Args:
        name: Name of the sink, unique in the service.
        durable: Whether the sink claims to be durable, so that a test can write required events.
        keep: How many records are kept; the oldest goes first.

    >>> MemorySink().records
    ()
    """

    def __init__(self, name: str = "memory", *, durable: bool = False, keep: int = 100_000) -> None:
        self.name = name
        self.durable = durable
        self.is_closed = False
        self._lock = threading.Lock()
        self._records: deque[AuditRecord] = deque(maxlen=keep)

    @property
    def records(self) -> tuple[AuditRecord, ...]:
        """The records, in the order they were written."""
        with self._lock:
            return tuple(self._records)

    @property
    def events(self) -> tuple[AuditEvent, ...]:
        """The events of :attr:`records`."""
        return tuple(record.event for record in self.records)

    def write(self, record: AuditRecord, /) -> None:
        """Keep *record*, unless it is the last one again."""
        with self._lock:
            if not self._records or self._records[-1].event.id != record.event.id:
                self._records.append(record)

    def flush(self) -> None:
        """Do nothing: memory has no other place."""

    def close(self) -> None:
        """Note that it was called; what was kept can still be read."""
        self.is_closed = True

    def __repr__(self) -> str:
        return f"MemorySink({self.name!r}, records={len(self._records)})"
