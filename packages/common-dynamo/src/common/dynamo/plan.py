"""Building requests: pure, from an entity type, the clock and a source of write ids. Nothing here is sent.

Every operation of a DAO is such a value first, so that a test compares requests without an engine::

    invoices.plan.get(("t1", 7)) == GetItem(table="app", key=..., consistent=True)
    invoices.plan.create(invoice).request()
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.arguments import require_flag, require_mapping, require_whole_number
from common.dynamo.changes import (
    UNKNOWN,
    Change,
    IndexChanges,
    Recorder,
    assigned_fields,
    index_changes,
    is_repeatable,
    record_change,
    refuse_layer_fields,
)
from common.dynamo.entity_type import EntityType, KeyValues
from common.dynamo.expressions import all_of, record_condition
from common.dynamo.layout import (
    PARTITION_PATH,
    WRITE_ID,
    WRITE_ID_PATH,
)
from common.dynamo.locks import involved_fields, locks_of_change, locks_of_create, locks_of_delete
from common.dynamo.mapping import Mapped
from common.dynamo.requests import AttributeValue, Item
from common.dynamo.rewrites import build_rewrite
from common.dynamo.sizes import ITEM_LIMIT, item_size
from common.dynamo.stored_conditions import are_unchanged, has_version, is_absent, is_alive, own_form, version_path
from common.dynamo.value_classes import dataclass
from common.dynamo.whole_items import whole_item_update
from common.dynamo.writes import Write
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["ChangeCallback", "Plan", "StoredModelNeeded", "Where"]

M = TypeVar("M", bound=BaseModel)

Where: TypeAlias = rq.Condition | Callable[[M], bool]
"""A condition: recorded from a callback, or ready-made."""
ChangeCallback: TypeAlias = rq.Update | Callable[[Change[M], M], None]
"""A change: recorded from a callback, or ready-made."""


class StoredModelNeeded(ConfigurationError):
    """The locks of unique fields cannot be found without the stored model. A DAO's single calls read it by themselves."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[M]):
    """Builds the requests of one entity type on one table."""

    entity: EntityType[M]
    mapped: Mapped[M]
    table: str
    clock: Callable[[], float]
    """Epoch seconds."""
    new_write_id: Callable[[], str]

    def get(self, key: KeyValues, *, consistent: bool = True) -> rq.GetItem:
        """Return the request that reads one item.

        Raises:
            InvalidInput: *key* is incomplete, empty, of other types or too wide.
        """
        require_flag("consistent", consistent)
        return rq.GetItem(table=self.table, key=self.mapped.item_key(key), consistent=consistent)

    # Whole models

    def create(self, model: M) -> Write[M]:
        """Return the write that stores *model*, which must be new. A version starts at 1.

        Raises:
            InvalidInput: *model* cannot be stored.
        """
        self.mapped.require_own(model)
        return self._put_new(model, "create")

    def put(self, model: M, *, replace: bool = False, unlocked: bool = False, old: M | None = None) -> Write[M]:
        """Return the write that stores the whole *model*, new or not.

        Args:
            model: With the version that was read; version 0 must be new.
            replace: Also removes what other programs have stored in the item.
            unlocked: Does not require the version, and adds 1 to whatever is stored.
            old: What is stored now; a type with unique fields needs it to find their locks. Without it, *model* must
                be new there.

        Raises:
            InvalidInput: *model* cannot be stored.
            ConfigurationError: *replace* is missing with spread fields, or meets *unlocked*.
        """
        version = self.entity.version
        self._check_put(model, replace=replace, unlocked=unlocked, old=old)
        seen = None if unlocked else self._version_in(model)
        if seen == 0 or (seen is None and self.entity.unique and old is None):
            return self._put_new(model, "put")
        if self.entity.unique and old is None:
            raise StoredModelNeeded(
                f"A put of {self.entity.name} may change a unique field: give what is stored in old=."
            )
        now, write_id = self.clock(), self.new_write_id()
        row = vars(model) if version is None else {**vars(model), version: (seen or 0) + 1}
        item, stored = self._stored(row, write_id)
        conditions = [] if seen is None else [is_alive(self.entity, now), has_version(self.mapped, seen)]
        locks: tuple[Any, ...] = ()
        if old is not None and self.entity.unique:
            locks = locks_of_change(self.mapped, self.table, vars(old), row, now, write_id)
            conditions += are_unchanged(self.mapped, involved_fields(self.mapped), vars(old))
        condition = self._put_condition(conditions, replace=replace)
        counts = version is not None and unlocked
        return Write(
            verb="put",
            mapped=self.mapped,
            main=rq.PutItem(table=self.table, item=item, condition=condition)
            if replace
            else self._put_as_update(item, condition, counts=counts),
            locks=locks,
            write_id=write_id,
            now=now,
            expected=seen,
            model=None if counts else stored,
            needs_form=own_form(self.mapped) is not None and condition is not None,
        )

    def _put_condition(self, conditions: list[rq.Condition | None], *, replace: bool) -> rq.Condition | None:
        """Return *conditions* with the form that they ask of the item; a put that keeps attributes asks for it anyway."""
        form = own_form(self.mapped)
        if form is None or conditions:
            return all_of([*conditions, form]) if conditions else None
        return None if replace else rq.Or((rq.NotExists(PARTITION_PATH), form))

    def version_of(self, model: M) -> int | None:
        """Return the version that *model* carries; ``None`` for a type without one."""
        self.mapped.require_own(model)
        return self._version_in(model)

    def _version_in(self, model: M) -> int | None:
        if self.entity.version is None:
            return None
        return require_whole_number(self.entity.version, getattr(model, self.entity.version, None), least=0)

    def _check_put(self, model: M, *, replace: bool, unlocked: bool, old: M | None) -> None:
        require_flag("replace", replace)
        require_flag("unlocked", unlocked)
        self.mapped.require_own(model)
        if old is not None:
            self._check_given(old)
        spreads = self.mapped.codec.spreads
        if spreads and not replace:
            raise ConfigurationError(
                f"A put of {self.entity.name} cannot know which keys of {', '.join(spreads)} to remove. Use update, or "
                "put(..., replace=True)."
            )
        if replace and unlocked and self.entity.version is not None:
            raise ConfigurationError(
                f"replace=True and unlocked=True exclude each other for {self.entity.name}: a replaced item has no "
                "stored version to add to."
            )

    def _put_new(self, model: M, verb: Literal["create", "put"]) -> Write[M]:
        now, write_id = self.clock(), self.new_write_id()
        version = self.entity.version
        row = vars(model) if version is None else {**vars(model), version: 1}
        item, stored = self._stored(row, write_id)
        return Write(
            verb=verb,
            mapped=self.mapped,
            main=rq.PutItem(table=self.table, item=item, condition=is_absent(self.entity, now)),
            locks=locks_of_create(self.mapped, self.table, row, now, write_id) if self.entity.unique else (),
            write_id=write_id,
            now=now,
            expected=0 if verb == "put" else None,
            model=stored,
        )

    def _stored(self, row: Mapping[str, Any], write_id: str) -> tuple[dict[str, AttributeValue], M]:
        """Return the item of *row*, and the model as it will be read."""
        item, model = self.mapped.store(row)
        item[WRITE_ID] = {"S": write_id}
        self._check_size(item)
        return item, model

    def _check_size(self, values: Mapping[str, AttributeValue]) -> None:
        """Refuse what no item can hold: attribute name to value."""
        try:
            size = item_size(values)
        except ValueError as error:
            raise InvalidInput(f"A {self.entity.name} cannot be stored: {error}.") from None
        if size > ITEM_LIMIT:
            raise InvalidInput(f"A {self.entity.name} is over {ITEM_LIMIT // 1024} KB, DynamoDB's limit for an item.")

    def _check_given(self, old: object, **flags: object) -> None:
        for name, flag in flags.items():
            require_flag(name, flag)
        if old is not None:
            self.mapped.require_own(old, "old")

    def _put_as_update(
        self, item: Mapping[str, AttributeValue], condition: rq.Condition | None, *, counts: bool
    ) -> rq.UpdateItem:
        return whole_item_update(self.mapped, self.table, item, condition, counts=counts)

    # Changes

    def update(
        self,
        target: "KeyValues | M",
        change: ChangeCallback[M],
        *,
        where: Where[M] | None = None,
        known: Mapping[str, Any] | None = None,
        expect: int | None = None,
        unlocked: bool = False,
        old: M | None = None,
        once: bool = False,
    ) -> Write[M]:
        """Return the write that changes an existing item; see :meth:`common.dynamo.DAO.update`.

        Args:
            target: Its key, or the model as it was read: then its version is required, and its fields are known.
            change: What to do.
            where: What must hold besides.
            known: Stored values of fields that index keys are made of; each becomes a condition.
            expect: The version that was seen.
            unlocked: Does not require a version, and adds 1 to whatever is stored.
            old: What is stored now, where the change concerns unique fields.
            once: Does not hold where this very write id has already been here.

        Raises:
            InvalidInput: A value does not fit, or nothing is changed.
            ConfigurationError: A version, or a part of an index key or lock, is missing; or the change touches what
                only the layer writes.
        """
        self._check_given(old, unlocked=unlocked, once=once)
        known = {} if known is None else require_mapping("known", known)
        key, asked = self.mapped.item_key(target), self._asked(where)
        now, write_id = self.clock(), self.new_write_id()
        seen = self._seen(target, known, expect, guarded=where is not None or unlocked, unlocked=unlocked)
        row = {**self.mapped.row(target), **known}
        update = self._recorded(change, row)
        assigned = assigned_fields(self.mapped, update)
        indexed = index_changes(self.mapped, assigned, row)
        locks, guards = self._changed_locks(target, assigned, old, now, write_id)
        stored = {**row, **(vars(old) if old else {})}
        unchanged = are_unchanged(self.mapped, indexed.used | known.keys() | guards, stored)
        new_here, form = self._is_new_here(write_id) if once else None, own_form(self.mapped)
        alive, version = is_alive(self.entity, now), has_version(self.mapped, seen)
        condition = all_of([alive, version, *unchanged, asked, new_here, form])
        full = self._completed(update, indexed, seen, write_id)
        main = rq.UpdateItem(table=self.table, key=key, update=full, condition=condition, returns="ALL_NEW")
        return Write(
            verb="update",
            mapped=self.mapped,
            main=main,
            locks=locks,
            write_id=write_id,
            now=now,
            repeatable=seen is not None or is_repeatable(update),
            expected=seen,
            needs_form=form is not None,
        )

    def _is_new_here(self, write_id: str) -> rq.Condition:
        return rq.Compare("<>", WRITE_ID_PATH, rq.Constant({"S": write_id}))

    def _recorded(self, change: ChangeCallback[M], row: Mapping[str, Any]) -> rq.Update:
        """Return what *change* is, if it touches nothing of the layer's and could be held by an item."""
        update = record_change(self.mapped, change, row)
        refuse_layer_fields(self.mapped, update)
        given = [(path, value) for path, value in (*update.set, *update.add) if isinstance(value, rq.Constant)]
        self._check_size({f"{position}": value.value for position, (_, value) in enumerate(given)})
        return update

    def _completed(self, update: rq.Update, indexed: IndexChanges, seen: int | None, write_id: str) -> rq.Update:
        """Return *update* with index keys, write id and version."""
        stamped: tuple[tuple[rq.Path, rq.SetValue], ...] = ((WRITE_ID_PATH, rq.Constant({"S": write_id})),)
        added = update.add
        if seen is not None:
            stamped += ((version_path(self.mapped), rq.Constant({"N": str(seen + 1)})),)
        elif self.entity.version is not None:
            added += ((version_path(self.mapped), rq.Constant({"N": "1"})),)
        return rq.Update((*update.set, *indexed.set, *stamped), (*update.remove, *indexed.remove), added, update.delete)

    def _changed_locks(
        self, target: Any, assigned: Mapping[str, Any], old: M | None, now: float, write_id: str
    ) -> tuple[tuple[Any, ...], frozenset[str]]:
        """Return the locks of a change and the fields whose old values must still be there."""
        concerned = involved_fields(self.mapped) & assigned.keys()
        if not concerned:
            return (), frozenset()
        if old is None and isinstance(target, self.entity.model):
            old = target
        if old is None or any(assigned[name] is UNKNOWN for name in concerned):
            raise StoredModelNeeded(
                f"This update of {self.entity.name} changes {', '.join(sorted(concerned))}, which concerns the lock of a "
                "unique field. Give the model as it was read instead of its key, and assign plain values."
            )
        before = vars(old)
        locks = locks_of_change(self.mapped, self.table, before, {**before, **assigned}, now, write_id)
        # Also where the value stays: somebody may have moved it, and its lock, since it was read.
        return locks, involved_fields(self.mapped)

    def delete(
        self,
        target: "KeyValues | M",
        *,
        where: Where[M] | None = None,
        must_exist: bool = False,
        expect: int | None = None,
        unlocked: bool = False,
        old: M | None = None,
    ) -> Write[M]:
        """Return the write that deletes an item; see :meth:`common.dynamo.DAO.delete`.

        Args:
            target: Its key, or the model as it was read: then its version is required.
            where: What must hold besides; then the item must exist.
            must_exist: Whether absence is an error.
            expect: The version that was seen.
            unlocked: Does not require a version.
            old: What is stored now, where the type has unique fields.

        Raises:
            InvalidInput: The key is incomplete or a value does not fit.
            ConfigurationError: A version or the stored model is missing.
        """
        self._check_given(old, must_exist=must_exist, unlocked=unlocked)
        now = self.clock()
        guarded = unlocked or where is not None
        seen = self._seen(target, None, expect, guarded=guarded, unlocked=unlocked)
        stored = target if isinstance(target, self.entity.model) else old
        guards = [has_version(self.mapped, seen)]
        locks = self._returned_locks(stored)
        if stored is not None and self.entity.unique:
            guards += are_unchanged(self.mapped, involved_fields(self.mapped), vars(stored))
        guards.append(self._asked(where))
        needs_form = own_form(self.mapped) is not None and any(guards)
        condition = all_of([*guards, own_form(self.mapped) if needs_form else None])
        if must_exist or where is not None:
            condition = all_of([is_alive(self.entity, now), condition])
        elif condition is not None:
            condition = rq.Or((rq.NotExists(PARTITION_PATH), condition))
        return Write(
            verb="delete",
            mapped=self.mapped,
            main=rq.DeleteItem(table=self.table, key=self.mapped.item_key(target), condition=condition),
            locks=locks,
            write_id=self.new_write_id(),
            now=now,
            expected=seen,
            needs_form=needs_form,
        )

    def _returned_locks(self, stored: M | None) -> tuple[Any, ...]:
        """Return the locks that a deletion of *stored* gives back."""
        if not self.entity.unique:
            return ()
        if stored is None:
            raise StoredModelNeeded(
                f"A delete of {self.entity.name} gives back the locks of unique fields: give the model as it was read."
            )
        return locks_of_delete(self.mapped, self.table, vars(stored))

    def check(self, key: KeyValues, where: Where[M] | None = None, *, absent: bool = False) -> Write[M]:
        """Return the check, for a transaction, that an item exists and *where* holds, or that it is *absent*."""
        require_flag("absent", absent)
        if absent and where is not None:
            raise ConfigurationError(
                "absent=True and where= exclude each other: nothing can hold for an item that is not there."
            )
        now = self.clock()
        asked = self._asked(where)
        form = None if asked is None else own_form(self.mapped)
        condition = is_absent(self.entity, now) if absent else all_of([is_alive(self.entity, now), asked, form])
        assert condition is not None  # noqa: S101 - existence is always asked for
        return Write(
            verb="check",
            mapped=self.mapped,
            main=rq.ConditionCheck(table=self.table, key=self.mapped.item_key(key), condition=condition),
            write_id=self.new_write_id(),
            now=now,
            needs_form=form is not None,
        )

    def rewrite(self, item: Item, *, content: M | None = None) -> Write[M]:
        """Return the write that stores *item* in the form that the type has now: same content, same version.

        For items of an older schema, and for those of the type's own whose index keys or locks are to be made again. It
        holds only while the item's schema, write id and version are those that were read.

        Args:
            item: The whole item, as it was read; see :meth:`Mapped.is_outdated`.
            content: What to store instead of its own content, at the same key; then the version counts one further.

        Raises:
            InvalidItem: It cannot be read, or its new form cannot be stored.
            InvalidInput: It is of a newer schema than the type; or *content* has another key.
        """
        require_mapping("item", item)
        if content is not None:
            self.mapped.require_own(content, "content")
        return build_rewrite(
            self.mapped, self.table, item, now=self.clock(), write_id=self.new_write_id(), content=content
        )

    # Conditions

    def _seen(
        self, target: Any, known: Mapping[str, Any] | None, expect: int | None, *, guarded: bool, unlocked: bool
    ) -> int | None:
        """Return the version that the change requires; ``None`` where it requires none."""
        version = self.entity.version
        if version is None and expect is not None:
            raise ConfigurationError(
                f"{self.entity.name} has no version, so nothing can be expected of it: leave expect= out."
            )
        if version is None or unlocked:
            return None
        if expect is None and isinstance(target, self.entity.model):
            return self._version_in(target)
        told, expect = ("expect", expect) if expect is not None else (version, (known or {}).get(version))
        if expect is not None:
            return require_whole_number(told, expect, least=0)
        if not guarded:
            raise ConfigurationError(
                f"{self.entity.name} has a version, and this change does not say which one it has seen. Give the model as "
                "it was read instead of its key, or expect=, or where=; unlocked=True is the explicit exception."
            )
        return None

    def _asked(self, where: Where[M] | None) -> rq.Condition | None:
        return None if where is None else record_condition(Recorder(self.mapped), where)
