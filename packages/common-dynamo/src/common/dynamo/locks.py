"""Locks of unique fields: one item per value, put and deleted in the transaction of the write that needs it.

A lock points back at its owner, so a write deletes its own locks alone; it shares the owner's expiry, so the lock of an
expired owner is as absent as the owner is.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from common.dynamo import requests as rq
from common.dynamo.entity_type import Unique
from common.dynamo.keys import Key
from common.dynamo.layout import EXPIRY, EXPIRY_PATH, PARTITION, PARTITION_PATH, SORT, TYPE, WRITE_ID
from common.dynamo.mapping import Mapped
from common.dynamo.requests import AttributeValue
from common.dynamo.value_codec import NULL
from common.dynamo.writes import LockWrite

__all__ = ["LOCK_KEY", "LOCK_TYPE", "involved_fields", "locks_of_change", "locks_of_create", "locks_of_delete"]

LOCK_TYPE = "_unique"
"""The ``_t`` of a lock: no entity type's name begins with ``_``."""

LOCK_KEY = Key("_U#{digest}", "_U")
"""The key of a lock whose unique field gives no template: a hash of type, field and values."""

_OWNER_PARTITION, _OWNER_SORT = "_op", "_os"

Row = Mapping[str, Any]


def involved_fields(mapped: Mapped[Any]) -> frozenset[str]:
    """Return the fields whose change concerns a lock: unique ones, their scopes, and the expiry."""
    if not mapped.entity.unique:
        return frozenset()
    fields = {name for unique in mapped.entity.unique for name in unique.fields}
    return frozenset(fields | {mapped.entity.ttl} if mapped.entity.ttl else fields)


def locks_of_create(mapped: Mapped[Any], table: str, row: Row, now: float, write_id: str) -> tuple[LockWrite, ...]:
    """Return the locks that a new item takes."""
    return tuple(
        LockWrite(field, _take(mapped, table, key, row, now, write_id)) for field, key in _keys(mapped, row).items()
    )


def locks_of_delete(mapped: Mapped[Any], table: str, row: Row) -> tuple[LockWrite, ...]:
    """Return the locks that a deleted item gives back."""
    return tuple(LockWrite(field, _give_back(mapped, table, key, row)) for field, key in _keys(mapped, row).items())


def locks_of_change(
    mapped: Mapped[Any], table: str, old: Row, new: Row, now: float, write_id: str, *, may_own: bool = False
) -> tuple[LockWrite, ...]:
    """Return the locks that a change from *old* to *new* takes, gives back, or gives another expiry.

    With *may_own*, a lock that is taken may be the item's own already.
    """
    before, after = _keys(mapped, old), _keys(mapped, new)
    ttl = mapped.entity.ttl
    expires_alike = ttl is None or old.get(ttl) == new.get(ttl)
    locks: list[LockWrite] = []
    for field in dict.fromkeys([*after, *before]):
        previous, key = before.get(field), after.get(field)
        if key is not None and key == previous:
            if not expires_alike:
                locks.append(LockWrite(field, _renew(mapped, table, key, new, write_id)))
            continue
        if key is not None:
            locks.append(LockWrite(field, _take(mapped, table, key, new, now, write_id, may_own=may_own)))
        if previous is not None:
            locks.append(LockWrite(field, _give_back(mapped, table, previous, old)))
    return tuple(locks)


def _keys(mapped: Mapped[Any], row: Row) -> dict[str, dict[str, AttributeValue]]:
    """Return the lock keys of *row* by unique field; a value that is ``None`` needs none."""
    keys = {}
    for unique in mapped.entity.unique:
        if row.get(unique.field) is not None:
            keys[unique.field] = _lock_key(mapped, unique, row)
    return keys


def _lock_key(mapped: Mapped[Any], unique: Unique, row: Row) -> dict[str, AttributeValue]:
    value = row[unique.field]
    values = {**row, unique.field: unique.normalise(value) if unique.normalise is not None else value}
    bound = mapped.lock_keys.get(unique.field)
    if bound is not None:
        return bound.attributes(values)
    stored = [[name, dict(mapped.encode_field(name, values.get(name)))] for name in unique.fields]
    digest = sha256(json.dumps([mapped.entity.name, stored]).encode()).hexdigest()
    partition, sort = LOCK_KEY.partition, LOCK_KEY.sort
    return {PARTITION: {"S": partition.literals[0] + digest}, SORT: {"S": sort.text}}


def _item(mapped: Mapped[Any], key: Mapping[str, AttributeValue], row: Row, write_id: str) -> dict[str, AttributeValue]:
    owner = mapped.key.attributes(row)
    item: dict[str, AttributeValue] = {
        **key,
        TYPE: {"S": LOCK_TYPE},
        WRITE_ID: {"S": write_id},
        _OWNER_PARTITION: owner[PARTITION],
        _OWNER_SORT: owner[SORT],
    }
    ttl = mapped.entity.ttl
    expiry = mapped.encode_field(ttl, row.get(ttl)) if ttl is not None else NULL
    if expiry is not NULL:
        item[EXPIRY] = expiry
    return item


def _owned(mapped: Mapped[Any], row: Row) -> Iterable[rq.Condition]:
    owner = mapped.key.attributes(row)
    yield rq.Compare("=", rq.Path((_OWNER_PARTITION,)), rq.Constant(owner[PARTITION]))
    yield rq.Compare("=", rq.Path((_OWNER_SORT,)), rq.Constant(owner[SORT]))


def _take(
    mapped: Mapped[Any],
    table: str,
    key: Mapping[str, AttributeValue],
    row: Row,
    now: float,
    write_id: str,
    *,
    may_own: bool = False,
) -> rq.PutItem:
    free: rq.Condition = rq.NotExists(PARTITION_PATH)
    if mapped.entity.ttl is not None:
        free = rq.Or((free, rq.Compare("<=", EXPIRY_PATH, rq.Constant({"N": str(int(now))}))))
    if may_own:
        free = rq.Or((free, rq.And(tuple(_owned(mapped, row)))))
    return rq.PutItem(table=table, item=_item(mapped, key, row, write_id), condition=free)


def _renew(mapped: Mapped[Any], table: str, key: Mapping[str, AttributeValue], row: Row, write_id: str) -> rq.PutItem:
    mine = rq.And(tuple(_owned(mapped, row)))
    return rq.PutItem(table=table, item=_item(mapped, key, row, write_id), condition=mine)


def _give_back(mapped: Mapped[Any], table: str, key: Mapping[str, AttributeValue], row: Row) -> rq.DeleteItem:
    mine_or_gone = rq.Or((rq.NotExists(PARTITION_PATH), rq.And(tuple(_owned(mapped, row)))))
    return rq.DeleteItem(table=table, key=key, condition=mine_or_gone)
