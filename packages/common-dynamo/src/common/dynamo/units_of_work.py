"""Units of work: what a database does with several items, of whatever types, as one.

Transactions, with or without the id of a request; what such an id has done; reads of one moment; and running a function
again while other writers are faster. :class:`~common.dynamo.Database` has all of it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from pydantic import BaseModel

from common.dynamo.command_records import DEFAULT_KEEPS, Command, Replay, command_key, stored_replay
from common.dynamo.entity_dao import DAO, Within
from common.dynamo.entity_type import KeyValues
from common.dynamo.execution import Executor, Pattern
from common.dynamo.requests import GetItem
from common.dynamo.rerun import rerun
from common.dynamo.snapshots import read_snapshot
from common.dynamo.transaction import Transaction
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.dynamo.outbox import Outbox

__all__ = ["UnitsOfWork"]

T = TypeVar("T")
A = TypeVar("A", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)
C = TypeVar("C", bound=BaseModel)
D = TypeVar("D", bound=BaseModel)

_REPLAY: Final = Pattern("Database.replay", "GetItem")


class UnitsOfWork:
    """The part of a database that works on several items at once."""

    clock: Callable[[], float]
    """Epoch seconds."""
    new_write_id: Callable[[], str]
    _executor: Executor
    _own_table: str
    _outbox: "Outbox"

    def transaction(
        self,
        *,
        request_id: str | None = None,
        scope: str = "",
        input: object = None,
        keeps: float = DEFAULT_KEEPS,
        deadline: Within = None,
        pattern: Pattern | None = None,
    ) -> Transaction:
        """Return a block whose writes are applied together, or not at all; see :class:`Transaction`.

        With a *request_id* they are applied once, however often the block is run with it: a repeat writes nothing, ends
        well, is ``replayed`` and has the ``result`` of the block that was applied. It costs 2 write units more per
        kilobyte of the result, and no round trip.

        The hash of *input* tells a repeat from another request. Without it, the hash is of what the operations ask for:
        verb, type, key, and the values that are to be stored; not of what must hold before (versions, ``where``,
        ``known``, ``old``). So a block that makes values of what it reads, of the time or of chance needs *input*: what
        its own caller asked for.

        Args:
            request_id: The caller's own id; only a hash of it is stored.
            scope: Whose id it is, such as a tenant: equal ids of two scopes are two requests.
            input: What the caller asks for: texts, numbers, times, models, mappings, lists and sets of such.
            keeps: Seconds for which a repeat is recognised, from the commit; longer than anybody repeats and than clocks
                differ. Afterwards the id is as good as new, whether or not the record has been swept.
            deadline: Bounds the commit with all its attempts.
            pattern: Names the commit in spans and metrics.

        The block raises at its end, besides what a transaction raises:
            RequestIdReused: The id belongs to a request with other input. Nothing was applied.

        Raises:
            InvalidInput: *request_id* or *scope* is no text, or *request_id* is empty.
            ConfigurationError: *input* has no canonical form, *keeps* is not above zero, or there is no *request_id*
                that they belong to.
        """
        command = None
        if request_id is not None:
            command = Command(self._own_table, self.clock, request_id, scope=scope, asked=input, keeps=keeps)
        elif scope or input is not None:
            raise ConfigurationError("scope= and input= belong to a request_id=.")
        return Transaction(
            self._executor,
            self.new_write_id,
            deadline=deadline,
            pattern=pattern,
            command=command,
            outbox=self._outbox,
        )

    def replay(
        self,
        request_id: str,
        *,
        scope: str = "",
        input: object = None,
        deadline: Within = None,
    ) -> Replay | None:
        """Return what a transaction with *request_id* has left, or ``None``: one consistent GetItem, 1 read unit.

        For a block that would fail before its end when its request has been applied, such as one that reads what it
        deletes; and for finding out what became of a request whose answer was lost. ``None`` says that it was not applied
        so far: a copy that is still under way may be, and the next attempt with the same id finds that out by itself.

        Args:
            request_id: See :meth:`transaction`.
            scope: See :meth:`transaction`.
            input: What the caller asks for, where the transaction is given it too; ``None`` compares nothing.
            deadline: Bounds all attempts together.

        Raises:
            RequestIdReused: The id belongs to a request with other input.
            InvalidInput: *request_id* or *scope* is no text, or *request_id* is empty.
        """
        request = GetItem(table=self._own_table, key=command_key(request_id, scope), consistent=True)
        with self._executor.operation(_REPLAY, self._own_table, deadline=deadline) as operation:
            item = operation.execute(request).body.get("Item")
            return stored_replay(item, self.clock(), input)

    def run(self, work: Callable[[], T], *, attempts: int = 10, deadline: Within = None) -> T:
        """Return what *work* returns; run it again while it raises ``VersionConflict``, after a pause with full jitter.

        *work* takes nothing and must be safe to run again: it reads, decides and writes anew each time, and does nothing
        outside of the database but on its last line. Any other error passes at once, an ``OutcomeUnknown`` too; a
        transaction inside with a ``request_id`` makes that safe to repeat as well. Blocks do not nest: an inner ``run``
        multiplies the attempts.

        Args:
            work: Called up to *attempts* times.
            attempts: At least 1.
            deadline: No attempt is started after it. It does not end one that runs: hand ``db.deadline(2.0)`` to this and
                to the calls inside, to bound all of it together.

        Raises:
            VersionConflict: That of the last attempt.
            InvalidInput: *attempts* is below 1.
        """
        return rerun(self._executor, work, attempts=attempts, deadline=self._executor.deadline(deadline))

    @overload
    def read(self, first: "tuple[DAO[A], KeyValues]", /, *, deadline: Within = None) -> tuple[A | None]: ...

    @overload
    def read(
        self, first: "tuple[DAO[A], KeyValues]", second: "tuple[DAO[B], KeyValues]", /, *, deadline: Within = None
    ) -> tuple[A | None, B | None]: ...

    @overload
    def read(
        self,
        first: "tuple[DAO[A], KeyValues]",
        second: "tuple[DAO[B], KeyValues]",
        third: "tuple[DAO[C], KeyValues]",
        /,
        *,
        deadline: Within = None,
    ) -> tuple[A | None, B | None, C | None]: ...

    @overload
    def read(
        self,
        first: "tuple[DAO[A], KeyValues]",
        second: "tuple[DAO[B], KeyValues]",
        third: "tuple[DAO[C], KeyValues]",
        fourth: "tuple[DAO[D], KeyValues]",
        /,
        *,
        deadline: Within = None,
    ) -> tuple[A | None, B | None, C | None, D | None]: ...

    @overload
    def read(self, *targets: "tuple[DAO[A], KeyValues]", deadline: Within = None) -> tuple[A | None, ...]: ...

    def read(self, *targets: tuple[DAO[Any], KeyValues], deadline: Within = None) -> tuple[Any, ...]:
        """Return the items at *targets*, pairs of a DAO and a key, as of one moment: one TransactGetItems.

        No transaction is seen in part. 2 read units per 4 KB of each item, missing ones included. A pair that is given
        twice is read once. A transaction in the way is waited for.

        Returns:
            Models in the order of *targets*; ``None`` where there is no item, or it has expired.

        Raises:
            InvalidInput: More than 100 items, or a key that cannot be stored as declared; nothing was sent.
            InvalidItem: An item of another type stands at a key, or stored data does not fit the model.
            Unavailable: No answer in time.
        """
        return read_snapshot(self._executor, targets, deadline=deadline)
