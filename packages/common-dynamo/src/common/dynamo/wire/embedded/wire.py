"""The embedded wire: request values, evaluated over SQLite in this process."""

import os
import random as chance
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
from common.dynamo.wire.embedded import pages, reads, tables, transactions
from common.dynamo.wire.embedded.refusal import Refused
from common.dynamo.wire.embedded.storage import SchemaChanged, Storage
from common.dynamo.wire.embedded.tables import Table
from common.dynamo.wire.embedded.writes import prepare

Body = Mapping[str, Any]


class EmbeddedWire:
    """DynamoDB's semantics over one SQLite database, in a file or in memory.

    Threads share a wire; processes share a file. A file survives the death of the process at any moment: an answered
    write has been synced to the disk.

    Args:
        path: The database file, made when missing, readable by its owner alone; ``None`` for memory, which belongs to
            this wire and this process.
        fast: Do not wait for the disk at each commit. What was answered still survives the death of the process, but
            a crash of the machine or loss of power may take back the latest writes (whole ones, in order).
        clock: Seconds since the epoch; it decides how long a transaction's token is remembered.
        timer: Seconds of a monotonic clock, for waiting on other writers.
        sleep: Waits that many seconds.
        random: A number in [0, 1), to spread the waiting.

    Raises:
        FileRefused: The file is damaged, foreign, or of a newer version; it is left as it is.
    """

    name = "embedded"
    endpoint: tuple[str, int] | None = None
    region: str | None = None

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        fast: bool = False,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._storage = Storage(
            None if path is None else os.fspath(path), fast=fast, timer=timer, sleep=sleep, random=random
        )
        self._clock = clock
        self._tables: dict[str, Table] = {}

    @property
    def reason(self) -> str:
        """Why this wire: the operator asked for it."""
        return "no endpoint: an embedded database " + ("in a file" if self._storage.path else "in memory")

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* once, within *timeout* seconds.

        Raises:
            NotSent: Another writer held the database all the time, or the disk is full.
            AnswerLost: The disk failed in the middle of a commit.
            FileRefused: The file has been damaged meanwhile.
        """
        execute = _EXECUTORS[type(request)]
        try:
            try:
                return Answer(200, execute(self, request, timeout))
            except SchemaChanged:
                # Another process took a table away, and maybe made it anew.
                self._tables.clear()
                return Answer(200, execute(self, request, timeout))
        except Refused as refusal:
            return refusal.answer()

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

    def _get(self, request: GetItem, timeout: float) -> Body:
        table = self._table(request.table, timeout)
        return self._storage.read(lambda connection: reads.get(connection, request, table), timeout)

    def _query(self, request: Query, timeout: float) -> Body:
        table = self._table(request.table, timeout)
        return self._storage.read(lambda connection: pages.query(connection, request, table), timeout)

    def _scan(self, request: Scan, timeout: float) -> Body:
        table = self._table(request.table, timeout)
        return self._storage.read(lambda connection: pages.scan(connection, request, table), timeout)

    def _batch_get(self, request: BatchGetItem, timeout: float) -> Body:
        found = self._all_tables(request.keys, timeout)
        return self._storage.read(lambda connection: reads.batch_get(connection, request, found), timeout)

    def _transact_get(self, request: TransactGetItems, timeout: float) -> Body:
        found = self._all_tables({part.table for part in request.parts}, timeout)
        return self._storage.read(
            lambda connection: reads.transact_get(connection, request, found), timeout, snapshot=True
        )

    def _write(self, request: PutItem | UpdateItem | DeleteItem, timeout: float) -> Body:
        write = prepare(request, self._table(request.table, timeout))
        return self._storage.write(lambda connection: transactions.write(connection, write), timeout)

    def _batch_write(self, request: BatchWriteItem, timeout: float) -> Body:
        writes = transactions.prepare_batch(request, self._all_tables(request.writes, timeout))
        return self._storage.write(lambda connection: transactions.batch_write(connection, writes), timeout)

    def _transact_write(self, request: TransactWriteItems, timeout: float) -> Body:
        found = self._all_tables({part.table for part in request.parts}, timeout)
        writes = transactions.prepare_transaction(request, found)
        return self._storage.write(
            lambda connection: transactions.transact_write(connection, request, writes, self._clock()), timeout
        )

    # Tables -----------------------------------------------------------------------------------------------------------

    def _create_table(self, request: CreateTable, timeout: float) -> Body:
        description = self._storage.write(
            lambda connection: tables.create(connection, request.definition, self._clock()), timeout
        )
        return {"TableDescription": description}

    def _delete_table(self, request: DeleteTable, timeout: float) -> Body:
        description = self._storage.write(lambda connection: tables.drop(connection, request.table), timeout)
        self._tables.pop(request.table, None)
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


_EXECUTORS: Mapping[type, Callable[[EmbeddedWire, Any, float], Body]] = {
    GetItem: EmbeddedWire._get,
    PutItem: EmbeddedWire._write,
    UpdateItem: EmbeddedWire._write,
    DeleteItem: EmbeddedWire._write,
    Query: EmbeddedWire._query,
    Scan: EmbeddedWire._scan,
    BatchGetItem: EmbeddedWire._batch_get,
    BatchWriteItem: EmbeddedWire._batch_write,
    TransactWriteItems: EmbeddedWire._transact_write,
    TransactGetItems: EmbeddedWire._transact_get,
    CreateTable: EmbeddedWire._create_table,
    DescribeTable: EmbeddedWire._describe_table,
    DeleteTable: EmbeddedWire._delete_table,
    ListTables: EmbeddedWire._list_tables,
    DescribeTimeToLive: EmbeddedWire._describe_ttl,
    UpdateTimeToLive: EmbeddedWire._update_ttl,
}
