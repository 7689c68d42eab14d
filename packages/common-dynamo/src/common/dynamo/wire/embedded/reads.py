"""Reads of single items: get, batch get, transactional get."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from common.dynamo.requests import BatchGetItem, GetItem, ItemKey, Path, TransactGetItems
from common.dynamo.wire.embedded.capacity import Consumed, read_units
from common.dynamo.wire.embedded.checks import check_projection
from common.dynamo.wire.embedded.keys import KeyBytes, exact_key
from common.dynamo.wire.embedded.packing import unpack
from common.dynamo.wire.embedded.projection import project
from common.dynamo.wire.embedded.refusal import SchemaMismatch, cancelled, invalid, reason
from common.dynamo.wire.embedded.tables import Table
from common.dynamo.wire.embedded.values import Stored

_MAX_KEYS = 100
_MAX_ANSWER_BYTES = 16 * 1024 * 1024

Tables = Mapping[str, Table]


def _fetch(connection: sqlite3.Connection, table: Table, key: KeyBytes) -> tuple[Stored | None, int]:
    row = connection.execute(table.select, key).fetchone()
    return (None, 0) if row is None else (unpack(row[2]), row[1])


def _chosen(item: Stored, projection: tuple[Path, ...]) -> Stored:
    return project(item, projection) if projection else item


def get(connection: sqlite3.Connection, request: GetItem, table: Table) -> Mapping[str, Any]:
    """Return one item."""
    check_projection(request.projection)
    key, _ = exact_key(table.key, request.key)
    item, size = _fetch(connection, table, key)
    consumed = Consumed(table.name, read_units(size, consistent=request.consistent))
    body: dict[str, Any] = {"ConsumedCapacity": consumed.body()}
    if item is not None:
        body["Item"] = _chosen(item, request.projection)
    return body


def batch_get(connection: sqlite3.Connection, request: BatchGetItem, tables: Tables) -> Mapping[str, Any]:
    """Return items, found ones only; what would make the answer too large is left unprocessed."""
    if not 1 <= sum(map(len, request.keys.values())) <= _MAX_KEYS:
        raise invalid("Too many items requested for the BatchGetItem call")
    responses: dict[str, list[Stored]] = {}
    unprocessed: dict[str, Any] = {}
    bills = []
    room = _MAX_ANSWER_BYTES
    for name, keys in request.keys.items():
        consumed = Consumed(name)
        responses[name] = []
        for key_bytes, key in _distinct(tables[name], keys):
            item, size = _fetch(connection, tables[name], key_bytes)
            if size > room:
                _leave(unprocessed, name, key, consistent=request.consistent)
                continue
            room -= size
            consumed.base += read_units(size, consistent=request.consistent)
            responses[name] += [] if item is None else [item]
        bills.append(consumed.body())
    return {"Responses": responses, "UnprocessedKeys": unprocessed, "ConsumedCapacity": bills}


def _distinct(table: Table, keys: tuple[ItemKey, ...]) -> list[tuple[KeyBytes, Stored]]:
    exact = [exact_key(table.key, key) for key in keys]
    if len({key for key, _ in exact}) != len(exact):
        raise invalid("Provided list of item keys contains duplicates")
    return exact


def _leave(unprocessed: dict[str, Any], table: str, key: Stored, *, consistent: bool) -> None:
    entry = unprocessed.setdefault(table, {"Keys": [], "ConsistentRead": consistent})
    entry["Keys"].append(key)


def transact_get(connection: sqlite3.Connection, request: TransactGetItems, tables: Tables) -> Mapping[str, Any]:
    """Return items as they were together at one moment, in the order of the request."""
    if not 1 <= len(request.parts) <= _MAX_KEYS:
        raise invalid(f"Member must have length less than or equal to {_MAX_KEYS}, and greater than or equal to 1")
    keys = _part_keys(request, tables)
    if len(set(keys)) != len(keys):
        raise invalid("Transaction request cannot include multiple operations on one item")
    for part in request.parts:
        check_projection(part.projection)
    responses: list[Mapping[str, Any]] = []
    bills: dict[str, Consumed] = {}
    for part, (name, key) in zip(request.parts, keys, strict=True):
        item, size = _fetch(connection, tables[name], key)
        responses.append({} if item is None else {"Item": _chosen(item, part.projection)})
        bills.setdefault(name, Consumed(name)).base += 2 * read_units(size, consistent=True)
    return {"Responses": responses, "ConsumedCapacity": [bill.body("Read") for bill in bills.values()]}


def _part_keys(request: TransactGetItems, tables: Tables) -> list[tuple[str, KeyBytes]]:
    keys: list[tuple[str, KeyBytes]] = []
    reasons: list[Mapping[str, Any]] = []
    for part in request.parts:
        try:
            keys.append((part.table, exact_key(tables[part.table].key, part.key)[0]))
            reasons.append({"Code": "None"})
        except SchemaMismatch as mismatch:
            reasons.append(reason(mismatch))
    if len(keys) < len(request.parts):
        raise cancelled(reasons)
    return keys
