"""Reads stored lines back as events, and picks those that are asked for."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.core.audit import AuditEvent, AuditOutcome, Severity

__all__ = ["EventFilter", "read_event"]

_OPTIONAL = ("reason", "actor", "subject", "session", "request_id", "source_service", "source_ip")


def read_event(line: bytes) -> AuditEvent | None:
    r"""Return the event of a stored line; ``None`` where the line is none.

    Whether the line is genuine is not looked at: that is what
    :func:`~common.auth.security.audit_verification.verify_chain` does.

    >>> read_event(b'{"torn') is None
    True
    """
    try:
        stored = json.loads(line)
        return _event(stored, stored["event"])
    except (ValueError, TypeError, KeyError):
        return None


def _event(stored: dict[str, Any], event: dict[str, Any]) -> AuditEvent:
    return AuditEvent(
        id=event["id"],
        time=datetime.fromisoformat(event["time"]),
        stream=stored["stream"],
        boot_id=event["boot_id"],
        seq=stored["seq"],
        type=event["type"],
        outcome=AuditOutcome(event["outcome"]),
        severity=Severity(event["severity"]),
        service=event["service"],
        details=event.get("details", {}),
        truncated=event.get("truncated", False),
        **{name: event.get(name) for name in _OPTIONAL},
    )


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
