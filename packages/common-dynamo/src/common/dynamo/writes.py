"""Writes as immutable values: the same one serves as single call, batch entry and part of a transaction.

A :class:`Write` holds all that must hold on every route: key, existence rule, version, index keys, unique locks, expiry
rule and write id. It also knows what a refusal of it means, so that a failed condition reads the same on every route.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from common.dynamo.exceptions import (
    AlreadyExists,
    ConditionFailed,
    DynamoError,
    InvalidItem,
    NotFound,
    OutcomeUnknown,
    Reason,
    UniqueViolation,
    VersionConflict,
)
from common.dynamo.layout import EXPIRY, PARTITION, SORT, WRITE_ID
from common.dynamo.mapping import Mapped
from common.dynamo.requests import (
    ConditionCheck,
    DeleteItem,
    Item,
    ItemKey,
    PutItem,
    TransactPart,
    TransactWriteItems,
    UpdateItem,
    WriteRequest,
)
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["LockWrite", "Verb", "Write", "has_expired"]

M = TypeVar("M", bound=BaseModel)

Verb: TypeAlias = Literal["create", "put", "update", "delete", "check", "rewrite"]


@dataclass(frozen=True, slots=True)
class LockWrite:
    """A part that the layer adds to a write: the lock of a unique value, put or deleted."""

    field: str
    part: PutItem | DeleteItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Generic[M]):
    """One write of one entity. Built by :class:`common.dynamo.plan.Plan`; compared without I/O by :meth:`request`."""

    verb: Verb
    mapped: Mapped[M]
    main: TransactPart
    locks: tuple[LockWrite, ...] = ()
    write_id: str
    now: float
    """Epoch seconds at which expiry was judged."""
    repeatable: bool = True
    """Whether applying it twice gives what applying it once gives, or its condition prevents the second time."""
    expected: int | None = None
    """The version that the caller had seen."""
    model: M | None = None
    """The model as it will be stored, where that is known beforehand."""
    needs_form: bool = False
    """Whether the condition wants the stored item in the form of the type's own schema, or of a newer one."""

    @property
    def operation(self) -> str:
        """What it is called in errors, such as ``create invoice``."""
        return f"{self.verb} {self.mapped.entity.name}"

    @property
    def key(self) -> ItemKey:
        """The primary key of the item."""
        main = self.main
        return {name: main.item[name] for name in (PARTITION, SORT)} if isinstance(main, PutItem) else main.key

    def parts(self) -> tuple[TransactPart, ...]:
        """Return its parts in a transaction: the caller's own first, then the layer's."""
        main = self.main
        if isinstance(main, UpdateItem) and main.returns != "NONE":
            main = UpdateItem(table=main.table, key=main.key, update=main.update, condition=main.condition)
        return (main, *[lock.part for lock in self.locks]) if self.locks else (main,)

    def request(self, *, token: str | None = None) -> WriteRequest:
        """Return the request of this write alone.

        Args:
            token: Sends it as a transaction with this ``ClientRequestToken``.

        Raises:
            ConfigurationError: It is a check, which belongs into a transaction.
        """
        if self.locks or token is not None:
            return TransactWriteItems(parts=self.parts(), token=token)
        if isinstance(self.main, ConditionCheck):
            raise ConfigurationError(f"A check of {self.mapped.entity.name} belongs into a transaction.")
        return self.main

    # What a refusal means

    def is_own(self, item: Item | None) -> bool:
        """Tell whether *item* is what this very write made."""
        return item is not None and item.get(WRITE_ID) == {"S": self.write_id}

    def waits_for_rewrite(self, item: Item | None) -> bool:
        """Tell whether this write was refused since *item* is of an older schema; then it is sent again after a rewrite.

        An item that is not of the version that was seen, or has expired, is refused for that in whatever form it is; but
        for a put, which stores over what has expired.

        Raises:
            InvalidItem: *item* is of another type, or its upcast steps fail.
        """
        if not self.needs_form or item is None or not self.mapped.is_outdated(item):
            return False
        if self.verb != "put" and has_expired(self.mapped, item, self.now):
            return False
        self.mapped.decode(item)
        return self.expected is None or self._version_of(self.mapped.upcast(item)) == self.expected

    def failure(self, item: Item | None, *, reasons: Iterable[Reason] = (), unknown_attempts: int = 0) -> DynamoError:
        """Return the error for a failed condition of :attr:`main`, whose stored item is *item*.

        After an attempt whose outcome is unknown, that is :class:`OutcomeUnknown`: the attempt may have been applied and
        overwritten since.
        """
        if unknown_attempts:
            return OutcomeUnknown(
                f"{self.operation}: an earlier attempt may have been applied, and the item has changed since. Read it "
                "before deciding.",
                engine_code="ConditionalCheckFailedException",
            )
        present = item is not None and not has_expired(self.mapped, item, self.now)
        given: dict[str, Any] = {"stored": self._decoded(item) if present else None, "reasons": tuple(reasons)}
        if self.verb == "create":
            return AlreadyExists(f"{self.operation}: an item with this key exists.", **given)
        if not present and self.verb != "put":
            return NotFound(f"{self.operation}: there is no such item.")
        if self.expected is not None and self._version_of(item if present else None) != self.expected:
            return VersionConflict(
                f"{self.operation}: another writer was faster. Read it again and decide anew.",
                expected=self.expected,
                **given,
            )
        return ConditionFailed(f"{self.operation}: the condition did not hold.", **given)

    def lock_failure(self, position: int, *, reasons: Iterable[Reason] = (), unknown_attempts: int = 0) -> DynamoError:
        """Same as :meth:`failure`, for the lock at *position*."""
        lock = self.locks[position]
        if unknown_attempts:
            return self.failure(None, unknown_attempts=unknown_attempts)
        return UniqueViolation(
            f"{self.operation}: another item owns the value of {lock.field}.", field=lock.field, reasons=tuple(reasons)
        )

    def _version_of(self, item: Item | None) -> int:
        version = self.mapped.entity.version
        if item is None or version is None:
            return 0
        stored = item.get(self.mapped.codec.plans[version].attribute, {}).get("N")
        return int(stored) if stored is not None else 0

    def _decoded(self, item: Item | None) -> M | None:
        try:
            return self.mapped.decode(item) if item is not None else None
        except InvalidItem:
            return None


def has_expired(mapped: Mapped[Any], item: Item, now: float) -> bool:
    """Tell whether *item* had expired at *now*, epoch seconds; a type without TTL never expires.

    What another program has stored there as something else than a number has no effect here: the codec refuses it.
    """
    if mapped.entity.ttl is None:
        return False
    expiry = item.get(EXPIRY)
    return expiry is not None and "N" in expiry and Decimal(expiry["N"]) <= int(now)
