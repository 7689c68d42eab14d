"""The change feed: what each write has changed, as records of a stream, in the same transaction as the change.

A table that keeps its changes has a table of them beside its items. One counter gives every record of the database a
number above all earlier ones, and above the microsecond that it was made in: so numbers tell the order of commits, and
which records are too old. Those are deleted by the writes that follow, a few at a time, but for the latest of them: it
tells a reader whose position is before it that something has been missed.
"""

# ruff: noqa: S608 - the only parts of a statement that vary are names made here from numbers

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from heapq import merge
from typing import Any, Final

from common.dynamo.change_feed import KEPT_SECONDS
from common.dynamo.exceptions import ChangesTrimmed
from common.dynamo.wire.embedded.conditions import equal
from common.dynamo.wire.embedded.packing import pack, unpack
from common.dynamo.wire.embedded.tables import Table
from common.dynamo.wire.embedded.values import Stored, item_size
from common.exceptions import ConfigurationError

_DELETED_AT_ONCE: Final = 8
_PAGE_BYTES: Final = 1024 * 1024
_DIGITS: Final = 21
"""The least that a sequence number of DynamoDB has (API Reference, ``StreamRecord``)."""
_MICROSECONDS: Final = 1_000_000

Row = tuple[int, float, bytes | None, bytes | None]
"""Number, epoch seconds, the item before and after; ``None`` for no item."""


def record(connection: sqlite3.Connection, table: Table, old: Stored | None, new: Stored | None, now: float) -> None:
    """Add what became of one item of *table* to its feed; nothing where both are equal, as in DynamoDB.

    Args:
        connection: In the transaction that makes the change.
        table: Keeps its changes.
        old: The item before; ``None`` for none.
        new: The item after.
        now: Epoch seconds.
    """
    if old is not None and new is not None and equal({"M": old}, {"M": new}):
        return
    connection.execute("UPDATE dynamo_feed SET last = max(last + 1, ?)", (int(now * _MICROSECONDS),))
    images = (None if image is None else pack(image) for image in (old, new))
    connection.execute(
        f"INSERT INTO {table.changes} (number, at, old, new) SELECT last, ?, ?, ? FROM dynamo_feed", (now, *images)
    )
    _trim(connection, table, now)


def _trim(connection: sqlite3.Connection, table: Table, now: float) -> None:
    latest = _latest_expired(connection, table, now)
    if latest is not None:
        connection.execute(
            f"DELETE FROM {table.changes} WHERE number IN"
            f" (SELECT number FROM {table.changes} WHERE number < ? ORDER BY number LIMIT {_DELETED_AT_ONCE})",
            (latest,),
        )


def _latest_expired(connection: sqlite3.Connection, table: Table, now: float) -> int | None:
    row = connection.execute(f"SELECT max(number) FROM {table.changes} WHERE number <= ?", (_horizon(now),)).fetchone()
    latest: int | None = row[0]
    return latest


def _horizon(now: float) -> int:
    return int((now - KEPT_SECONDS) * _MICROSECONDS)


def read(
    connection: sqlite3.Connection, tables: Sequence[Table], after: int | None, limit: int, now: float
) -> list[Mapping[str, Any]]:
    """Return up to *limit* records of *tables* after the number *after*, in order; a page ends at 1 MB, as in DynamoDB.

    Raises:
        ChangesTrimmed: Records after *after* are no longer kept.
        ConfigurationError: One of *tables* keeps no changes.
    """
    for table in tables:
        _check(connection, table, after, now)
    start = max(after or 0, _horizon(now))
    room = _PAGE_BYTES
    records: list[Mapping[str, Any]] = []
    for row, table in merge(*(_rows(connection, table, start, limit) for table in tables), key=_number):
        records.append(_record(table, row))
        room -= records[-1]["dynamodb"]["SizeBytes"]
        if room <= 0 or len(records) == limit:
            break
    return records


def _check(connection: sqlite3.Connection, table: Table, after: int | None, now: float) -> None:
    if not table.definition.stream:
        raise ConfigurationError(
            f"Table {table.name!r} keeps no changes. Open the database with Database.embedded(stream=True), or call "
            "create_tables(stream=True)."
        )
    latest = _latest_expired(connection, table, now)
    if after is not None and latest is not None and after < latest:
        raise ChangesTrimmed(
            f"Changes of table {table.name!r} after this position are older than 24 hours and no longer kept. Bring what "
            "depends on them up to date from the table, then read on without after=.",
            table=table.name,
        )


def _rows(connection: sqlite3.Connection, table: Table, start: int, limit: int) -> Iterator[tuple[Row, Table]]:
    rows = connection.execute(
        f"SELECT number, at, old, new FROM {table.changes} WHERE number > ? ORDER BY number LIMIT ?", (start, limit)
    )
    return ((row, table) for row in rows)


def _number(found: tuple[Row, Table]) -> int:
    return found[0][0]


def _record(table: Table, row: Row) -> Mapping[str, Any]:
    number, at, *packed = row
    old, new = (None if image is None else unpack(image) for image in packed)
    keys = {name: (new or old or {})[name] for name in table.key_names}
    images = {name: image for name, image in (("NewImage", new), ("OldImage", old)) if image is not None}
    return {
        "eventID": sha256(f"{table.name}/{number}".encode()).hexdigest()[:32],
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "embedded",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime.fromtimestamp(int(at), UTC),
            "Keys": keys,
            **images,
            "SequenceNumber": f"{number:0{_DIGITS}d}",
            "SizeBytes": sum(map(item_size, (keys, *images.values()))),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
