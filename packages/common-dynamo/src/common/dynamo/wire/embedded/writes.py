"""Writes: what becomes of one item, in its table and its indexes."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from common.dynamo.requests import Condition, ConditionCheck, DeleteItem, PutItem, ReturnValues, UpdateItem
from common.dynamo.value_classes import dataclass
from common.dynamo.wire.embedded import feed, updates
from common.dynamo.wire.embedded.capacity import Consumed, write_units
from common.dynamo.wire.embedded.checks import check_condition, check_update
from common.dynamo.wire.embedded.conditions import equal, holds
from common.dynamo.wire.embedded.keys import KeyBytes, exact_key, item_key
from common.dynamo.wire.embedded.packing import pack, unpack
from common.dynamo.wire.embedded.projection import project
from common.dynamo.wire.embedded.refusal import condition_failed, invalid
from common.dynamo.wire.embedded.tables import IndexTable, Table
from common.dynamo.wire.embedded.values import MAX_ITEM_BYTES, Stored, canonical_item, item_size, value_size

Change = Callable[[Stored | None, int], tuple[Stored | None, int]]
"""From the stored item and its size to the new ones; ``None`` is no item."""


@dataclass(frozen=True, slots=True)
class Write:
    """A write that has passed every check which needs no stored item."""

    table: Table
    key: KeyBytes
    condition: Condition | None
    change: Change
    returns: ReturnValues = "NONE"
    paths: tuple[Any, ...] = ()
    """What an update touches, for ``UPDATED_OLD`` and ``UPDATED_NEW``."""
    bytes_sent: int = 0


@dataclass(slots=True)
class Outcome:
    """What a write found and what it makes of it; nothing is stored yet."""

    row_id: int | None
    old: Stored | None
    old_size: int
    new: Stored | None
    new_size: int


def prepare(request: PutItem | UpdateItem | DeleteItem | ConditionCheck, table: Table) -> Write:
    """Check *request* as far as that needs no stored item."""
    check_condition(request.condition)
    if isinstance(request, PutItem):
        return _prepare_put(request, table)
    if isinstance(request, UpdateItem):
        return _prepare_update(request, table)
    key, _ = exact_key(table.key, request.key)
    if isinstance(request, DeleteItem):
        _check_returns(request.returns)
        return Write(table, key, request.condition, lambda _old, _size: (None, 0), request.returns)
    return Write(table, key, request.condition, lambda old, size: (old, size))


def _check_returns(returns: ReturnValues) -> None:
    if returns not in ("NONE", "ALL_OLD"):
        raise invalid("Return values set to invalid value")


def _prepare_put(request: PutItem, table: Table) -> Write:
    _check_returns(request.returns)
    item, size = canonical_item(request.item)
    key = item_key(table.key, item)
    if size > MAX_ITEM_BYTES:
        raise invalid("Item size has exceeded the maximum allowed size")
    for index in table.indexes:
        index.entry(item)
    return Write(table, key, request.condition, lambda _old, _size: (item, size), request.returns, bytes_sent=size)


def _prepare_update(request: UpdateItem, table: Table) -> Write:
    key, key_item = exact_key(table.key, request.key)
    check_update(request.update, table.key_names)
    paths = tuple(updates.touched(request.update))
    names = {str(path.parts[0]) for path in paths}

    only_takes_away = not (request.update.set or request.update.add) and bool(paths)

    def change(old: Stored | None, old_size: int) -> tuple[Stored | None, int]:
        if old is None and only_takes_away:
            return None, 0
        before = key_item if old is None else old
        new = updates.apply(request.update, before)
        size = item_size(new) if old is None else old_size + _growth(before, new, names)
        if size > MAX_ITEM_BYTES:
            raise invalid("Item size to update has exceeded the maximum allowed size")
        return new, size

    return Write(table, key, request.condition, change, request.returns, paths)


def _growth(before: Stored, after: Stored, names: set[str]) -> int:
    return sum(_attribute_size(after, name) - _attribute_size(before, name) for name in names)


def _attribute_size(item: Stored, name: str) -> int:
    value = item.get(name)
    return 0 if value is None else len(name.encode()) + value_size(value)


def evaluate(connection: sqlite3.Connection, write: Write) -> Outcome:
    """Find the stored item, test the condition and compute the new item.

    Raises:
        Refused: The condition does not hold, or the change does not fit the stored item.
    """
    row = connection.execute(write.table.select, write.key).fetchone()
    row_id, old_size, old = (None, 0, None) if row is None else (row[0], row[1], unpack(row[2]))
    if write.condition is not None and not holds(write.condition, old or {}):
        raise condition_failed(old)
    new, new_size = write.change(old, old_size)
    if new is not old and new is not None:
        for index in write.table.indexes:
            index.entry(new)
    return Outcome(row_id, old, old_size, new, new_size)


def store(
    connection: sqlite3.Connection, write: Write, outcome: Outcome, consumed: Consumed, *, now: float, factor: int = 1
) -> None:
    """Store *outcome*, with what it changes in the feed of a table that keeps one, and charge it.

    Args:
        connection: In a transaction that writes.
        write: What was asked for.
        outcome: What becomes of it.
        consumed: The bill; the table is charged *factor* times.
        now: Epoch seconds.
        factor: 2 in a transaction.
    """
    consumed.base += factor * write_units(max(outcome.old_size, outcome.new_size))
    if outcome.new is outcome.old:
        return
    table = write.table
    row_id = outcome.row_id
    if outcome.new is None:
        connection.execute(table.delete, (row_id,))
    elif row_id is None:
        row = (*write.key, outcome.new_size, pack(outcome.new))
        row_id = connection.execute(table.insert, row).lastrowid
    else:
        connection.execute(table.replace, (outcome.new_size, pack(outcome.new), row_id))
    for index in table.indexes:
        units = _store_entry(connection, index, write.key, outcome, row_id)
        if units:
            consumed.add_index(index.name, units)
    if table.definition.stream:
        feed.record(connection, table, outcome.old, outcome.new, now)


def _store_entry(
    connection: sqlite3.Connection, index: IndexTable, key: KeyBytes, outcome: Outcome, row_id: int | None
) -> int:
    """Bring one index up to date; return the units that its change costs."""
    before, after = index.entry(outcome.old), index.entry(outcome.new)
    old_size = 0 if before is None or outcome.old is None else index.view_size(outcome.old, outcome.old_size)
    new_size = 0 if after is None or outcome.new is None else index.view_size(outcome.new, outcome.new_size)
    if before == after:
        return write_units(max(old_size, new_size)) if before is not None and _differs(index, outcome) else 0
    if before is not None:
        connection.execute(index.delete, (*before, *key))
    if after is not None:
        connection.execute(index.insert, (*after, *key, row_id))
    return (0 if before is None else write_units(old_size)) + (0 if after is None else write_units(new_size))


def _differs(index: IndexTable, outcome: Outcome) -> bool:
    return not equal({"M": index.view(outcome.old or {})}, {"M": index.view(outcome.new or {})})


def attributes(write: Write, outcome: Outcome) -> Mapping[str, Any]:
    """Return the ``Attributes`` that the write's ReturnValues ask for, or nothing."""
    if write.returns == "NONE":
        return {}
    source = outcome.old if write.returns.endswith("OLD") else outcome.new
    if source is None:
        return {}
    found = project(source, write.paths) if write.returns.startswith("UPDATED") else source
    return {"Attributes": found} if found else {}
