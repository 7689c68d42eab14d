"""Sending writes and saying what came of them: the same judgement for a single call and for a transaction.

A failed condition is not always a refusal. The stored item may carry this very write's id: then an earlier attempt had
been applied and its answer was lost, and the write has succeeded. And after an attempt whose outcome is unknown, a
condition that fails for any other reason proves nothing: then the outcome stays unknown.

Nor is it a refusal where the stored item is of an older schema, whose paths the write does not speak of: then the item is
rewritten in the new form, and the write is sent again, all within the operation's deadline and counted in its cost.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel

from common.dynamo.cancellations import canceled_by
from common.dynamo.command_records import CommandRecord, Replay
from common.dynamo.exceptions import (
    ConditionFailed,
    DynamoError,
    NotFound,
    OperationFailure,
    OutcomeUnknown,
    Reason,
    RequestRefused,
    TransactionCanceled,
    Unavailable,
    UniqueViolation,
)
from common.dynamo.execution import Operation
from common.dynamo.outbox import Emission
from common.dynamo.requests import Item, TransactPart, TransactWriteItems
from common.dynamo.rewrites import build_rewrite, rewrite_id
from common.dynamo.value_classes import dataclass
from common.dynamo.writes import Write

__all__ = ["RawWrite", "TransactionWrite", "send_transaction", "send_write"]

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


TransactionWrite: TypeAlias = Write[Any] | RawWrite | Emission | CommandRecord
"""What a transaction consists of; a command record comes last."""


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
    while True:
        if isinstance(request, TransactWriteItems):
            _tell_operations(operation, (write,))
        try:
            result = operation.execute(request, resend=write.repeatable or token is not None)
        except ConditionFailed as refused:
            if write.is_own(refused.stored):
                return _item(refused.stored)
            if refused.unknown_attempts or not write.waits_for_rewrite(refused.stored):
                raise write.failure(
                    refused.stored, reasons=refused.reasons, unknown_attempts=refused.unknown_attempts
                ) from None
            found = refused.stored
        except TransactionCanceled as canceled:
            own = next((reason.item for reason in canceled.reasons if write.is_own(reason.item)), None)
            if own is not None:
                return own if write.is_own(canceled.reasons[0].item) else None
            waiting = _waiting([write], canceled)
            if not waiting:
                raise _failures([write], canceled)[0].error from None
            found = waiting[0][1]
        else:
            return _item(result.body.get("Attributes"))
        _rewrite(operation, write, found)


def _rewrite(operation: Operation, write: Write[Any], item: Item) -> None:
    """Rewrite *item*, for which *write* waits; that somebody else was faster is no failure, since it is looked at again.

    Raises:
        InvalidItem: Its upcast steps fail.
        UniqueViolation: They make a value that another item owns.
        Unavailable: It could not be rewritten in time; *write* was certainly not applied.
    """
    rewrite = build_rewrite(
        write.mapped, write.main.table, item, now=write.now, write_id=rewrite_id(write.write_id, item)
    )
    try:
        send_write(operation, rewrite)
    except UniqueViolation:
        raise
    except (ConditionFailed, NotFound):
        return
    except OutcomeUnknown as unknown:
        raise Unavailable(
            f"{write.operation}: the item is of an older schema and could not be rewritten in time; nothing else was applied. "
            "Repeat the call.",
            engine_code=unknown.engine_code,
        ) from None


def _item(found: Any) -> Item | None:
    item: Item | None = found
    return item


def send_transaction(
    operation: Operation, request: TransactWriteItems, writes: Sequence[TransactionWrite]
) -> Replay | None:
    """Send all *writes* as *request*.

    Returns:
        What an earlier call with the same request id has left, where there was one: then this one has written nothing.

    Raises:
        RequestIdReused: The request id belongs to a request with other input.
        TransactionCanceled: Some of them did not hold; it is an instance of the first failure's class too.
        OutcomeUnknown: An earlier attempt may have been applied.
        DynamoError: What the execution raised.
    """
    while True:
        _tell_operations(operation, writes)
        try:
            operation.execute(request)
            return None
        except TransactionCanceled as canceled:
            if _holds_own(writes, canceled):
                return None
            # Before every other failure: where the request has been applied, its conditions fail for that very reason.
            replay = _replay(writes, canceled)
            if replay is not None:
                return replay
            waiting = _waiting(writes, canceled)
            if not waiting:
                raise _refusal(writes, canceled) from None
        for write, item in waiting:
            _rewrite(operation, write, item)


def _tell_operations(operation: Operation, writes: Sequence[TransactionWrite]) -> None:
    """Let the telemetry know what the next request is made of, so that it tells refusals by the caller's own count."""
    if operation.recording is not None:
        operation.recording.operations = writes


def _replay(writes: Sequence[TransactionWrite], canceled: TransactionCanceled) -> Replay | None:
    """Return what the record that stood in the way says; ``None`` where none did."""
    record, item = writes[-1], canceled.reasons[-1].item if canceled.reasons else None
    return record.replay(item) if isinstance(record, CommandRecord) and item is not None else None


def _holds_own(writes: Sequence[TransactionWrite], canceled: TransactionCanceled) -> bool:
    """Tell whether an item that stood in the way carries the id of one of *writes*: then all of them were applied."""
    ids = [write for write in writes if not isinstance(write, RawWrite)]
    return any(write.is_own(reason.item) for reason in canceled.reasons for write in ids)


def _refusal(writes: Sequence[TransactionWrite], canceled: TransactionCanceled) -> DynamoError:
    failures = _failures(writes, canceled)
    if canceled.unknown_attempts:
        return OutcomeUnknown(
            "The transaction: an earlier attempt may have been applied, and an item has changed since. Read the items "
            "before deciding.",
            engine_code="TransactionCanceledException",
        )
    return canceled_by(failures, reasons=canceled.reasons)


def _waiting(writes: Sequence[TransactionWrite], canceled: TransactionCanceled) -> list[tuple[Write[Any], Item]]:
    """Return the writes that were refused since their items are of an older schema, each with its item.

    After an attempt whose outcome is unknown there are none: the condition then proves nothing.
    """
    if canceled.unknown_attempts:
        return []
    waiting: list[tuple[Write[Any], Item]] = []
    reasons = iter(canceled.reasons)
    for write in writes:
        own = [next(reasons, Reason("None")) for _ in write.parts()]
        item = own[0].item
        if (
            own[0].code == _CONDITION
            and item is not None
            and isinstance(write, Write)
            and write.waits_for_rewrite(item)
        ):
            waiting.append((write, item))
    return waiting


def _failures(writes: Sequence[TransactionWrite], canceled: TransactionCanceled) -> list[OperationFailure]:
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


def _error(write: TransactionWrite, at: int, reason: Reason, canceled: TransactionCanceled) -> DynamoError:
    told = f"{write.operation}: "
    if reason.code != _CONDITION:
        return RequestRefused(f"{told}the engine refused it: {reason.code}.", engine_code=reason.code)
    if isinstance(write, Emission):
        return write.failure()
    if isinstance(write, RawWrite | CommandRecord):
        return ConditionFailed(f"{told}the condition did not hold.", stored=reason.item, reasons=(reason,))
    unknown = canceled.unknown_attempts
    if at > 0:
        return write.lock_failure(at - 1, reasons=(reason,), unknown_attempts=unknown)
    return write.failure(reason.item, reasons=(reason,), unknown_attempts=unknown)
