"""Fills in the fields of an event: redacted, within its budget of bytes, with an id and a time of its own."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_line import DETAILS_ROOM
from common.auth.security.clock import Clock
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.redaction import Budget, Redactor
from common.core.audit import AuditOutcome, AuditType
from common.core.utils import Uuid7Generator

__all__ = ["EventForm", "check_service"]

_log = logging.getLogger("common.auth.audit")

_FIELD_LIMIT: Final = 256
_COMPLAINTS_KEPT: Final = 256
_NO_CONTEXT = RequestContext()
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_service(service: str) -> None:
    """Refuse a name that cannot begin the name of a stream.

    Raises:
        ConfigurationError: It has other characters than a stream may have, or is too long.
    """
    if not _SERVICE.fullmatch(service):
        raise ConfigurationError(f"AuditLogger: service must match {_SERVICE.pattern}.")


class EventForm:
    """Makes the fields of the events of one stream. Safe to share between threads.

    Args:
        service: Name of the service.
        boot_id: Tells this process's stream from others of the service.
        redactor: Decides what may be stored.
        room: How many bytes texts and details of one event may take.
        clock: Tells the time.
        random: Makes as many random bytes as it is asked for.
    """

    def __init__(
        self,
        *,
        service: str,
        boot_id: str,
        redactor: Redactor,
        room: int = DETAILS_ROOM,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self.stream = f"{service}-{boot_id}"
        self._service = service
        self._boot_id = boot_id
        self._redactor = redactor
        self._room = room
        self._clock = clock
        self.new_id = Uuid7Generator(clock=clock, random=random)
        self._complaints: set[str] = set()

    def fill(
        self,
        kind: AuditType,
        outcome: AuditOutcome,
        actor: str | Claimed | None = None,
        subject: str | Claimed | None = None,
        reason: str | None = None,
        ctx: RequestContext | None = None,
        details: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Return the fields of the event but for ``seq``: redacted, and small enough."""
        budget = Budget(self._room)
        redactor = self._redactor
        request = ctx or _NO_CONTEXT
        session = request.session
        return {
            "id": self.new_id(),
            "stream": self.stream,
            "boot_id": self._boot_id,
            "time": self._clock.now(),
            "type": kind.name,
            "outcome": AuditOutcome(outcome),
            "severity": kind.severity,
            "service": self._service,
            "reason": redactor.field(reason, _FIELD_LIMIT, budget),
            "actor": redactor.party(actor, _FIELD_LIMIT, budget),
            "subject": redactor.party(subject, _FIELD_LIMIT, budget),
            "session": None if session is None else redactor.pseudonym(session),
            "request_id": redactor.field(request.request_id, _FIELD_LIMIT, budget),
            "source_service": redactor.field(request.source_service, _FIELD_LIMIT, budget),
            "source_ip": redactor.field(request.source_ip, _FIELD_LIMIT, budget),
            "details": self._details(kind, details, budget) if details else {},
            "truncated": budget.truncated,
        }

    def complain(self, about: str, message: str) -> None:
        """Log a programmer's mistake once, not once for each request."""
        if about not in self._complaints and len(self._complaints) < _COMPLAINTS_KEPT:
            self._complaints.add(about)
            _log.warning(message)

    def _details(self, kind: AuditType, details: Mapping[str, object], budget: Budget) -> Mapping[str, object]:
        try:
            kept = self._redactor.details(kind, details, budget)
        # A value may be of any class, with any code behind its iteration, and none of it may fail the request.
        except Exception as error:  # noqa: BLE001
            self.complain(
                kind.name, f"Details of audit type {kind.name!r} raised {type(error).__name__} and were left out."
            )
            budget.truncated = True
            return {}
        if len(kept) < len(details):
            for name in details.keys() - kept.keys():
                self.complain(
                    f"{kind.name} {name}",
                    f"Audit type {kind.name!r} does not declare the field {name[:64]!r}, which was left out. Declare it "
                    f"in AuditType.fields, or do not pass it.",
                )
        return kept
