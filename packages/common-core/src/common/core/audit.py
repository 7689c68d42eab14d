"""Value types and protocols of the audit trail. The logger is part of common-auth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol

from common.core.json_types import JSONValue


class AuditOutcome(StrEnum):
    """Whether what was tried came about."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class Severity(IntEnum):
    """Severity by the numbers of OCSF 1.8 (``severity_id``)."""

    INFO = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


@dataclass(frozen=True, slots=True)
class AuditType:
    """A declared kind of event. An event of an undeclared type is refused."""

    name: str
    """By the OWASP Logging Vocabulary where it has one, such as ``authn_login_fail``."""
    fields: frozenset[str] = frozenset()
    """The only keys of ``details`` that pass redaction."""
    hashed: frozenset[str] = frozenset()
    """Further keys of ``details``: identifiers that grant something, such as a token id; only their keyed hash passes."""
    severity: Severity = Severity.INFO
    required: bool = False
    """Where true, the operation is refused unless a durable sink acknowledges the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One event, already redacted; every field is safe to store."""

    id: str
    """UUIDv7."""
    time: datetime
    """UTC, to the millisecond."""
    stream: str
    """The ordered sequence that this process writes."""
    boot_id: str
    seq: int
    """Position in the stream, starting at 1."""
    type: str
    outcome: AuditOutcome
    severity: Severity
    service: str
    reason: str | None = None
    """A stable code, such as ``wrong_password``."""
    actor: str | None = None
    """Who acted: an opaque user id, or ``None`` where nobody is authenticated."""
    subject: str | None = None
    """Whom or what it was done to."""
    session: str | None = None
    """Keyed hash of the session id, never the id."""
    request_id: str | None = None
    source_service: str | None = None
    source_ip: str | None = None
    details: Mapping[str, JSONValue] = field(default_factory=dict)
    truncated: bool = False
    """Whether something was cut, so that the event keeps to its size."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event and its exact stored form."""

    event: AuditEvent
    line: bytes
    """One JSON object in UTF-8 without a line end; what a sink stores, byte for byte."""


class AuditSink(Protocol):
    """Where audit records go. Every method is synchronous; each sink is served by one thread of its own."""

    @property
    def name(self) -> str: ...

    @property
    def durable(self) -> bool:
        """Whether a record survives the process once :meth:`write` has returned."""
        ...

    def write(self, record: AuditRecord, /) -> None:
        """Store *record*. Called in order of ``seq``, at least once per record; must be idempotent by event id."""
        ...

    def flush(self) -> None:
        """Bring everything written to its final place."""
        ...

    def close(self) -> None:
        """Release what the sink holds. Called once, after the last write."""
        ...
