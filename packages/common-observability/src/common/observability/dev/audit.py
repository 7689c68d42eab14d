"""The last audit events: a sink like any other, which keeps what a developer looks at and nothing else."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from common.core.audit import AuditEvent, AuditRecord

if TYPE_CHECKING:
    from common.observability.dev.view import LiveView

__all__ = ["LiveAudit", "ShownEvent"]

_MOST_TEXT = 120


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """What is shown of an audit event: no details, no session, no address."""

    id: str
    time: float
    """Seconds since the epoch."""
    service: str
    type: str
    outcome: str
    severity: int
    reason: str = ""
    actor: str = ""
    """An opaque id, as the trail has it."""
    subject: str = ""

    @classmethod
    def of(cls, event: AuditEvent) -> "ShownEvent":
        """Return what is shown of *event*; long texts are cut."""
        texts = (event.reason, event.actor, event.subject)
        return cls(
            event.id,
            event.time.timestamp(),
            event.service,
            event.type,
            str(event.outcome),
            int(event.severity),
            *((text or "")[:_MOST_TEXT] for text in texts),
        )

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "ShownEvent":
        """Return the event that another process has told of.

        Raises:
            ValueError, LookupError, TypeError: It is none.
        """
        names = ("id", "service", "type", "outcome", "reason", "actor", "subject")
        texts = {name: str(told[name])[:_MOST_TEXT] for name in names}
        return cls(time=float(told["time"]), severity=int(told["severity"]), **texts)

    def to_json(self) -> dict[str, Any]:
        """Return the form that another process reads."""
        return asdict(self)

    @property
    def clock(self) -> str:
        """The time of day in UTC, to the second."""
        return datetime.fromtimestamp(self.time, UTC).strftime("%H:%M:%S")


class LiveAudit:
    """Shows every audit record on a live view. It stores nothing: what a trail is kept for needs another sink.

    Records that come before :meth:`show_on` are not shown.
    """

    name = "dev-page"
    durable = False

    def __init__(self, view: "LiveView | None" = None) -> None:
        self._view = view

    def show_on(self, view: "LiveView") -> None:
        """Show further records on *view*."""
        self._view = view

    def write(self, record: AuditRecord, /) -> None:
        """Show *record*."""
        if self._view is not None:
            self._view.add_event(ShownEvent.of(record.event))

    def flush(self) -> None:
        """Do nothing: nothing waits."""

    def close(self) -> None:
        """Do nothing: nothing is open."""
