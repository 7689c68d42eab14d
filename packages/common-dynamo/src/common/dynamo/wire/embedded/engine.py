"""The engine: what each kind of request does, over one storage."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from common.dynamo.change_feed import ChangeFeed
from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    ListTables,
    PutItem,
    Query,
    Request,
    Scan,
    TransactGetItems,
    TransactWriteItems,
    UpdateItem,
    UpdateTimeToLive,
)
from common.dynamo.wire import Answer
from common.dynamo.wire.embedded import feed, pages, reads, tables, transactions
from common.dynamo.wire.embedded.past import Past
from common.dynamo.wire.embedded.refusal import Refused, not_found
from common.dynamo.wire.embedded.storage import SchemaChanged, Storage, Work
from common.dynamo.wire.embedded.tables import Table
from common.dynamo.wire.embedded.writes import Write, prepare
from common.exceptions import ConfigurationError

Body = Mapping[str, Any]
P = ParamSpec("P")
T = TypeVar("T")


class Engine:
    """Execute request values over one :class:`~common.dynamo.wire.embedded.storage.Storage`; a wire without faults.

    Args:
        storage: Where the tables are.
        clock: Seconds since the epoch.
        past: Where writes are remembered for stale reads; ``None`` to remember none.
    """

    name = "embedded"
    endpoint: tuple[str, int] | None = None
    region: str | None = None

    def __init__(self, storage: Storage, *, clock: Callable[[], float], past: Past | None = None) -> None:
        self._storage = storage
        self._clock = clock
        self._past = past
        self._tables: dict[str, Table] = {}

    @property
    def reason(self) -> str:
        """Why this wire: the operator asked for it."""
        return "an embedded database " + ("in a file" if self._storage.path else "in memory")

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* once, within *timeout* seconds."""
        return self._answer(_EXECUTORS[type(request)], request, timeout)

    def send_stale(self, request: Request, timeout: float, how_far: float) -> Answer:
        """Execute a read on an earlier state of the tables.

        Args:
            request: A read that is not consistent.
            timeout: Seconds.
            how_far: From 0, the state before the latest write of this process, up to 1, the oldest one remembered.
        """
        past = self._past
        reader = _READERS.get(type(request))
        if past is None or reader is None:
            return self.send(request, timeout)

        def execute(engine: Engine, request: Any, timeout: float) -> Body:
            found = engine._all_tables(_table_names(request), timeout)

            def read(connection: sqlite3.Connection) -> Body:
                past.rewind(connection, how_far)
                return reader(connection, request, found)

            return engine._storage.write(read, timeout, keep=False)

        return self._answer(execute, request, timeout)

    def _answer(self, execute: "Executor", request: Request, timeout: float) -> Answer:
        try:
            return Answer(200, self._looking_again(execute, self, request, timeout))
        except Refused as refusal:
            return refusal.answer()

    def _looking_again(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Do *work*, and once more with tables as they are now if one of them was not there any longer."""
        for _ in range(2):
            try:
                return work(*args, **options)
            except SchemaChanged:
                # Another process took a table away, maybe made it anew, or has it keep its changes.
                self._forget_tables()
        raise not_found("a table of this request")

    def _forget_tables(self) -> None:
        self._tables.clear()
        if self._past is not None:
            self._past.forget()

    def close(self) -> None:
        """Close the database, after the work in progress."""
        self._storage.close()

    def _table(self, name: str, timeout: float) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._storage.read(lambda connection: tables.load(connection, name), timeout)
            self._tables[name] = table
        return table

    def _all_tables(self, names: Iterable[str], timeout: float) -> dict[str, Table]:
        return {name: self._table(name, timeout) for name in names}

    # Items ------------------------------------------------------------------------------------------------------------

    def _read(self, request: GetItem | Query | Scan | BatchGetItem, timeout: float) -> Body:
        reader = _READERS[type(request)]
        found = self._all_tables(_table_names(request), timeout)
        return self._storage.read(lambda connection: reader(connection, request, found), timeout)

    def _transact_get(self, request: TransactGetItems, timeout: float) -> Body:
        found = self._all_tables(_table_names(request), timeout)
        return self._storage.read(
            lambda connection: reads.transact_get(connection, request, found), timeout, snapshot=True
        )

    def _write(self, request: PutItem | UpdateItem | DeleteItem, timeout: float) -> Body:
        write = prepare(request, self._table(request.table, timeout))
        return self._commit((write,), lambda connection: transactions.write(connection, write, self._clock()), timeout)

    def _batch_write(self, request: BatchWriteItem, timeout: float) -> Body:
        writes = transactions.prepare_batch(request, self._all_tables(_table_names(request), timeout))
        return self._commit(
            writes, lambda connection: transactions.batch_write(connection, writes, self._clock()), timeout
        )

    def _transact_write(self, request: TransactWriteItems, timeout: float) -> Body:
        writes = transactions.prepare_transaction(request, self._all_tables(_table_names(request), timeout))
        return self._commit(
            writes,
            lambda connection: transactions.transact_write(connection, request, writes, self._clock()),
            timeout,
        )

    def _commit(self, writes: tuple[Write, ...], work: Work[Body], timeout: float) -> Body:
        past = self._past
        if past is None:
            return self._storage.write(work, timeout)

        def remembered(connection: sqlite3.Connection) -> Body:
            before = past.look(connection, writes)
            body = work(connection)
            past.remember(before)
            return body

        return self._storage.write(remembered, timeout)

    # Tables -----------------------------------------------------------------------------------------------------------

    def _create_table(self, request: CreateTable, timeout: float) -> Body:
        description = self._storage.write(
            lambda connection: tables.create(connection, request.definition, self._clock()), timeout
        )
        return {"TableDescription": description}

    def _delete_table(self, request: DeleteTable, timeout: float) -> Body:
        description = self._storage.write(lambda connection: tables.drop(connection, request.table), timeout)
        self._forget_tables()
        return {"TableDescription": description}

    def _describe_table(self, request: DescribeTable, timeout: float) -> Body:
        table = self._storage.read(lambda connection: tables.load(connection, request.table), timeout)
        return {"Table": tables.describe(table)}

    def _list_tables(self, request: ListTables, timeout: float) -> Body:
        return self._storage.read(lambda connection: tables.names(connection, request.start), timeout)

    def _describe_ttl(self, request: DescribeTimeToLive, timeout: float) -> Body:
        return self._storage.read(lambda connection: tables.describe_ttl(connection, request.table), timeout)

    def _update_ttl(self, request: UpdateTimeToLive, timeout: float) -> Body:
        return self._storage.write(
            lambda connection: tables.set_ttl(connection, request.table, request.attribute), timeout
        )

    # Changes ----------------------------------------------------------------------------------------------------------

    @property
    def feed(self) -> ChangeFeed:
        """What keeps the changes of the tables: the engine itself."""
        return self

    def read_changes(
        self, names: Sequence[str], after: int | None, limit: int, timeout: float
    ) -> Sequence[Mapping[str, Any]]:
        """Return up to *limit* records of the tables *names* after the sequence number *after*.

        Raises:
            ChangesTrimmed: Records after *after* are no longer kept.
            ConfigurationError: One of the tables is missing, or keeps no changes.
        """

        def read(connection: sqlite3.Connection) -> Sequence[Mapping[str, Any]]:
            # As they are now: another process may have told one to keep its changes.
            found = [tables.load(connection, name) for name in names]
            return feed.read(connection, found, after, limit, self._clock())

        return self._on_tables(lambda: self._storage.read(read, timeout, snapshot=True))

    def keep_changes(self, name: str, timeout: float) -> None:
        """Have the table *name* keep its changes from now on; nothing happens where it does.

        Raises:
            ConfigurationError: There is no such table.
        """
        if self._on_tables(lambda: self._table(name, timeout)).definition.stream:
            return
        self._on_tables(lambda: self._storage.write(lambda connection: tables.keep_changes(connection, name), timeout))
        self._forget_tables()

    def _on_tables(self, work: Callable[[], T]) -> T:
        try:
            return self._looking_again(work)
        except Refused as refusal:
            raise ConfigurationError(
                f"There is no such table to keep changes of: {refusal.body['message']}. Call create_tables() first."
            ) from None


def _table_names(request: Any) -> Iterable[str]:
    if isinstance(request, BatchGetItem):
        return request.keys
    if isinstance(request, BatchWriteItem):
        return request.writes
    if isinstance(request, TransactWriteItems | TransactGetItems):
        return dict.fromkeys(part.table for part in request.parts)
    return (request.table,)


Executor = Callable[[Engine, Any, float], Body]
Reader = Callable[[sqlite3.Connection, Any, Mapping[str, Table]], Body]

_READERS: Mapping[type, Reader] = {
    GetItem: lambda connection, request, found: reads.get(connection, request, found[request.table]),
    Query: lambda connection, request, found: pages.query(connection, request, found[request.table]),
    Scan: lambda connection, request, found: pages.scan(connection, request, found[request.table]),
    BatchGetItem: reads.batch_get,
}
_EXECUTORS: Mapping[type, Executor] = {
    GetItem: Engine._read,
    Query: Engine._read,
    Scan: Engine._read,
    BatchGetItem: Engine._read,
    TransactGetItems: Engine._transact_get,
    PutItem: Engine._write,
    UpdateItem: Engine._write,
    DeleteItem: Engine._write,
    BatchWriteItem: Engine._batch_write,
    TransactWriteItems: Engine._transact_write,
    CreateTable: Engine._create_table,
    DescribeTable: Engine._describe_table,
    DeleteTable: Engine._delete_table,
    ListTables: Engine._list_tables,
    DescribeTimeToLive: Engine._describe_ttl,
    UpdateTimeToLive: Engine._update_ttl,
}
