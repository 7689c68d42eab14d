"""Transactions: writes collected as values, sent once when the block ends well, all or none.

    with db.transaction() as tx:
        tx.update(invoices, ("t1", 7), pay)
        tx.create(receipts, receipt)

An exception inside the block sends nothing. Nothing is ambient: a DAO's own methods are single calls, inside a block as
everywhere. Reads inside are plain reads.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel

from common.dynamo.arguments import require_kind, require_seconds
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.entity_dao import DAO, Within
from common.dynamo.entity_type import KeyValues
from common.dynamo.execution import Deadline, Executor, Pattern, tables_of
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.plan import ChangeCallback, Plan, Where
from common.dynamo.requests import Constant, PutItem, TransactPart, TransactWriteItems, UpdateItem
from common.dynamo.settlement import RawWrite, send_transaction
from common.dynamo.sizes import TRANSACTION_LIMIT, item_size, value_size
from common.dynamo.writes import Write
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["Transaction"]

M = TypeVar("M", bound=BaseModel)

PARTS_LIMIT: Final = 100
"""Actions of a transaction, at most, the layer's own (locks) included."""

_PATTERN: Final = Pattern("Database.transaction", "TransactWriteItems")


class Transaction:
    """A block of writes that are applied together. Made by ``Database.transaction``; used once, by one thread.

    The methods add an operation and send nothing. When the block ends, one TransactWriteItems carries all of them in the
    order they were added; it costs two write units per kilobyte of each item.
    """

    def __init__(
        self,
        executor: Executor,
        new_write_id: Callable[[], str],
        *,
        deadline: Within = None,
        pattern: Pattern | None = None,
    ) -> None:
        if deadline is not None and not isinstance(deadline, Deadline):
            require_seconds("deadline", deadline)
        if pattern is not None:
            require_kind("pattern", pattern, Pattern)
        self._executor = executor
        self._write_id = new_write_id()
        self._deadline = deadline
        self._pattern = pattern or _PATTERN
        self._writes: list[Write[Any] | RawWrite] = []
        self._state = "new"
        self.cost: Cost = NOTHING
        """What the commit has cost; nothing before."""

    def __repr__(self) -> str:
        return f"<Transaction: {len(self._writes)} operations, {self._state}>"

    def __enter__(self) -> Self:
        if self._state != "new":
            raise ConfigurationError("A transaction is one block. Call db.transaction() for another one.")
        self._state = "open"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._state = "closed"
        if error is None and self._writes:
            self._commit()

    # Operations

    def create(self, dao: DAO[M], model: M) -> M:
        """Add the creation of *model*, which must be new; return it as it will be stored.

        Raises:
            InvalidInput: *model* cannot be stored.
        """
        write = self._plan(dao).create(model)
        self._add(write)
        return _planned(write, model)

    def put(
        self, dao: DAO[M], model: M, *, replace: bool = False, unlocked: bool = False, old: M | None = None
    ) -> M | None:
        """Add the storing of the whole *model*; return it as it will be stored, ``None`` where only the engine knows.

        Same as :meth:`DAO.put`, but a type with unique fields needs what is stored in *old*.
        """
        write = self._plan(dao).put(model, replace=replace, unlocked=unlocked, old=old)
        self._add(write)
        return write.model

    def update(
        self,
        dao: DAO[M],
        target: "KeyValues | M",
        change: ChangeCallback[M],
        *,
        where: Where[M] | None = None,
        known: Mapping[str, Any] | None = None,
        expect: int | None = None,
        unlocked: bool = False,
    ) -> None:
        """Add a change of an existing item. Same as :meth:`DAO.update`, but the new model is not told.

        Raises:
            InvalidInput: A value does not fit, or nothing is changed.
            ConfigurationError: A version, a part of an index key, or the model of a unique field is missing.
        """
        plan = self._plan(dao)
        self._add(plan.update(target, change, where=where, known=known, expect=expect, unlocked=unlocked))

    def delete(
        self,
        dao: DAO[M],
        target: "KeyValues | M",
        *,
        where: Where[M] | None = None,
        must_exist: bool = False,
        expect: int | None = None,
        unlocked: bool = False,
    ) -> None:
        """Add a deletion. Same as :meth:`DAO.delete`."""
        plan = self._plan(dao)
        self._add(plan.delete(target, where=where, must_exist=must_exist, expect=expect, unlocked=unlocked))

    def check(self, dao: DAO[M], key: KeyValues, where: Where[M] | None = None, *, absent: bool = False) -> None:
        """Add the requirement that an item exists and *where* holds, or that there is none (*absent*).

        A check costs what a write costs.
        """
        self._add(self._plan(dao).check(key, where, absent=absent))

    def part(self, part: TransactPart, *, operation: str = "") -> None:
        """Add a ready-made part; the layer adds nothing to it.

        Args:
            part: A request value with its own condition.
            operation: What it is called in errors.
        """
        if not isinstance(part, TransactPart):
            raise ConfigurationError(
                f"part must be a PutItem, UpdateItem, DeleteItem or ConditionCheck, not {type(part).__name__}."
            )
        require_kind("operation", operation, str)
        self._add(RawWrite(part, operation or part.operation))

    def _plan(self, dao: DAO[M]) -> Plan[M]:
        require_kind("dao", dao, DAO, "Give a DAO of this database: db.dao(ENTITY).")
        if dao._executor is not self._executor:
            raise ConfigurationError(
                f"dao belongs to another database: take the one of this transaction's database for {dao.plan.entity.name}."
            )
        return replace(dao.plan, new_write_id=lambda: self._write_id)

    def _add(self, write: Write[Any] | RawWrite) -> None:
        if self._state != "open":
            raise ConfigurationError("Operations are added inside the block: with db.transaction() as tx: ...")
        self._writes.append(write)

    # Commit

    def request(self) -> TransactWriteItems:
        """Return the request of what was added so far.

        Raises:
            InvalidInput: More than 100 actions, more than 4 MB, or two operations on one item.
        """
        parts = tuple(part for write in self._writes for part in write.parts())
        if len(parts) > PARTS_LIMIT:
            raise InvalidInput(
                f"A transaction has at most {PARTS_LIMIT} actions, locks of unique fields included; this one has "
                f"{len(parts)}. Cut it into steps that each leave the data right."
            )
        if sum(map(_size, parts)) > TRANSACTION_LIMIT:
            raise InvalidInput(f"A transaction has at most {TRANSACTION_LIMIT // 1024 // 1024} MB of items.")
        self._refuse_doubles()
        return TransactWriteItems(parts=parts, token=self._write_id)

    def _refuse_doubles(self) -> None:
        seen: dict[tuple[str, str, str], str] = {}
        for write in self._writes:
            for part in write.parts():
                key = part.item if isinstance(part, PutItem) else part.key
                place = (part.table, str(key.get(PARTITION)), str(key.get(SORT)))
                if place in seen:
                    raise InvalidInput(
                        f"Two operations of a transaction touch one item: {seen[place]} and {write.operation}. Put them "
                        "into one update."
                    )
                seen[place] = write.operation

    def _commit(self) -> None:
        request = self.request()
        with self._executor.operation(self._pattern, *tables_of(request), deadline=self._deadline) as operation:
            try:
                send_transaction(operation, request, self._writes)
            finally:
                self.cost = operation.cost


def _planned(write: Write[M], model: M) -> M:
    return write.model if write.model is not None else model


def _size(part: TransactPart) -> int:
    if isinstance(part, PutItem):
        return item_size(part.item)
    if not isinstance(part, UpdateItem):
        return item_size(part.key)
    constants = [value for _, value in (*part.update.set, *part.update.add) if isinstance(value, Constant)]
    return item_size(part.key) + sum(value_size(constant.value) for constant in constants)
