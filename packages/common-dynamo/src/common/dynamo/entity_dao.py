"""The DAO that every entity type gets without a subclass: ``db.dao(INVOICE)``."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel

from common.dynamo.arguments import require_flag, require_iterable, require_kind, require_text
from common.dynamo.batches import batch_name, read_batch, write_batch
from common.dynamo.entity_type import Index, KeyValues, View
from common.dynamo.exceptions import (
    AlreadyExists,
    NotFound,
    OutcomeUnknown,
    VersionConflict,
)
from common.dynamo.execution import Deadline, Executor, Operation, Pattern
from common.dynamo.paging import Cursors
from common.dynamo.plan import ChangeCallback, Plan, StoredModelNeeded, Where
from common.dynamo.queries import EntityQuery, build_query
from common.dynamo.scans import EntityScan, build_scan
from common.dynamo.settlement import send_write
from common.dynamo.stored_state import change_stored, delete_with_stored, stored_after, visible, write_with_stored
from common.dynamo.writes import Write
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["DAO"]

M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")
W = TypeVar("W")

Within: TypeAlias = float | Deadline | None
"""Seconds from now, or a moment, that bounds a call with all its attempts; ``None`` for the database's default."""


class DAO(Generic[M]):
    """Reads and writes the items of one entity type. Made by :meth:`Database.dao`; thread-safe.

    Keys are tuples of the key fields' values in template order, or the bare value where there is one field. Expired items
    are hidden everywhere. Models are never changed: what a write stored is returned as a new one.

    Every method may raise, besides what it names:

    - ``Unavailable``: no answer in time, or too much load; certainly not applied.
    - ``OutcomeUnknown``: a write may have been applied, or still may be.
    - ``InvalidInput``: a key or value cannot be stored as declared; nothing was sent.
    - ``InvalidItem``: stored data does not fit the model.
    - ``RequestRefused``: the engine refused the request as such.
    """

    def __init__(self, executor: Executor, plan: Plan[M], cursors: Cursors) -> None:
        self.plan = plan
        """Builds the requests; for transactions, batches and tests."""
        self._executor = executor
        self._cursors = cursors
        self._patterns: dict[tuple[str, str], Pattern] = {}
        self._tables = (plan.table,)

    def __repr__(self) -> str:
        return f"<DAO of {self.plan.entity.name}>"

    def _operation(self, method: str, operation: str, deadline: Within, *, batch_size: int | None = None) -> Operation:
        executor = self._executor
        pattern = self._pattern(method, operation)
        return Operation(executor, pattern, self._tables, executor.deadline(deadline), batch_size)

    def _pattern(self, method: str, operation: str) -> Pattern:
        pattern = self._patterns.get((method, operation))
        if pattern is None:
            pattern = Pattern(f"{self.plan.entity.model.__name__}.{method}", operation)
            self._patterns[method, operation] = pattern
        return pattern

    # Reads

    def get(
        self, key: KeyValues, *, consistent: bool = True, include_expired: bool = False, deadline: Within = None
    ) -> M | None:
        """Return the item at *key*, or ``None``. One GetItem.

        Args:
            key: See the class.
            consistent: Sees every write acknowledged before; costs twice an eventual read.
            include_expired: Also gives an expired item that DynamoDB has not deleted yet.
            deadline: Bounds all attempts together.
        """
        require_flag("include_expired", include_expired)
        request = self.plan.get(key, consistent=consistent)
        with self._operation("get", "GetItem", deadline) as operation:
            item = operation.execute(request).body.get("Item")
            return visible(self.plan, item, include_expired=include_expired)

    def require(
        self, key: KeyValues, *, consistent: bool = True, include_expired: bool = False, deadline: Within = None
    ) -> M:
        """Same as :meth:`get`, but absence is an error.

        Raises:
            NotFound: There is no such item.
        """
        require_flag("include_expired", include_expired)
        request = self.plan.get(key, consistent=consistent)
        with self._operation("require", "GetItem", deadline) as operation:
            found = visible(self.plan, operation.execute(request).body.get("Item"), include_expired=include_expired)
            if found is None:
                raise NotFound(f"There is no such {self.plan.entity.name}.")
            return found

    def view(self, key: KeyValues, view: View[M, V], *, consistent: bool = True, deadline: Within = None) -> V | None:
        """Return *view* of the item at *key*, or ``None``. One GetItem."""
        self._require_view("view", view)
        request = self.plan.get(key, consistent=consistent)
        with self._operation("view", "GetItem", deadline) as operation:
            found = visible(self.plan, operation.execute(request).body.get("Item"))
            return None if found is None else view.read(found)

    def views(
        self, key: KeyValues, one: View[M, V], other: View[M, W], *, consistent: bool = True, deadline: Within = None
    ) -> tuple[V, W] | None:
        """Return two views of the item at *key*, made of one read, so that they agree; ``None`` without an item."""
        self._require_view("one", one)
        self._require_view("other", other)
        request = self.plan.get(key, consistent=consistent)
        with self._operation("views", "GetItem", deadline) as operation:
            found = visible(self.plan, operation.execute(request).body.get("Item"))
            return None if found is None else (one.read(found), other.read(found))

    def batch_get(
        self,
        keys: Iterable[KeyValues],
        *,
        consistent: bool = True,
        include_expired: bool = False,
        deadline: Within = None,
    ) -> list[M | None]:
        """Return a list as long as *keys*, in their order, ``None`` where no item exists.

        Any number of keys; equal ones are read once. One BatchGetItem per 100, repeated while keys stay unprocessed.
        """
        require_flag("consistent", consistent)
        require_flag("include_expired", include_expired)
        wanted = [self.plan.mapped.item_key(key) for key in require_iterable("keys", keys, "keys")]
        with self._operation("batch_get", "BatchGetItem", deadline) as operation:
            items = read_batch(operation, self.plan.table, wanted, consistent=consistent)
            if self.plan.entity.ttl is not None and not include_expired:
                return [visible(self.plan, item) for item in items]
            models = iter(self.plan.mapped.decode_all([item for item in items if item is not None]))
            return [None if item is None else next(models) for item in items]

    def query(self, index: Index | str | None = None, *, consistent: bool = False, **fields: Any) -> EntityQuery[M]:
        """Return a query by *fields*: the partition key's, then the sort key's from the left.

        Only items of this entity type are given, whatever else is in the partition.

        Args:
            index: Of the entity type; ``None`` for the table.
            consistent: Refused on an index.
            fields: Field to value.

        Raises:
            ConfigurationError: The fields are not the beginning of the key, or the index cannot be read so.
        """
        return build_query(
            self.plan,
            self._executor,
            self._cursors,
            self._pattern("query", "Query"),
            index=index.name if isinstance(index, Index) else index,
            consistent=consistent,
            fields=fields,
        )

    def scan(
        self,
        *,
        name: str | None = None,
        consistent: bool = False,
        segments: int = 1,
        units_per_second: float | None = None,
    ) -> EntityScan[M]:
        """Return a scan: a walk through every item of the table, of which those of this entity type are given.

        It examines and pays for all of them, so it is for exports, checks and repairs. No other method ever falls back to
        it, and a service's policy allows it only where it was asked for (:func:`common.dynamo.entity_access.uses`).

        Args:
            name: What its cost is found by, such as ``nightly-export``: spans and metrics say ``<Model>.scan.<name>``.
            consistent: Sees every write acknowledged before a page is read; costs twice an eventual read.
            segments: How many parts of the table are read side by side, each by a thread; 1 to 100.
            units_per_second: Read capacity units that it keeps to; ``None`` for no limit.

        Raises:
            ConfigurationError: There is no name, or one of the others is not what it should be.
        """
        return build_scan(
            self.plan,
            self._executor,
            self._cursors,
            self._pattern,
            name=name,
            consistent=consistent,
            segments=segments,
            units_per_second=units_per_second,
        )

    # Writes

    def create(self, model: M, *, deadline: Within = None) -> M:
        """Store *model*, which must be new; return it as stored (version 1, Decimals at their scale). One PutItem.

        With unique fields, one transaction with a lock item per value.

        Raises:
            AlreadyExists: There is an item with this key; ``stored`` has it.
            UniqueViolation: Another item owns the value of a unique field.
        """
        return self._send("create", self.plan.create(model), deadline)

    def put(self, model: M, *, replace: bool = False, unlocked: bool = False, deadline: Within = None) -> M:
        """Store the whole *model*, new or not; return it as stored. One UpdateItem, or PutItem.

        Attributes that the model does not have stay as they are: what a newer program wrote outlives an older one.

        Args:
            model: With the version that was read, where the type has one; 0 must be new.
            replace: Also removes attributes that the model does not have.
            unlocked: Does not require the version, and adds 1 to whatever is stored.
            deadline: Bounds all attempts together.

        Raises:
            VersionConflict: Another writer was faster; ``stored`` has what is there.
            UniqueViolation: Another item owns the value of a unique field.
        """
        if not self.plan.entity.unique:
            return self._send("put", self.plan.put(model, replace=replace, unlocked=unlocked), deadline)

        def build(old: "M | None") -> "Write[M]":
            seen = self.plan.version_of(model)
            if old is None and seen and not unlocked:
                raise VersionConflict(f"put {self.plan.entity.name}: the item has been deleted.", expected=seen)
            return self.plan.put(model, replace=replace, unlocked=unlocked, old=old)

        with self._operation("put", "TransactWriteItems", deadline) as operation:
            return write_with_stored(operation, self.plan, model, build, must_exist=False)

    def update(
        self,
        target: "KeyValues | M",
        change: ChangeCallback[M],
        *,
        where: Where[M] | None = None,
        known: Mapping[str, Any] | None = None,
        expect: int | None = None,
        unlocked: bool = False,
        request_id: str | None = None,
        deadline: Within = None,
    ) -> M:
        """Change an existing item; return it as it is afterwards. One UpdateItem.

        Index keys are recomputed; where a change touches a part of one, the rest must be known.

        Args:
            target: The key; or the model as it was read: its version is required, and its fields are known.
            change: A callback ``(change, it)`` that records what to do, or a ready-made update.
            where: A callback ``it -> condition``, or a ready-made tree: must hold besides.
            known: Stored values of other fields; each becomes a condition.
            expect: The version that was seen.
            unlocked: Does not require a version, and adds 1 to whatever is stored.
            request_id: Sends the change as a transaction that the engine applies once, so that one which is not
                idempotent (``change.add``) can be sent again after a lost answer. A repeat of the whole call is recognised
                as long as nobody else has changed the item since. Costs twice the write units.
            deadline: Bounds all attempts together.

        Raises:
            NotFound: There is no such item.
            VersionConflict: Another writer was faster; ``stored`` has what is there.
            ConditionFailed: *where* or *known* did not hold; ``stored`` has what is there.
            UniqueViolation: Another item owns the value of a unique field.
            ConfigurationError: A version, or a part of an index key, is missing.
        """
        if request_id is not None:
            require_text("request_id", request_id)
        once = request_id is not None
        plan = self.plan if request_id is None else replace(self.plan, new_write_id=_write_id_of(request_id))

        def build(old: "M | None") -> "Write[M]":
            return plan.update(
                target, change, where=where, known=known, expect=expect, unlocked=unlocked, old=old, once=once
            )

        try:
            write = build(None)
        except StoredModelNeeded:
            with self._operation("update", "TransactWriteItems", deadline) as operation:
                return write_with_stored(operation, self.plan, target, build, must_exist=True)
        try:
            return self._send("update", write, deadline, token=_token_of(request_id, write) if request_id else None)
        except OutcomeUnknown as unknown:
            unknown.request_id = request_id
            raise

    def upsert(
        self,
        key: KeyValues,
        change: ChangeCallback[M],
        *,
        default: M,
        where: Where[M] | None = None,
        unlocked: bool = False,
        deadline: Within = None,
    ) -> M:
        """Change the item at *key*, or store *default* where there is none; return what is there afterwards.

        The change is not applied to *default*, so no half item appears. One UpdateItem, and one PutItem more where there
        was none.

        Raises:
            ConditionFailed: *where* did not hold for the item that is there.
        """

        def build(old: "M | None") -> "Write[M]":
            return self.plan.update(key, change, where=where, unlocked=unlocked, old=old)

        self._require_default(key, default)
        with self._operation("upsert", "UpdateItem", deadline) as operation:
            while True:
                try:
                    return change_stored(operation, self.plan, key, build)
                except NotFound:
                    pass
                write = self.plan.create(default)
                try:
                    return stored_after(operation, self.plan, write, send_write(operation, write))
                except AlreadyExists:
                    continue

    def delete(
        self,
        target: "KeyValues | M",
        *,
        where: Where[M] | None = None,
        must_exist: bool = False,
        expect: int | None = None,
        unlocked: bool = False,
        deadline: Within = None,
    ) -> None:
        """Delete an item; that it is absent is no error unless *must_exist* or *where* is given. One DeleteItem.

        Args:
            target: The key; or the model as it was read: then its version is required.
            where: Must hold besides, for an item that is there.
            must_exist: Whether absence is an error.
            expect: The version that was seen.
            unlocked: Does not require a version.
            deadline: Bounds all attempts together.

        Raises:
            NotFound: There is no such item, and one was asked for.
            VersionConflict: Another writer was faster.
            ConditionFailed: *where* did not hold; ``stored`` has what is there.
        """

        def build(old: "M | None") -> "Write[M]":
            return self.plan.delete(
                target, where=where, must_exist=must_exist, expect=expect, unlocked=unlocked, old=old
            )

        try:
            write = build(None)
        except StoredModelNeeded:
            with self._operation("delete", "TransactWriteItems", deadline) as operation:
                delete_with_stored(operation, self.plan, target, build, must_exist=must_exist or where is not None)
            return
        with self._operation("delete", write.request().operation, deadline) as operation:
            send_write(operation, write)

    def batch_write(self, writes: Sequence[Write[M]], *, deadline: Within = None) -> list[M | None]:
        """Send many writes made by :attr:`plan`; return what each stored, in their order, ``None`` for deletes.

        Not atomic. Unconditional replacing puts and deletes travel in BatchWriteItem, 25 at a time; every other write is
        sent by itself, with all its rules.

        Raises:
            OutcomeUnknown: Something was unprocessed at the deadline; the rest is applied. Repeat the batch.
        """
        writes = self._own_writes(writes)
        size = len(writes) if len(writes) != 1 else None
        with self._operation("batch_write", batch_name(writes), deadline, batch_size=size) as operation:
            return write_batch(operation, writes)

    # What cannot be meant

    def _require_view(self, name: str, view: object) -> None:
        of = require_kind(name, view, View).of
        if of is not self.plan.entity:
            raise ConfigurationError(
                f"{name} is made of {of.name!r}, and this DAO reads {self.plan.entity.name!r}: give a View of the same type."
            )

    def _require_default(self, key: KeyValues, default: M) -> None:
        """Refuse, before the change is sent, a default that could not be stored, or not at *key*."""
        self.plan.mapped.require_own(default, "default")
        if self.plan.create(default).key != self.plan.mapped.item_key(key):
            raise InvalidInput(f"default is stored at another key than the {self.plan.entity.name} that is asked for.")

    def _own_writes(self, writes: Iterable[Write[M]]) -> Sequence[Write[M]]:
        own = tuple(require_iterable("writes", writes, "writes"))
        for write in own:
            made = require_kind("writes", write, Write, "Make it by the plan of this DAO, such as dao.plan.put(model).")
            if made.mapped is not self.plan.mapped or made.main.table != self.plan.table:
                raise ConfigurationError(
                    f"writes has a write of another DAO ({made.operation}): send each kind by its own, or use a transaction."
                )
            made.request()
        return own

    # Sending

    def _send(self, method: str, write: Write[M], deadline: Within, *, token: str | None = None) -> M:
        sent_as = "TransactWriteItems" if token is not None or write.locks else write.main.operation
        with self._operation(method, sent_as, deadline) as operation:
            return stored_after(operation, self.plan, write, send_write(operation, write, token=token))


def _write_id_of(request_id: str) -> Callable[[], str]:
    """Return a source of the one write id of *request_id*: the same bytes go out whenever the caller repeats it."""
    digest = hashlib.sha256(request_id.encode()).hexdigest()[:26]
    return lambda: digest


def _token_of(request_id: str, write: Write[Any]) -> str:
    """Return the ClientRequestToken of a write: of its request id and its content, at most 36 characters."""
    return hashlib.sha256(f"{request_id}\0{write.main!r}".encode()).hexdigest()[:36]
