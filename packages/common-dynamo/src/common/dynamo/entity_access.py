"""The access patterns of the DAO that every entity type gets, as they follow from its declaration. Pure.

>>> from pydantic import BaseModel
>>> from common.dynamo import EntityType, Index, Key, Unique
>>> class Invoice(BaseModel):
...     number: str
...     state: str
...     email: str
>>> INVOICE = EntityType(
...     Invoice, "invoice", key=Key("INV#{number}", "INV"),
...     indexes=[Index("GSI1", Key("INV#{state}", "{number}"))], unique=[Unique("email")],
... )
>>> [create] = select(patterns_of(INVOICE), "Invoice.create")
>>> create.sends
'TransactWriteItems (put invoice, put lock of invoice.email)'
>>> create.wcu, create.indexes
(4, 1)
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from common.dynamo.access import (
    AccessPattern,
    Touch,
    Trip,
    Verb,
    batch_get,
    batch_write,
    check,
    delete,
    get,
    put,
    queries,
    scan,
    select,
    transact,
    update,
)
from common.dynamo.backfill_progress import record_type
from common.dynamo.entity_type import EntityType, Index
from common.exceptions import ConfigurationError

__all__ = ["METHODS", "patterns_of", "uses", "walks_of"]

METHODS: Final = (
    "get",
    "require",
    "view",
    "views",
    "batch_get",
    "query",
    "scan",
    "create",
    "put",
    "update",
    "upsert",
    "delete",
    "batch_write",
    "check",
    "backfill",
)
"""What a service may do with an entity type: the methods of its DAO, ``check`` in a transaction, and a backfill."""

_IN_TRANSACTION: Final = 2
"""Write units of one item of up to 1 KB in a transaction (Developer Guide, "Transactions: how it works")."""


def patterns_of(entity: EntityType[Any]) -> tuple[AccessPattern, ...]:
    """Return what each method of ``db.dao(entity)`` sends and costs; items are up to 1 KB and in all their indexes.

    Without walks through the whole table: :func:`walks_of`.
    """
    return (*_reads(entity), *_writes(entity))


def walks_of(entity: EntityType[Any]) -> tuple[AccessPattern, ...]:
    """Return what a scan and a backfill of *entity* send and cost.

    They read every item of the table, whatever its partition, so nobody may do so who does not name them.
    """
    name, record = entity.model.__name__, record_type(entity)
    locked = [each for each in _changes(entity) if entity.unique and each.operation == "TransactWriteItems"]
    return (
        AccessPattern.of(f"{name}.scan", scan(entity), rcu=0.5, note="each 4 KB of the table; a trip per MB"),
        AccessPattern.of(
            f"{name}.backfill",
            *(scan(entity), update(entity)),
            also=(get(entity), *locked, get(record), put(record)),
            rcu=1,
            wcu=1,
            indexes=len(entity.indexes),
            is_exact=False,
            note="each 4 KB of the table, and each outdated item",
        ),
    )


def uses(entity: EntityType[Any], *methods: str) -> tuple[AccessPattern, ...]:
    """Return the access patterns of *methods* of ``db.dao(entity)``; of all but scan and backfill where none is named.

    Args:
        entity: What the service works on.
        methods: Of :data:`METHODS`. A write has the same needs alone and in a transaction.

    Raises:
        ConfigurationError: There is no such method.
    """
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise ConfigurationError(
            f"A DAO of {entity.name} has no method {', '.join(unknown)}; it has {', '.join(METHODS)}."
        )
    if not methods:
        return patterns_of(entity)
    wanted = [each for method in methods for each in (("update", "create") if method == "upsert" else (method,))]
    known = (*patterns_of(entity), *walks_of(entity))
    return select(known, *(f"{entity.model.__name__}.{method}" for method in wanted))


def _reads(entity: EntityType[Any]) -> Iterator[AccessPattern]:
    name = entity.model.__name__
    for method in ("get", "require", "view", "views"):
        yield AccessPattern.of(f"{name}.{method}", get(entity), rcu=1)
    yield AccessPattern.of(f"{name}.batch_get", batch_get(entity), rcu=1, note="each key; a trip per 100")
    yield _query(entity, None, note="up to 4 KB, not consistent")
    for index in entity.indexes:
        if index.projection == "ALL":
            yield _query(entity, index, case=f"by {index.name}", note="up to 4 KB")


def _query(entity: EntityType[Any], index: Index | None, *, note: str, case: str = "") -> AccessPattern:
    trips, name = queries(entity, index), f"{entity.model.__name__}.query"
    if len(trips) == 1:
        return AccessPattern.of(name, *trips, case=case, rcu=0.5, note=note)
    # A shard that runs dry is asked again; without a filter that is seldom more than one of them.
    return AccessPattern.of(name, *trips, also=trips, case=case, rcu=0.5 * len(trips), note=f"each shard {note}")


def _writes(entity: EntityType[Any]) -> Iterator[AccessPattern]:
    name = entity.model.__name__
    entries = len(entity.indexes)
    holding = sum(index.projection == "ALL" for index in entity.indexes)
    new, gone = _whole(entity, put(entity), Verb.PUT), _whole(entity, delete(entity), Verb.DELETE)
    look = [get(entity)] if entity.unique else []
    read, alone = len(look), _units(new)
    older = tuple(_rewrites(entity))
    yield AccessPattern.of(f"{name}.create", new, also=_without_locks(entity, put), wcu=alone, indexes=entries)
    yield AccessPattern.of(
        f"{name}.put",
        *look,
        update(entity),
        also=_changes(entity, put(entity), *older),
        rcu=read,
        wcu=1,
        indexes=holding,
    )
    yield AccessPattern.of(f"{name}.put", *look, new, case="new", rcu=read, wcu=alone, indexes=entries)
    yield AccessPattern.of(f"{name}.update", update(entity), also=_changes(entity, *older), wcu=1, indexes=holding)
    also = (*_without_locks(entity, delete), *older)
    yield AccessPattern.of(f"{name}.delete", gone, also=also, wcu=alone, indexes=entries)
    if look:
        yield AccessPattern.of(
            f"{name}.delete", *look, gone, also=older, case="by key", rcu=read, wcu=alone, indexes=entries
        )
    yield AccessPattern.of(
        f"{name}.batch_write",
        batch_write(put(entity), delete(entity)),
        also=(put(entity), update(entity), delete(entity), *_changes(entity), new, gone),
        wcu=1,
        indexes=entries,
        note="each item; a trip per 25",
    )
    yield AccessPattern.of(
        f"{name}.check", transact(check(entity)), also=older, wcu=_IN_TRANSACTION, note="a part of a transaction"
    )


def _whole(entity: EntityType[Any], main: Trip, verb: Verb) -> Trip:
    """Return the write of a whole item with its locks: alone where it has none."""
    if not entity.unique:
        return main
    return transact(main, *(Touch(verb, entity, lock=unique) for unique in entity.unique))


def _units(trip: Trip) -> int:
    return _IN_TRANSACTION * len(trip.touches) if trip.operation == "TransactWriteItems" else 1


def _changes(entity: EntityType[Any], *more: Trip) -> Iterable[Trip]:
    """Yield what a change may send besides: locks that move, the item as it was and as it is, a request id's transaction."""
    yield from more
    yield get(entity)
    yield _with_moved_locks(entity)


def _rewrites(entity: EntityType[Any]) -> Iterable[Trip]:
    """Yield what brings an item of an older schema into its new form, before a write that refers to its fields."""
    if entity.schema > 1:
        yield update(entity)
        if entity.unique:
            yield _with_moved_locks(entity)


def _with_moved_locks(entity: EntityType[Any]) -> Trip:
    locks = [Touch(verb, entity, lock=unique) for unique in entity.unique for verb in (Verb.PUT, Verb.DELETE)]
    return transact(update(entity), *locks)


def _without_locks(entity: EntityType[Any], write: Callable[[EntityType[Any]], Trip]) -> Iterable[Trip]:
    """Yield the plain write of a type with unique fields: it is sent where none of them has a value."""
    if entity.unique:
        yield write(entity)
