"""The audit trail in a table: written once, byte for byte, and found by user, time, type and request."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from common.auth.dynamo.access_patterns import named
from common.auth.dynamo.entity_types import AUDIT_BY_REQUEST, AUDIT_BY_TIME, AUDIT_BY_USER, AUDIT_LINE
from common.auth.dynamo.records import AuditItem
from common.auth.dynamo.table_calls import ABSENT, TableCalls, outages
from common.auth.exceptions import ConfigurationError, StoreUnavailable
from common.auth.security.audit_query import AuditPage, AuditQuery, event_in
from common.core.audit import AuditRecord
from common.core.lifecycle import App
from common.dynamo import Database, Pattern
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.queries import EntityQuery
from common.dynamo.requests import PutItem

__all__ = ["AuditTable", "attach_database"]

_WRITE: Final = named("AuditTable.write")
_LINES: Final = named("AuditTable.lines")
_BY_USER: Final = named("AuditTable.by_user")
_BY_TIME: Final = named("AuditTable.by_time")
_BY_REQUEST: Final = named("AuditTable.by_request")


class AuditTable:
    """An audit sink that stores each record as an item, and an :class:`~common.auth.security.audit_query.AuditReader`.

    The key is the stream and the place in it, so a record that comes again changes nothing, and none can be replaced. A
    record costs 1 write unit per kilobyte, and as much on each index that it is in: time, user, request.

    Args:
        db: The service's database; ``None`` where :meth:`attach` brings it, before the first record or after it.
        name: Name of the sink, unique in the service.
        retention: After how long the table may delete a record; ``None`` keeps all.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.

    Raises:
        ConfigurationError: *db* is no database, or *retention* is not above zero.
    """

    durable = True

    def __init__(
        self,
        db: Database | None = None,
        *,
        name: str = "table",
        retention: timedelta | None = None,
        deadline: float | None = None,
    ) -> None:
        if retention is not None and retention <= timedelta(0):
            raise ConfigurationError("AuditTable: retention must be above zero, or None.")
        self.name = name
        self._retention = retention
        self._deadline = deadline
        self._calls: TableCalls | None = None
        if db is not None:
            self.attach(db)

    def attach(self, db: Database) -> None:
        """Write to *db* from now on.

        Raises:
            ConfigurationError: *db* is no database.
        """
        self._calls = TableCalls(db, deadline=self._deadline)

    @property
    def is_attached(self) -> bool:
        """Whether there is a database to write to."""
        return self._calls is not None

    # Writing

    def write(self, record: AuditRecord, /) -> None:
        """Store *record* where nothing is stored at its place; 1 round trip.

        Raises:
            StoreUnavailable: The table does not answer, or no database is attached; the logger tries again.
            ConfigurationError: Another record stands at its place. It stays.
        """
        calls = self._attached()
        request = PutItem(table=calls.table_of(AUDIT_LINE), item=self._item_of(record), condition=ABSENT)
        with calls.operation(_WRITE, AUDIT_LINE) as op:
            try:
                op.execute(request)
            except ConditionFailed as refused:
                if AUDIT_LINE.decode(refused.stored).line != record.line:
                    raise ConfigurationError(
                        "Another record stands at this place of the audit stream. Two processes must not share a stream.",
                        reason="audit_place_taken",
                    ) from None

    def flush(self) -> None:
        """Do nothing: what :meth:`write` has stored is stored."""

    def close(self) -> None:
        """Do nothing: the database belongs to the service."""

    def __repr__(self) -> str:
        return f"AuditTable({self.name!r}, {'attached' if self.is_attached else 'not attached'})"

    # Reading

    def read_page(self, query: AuditQuery, *, size: int = 50, cursor: str | None = None) -> AuditPage:
        """Return the newest *size* records of *query*, or those after *cursor*, by the index that narrows it most.

        A request, else a user, else the time. What is left of the query is a filter: half a read unit for each 4 KB that
        it looks at, wanted or not. An index may be some seconds behind.

        Raises:
            StoreUnavailable: The table does not answer.
            InvalidCursor: *cursor* is damaged, or another query's.
            InvalidInput: *size* is below 1.
        """
        found = self._query(query)
        with outages():
            page = found.page(size, after=cursor, deadline=self._deadline)
            return AuditPage(tuple(map(_record, page.items)), lambda: page.next)

    def lines(self, stream: str) -> Iterator[bytes]:
        r"""Walk over the stored lines of *stream* in their order, each with a line end, as ``verify_chain`` takes them.

        A consistent query: 1 read unit per 4 KB, 1 round trip per megabyte. Each page has a deadline of its own.

        Raises:
            StoreUnavailable: The table does not answer.
        """
        calls = self._attached()
        query = replace(calls.db.dao(AUDIT_LINE).query(stream=stream, consistent=True), pattern=_LINES)
        with outages():
            yield from (item.line + b"\n" for item in query)

    def _query(self, query: AuditQuery) -> EntityQuery[AuditItem]:
        lines = self._attached().db.dao(AUDIT_LINE)
        if query.request_id is not None:
            found = _called(_BY_REQUEST, lines.query(AUDIT_BY_REQUEST, request_id=query.request_id))
            rest = {"user": query.subject, "type": query.type}
        elif query.subject is not None:
            found = _called(_BY_USER, lines.query(AUDIT_BY_USER, user=query.subject))
            rest = {"type": query.type}
        else:
            found, rest = _called(_BY_TIME, lines.query(AUDIT_BY_TIME)), {"type": query.type}
        for name, value in rest.items():
            if value is not None:
                found = found.where(_is(name, value))
        if query.since is not None or query.until is not None:
            found = found.between(query.since, query.until)
        return found.newest_first()

    def _item_of(self, record: AuditRecord) -> Any:
        event = record.event
        item = AuditItem(
            stream=event.stream,
            seq=event.seq,
            line=record.line,
            id=event.id,
            time=event.time,
            type=event.type,
            user=event.subject or event.actor or None,
            request_id=event.request_id or None,
            expires_at=None if self._retention is None else event.time + self._retention,
        )
        return AUDIT_LINE.encode(item)

    def _attached(self) -> TableCalls:
        if self._calls is None:
            raise StoreUnavailable(
                "The audit table has no database yet. Let the app provide the Database, or call attach(db).",
                reason="not_attached",
            )
        return self._calls


def attach_database(app: App) -> None:
    """Give every audit table of *app* that has no database the first one that *app* provides."""
    database = next(iter(app.provided(Database)), None)
    for sink in app.plugins.audit_sinks():
        if database is not None and isinstance(sink, AuditTable) and not sink.is_attached:
            sink.attach(database)


def _record(item: AuditItem) -> AuditRecord:
    try:
        return AuditRecord(event_in(item.line), item.line)
    except ValueError as error:
        raise StoreUnavailable(
            "A stored line is none of an audit trail. Verify the trail, and see who else writes to its table.",
            reason="invalid_line",
        ) from error


def _called(pattern: Pattern, query: EntityQuery[AuditItem]) -> EntityQuery[AuditItem]:
    return replace(query, pattern=pattern)


def _is(name: str, value: str) -> Callable[[AuditItem], bool]:
    """Return the condition, for a filter, that a field has a value."""
    return lambda item: getattr(item, name) == value  # recorded as a condition, and evaluated by the engine
