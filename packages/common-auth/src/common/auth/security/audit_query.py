"""Reading a trail back: what is asked, a page of what was found, and the protocol of sinks that can be read."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from common.auth.exceptions import ConfigurationError
from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, AuditSink, Severity

__all__ = ["AuditPage", "AuditQuery", "AuditReader", "event_in", "reader_among"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which records are wanted: those for which everything holds that is not ``None``."""

    subject: str | None = None
    """Whom a record is about: its subject, or who acted where it has no other. Names that nobody has proven are stored
    as what :meth:`AuditLogger.pseudonym` returns."""
    type: str | None = None
    since: datetime | None = None
    """The earliest moment, included; with a time zone."""
    until: datetime | None = None
    """The latest moment, included; with a time zone."""
    request_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse moments without a time zone.

        Raises:
            ConfigurationError: One has none.
        """
        for moment in (self.since, self.until):
            if moment is not None and moment.tzinfo is None:
                raise ConfigurationError("AuditQuery: since and until need a time zone.", reason="naive_moment")

    def filters(self) -> Mapping[str, str]:
        """Return what narrows the query, as a trail may tell it: field to value."""
        given = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in given.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some records, newest first."""

    records: tuple[AuditRecord, ...] = field(repr=False)
    cut: Callable[[], str | None] = field(default=lambda: None, repr=False)
    """Makes :attr:`next`; not before somebody asks, since it takes a key that a service may do without."""

    @property
    def next(self) -> str | None:
        """The cursor of the records after these; ``None`` at the end.

        Raises:
            ConfigurationError: The sink has no key to sign cursors with.
        """
        return self.cut()


@runtime_checkable
class AuditReader(Protocol):
    """A sink whose records can be searched."""

    def read_page(self, query: AuditQuery, *, size: int, cursor: str | None = None) -> AuditPage:
        """Return the newest *size* records of *query*, or those after *cursor*.

        Raises:
            StoreUnavailable: What keeps the records does not answer.
            CommonError: With status 400, where *cursor* is none of this query's.
        """
        ...


def reader_among(sinks: Iterable[AuditSink]) -> AuditReader:
    """Return the first of *sinks* that can be read back.

    Raises:
        ConfigurationError: There is none.
    """
    for sink in sinks:
        if isinstance(sink, AuditReader):
            return sink
    raise ConfigurationError(
        "No audit sink can be read back. Give the logger one, such as common.auth.dynamo.AuditTable.",
        reason="no_audit_reader",
    )


def event_in(line: bytes) -> AuditEvent:
    """Return the event that a stored *line* tells.

    Raises:
        ValueError: It is no line of a trail.
    """
    try:
        sealed = json.loads(line)
        return _event(sealed["event"], stream=sealed["stream"], seq=sealed["seq"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("The line is none of an audit trail.") from error


def _event(members: Mapping[str, Any], *, stream: str, seq: int) -> AuditEvent:
    known = {
        "time": datetime.fromisoformat(members["time"]),
        "outcome": AuditOutcome(members["outcome"]),
        "severity": Severity(members["severity"]),
    }
    return AuditEvent(**{**members, **known, "stream": stream, "seq": seq})
