"""Query and Scan: one page of items in key order."""

# ruff: noqa: S608 - the only parts of a statement that vary are names made here from numbers

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from common.dynamo.condition_paths import attribute_names
from common.dynamo.requests import Condition, ItemKey, KeyCondition, KeySchema, Query, Scan, SortCondition
from common.dynamo.wire.embedded.capacity import Consumed, read_units
from common.dynamo.wire.embedded.checks import check_condition, check_projection
from common.dynamo.wire.embedded.composite_keys import partition_bytes, sort_bounds
from common.dynamo.wire.embedded.conditions import holds
from common.dynamo.wire.embedded.keys import exact_key, index_key, item_key, scalar_bytes, successor
from common.dynamo.wire.embedded.packing import unpack
from common.dynamo.wire.embedded.projection import project
from common.dynamo.wire.embedded.refusal import invalid
from common.dynamo.wire.embedded.tables import IndexTable, Table
from common.dynamo.wire.embedded.values import Stored, canonical_item, canonical_value

_MAX_PAGE_BYTES = 1024 * 1024
_BAD_CONDITION = "Query key condition not supported"
_BAD_START = "The provided starting key is invalid"


_BOUNDS: Final[Mapping[str, Callable[[bytes, list[bytes]], bool]]] = {
    "=": lambda sort, bounds: sort == bounds.pop(0),
    "<": lambda sort, bounds: sort < bounds.pop(0),
    "<=": lambda sort, bounds: sort <= bounds.pop(0),
    ">": lambda sort, bounds: sort > bounds.pop(0),
    ">=": lambda sort, bounds: sort >= bounds.pop(0),
    "BETWEEN": lambda sort, bounds: bounds.pop(0) <= sort <= bounds.pop(0),
}
"""The tests of a sort key's range, each with the bounds that it takes."""


@lru_cache(256)
def _statement(
    table: str, index: str | None, columns: tuple[str, ...], tests: tuple[str, ...], *, forward: bool
) -> str:
    """Return the statement that selects what passes *tests*, in the order of *columns*."""
    source, partition = f"{table} AS i", "i.pk"
    if index is not None:
        # CROSS keeps SQLite from starting at the table, whose order is another one.
        source, partition = f"{index} AS x CROSS JOIN {table} AS i ON i.id = x.item", "x.ipk"
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    order = ", ".join(f"{column}{'' if forward else ' DESC'}" for column in columns)
    return f"SELECT {partition}, i.size, i.item FROM {source}{where} ORDER BY {order} LIMIT ?"


@dataclass(slots=True)
class _Range:
    """A statement in the making: which rows, in which order."""

    table: Table
    index: IndexTable | None
    forward: bool = True
    tests: list[str] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that order the rows, partition first."""
        return ("pk", "sk") if self.index is None else ("x.ipk", "x.isk", "x.pk", "x.sk")

    def require(self, test: str, *values: bytes) -> None:
        """Keep only rows that pass *test*."""
        self.tests.append(test)
        self.values.extend(values)

    def admits(self, sort: bytes) -> bool:
        """Return whether *sort* is within the range of the sort key, as far as that has been given."""
        bounds = self.values[1:]
        return all(_BOUNDS[test.split()[1]](sort, bounds) for test in self.tests[1:])

    def start_after(self, columns: tuple[str, ...], values: tuple[bytes, ...]) -> None:
        """Keep only rows behind *values*, in the direction of reading."""
        marks = ", ".join("?" * len(values))
        self.require(f"({', '.join(columns)}) {'>' if self.forward else '<'} ({marks})", *values)

    def rows(self, connection: sqlite3.Connection, limit: int) -> Iterator[tuple[bytes, int, bytes]]:
        """Yield partition key, size and packed item."""
        index = None if self.index is None else self.index.rows
        statement = _statement(self.table.rows, index, self.columns, tuple(self.tests), forward=self.forward)
        cursor = connection.execute(statement, (*self.values, limit))
        try:
            yield from cursor
        finally:
            cursor.close()


def query(connection: sqlite3.Connection, request: Query, table: Table) -> Mapping[str, Any]:
    """Return one page of a partition."""
    index = None if request.index is None else table.index(request.index)
    schema = table.key if index is None else index.key
    _check(request, index)
    if request.filter is not None:
        _refuse_key_names(request.filter, schema)
    rows = _Range(table, index, request.forward)
    _constrain(rows, schema, request.key)
    if request.start is not None:
        _start_query(rows, schema, request.start)
    return _page(connection, request, rows, None)


def scan(connection: sqlite3.Connection, request: Scan, table: Table) -> Mapping[str, Any]:
    """Return one page of a table or an index, or of one segment of it."""
    index = None if request.index is None else table.index(request.index)
    _check(request, index)
    rows = _Range(table, index)
    if request.start is not None:
        base, entry = _start_keys(table, index, request.start)
        rows.start_after(rows.columns, base if index is None else (*entry, *base))
    return _page(connection, request, rows, _segment(request))


def _check(request: Query | Scan, index: IndexTable | None) -> None:
    if index is not None and request.consistent:
        raise invalid("Consistent reads are not supported on global secondary indexes")
    if request.limit is not None and request.limit < 1:
        raise invalid("1 validation error detected: Value at 'limit' failed to satisfy constraint: at least 1")
    check_condition(request.filter, "FilterExpression")
    check_projection(request.projection)
    if index is not None:
        lacking = index.lacks({str(path.parts[0]) for path in request.projection})
        if lacking:
            raise invalid(
                "One or more parameter values were invalid: "
                f"Global secondary index {index.name} does not project {', '.join(sorted(lacking))}"
            )


def _refuse_key_names(filtered: Condition, schema: KeySchema) -> None:
    """Refuse a filter of a query by an attribute of the key that it reads."""
    own = {name for name, _ in (*schema.partitions, *schema.sorts)}
    for name in attribute_names(filtered):
        if name in own:
            raise invalid(
                f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )


def _segment(request: Scan) -> tuple[int, int] | None:
    if request.segment is None and request.total_segments is None:
        return None
    if request.segment is None or request.total_segments is None or not 0 <= request.segment < request.total_segments:
        raise invalid("The Segment parameter is required with TotalSegments, and must be less than it")
    return request.segment, request.total_segments


# Key conditions -------------------------------------------------------------------------------------------------------


def _constrain(rows: _Range, schema: KeySchema, key: KeyCondition) -> None:
    partition, sort = ("pk", "sk") if rows.index is None else ("x.ipk", "x.isk")
    if schema.is_composite:
        _constrain_composite(rows, schema, key)
        return
    if key.partition_name != schema.partition:
        raise invalid(f"Query condition missed key schema element: {schema.partition}")
    rows.require(f"{partition} = ?", _scalar(key.partition, schema.partition_type))
    if key.others:
        raise invalid(_BAD_CONDITION)
    if key.sort is None:
        return
    if schema.sort is None or key.sort_name != schema.sort:
        raise invalid(f"Query condition missed key schema element: {schema.sort}" if schema.sort else _BAD_CONDITION)
    _constrain_sort(rows, sort, schema, key.sort)


def _constrain_composite(rows: _Range, schema: KeySchema, key: KeyCondition) -> None:
    rows.require("x.ipk = ?", partition_bytes(schema, key))
    low, end = sort_bounds(schema, key)
    rows.require("x.isk >= ?", low)
    if end is not None:
        rows.require("x.isk < ?", end)


def _constrain_sort(rows: _Range, column: str, schema: KeySchema, sort: SortCondition) -> None:
    low = _scalar(sort.value, schema.sort_type, empty=sort.op == "begins_with")
    if sort.op == "between":
        rows.require(f"{column} BETWEEN ? AND ?", low, _upper_end(sort, schema, low))
    elif sort.op == "begins_with":
        _require_prefix(rows, column, schema, low)
    else:
        rows.require(f"{column} {sort.op} ?", low)


def _upper_end(sort: SortCondition, schema: KeySchema, low: bytes) -> bytes:
    if sort.upper is None:
        raise invalid(_BAD_CONDITION)
    high = _scalar(sort.upper, schema.sort_type)
    if low > high:
        raise invalid(
            "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound "
            "to be greater than or equal to lower bound"
        )
    return high


def _require_prefix(rows: _Range, column: str, schema: KeySchema, prefix: bytes) -> None:
    if schema.sort_type == "N":
        raise invalid(
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
            "operator or function: begins_with, operand type: N"
        )
    rows.require(f"{column} >= ?", prefix)
    end = successor(prefix)
    if end is not None:
        rows.require(f"{column} < ?", end)


def _scalar(value: Mapping[str, Any], kind: str, *, empty: bool = False) -> bytes:
    stored, _ = canonical_value(value)
    if kind not in stored:
        raise invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
    content = scalar_bytes(kind, stored[kind])
    if not content and not empty:
        raise invalid(
            "One or more parameter values are not valid. "
            "The AttributeValue for a key attribute cannot contain an empty string value."
        )
    return content


# Starting keys --------------------------------------------------------------------------------------------------------


def _start_keys(table: Table, index: IndexTable | None, start: ItemKey) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Return the table's key and the index key (empty for the table itself) that reading goes on after."""
    if index is None:
        return exact_key(table.key, start)[0], ()
    if set(start) != set(index.key_names):
        raise invalid(_BAD_START)
    item, _ = canonical_item(start)
    entry = index_key(index.key, item, index.name)
    if entry is None:
        raise invalid(_BAD_START)
    return item_key(table.key, item), entry


def _start_query(rows: _Range, schema: KeySchema, start: ItemKey) -> None:
    base, entry = _start_keys(rows.table, rows.index, start)
    partition, *rest = base if rows.index is None else (*entry, *base)
    if partition != rows.values[0]:
        raise invalid("The provided starting key is outside query boundaries based on provided conditions")
    if not rows.admits(rest[0]):
        raise invalid("The provided starting key does not match the range key predicate")
    rows.start_after(rows.columns[1:], tuple(rest))


# Pages ----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What a page has looked at."""

    scanned: int = 0
    bytes_read: int = 0
    items: list[Stored] = field(default_factory=list)
    matched: int = 0
    last: Stored | None = None
    """The item looked at last."""
    ends_early: bool = False
    """The limit or the size of the page was reached; whether anything follows was not looked at."""


def _page(
    connection: sqlite3.Connection, request: Query | Scan, rows: _Range, segment: tuple[int, int] | None
) -> Mapping[str, Any]:
    tally = _Tally()
    limit = -1 if request.limit is None or segment is not None else request.limit
    for partition, size, packed in rows.rows(connection, limit):
        if segment is not None and zlib.crc32(partition) % segment[1] != segment[0]:
            continue
        item = unpack(packed)
        size = size if rows.index is None else rows.index.view_size(item, size)
        if tally.bytes_read + size > _MAX_PAGE_BYTES:
            tally.ends_early = True
            break
        _take(tally, request, rows.index, item, size)
        if tally.scanned == request.limit:
            tally.ends_early = True
            break
    return _body(tally, request, rows)


def _take(tally: _Tally, request: Query | Scan, index: IndexTable | None, item: Stored, size: int) -> None:
    tally.scanned += 1
    tally.bytes_read += size
    tally.last = item
    seen = item if index is None else index.view(item)
    if request.filter is not None and not holds(request.filter, seen):
        return
    tally.matched += 1
    if not getattr(request, "count_only", False):
        tally.items.append(project(seen, request.projection) if request.projection else seen)


def _body(tally: _Tally, request: Query | Scan, rows: _Range) -> Mapping[str, Any]:
    units = read_units(tally.bytes_read, consistent=request.consistent)
    consumed = Consumed(rows.table.name)
    if rows.index is None:
        consumed.base = units
    else:
        consumed.add_index(rows.index.name, units)
    body: dict[str, Any] = {
        "Count": tally.matched,
        "ScannedCount": tally.scanned,
        "ConsumedCapacity": consumed.body(),
    }
    if not getattr(request, "count_only", False):
        body["Items"] = tally.items
    if tally.ends_early and tally.last is not None:
        names = rows.table.key_names if rows.index is None else rows.index.key_names
        body["LastEvaluatedKey"] = {name: tally.last[name] for name in names}
    return body
