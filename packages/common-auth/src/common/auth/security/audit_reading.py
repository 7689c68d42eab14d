"""Reads stored lines back as events, and picks those that are asked for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from common.auth.security.audit_query import event_in
from common.core.audit import AuditEvent

__all__ = ["EventFilter", "read_event"]


def read_event(line: bytes) -> AuditEvent | None:
    r"""Return the event of a stored line; ``None`` where the line is none.

    Whether the line is genuine is not looked at: that is what
    :func:`~common.auth.security.audit_verification.verify_chain` does.

    >>> read_event(b'{"torn') is None
    True
    """
    try:
        return event_in(line)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are wanted; what is empty or ``None`` does not matter.

    >>> EventFilter(types=("authn_login_fail",)).has_condition
    True
    """

    types: Collection[str] = ()
    outcomes: Collection[str] = ()
    people: Collection[str] = ()
    """Who acted or to whom it was done, as stored: an id, or the pseudonym of one."""
    since: datetime | None = None
    until: datetime | None = None
    """Up to this time, itself not included."""
    request_id: str | None = None

    @property
    def has_condition(self) -> bool:
        """Whether it leaves anything out."""
        return any((self.types, self.outcomes, self.people, self.since, self.until, self.request_id))

    def matches(self, event: AuditEvent) -> bool:
        """Tell whether *event* is wanted."""
        return (
            (not self.types or event.type in self.types)
            and (not self.outcomes or event.outcome.value in self.outcomes)
            and (not self.people or event.actor in self.people or event.subject in self.people)
            and (self.since is None or event.time >= self.since)
            and (self.until is None or event.time < self.until)
            and (self.request_id is None or event.request_id == self.request_id)
        )
