"""Access patterns as data: what each one sends, to which entity types, and what that costs. Pure.

This is the one source of what a call costs: the tables of the guides, ``common dynamo explain``, the tests of budgets and
the IAM policies (:mod:`common.dynamo.iam`) all read it, and the names are those of spans and metrics. The patterns of the
ledger are in :mod:`common.dynamo.dao.access_patterns`; those of every other entity type follow from its declaration
(:func:`common.dynamo.entity_access.patterns_of`). A DAO of a service's own that has a table like that hands it to
:meth:`common.dynamo.Database.declare`.

>>> from pydantic import BaseModel
>>> from common.dynamo import EntityType, Key
>>> class Note(BaseModel):
...     id: str
>>> NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))
>>> pattern = AccessPattern.of("Notes.move", transact(put(NOTE), delete(NOTE)), wcu=4)
>>> pattern.sends
'TransactWriteItems (put note, delete note)'
>>> pattern.budget
Budget(rcu=0.0, wcu=4, indexes=0.0, trips=1)
"""

from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, Final, Self

from common.dynamo.budgets import Budget
from common.dynamo.entity_type import EntityType, Index, Unique
from common.dynamo.execution import Pattern
from common.dynamo.keys import Template
from common.dynamo.locks import LOCK_KEY
from common.dynamo.value_classes import dataclass

__all__ = [
    "TABLE_PATTERNS",
    "AccessPattern",
    "Budget",
    "Touch",
    "Trip",
    "Verb",
    "batch_get",
    "batch_write",
    "check",
    "collection",
    "delete",
    "get",
    "put",
    "queries",
    "query",
    "scan",
    "select",
    "transact",
    "update",
]


class Verb(StrEnum):
    """What is done to an item."""

    GET = "get"
    QUERY = "query"
    SCAN = "scan"
    """Reads the table as a whole, whatever the partition."""
    PUT = "put"
    UPDATE = "update"
    DELETE = "delete"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Touch:
    """An item, or a range of items, that a request reads or writes."""

    verb: Verb
    entity: EntityType[Any]
    index: Index | None = None
    """What a query reads; ``None`` for the table."""
    lock: Unique | None = None
    """The unique field whose lock is meant, instead of the entity's own item."""

    @property
    def partition(self) -> Template:
        """The template of the partition key that the request names."""
        if self.lock is not None:
            return (self.lock.key or LOCK_KEY).stored_partition
        return (self.entity if self.index is None else self.index).key.stored_partition

    @property
    def subject(self) -> str:
        """What is touched, in words."""
        if self.lock is not None:
            return f"lock of {self.entity.name}.{self.lock.field}"
        return self.entity.name if self.index is None else f"{self.entity.name} by {self.index.name}"

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}"


@dataclass(frozen=True, slots=True)
class Trip:
    """One request, answered by one round trip."""

    operation: str
    """The API operation, such as ``TransactWriteItems``."""
    touches: tuple[Touch, ...] = ()
    """In the order of the request; none where it is about the table itself."""

    def __str__(self) -> str:
        if not self.touches:
            return self.operation
        if self.operation in _OPERATIONS.values():  # it says what is done
            return f"{self.operation} ({', '.join(touch.subject for touch in self.touches)})"
        return f"{self.operation} ({', '.join(map(str, self.touches))})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPattern:
    """One named way of calling the database, in one of the courses that it can take."""

    name: str
    """``<Dao>.<method>``, as spans and metrics have it."""
    case: str = ""
    """Which course: empty for the usual one, else such as ``refused``."""
    trips: tuple[Trip, ...]
    """What is sent, in order."""
    also: tuple[Trip, ...] = ()
    """What may be sent besides, now and then; each costs what its single trip costs."""
    rcu: float = 0.0
    wcu: float = 0.0
    """On tables alone."""
    indexes: float = 0.0
    """Write units on indexes, beside :attr:`wcu`."""
    is_exact: bool = True
    """Whether it costs this much, or at most this much."""
    note: str = ""
    """What the figures are about, where that is not one item of up to 1 KB."""

    @classmethod
    def of(cls, name: str, *trips: Trip, case: str = "", also: Iterable[Trip] = (), **figures: Any) -> Self:
        """Return the pattern called *name* that sends *trips*; *figures* are the other fields."""
        return cls(name=name, case=case, trips=trips, also=tuple(also), **figures)

    @property
    def title(self) -> str:
        """The name, and the case where it is not the usual one."""
        return f"{self.name}, {self.case}" if self.case else self.name

    @property
    def budget(self) -> Budget:
        """What one call costs at most, while items stay within 1 KB."""
        return Budget(rcu=self.rcu, wcu=self.wcu, indexes=self.indexes, trips=len(self.trips))

    @property
    def pattern(self) -> Pattern:
        """The name and API operation for spans and metrics."""
        return Pattern(self.name, self.trips[0].operation)

    @property
    def sends(self) -> str:
        """The trips in words; equal ones in a row, such as those to the shards of a key, are counted."""
        runs = ((trip, len(list(run))) for trip, run in groupby(self.trips))
        return ", then ".join(str(trip) if count == 1 else f"{count} times {trip}" for trip, count in runs)

    @property
    def all_trips(self) -> tuple[Trip, ...]:
        """What is sent, and what may be."""
        return self.trips + self.also


def select(patterns: Iterable[AccessPattern], *wanted: str) -> tuple[AccessPattern, ...]:
    """Return those of *patterns* whose name or title is one of *wanted*, where ``*`` stands for anything.

    Nothing wanted is everything. Case counts.
    """
    return tuple(
        pattern
        for pattern in patterns
        if not wanted or any(fnmatchcase(name, each) for name in (pattern.name, pattern.title) for each in wanted)
    )


# Writing patterns down ------------------------------------------------------------------------------------------------


_OPERATIONS: Final = {
    Verb.GET: "GetItem",
    Verb.QUERY: "Query",
    Verb.SCAN: "Scan",
    Verb.PUT: "PutItem",
    Verb.UPDATE: "UpdateItem",
    Verb.DELETE: "DeleteItem",
}


def get(entity: EntityType[Any]) -> Trip:
    """Read one item."""
    return _single(Touch(Verb.GET, entity))


def query(entity: EntityType[Any], index: Index | None = None) -> Trip:
    """Read a range of a partition of the table, or of *index*."""
    return _single(Touch(Verb.QUERY, entity, index))


def queries(entity: EntityType[Any], index: Index | None = None) -> tuple[Trip, ...]:
    """Read one partition as :func:`query` does, where a key with shards takes a request to each of them."""
    key = entity.key if index is None else index.key
    return (query(entity, index),) * key.shards


def collection(*entities: EntityType[Any], index: Index | None = None) -> Trip:
    """Read items of several types in one partition, of the table or of an index."""
    return Trip("Query", tuple(Touch(Verb.QUERY, entity, index) for entity in entities))


def scan(entity: EntityType[Any]) -> Trip:
    """Read every item of the table, for those of one type."""
    return _single(Touch(Verb.SCAN, entity))


def put(entity: EntityType[Any]) -> Trip:
    """Store a whole item."""
    return _single(Touch(Verb.PUT, entity))


def update(entity: EntityType[Any]) -> Trip:
    """Change an item."""
    return _single(Touch(Verb.UPDATE, entity))


def delete(entity: EntityType[Any]) -> Trip:
    """Remove an item."""
    return _single(Touch(Verb.DELETE, entity))


def check(entity: EntityType[Any]) -> Touch:
    """Hold a transaction to a condition on an item."""
    return Touch(Verb.CHECK, entity)


def transact(*parts: Trip | Touch) -> Trip:
    """Send writes and checks as one transaction."""
    touches = (touch for part in parts for touch in (part.touches if isinstance(part, Trip) else (part,)))
    return Trip("TransactWriteItems", tuple(touches))


def batch_get(*entities: EntityType[Any]) -> Trip:
    """Read several items by their keys."""
    return Trip("BatchGetItem", tuple(Touch(Verb.GET, entity) for entity in entities))


def batch_write(*parts: Trip) -> Trip:
    """Send unconditional puts and deletes together."""
    return Trip("BatchWriteItem", tuple(touch for part in parts for touch in part.touches))


def _single(touch: Touch) -> Trip:
    return Trip(_OPERATIONS[touch.verb], (touch,))


# What the layer does with tables --------------------------------------------------------------------------------------


def _tables(name: str, *operations: str) -> AccessPattern:
    return AccessPattern.of(name, *map(Trip, operations), note="each table; no units")


TABLE_PATTERNS: Final = (
    _tables("Health.tables", "DescribeTable"),
    _tables("Database.create_tables", "CreateTable", "DescribeTable", "DescribeTimeToLive", "UpdateTimeToLive"),
    _tables("Database.diff_tables", "DescribeTable", "DescribeTimeToLive"),
)
"""The access patterns that are about tables, not items."""
