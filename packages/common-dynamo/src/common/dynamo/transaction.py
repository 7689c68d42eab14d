"""Transactions: writes collected as values, sent once when the block ends well, all or none.

    with db.transaction() as tx:
        tx.update(invoices, ("t1", 7), pay)
        tx.create(receipts, receipt)

With a ``request_id`` the block is applied once, however often it is repeated: see :mod:`common.dynamo.command_records`.

An exception inside the block sends nothing. Nothing is ambient: a DAO's own methods are single calls, inside a block as
everywhere. Reads inside are plain reads.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel

from common.dynamo.arguments import LONGEST_DEADLINE, require_kind, require_seconds
from common.dynamo.command_records import Command
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.entity_dao import DAO, Within
from common.dynamo.entity_type import KeyValues
from common.dynamo.exceptions import OutcomeUnknown
from common.dynamo.execution import Deadline, Executor, Pattern, tables_of
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.outbox import Emission, Outbox
from common.dynamo.plan import ChangeCallback, Plan, Where
from common.dynamo.request_input import asked_by_part, asked_by_write
from common.dynamo.requests import (
    AttributeValue,
    Constant,
    IfNotExists,
    ListAppend,
    Minus,
    Plus,
    PutItem,
    SetValue,
    TransactPart,
    TransactWriteItems,
    UpdateItem,
)
from common.dynamo.settlement import RawWrite, TransactionWrite, send_transaction
from common.dynamo.sizes import ITEM_LIMIT, TRANSACTION_LIMIT, item_size, value_size
from common.dynamo.writes import Write
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["Transaction"]

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

PARTS_LIMIT: Final = 100
"""Actions of a transaction, at most, the layer's own (locks, events, the record of a request id) included."""

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
        command: Command | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        if deadline is not None and not isinstance(deadline, Deadline):
            require_seconds("deadline", deadline, most=LONGEST_DEADLINE)
        if pattern is not None:
            require_kind("pattern", pattern, Pattern)
        self._executor = executor
        self._write_id = new_write_id()
        self._deadline = deadline
        self._pattern = pattern or _PATTERN
        self._writes: list[Write[Any] | RawWrite | Emission] = []
        self._command = command
        self._outbox = outbox
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
        if error is None and (self._writes or self._command is not None):
            self._commit()

    # Repeats

    @property
    def replayed(self) -> bool:
        """Whether an earlier call with the same request id had been applied; known when the block has ended."""
        return self._command is not None and self._command.replayed

    @property
    def result(self) -> Any:
        """The result of the request: of this call, or, where it was :attr:`replayed`, of the one that was applied.

        A pydantic model comes back as such a model, where this block has set one; everything else as JSON has it, such
        as a Decimal as a text. Set it inside the block.

        Raises:
            InvalidItem: What is stored is no model of the class that this block has set.
        """
        return None if self._command is None else self._command.result

    @result.setter
    def result(self, value: Any) -> None:
        if self._command is None:
            raise ConfigurationError("A result is kept under a request id: db.transaction(request_id=...).")
        self._refuse_closed()
        self._command.give(value)

    def result_as(self, kind: type[R]) -> R:
        """Return :attr:`result` as a *kind*, for type checkers and for results that this block did not set.

        Raises:
            InvalidItem: What is stored is no *kind*.
            ConfigurationError: The transaction has no request id.
        """
        if self._command is None:
            raise ConfigurationError("A result is kept under a request id: db.transaction(request_id=...).")
        return self._command.replay.result_as(kind)

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

    def emit(self, event: BaseModel) -> None:
        """Add an event, which is published if and only if the transaction is applied; see :mod:`common.dynamo.outbox`.

        Events of one aggregate share one part, in the order they were added: 2 write units per kilobyte of all that
        waits to be published.

        Raises:
            InvalidInput: *event* cannot be stored, or names no aggregate.
            ConfigurationError: The database does not know the type of *event*.
        """
        if self._outbox is None:
            raise ConfigurationError("Events are emitted in a transaction of a database: db.transaction().")
        emission = self._outbox.emission(event, self._write_id)
        self._refuse_closed()
        for position, earlier in enumerate(self._writes):
            if isinstance(earlier, Emission) and earlier.aggregate == emission.aggregate:
                self._writes[position] = earlier.also(emission)
                return
        self._writes.append(emission)

    def _plan(self, dao: DAO[M]) -> Plan[M]:
        require_kind("dao", dao, DAO, "Give a DAO of this database: db.dao(ENTITY).")
        if dao._executor is not self._executor:
            raise ConfigurationError(
                f"dao belongs to another database: take the one of this transaction's database for {dao.plan.entity.name}."
            )
        plan = dao.plan
        return Plan(plan.entity, plan.mapped, plan.table, plan.clock, self._own_write_id)

    def _own_write_id(self) -> str:
        return self._write_id

    def _add(self, write: Write[Any] | RawWrite) -> None:
        self._refuse_closed()
        self._writes.append(write)

    def _refuse_closed(self) -> None:
        if self._state != "open":
            raise ConfigurationError("Operations are added inside the block: with db.transaction() as tx: ...")

    # Commit

    def request(self) -> TransactWriteItems:
        """Return the request of what was added so far.

        Raises:
            InvalidInput: More than 100 actions, more than 4 MB, or two operations on one item.
        """
        return self._request(self._all())

    def _all(self) -> tuple[TransactionWrite, ...]:
        """Return the operations, and the record of the request id, made now, where there is one."""
        if self._command is None:
            return tuple(self._writes)
        asked = [_asked_by(write) for write in self._writes]
        return (*self._writes, self._command.record(asked, self._write_id))

    def _request(self, writes: Sequence[TransactionWrite]) -> TransactWriteItems:
        parts_of = [(write, write.parts()) for write in writes]
        parts = tuple([part for _, own in parts_of for part in own])
        if len(parts) > PARTS_LIMIT:
            raise InvalidInput(
                f"A transaction has at most {PARTS_LIMIT} actions, locks of unique fields and the record of a request id "
                f"included; this one has {len(parts)}. Cut it into steps that each leave the data right."
            )
        # So few items cannot be too large together, since none of them is too large.
        if len(parts) > TRANSACTION_LIMIT // ITEM_LIMIT and sum(map(_size, parts)) > TRANSACTION_LIMIT:
            raise InvalidInput(f"A transaction has at most {TRANSACTION_LIMIT // 1024 // 1024} MB of items.")
        _refuse_doubles(parts_of)
        # The write id is part of the bytes, so each commit has a token of its own and all of its attempts the same one.
        return TransactWriteItems(parts=parts, token=self._write_id)

    def _commit(self) -> None:
        writes = self._all()
        request = self._request(writes)
        with self._executor.operation(self._pattern, *tables_of(request), deadline=self._deadline) as operation:
            try:
                replay = send_transaction(operation, request, writes)
            except OutcomeUnknown as unknown:
                unknown.request_id = None if self._command is None else self._command.request_id
                raise
            finally:
                self.cost = operation.cost
        if self._command is not None:
            self._command.settle(replay)


def _asked_by(write: Write[Any] | RawWrite | Emission) -> object:
    if isinstance(write, Write):
        return asked_by_write(write)
    return asked_by_part(write.part) if isinstance(write, RawWrite) else ["emit", *write.asked]


def _refuse_doubles(parts_of: Iterable[tuple[TransactionWrite, tuple[TransactPart, ...]]]) -> None:
    seen: dict[tuple[str, str, str], TransactionWrite] = {}
    for write, parts in parts_of:
        for part in parts:
            key = part.item if isinstance(part, PutItem) else part.key
            place = (part.table, _key_text(key.get(PARTITION)), _key_text(key.get(SORT)))
            if place in seen:
                raise InvalidInput(
                    f"Two operations of a transaction touch one item: {seen[place].operation} and {write.operation}. Put "
                    "them into one update."
                )
            seen[place] = write


def _key_text(value: AttributeValue | None) -> str:
    return value["S"] if value is not None and "S" in value else str(value)


def _planned(write: Write[M], model: M) -> M:
    return write.model if write.model is not None else model


def _size(part: TransactPart) -> int:
    if isinstance(part, PutItem):
        return item_size(part.item)
    if not isinstance(part, UpdateItem):
        return item_size(part.key)
    given = (value for _, value in (*part.update.set, *part.update.add))
    return item_size(part.key) + sum(value_size(constant) for value in given for constant in _constants(value))


def _constants(value: SetValue) -> Iterable[AttributeValue]:
    if isinstance(value, Constant):
        yield value.value
    elif isinstance(value, IfNotExists):
        yield from _constants(value.default)
    elif isinstance(value, Plus | Minus | ListAppend):
        yield from _constants(value.left)
        yield from _constants(value.right)
