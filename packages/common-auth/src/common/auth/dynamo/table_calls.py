"""How the stores call their table: one span and one deadline a call, and one answer to every outage.

A write carries an id of its own. Where its condition fails since an earlier attempt, whose answer was lost, has been applied,
the stored item has that id, and the write has succeeded. Where an earlier attempt is unaccounted for and the item has
another id, nobody knows, and that is what the caller is told.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel

from common.auth.dynamo.access_patterns import AUTH_PATTERNS
from common.auth.exceptions import ConfigurationError, StoreUnavailable
from common.dynamo import Database, EntityType, Pattern
from common.dynamo.exceptions import ConditionFailed, DynamoError, InvalidCursor
from common.dynamo.execution import Operation
from common.dynamo.layout import PARTITION_PATH, WRITE_ID, WRITE_ID_PATH
from common.dynamo.queries import EntityQuery
from common.dynamo.requests import (
    Compare,
    Constant,
    DeleteItem,
    Exists,
    GetItem,
    Item,
    NotExists,
    Path,
    PutItem,
    SetValue,
    UpdateItem,
)

__all__ = ["ABSENT", "PRESENT", "TableCalls", "Written", "compare", "outages", "raise_unknown", "setting"]

M = TypeVar("M", bound=BaseModel)

ABSENT: Final = NotExists(PARTITION_PATH)
"""There is no item at the key."""
PRESENT: Final = Exists(PARTITION_PATH)
"""There is an item at the key."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a conditional write."""

    applied: bool
    item: Item | None = field(default=None, repr=False)
    """As it is stored after the call, where the engine told it; ``None`` where there is none."""


class TableCalls:
    """The calls of one store on one database.

    Args:
        db: The service's database.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.

    Raises:
        ConfigurationError: *db* is no database.
    """

    def __init__(self, db: Database, *, deadline: float | None = None) -> None:
        if not isinstance(db, Database):
            raise ConfigurationError(f"db must be a Database of common.dynamo, not {type(db).__name__}.")
        self.db = db
        self._deadline = deadline
        db.declare(AUTH_PATTERNS)

    @contextmanager
    def operation(self, pattern: Pattern, entity: EntityType[Any]) -> Iterator[Operation]:
        """Run one call of a store.

        Raises:
            StoreUnavailable: The table does not answer, or answers what it must not.
        """
        with outages(), self.db.operation(pattern, self.table_of(entity), deadline=self._deadline) as op:
            yield op

    def table_of(self, entity: EntityType[Any]) -> str:
        """Return the table that items of *entity* are in."""
        return self.db.table_of(entity)

    def find(self, pattern: Pattern, entity: EntityType[M], *key: object) -> M | None:
        """Return what is stored at *key*, expired or not, by a consistent read: 1 read unit, 1 round trip."""
        request = GetItem(table=self.table_of(entity), key=entity.item_key(*key), consistent=True)
        with self.operation(pattern, entity) as op:
            item: Item | None = op.execute(request).body.get("Item")
            return None if item is None else entity.decode(item)

    def write(self, op: Operation, request: PutItem | UpdateItem | DeleteItem, write_id: str) -> Written:
        """Send a conditional write that carries *write_id*: 1 round trip, and no read where its condition fails.

        Raises:
            StoreUnavailable: An earlier attempt may have been applied, and the item has changed since.
        """
        try:
            answer = op.execute(request)
        except ConditionFailed as refused:
            stored: Item | None = refused.stored
            if stored is not None and stored.get(WRITE_ID) == {"S": write_id}:
                return Written(True, stored)
            if refused.unknown_attempts:
                raise_unknown(refused)
            return Written(False, stored)
        return Written(True, answer.body.get("Attributes"))

    def items(self, op: Operation, query: EntityQuery[Any]) -> Iterator[Item]:
        """Walk over all items that *query* finds, expired or not; a round trip per megabyte."""
        start = None
        while True:
            body = op.execute(query.request(start=start)).body
            yield from body.get("Items", ())
            start = body.get("LastEvaluatedKey")
            if not start:
                return


@contextmanager
def outages() -> Iterator[None]:
    """Tell every failure of the data layer as what it is to a store's caller.

    Raises:
        StoreUnavailable: Whatever it was; its reason is the code of the data layer's error.
        InvalidCursor: The cursor of a page is damaged or another query's; that is the caller's mistake.
    """
    try:
        yield
    except InvalidCursor:
        raise
    except DynamoError as error:
        raise StoreUnavailable(
            f"The table of authentication did not do its work: {type(error).__name__}. Repeat the call.",
            reason=error.code,
        ) from error


def raise_unknown(cause: DynamoError) -> NoReturn:
    """Say that an earlier attempt may have been applied.

    Raises:
        StoreUnavailable: Always.
    """
    raise StoreUnavailable(
        "The answer of an earlier attempt was lost, and the item has changed since. Repeat the call.",
        reason="outcome_unknown",
    ) from cause


def setting(
    entity: EntityType[Any], write_id: str, fields: Mapping[str, Any], *, is_new: bool = False
) -> tuple[tuple[Path, SetValue], ...]:
    """Return the SET actions that store *fields* under *write_id*.

    Args:
        entity: Whose fields they are.
        write_id: Of this write.
        fields: Field to value.
        is_new: Whether the update may bring the item into being: then it gets its stamps too.
    """
    given = [(entity.path(name), entity.constant(name, value)) for name, value in fields.items()]
    stamps = entity.mapped.stamps.items() if is_new else ()
    marks = [(Path((name,)), Constant(value)) for name, value in stamps]
    return (*given, *marks, (WRITE_ID_PATH, Constant({"S": write_id})))


def compare(entity: EntityType[Any], op: Any, name: str, value: Any) -> Compare:
    """Return the condition that field *name* stands to *value* as *op* says, such as ``<``."""
    return Compare(op, entity.path(name), entity.constant(name, value))
