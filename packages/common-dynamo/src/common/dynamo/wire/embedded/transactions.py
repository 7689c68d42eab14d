"""Writes as requests: one, a batch, or all or none."""

import sqlite3
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from common.dynamo.requests import (
    BatchWriteItem,
    DeleteItem,
    PutItem,
    TransactWriteItems,
)
from common.dynamo.wire.embedded.capacity import Consumed, read_units
from common.dynamo.wire.embedded.reads import Tables
from common.dynamo.wire.embedded.refusal import Refused, SchemaMismatch, cancelled, invalid, reason
from common.dynamo.wire.embedded.writes import Outcome, Write, attributes, evaluate, prepare, store
from common.dynamo.wire.render import ExpressionTooLarge, render

_MAX_PARTS = 100
_MAX_BATCH = 25
_MAX_BYTES = 4 * 1024 * 1024
TOKEN_SECONDS = 600.0


def write(connection: sqlite3.Connection, prepared: Write, now: float) -> Mapping[str, Any]:
    """Execute one put, update or delete."""
    outcome = evaluate(connection, prepared)
    consumed = Consumed(prepared.table.name)
    store(connection, prepared, outcome, consumed, now=now)
    return {**attributes(prepared, outcome), "ConsumedCapacity": consumed.body()}


def prepare_batch(request: BatchWriteItem, tables: Tables) -> tuple[Write, ...]:
    """Check a batch.

    Raises:
        Refused: Over 25 writes, or two on one item, or a write that is not allowed in a batch.
    """
    writes = [(name, part) for name, parts in request.writes.items() for part in parts]
    if not 1 <= len(writes) <= _MAX_BATCH:
        raise invalid("Too many items requested for the BatchWriteItem call")
    for _, part in writes:
        if not isinstance(part, PutItem | DeleteItem) or part.condition is not None:
            raise invalid("A batch write takes unconditional puts and deletes only")
    prepared = tuple(prepare(part, tables[name]) for name, part in writes)
    if len({(each.table.name, each.key) for each in prepared}) != len(prepared):
        raise invalid("Provided list of item keys contains duplicates")
    return prepared


def batch_write(connection: sqlite3.Connection, prepared: tuple[Write, ...], now: float) -> Mapping[str, Any]:
    """Execute the writes of a batch, each for itself."""
    bills: dict[str, Consumed] = {}
    for each in prepared:
        consumed = bills.setdefault(each.table.name, Consumed(each.table.name))
        store(connection, each, evaluate(connection, each), consumed, now=now)
    return {"UnprocessedItems": {}, "ConsumedCapacity": [bill.body() for bill in bills.values()]}


def prepare_transaction(request: TransactWriteItems, tables: Tables) -> tuple[Write, ...]:
    """Check a transaction as far as that needs no stored item.

    Raises:
        Refused: Not 1 to 100 parts, two on one item, over 4 MB, or a part that is wrong in itself.
    """
    if not 1 <= len(request.parts) <= _MAX_PARTS:
        raise invalid(f"Member must have length less than or equal to {_MAX_PARTS}, and greater than or equal to 1")
    if request.token is not None and not 1 <= len(request.token) <= 36:
        raise invalid("ClientRequestToken must have 1 to 36 characters")
    prepared = _prepare_parts(request, tables)
    if len({(each.table.name, each.key) for each in prepared}) != len(prepared):
        raise invalid("Transaction request cannot include multiple operations on one item")
    return prepared


def _prepare_parts(request: TransactWriteItems, tables: Tables) -> tuple[Write, ...]:
    prepared: list[Write] = []
    reasons: list[Mapping[str, Any]] = []
    for part in request.parts:
        try:
            prepared.append(prepare(part, tables[part.table]))
            reasons.append({"Code": "None"})
        except SchemaMismatch as mismatch:
            reasons.append(reason(mismatch))
    if len(prepared) < len(request.parts):
        raise cancelled(reasons)
    return tuple(prepared)


def transact_write(
    connection: sqlite3.Connection, request: TransactWriteItems, prepared: tuple[Write, ...], now: float
) -> Mapping[str, Any]:
    """Execute all parts or none; a token seen within ten minutes is answered without writing."""
    if request.token is None:
        return _commit(connection, prepared, now)
    digest = _digest(request)
    connection.execute("DELETE FROM dynamo_tokens WHERE expires <= ?", (now,))
    seen = connection.execute("SELECT digest FROM dynamo_tokens WHERE token = ?", (request.token,)).fetchone()
    if seen is not None:
        return _replay(connection, prepared, same=seen[0] == digest)
    body = _commit(connection, prepared, now)
    connection.execute(
        "INSERT INTO dynamo_tokens (token, digest, expires) VALUES (?, ?, ?)",
        (request.token, digest, now + TOKEN_SECONDS),
    )
    return body


def _digest(request: TransactWriteItems) -> bytes:
    try:
        _, parameters = render(request)
    except ExpressionTooLarge as error:
        raise invalid(str(error)) from None
    return sha256(orjson.dumps(parameters, default=bytes.hex, option=orjson.OPT_SORT_KEYS)).digest()


def _commit(connection: sqlite3.Connection, prepared: tuple[Write, ...], now: float) -> Mapping[str, Any]:
    outcomes: list[Outcome] = []
    reasons: list[Mapping[str, Any]] = []
    for each in prepared:
        try:
            outcomes.append(evaluate(connection, each))
            reasons.append({"Code": "None"})
        except Refused as refusal:
            reasons.append(reason(refusal))
    if len(outcomes) < len(prepared):
        raise cancelled(reasons)
    if sum(outcome.new_size for outcome in outcomes) > _MAX_BYTES:
        raise invalid("Transaction request size exceeds the maximum of 4 MB")
    bills: dict[str, Consumed] = {}
    for each, outcome in zip(prepared, outcomes, strict=True):
        bill = bills.setdefault(each.table.name, Consumed(each.table.name))
        store(connection, each, outcome, bill, now=now, factor=2)
    return {"ConsumedCapacity": [bill.body("Write") for bill in bills.values()]}


def _replay(connection: sqlite3.Connection, prepared: tuple[Write, ...], *, same: bool) -> Mapping[str, Any]:
    if not same:
        raise Refused(
            "IdempotentParameterMismatchException",
            "The request uses the same client token as a previous, but non-identical request",
        )
    bills: dict[str, Consumed] = {}
    for each in prepared:
        row = connection.execute(each.table.select, each.key).fetchone()
        units = 2 * read_units(0 if row is None else row[1], consistent=True)
        bills.setdefault(each.table.name, Consumed(each.table.name)).base += units
    return {"ConsumedCapacity": [bill.body("Read") for bill in bills.values()]}
