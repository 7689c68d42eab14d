"""One event on its way to the sinks, and the answer that whoever needs it stored is waiting for."""

import threading
from collections.abc import Iterable
from typing import Any

from common.auth.security.audit_line import seal
from common.core.audit import AuditEvent, AuditRecord, Severity

__all__ = ["Acknowledgement", "Entry"]


class Acknowledgement:
    """Waits until one of several durable sinks has stored an event, or none of them will."""

    def __init__(self, sinks: Iterable[str]) -> None:
        self._changed = threading.Condition()
        self._hoping = set(sinks)
        self._stored = False

    def confirm(self) -> None:
        """Say that a durable sink has stored the event."""
        with self._changed:
            self._stored = True
            self._changed.notify_all()

    def give_up(self, sink: str) -> None:
        """Say that *sink* will not store the event soon."""
        with self._changed:
            self._hoping.discard(sink)
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait up to *timeout* seconds and tell whether the event is stored."""
        with self._changed:
            self._changed.wait_for(lambda: self._stored or not self._hoping, timeout)
            return self._stored


class Entry:
    """An event with its place in the stream; the sinks share it, each in a queue of its own.

    The value that sinks get is made by the first sink's thread, so that its cost stays off the request.
    """

    __slots__ = ("_event", "_fields", "acknowledgement", "body", "required", "seq", "severity", "stream")

    def __init__(
        self,
        fields: dict[str, Any],
        body: bytes,
        *,
        seq: int,
        required: bool = False,
        acknowledgement: Acknowledgement | None = None,
    ) -> None:
        self._fields = fields
        self._event: AuditEvent | None = None
        self.body = body
        self.seq = seq
        self.stream: str = fields["stream"]
        self.severity: Severity = fields["severity"]
        self.required = required
        self.acknowledgement = acknowledgement

    def kept(self) -> "Entry":
        """Return the same event as one that other events do not push out of a queue."""
        return Entry(self._fields, self.body, seq=self.seq, required=True, acknowledgement=self.acknowledgement)

    def record(self) -> AuditRecord:
        """Return the event and its stored line."""
        if self._event is None:
            self._event = AuditEvent(seq=self.seq, **self._fields)
        return AuditRecord(self._event, seal(self.stream, self.seq, self.body))

    def confirm(self) -> None:
        """Tell whoever waits that a durable sink has stored the event."""
        if self.acknowledgement is not None:
            self.acknowledgement.confirm()

    def give_up(self, sink: str) -> None:
        """Tell whoever waits that *sink* will not store the event soon."""
        if self.acknowledgement is not None:
            self.acknowledgement.give_up(sink)
