"""One event on its way to the sinks, and the answer that whoever needs it stored is waiting for."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from common.auth.security.audit_line import seal
from common.core.audit import AuditEvent, Severity

__all__ = ["Acknowledgement", "Content", "Entry", "Finish"]

Finish = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]
"""Returns the final fields of an event, and their JSON."""


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


class Content:
    """What an event says. Entries of several queues share it, and whatever is dear is done once, off the request.

    Args:
        fields: The fields of the event but for ``seq``.
        body: The event as JSON; ``None`` where *finish* makes it.
        finish: Makes the final fields and the body, on the thread of the first sink that needs them. What it raises
            counts as a failure of that sink's write, which is tried again.
    """

    __slots__ = ("_body", "_event", "_fields", "_finish", "_once")

    def __init__(self, fields: dict[str, Any], body: bytes | None, finish: Finish | None = None) -> None:
        self._fields = fields
        self._body = body
        self._finish = finish
        self._once = None if finish is None else threading.Lock()
        self._event: AuditEvent | None = None

    def body(self) -> bytes:
        """Return the event as JSON."""
        if self._once is not None:
            with self._once:
                if self._body is None and self._finish is not None:
                    self._fields, self._body = self._finish(self._fields)
        assert self._body is not None  # noqa: S101 - for the type checker: one of the two has made it
        return self._body

    def event(self, seq: int) -> AuditEvent:
        """Return the value that sinks get."""
        self.body()
        if self._event is None:
            self._event = AuditEvent(seq=seq, **self._fields)
        return self._event


class Entry:
    """An event with its place in the stream; the sinks share it, each in a queue of its own."""

    __slots__ = ("_content", "acknowledgement", "required", "seq", "severity", "stream")

    def __init__(
        self,
        content: Content,
        *,
        seq: int,
        stream: str,
        severity: Severity,
        required: bool = False,
        acknowledgement: Acknowledgement | None = None,
    ) -> None:
        self._content = content
        self.seq = seq
        self.stream = stream
        self.severity = severity
        self.required = required
        self.acknowledgement = acknowledgement

    def kept(self) -> "Entry":
        """Return the same event as one that other events do not push out of a queue."""
        return Entry(
            self._content,
            seq=self.seq,
            stream=self.stream,
            severity=self.severity,
            required=True,
            acknowledgement=self.acknowledgement,
        )

    def event(self) -> AuditEvent:
        """Return the event."""
        return self._content.event(self.seq)

    def line(self, prev: object) -> bytes:
        """Return the stored line; for *prev* see :func:`~common.auth.security.audit_line.seal`."""
        return seal(self.stream, self.seq, self._content.body(), prev=prev)

    def confirm(self) -> None:
        """Tell whoever waits that a durable sink has stored the event."""
        if self.acknowledgement is not None:
            self.acknowledgement.confirm()

    def give_up(self, sink: str) -> None:
        """Tell whoever waits that *sink* will not store the event soon."""
        if self.acknowledgement is not None:
            self.acknowledgement.give_up(sink)
