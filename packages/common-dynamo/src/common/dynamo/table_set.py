"""The tables of a database: making and comparing them, and reading what they go through."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from common.dynamo.arguments import require_flag, require_kind, require_mapping
from common.dynamo.change_feed import ChangePage, keep_changes, read_changes
from common.dynamo.cost import unmetered
from common.dynamo.entity_dao import Within
from common.dynamo.entity_type import EntityType
from common.dynamo.execution import Executor
from common.dynamo.first_use import TablesOnFirstUse
from common.dynamo.registry import Registered, check_entity_types
from common.dynamo.requests import TableDefinition
from common.dynamo.streams import StreamBatch, StreamChange, StreamSkip, decode_record, handle_records
from common.dynamo.table_drift import Drift
from common.dynamo.tables import create_tables, find_drift, table_definitions
from common.dynamo.telemetry import suppressed
from common.exceptions import ConfigurationError

__all__ = ["TableSet"]

TABLES_DEADLINE: Final = 300.0
"""Seconds that the making of tables may take."""


class TableSet:
    """The part of a database that concerns its tables as a whole. :class:`~common.dynamo.Database` has all of it."""

    _executor: Executor
    _table: str
    """Of every group that :attr:`_tables` does not name."""
    _tables: Mapping[str, str]
    """Group of entity types to table."""
    _registered: tuple[Registered, ...]
    _stream: bool
    """Whether the tables of an embedded database keep their changes."""

    def table_of(self, entity: EntityType[Any]) -> str:
        """Return the name of the table that items of *entity* are in."""
        return self._tables.get(require_kind("entity", entity, EntityType).group, self._table)

    def table_definitions(self) -> tuple[TableDefinition, ...]:
        """Return the tables that the entity types need."""
        return table_definitions((one.entity for one in self._registered), self._tables, self._table)

    def create_tables(
        self, *, stream: bool = False, tags: Mapping[str, str] | None = None, deadline: Within = TABLES_DEADLINE
    ) -> None:
        """Create the tables that are missing and wait until all of them can be used. A second call changes nothing.

        Args:
            stream: Whether new tables keep a stream of changes (new and old images).
            tags: Of new tables.
            deadline: Bounds everything together.

        Raises:
            ConfigurationError: A table exists and differs, or the engine has no index keys of several attributes.
            Unavailable: A table was not ready in time.
            RequestRefused: The engine refused, such as for lack of permission.
        """
        require_flag("stream", stream)
        if tags is not None and not all(
            isinstance(each, str) for pair in require_mapping("tags", tags).items() for each in pair
        ):
            raise ConfigurationError("tags must be a mapping from text to text.")
        within = self._executor.deadline(deadline)
        definitions = self.table_definitions()
        if self._executor.wire.endpoint is None:
            stream = self._stream = stream or self._stream
        create_tables(self._executor, definitions, deadline=within, stream=stream, tags=tags)
        if stream:
            keep_changes(self._executor.wire, [definition.name for definition in definitions], within.remaining())

    def diff_tables(self, *, stream: bool = False, deadline: Within = TABLES_DEADLINE) -> tuple[Drift, ...]:
        """Return every difference between the tables and what the entity types need; nothing is ever changed.

        Args:
            stream: Whether the tables should keep a stream of changes.
            deadline: Bounds everything together.

        Returns:
            One value per difference, in order of the tables; empty where all is as it should be.

        Raises:
            Unavailable: The engine did not answer in time.
            RequestRefused: The engine refused, such as for lack of permission.
        """
        require_flag("stream", stream)
        within = self._executor.deadline(deadline)
        return find_drift(self._executor, self.table_definitions(), deadline=within, stream=stream)

    def changes(
        self, *, after: str | None = None, limit: int = 1000, table: str | None = None, deadline: Within = None
    ) -> ChangePage:
        """Return the changes of an embedded database, as the records of a DynamoDB stream, in the order of the commits.

        A write that leaves an item as it is makes no record. Reading costs no capacity, and takes nothing away.

        Args:
            after: ``last`` of an earlier page, also of another process; ``None`` for the oldest record that is kept.
            limit: Records at most, 1 to 1000.
            table: One of this database's tables; ``None`` for all of them.
            deadline: Seconds, or a moment.

        Returns:
            The page; without records where nothing has happened since.

        Raises:
            ChangesTrimmed: Records after *after* are older than 24 hours and no longer kept.
            InvalidCursor: *after* is no position.
            ConfigurationError: The engine is on a network, or the table keeps no changes.
            Unavailable: Another process held the file until the deadline.
        """
        tables = [definition.name for definition in self.table_definitions()]
        if table is not None and table not in tables:
            raise ConfigurationError(f"table must be one of this database's: {', '.join(tables)}.")
        tables = tables if table is None else [table]
        return read_changes(self._executor.wire, tables, after, limit, self._executor.deadline(deadline).remaining())

    def _take_in(self, entity: EntityType[Any]) -> None:
        """Add *entity*, which nobody has brought before; the table of an embedded database is made on the next call.

        Raises:
            ConfigurationError: It has faults, clashes with another type, or has an index that a table was made without.
        """
        registered = (*self._registered, Registered(entity))
        check_entity_types(registered, self._tables, self._table)
        table = next((each for each in self.table_definitions() if each.name == self.table_of(entity)), None)
        wire = self._executor.wire
        if table is not None and isinstance(wire, TablesOnFirstUse) and wire.ready:
            _refuse_late_index(entity, table)
        self._registered = registered
        if table is None and isinstance(wire, TablesOnFirstUse):
            wire.make_again()

    def _prepare(self) -> None:
        """Make the tables of an embedded database, unseen: it is no part of the call that comes first."""
        with suppressed(), unmetered():
            self.create_tables()

    # Streams

    def decode_stream(
        self, record: Mapping[str, Any], *, skipped: Callable[[StreamSkip], None] | None = None
    ) -> StreamChange[Any] | None:
        """Return the change that *record* of a table's stream tells of; ``None`` where it is no registered entity's.

        Nothing is sent. ``change.of(INVOICE)`` is the change with its type.

        Args:
            record: As boto3's ``dynamodbstreams.get_records`` gives it, :meth:`changes`, or an AWS Lambda event.
            skipped: Is told of each record that is left out, and why: items of the layer's own (locks, outbox) and of
                types that this database does not know.

        Raises:
            InvalidItem: An image does not fit its entity type, or an upcast step failed.
            ConfigurationError: The record has no image: let the table keep NEW_AND_OLD_IMAGES.
            InvalidInput: It is no record of a stream.
        """
        return decode_record(record, self._types(), skipped=skipped)

    def handle_stream(
        self, event: Mapping[str, Any] | Iterable[Mapping[str, Any]], handler: Callable[[StreamChange[Any]], None]
    ) -> StreamBatch:
        """Give the changes in *event* to *handler*, one by one, up to the first that fails.

        A change may come more than once, so *handler* is idempotent. What it raises is in the result's ``failure``; the
        same goes for a record that cannot be decoded.

        Args:
            event: An AWS Lambda event, or records.
            handler: Is done with a change when it returns.

        Returns:
            What came of it; an AWS Lambda function answers its ``response()``.

        Raises:
            InvalidInput: *event* has no records.
        """
        return handle_records(event, self._types(), handler)

    def _types(self) -> Mapping[str, EntityType[Any]]:
        return {one.entity.name: one.entity for one in self._registered}


def _refuse_late_index(entity: EntityType[Any], table: TableDefinition) -> None:
    missing = {index.name for index in entity.indexes} - {index.name for index in table.indexes}
    if missing:
        raise ConfigurationError(
            f"{entity.name} uses {', '.join(sorted(missing))}, and the table has been made without it. Give the type in "
            "entity_types= when the database is opened."
        )
