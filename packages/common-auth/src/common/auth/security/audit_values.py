"""What the audit logger answers, and the protocol of those who write to it. The public door is :mod:`.audit_logger`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from common.auth.security.audit_lane import SinkStats
from common.auth.security.context import Claimed, RequestContext
from common.core.audit import AuditOutcome

__all__ = ["AuditEmitter", "AuditStats", "EventRef", "FlushReport"]


@dataclass(frozen=True, slots=True)
class EventRef:
    """Which event was written: its id, and its place in the stream."""

    id: str
    stream: str
    seq: int
    """Position in the stream; 0 where the logger was closed already and the event went nowhere."""


@dataclass(frozen=True, slots=True)
class FlushReport:
    """Whether everything emitted before the flush is where it belongs."""

    complete: bool
    pending: Mapping[str, int]
    """Events that still wait, by the name of the sink; sinks that are done are not in it."""


@dataclass(frozen=True, slots=True)
class AuditStats:
    """What the logger has done so far. Made in one pass, not one instant: events go on meanwhile."""

    stream: str
    emitted: int
    """Events that got a place in the stream."""
    queue: int
    """How many events may wait for each sink."""
    sinks: tuple[SinkStats, ...]
    anchor_age: float | None = None
    """Seconds since the last signed statement of the stream's head; ``None`` where none is made."""
    is_anchor_late: bool = False
    """Whether such a statement is overdue by half of its interval."""

    @property
    def dropped(self) -> int:
        """Events that a sink will never get, over all sinks."""
        return sum(sink.lost for sink in self.sinks)

    @property
    def failures(self) -> int:
        """Calls of sinks that raised."""
        return sum(sink.failures for sink in self.sinks)

    @property
    def depth(self) -> int:
        """The longest queue."""
        return max((sink.depth for sink in self.sinks), default=0)


class AuditEmitter(Protocol):
    """What code that writes audit events needs; :class:`AuditLogger` is one."""

    def emit(
        self,
        type: str,
        *,
        outcome: AuditOutcome,
        actor: str | Claimed | None = None,
        subject: str | Claimed | None = None,
        reason: str | None = None,
        ctx: RequestContext | None = None,
        **details: object,
    ) -> EventRef: ...

    def emit_required(
        self,
        type: str,
        *,
        outcome: AuditOutcome,
        actor: str | Claimed | None = None,
        subject: str | Claimed | None = None,
        reason: str | None = None,
        ctx: RequestContext | None = None,
        timeout: float = 2.0,
        **details: object,
    ) -> EventRef: ...
