"""Writes that depend on what is stored: read it, send, and again while others change it; and what is stored afterwards."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from common.dynamo.exceptions import ConditionFailed, NotFound, UniqueViolation, VersionConflict
from common.dynamo.execution import Operation
from common.dynamo.locks import involved_fields
from common.dynamo.plan import Plan, StoredModelNeeded
from common.dynamo.requests import GetItem, Item
from common.dynamo.settlement import send_write
from common.dynamo.writes import Write, has_expired

__all__ = ["change_stored", "delete_with_stored", "stored_after", "visible", "write_with_stored"]

M = TypeVar("M", bound=BaseModel)


def visible(plan: Plan[M], item: Item | None, *, include_expired: bool = False) -> M | None:
    """Return the model in *item*; ``None`` without one, or where it has expired.

    Raises:
        InvalidItem: Stored data does not fit the model.
    """
    if item is None:
        return None
    if plan.entity.ttl is not None and not include_expired and has_expired(plan.mapped, item, plan.clock()):
        return None
    return plan.mapped.decode(item)


def stored_after(operation: Operation, plan: Plan[M], write: Write[M], item: Item | None) -> M:
    """Return the model after *write*: as planned, as the engine told (*item*), or, after a transaction, as it is read.

    Raises:
        NotFound: The item has been deleted since.
    """
    if write.model is not None:
        return write.model
    if item is None:
        request = GetItem(table=plan.table, key=write.key, consistent=True)
        item = operation.execute(request).body.get("Item")
    if item is None:
        raise NotFound(f"{write.operation}: it was applied, and the item has been deleted since.")
    return plan.mapped.decode(item)


def change_stored(operation: Operation, plan: Plan[M], target: Any, build: Callable[[M | None], Write[M]]) -> M:
    """Send a change of an existing item; where it concerns locks, read the stored model first."""
    try:
        write = build(None)
    except StoredModelNeeded:
        return write_with_stored(operation, plan, target, build, must_exist=True)
    return stored_after(operation, plan, write, send_write(operation, write))


def write_with_stored(
    operation: Operation, plan: Plan[M], target: Any, build: Callable[[M | None], Write[M]], *, must_exist: bool
) -> M:
    """Send a write that needs the stored model for its locks: read it, and again while others change them."""
    while True:
        old = _read(operation, plan, target)
        if old is None and must_exist:
            raise NotFound(f"There is no such {plan.entity.name}.")
        try:
            write = build(old)
            return stored_after(operation, plan, write, send_write(operation, write))
        except ConditionFailed as failure:
            if not _has_moved(plan, old, failure):
                raise


def delete_with_stored(
    operation: Operation, plan: Plan[M], target: Any, build: Callable[[M | None], Write[M]], *, must_exist: bool
) -> None:
    """Same as :func:`write_with_stored`, for a delete: absence is an error only where *must_exist*."""
    while True:
        old = _read(operation, plan, target)
        if old is None:
            if must_exist:
                raise NotFound(f"delete {plan.entity.name}: there is no such item.")
            return
        try:
            send_write(operation, build(old))
            return
        except ConditionFailed as failure:
            if not _has_moved(plan, old, failure):
                raise


def _read(operation: Operation, plan: Plan[M], target: Any) -> M | None:
    return visible(plan, operation.execute(plan.get(target)).body.get("Item"))


def _has_moved(plan: Plan[M], old: M | None, failure: ConditionFailed) -> bool:
    """Tell whether a write failed only because unique fields were changed by somebody else since they were read."""
    if isinstance(failure, VersionConflict | UniqueViolation):
        return False
    stored = failure.stored
    if stored is None or old is None:
        return stored is not old
    return any(getattr(stored, name) != getattr(old, name) for name in involved_fields(plan.mapped))
