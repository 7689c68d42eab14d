"""Sending writes and saying what came of them: the same judgement for a single call and for a transaction.

A failed condition is not always a refusal. The stored item may carry this very write's id: then an earlier attempt had
been applied and its answer was lost, and the write has succeeded. And after an attempt whose outcome is unknown, a
condition that fails for any other reason proves nothing: then the outcome stays unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from common.dynamo.exceptions import (
    ConditionFailed,
    DynamoError,
    OperationFailure,
    OutcomeUnknown,
    Reason,
    RequestRefused,
    TransactionCanceled,
    canceled_by,
)
from common.dynamo.execution import Operation
from common.dynamo.requests import Item, TransactPart, TransactWriteItems
from common.dynamo.writes import Write

__all__ = ["RawWrite", "send_transaction", "send_write"]

M = TypeVar("M", bound=BaseModel)

_CONDITION = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True)
class RawWrite:
    """A ready-made part of a transaction; the layer adds nothing to it and knows nothing of its meaning."""

    part: TransactPart
    operation: str

    def parts(self) -> tuple[TransactPart, ...]:
        """Return the one part."""
        return (self.part,)


def send_write(operation: Operation, write: Write[M], *, token: str | None = None) -> Item | None:
    """Send one write; return the item as stored afterwards, where the engine told it.

    Args:
        operation: The DAO's operation.
        write: What to send.
        token: Sends it as a transaction that the engine applies once.

    Raises:
        DynamoError: What :meth:`Write.failure` says, or what the execution raised.
    """
    request = write.request(token=token)
    try:
        result = operation.execute(request, resend=write.repeatable or token is not None)
    except ConditionFailed as refused:
        if write.is_own(refused.stored):
            return _item(refused.stored)
        raise write.failure(
            refused.stored, reasons=refused.reasons, unknown_attempts=refused.unknown_attempts
        ) from None
    except TransactionCanceled as canceled:
        own = next((reason.item for reason in canceled.reasons if write.is_own(reason.item)), None)
        if own is not None:
            return own if write.is_own(canceled.reasons[0].item) else None
        raise _failures([write], canceled)[0].error from None
    return _item(result.body.get("Attributes"))


def _item(found: Any) -> Item | None:
    item: Item | None = found
    return item


def send_transaction(
    operation: Operation, request: TransactWriteItems, writes: Sequence[Write[Any] | RawWrite]
) -> None:
    """Send all *writes* as *request*.

    Raises:
        TransactionCanceled: Some of them did not hold; it is an instance of the first failure's class too.
        OutcomeUnknown: An earlier attempt may have been applied.
        DynamoError: What the execution raised.
    """
    try:
        operation.execute(request)
    except TransactionCanceled as canceled:
        ids = [write for write in writes if isinstance(write, Write)]
        if any(write.is_own(reason.item) for reason in canceled.reasons for write in ids):
            return
        failures = _failures(writes, canceled)
        if canceled.unknown_attempts:
            raise OutcomeUnknown(
                "The transaction: an earlier attempt may have been applied, and an item has changed since. Read the items "
                "before deciding.",
                engine_code="TransactionCanceledException",
            ) from None
        raise canceled_by(failures, reasons=canceled.reasons) from None


def _failures(writes: Sequence[Write[Any] | RawWrite], canceled: TransactionCanceled) -> list[OperationFailure]:
    """Map the engine's reasons, one per part, back to the caller's operations, in their order."""
    failures: list[OperationFailure] = []
    reasons = iter(canceled.reasons)
    for position, write in enumerate(writes):
        own = [next(reasons, Reason("None")) for _ in write.parts()]
        found = next(((at, reason) for at, reason in enumerate(own) if reason.code != "None"), None)
        if found is not None:
            error = _error(write, found[0], found[1], canceled)
            failures.append(OperationFailure(position, write.operation, found[1].code, error))
    if not failures:
        refused = RequestRefused("The transaction was canceled without a reason.", engine_code=_CONDITION)
        failures.append(OperationFailure(0, writes[0].operation, "None", refused))
    return failures


def _error(write: Write[Any] | RawWrite, at: int, reason: Reason, canceled: TransactionCanceled) -> DynamoError:
    told = f"{write.operation}: "
    if reason.code != _CONDITION:
        return RequestRefused(f"{told}the engine refused it: {reason.code}.", engine_code=reason.code)
    if isinstance(write, RawWrite):
        return ConditionFailed(f"{told}the condition did not hold.", stored=reason.item, reasons=(reason,))
    unknown = canceled.unknown_attempts
    if at > 0:
        return write.lock_failure(at - 1, reasons=(reason,), unknown_attempts=unknown)
    return write.failure(reason.item, reasons=(reason,), unknown_attempts=unknown)
