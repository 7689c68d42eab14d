"""A cancelled transaction as the error that its first failure would have been as a single call."""

from collections.abc import Sequence
from typing import Final

from common.dynamo.exceptions import (
    AlreadyExists,
    ConditionFailed,
    DynamoError,
    NotFound,
    OperationFailure,
    OutboxFull,
    Reason,
    TransactionCanceled,
    UniqueViolation,
    VersionConflict,
)

__all__ = ["canceled_by"]


class _CanceledByCondition(TransactionCanceled, ConditionFailed):
    code = ConditionFailed.code


class _CanceledByExisting(TransactionCanceled, AlreadyExists):
    code = AlreadyExists.code


class _CanceledByVersion(TransactionCanceled, VersionConflict):
    code = VersionConflict.code


class _CanceledByUnique(TransactionCanceled, UniqueViolation):
    code = UniqueViolation.code


class _CanceledByAbsence(TransactionCanceled, NotFound):
    code = NotFound.code
    status = NotFound.status


class _CanceledByBacklog(TransactionCanceled, OutboxFull):
    code = OutboxFull.code
    status = OutboxFull.status
    retryable = True


_CANCELED: Final[tuple[tuple[type[DynamoError], type[TransactionCanceled]], ...]] = (
    (AlreadyExists, _CanceledByExisting),
    (VersionConflict, _CanceledByVersion),
    (UniqueViolation, _CanceledByUnique),
    (NotFound, _CanceledByAbsence),
    (OutboxFull, _CanceledByBacklog),
    (ConditionFailed, _CanceledByCondition),
)


def canceled_by(
    failures: Sequence[OperationFailure], *, reasons: Sequence[Reason] = (), unknown_attempts: int = 0
) -> TransactionCanceled:
    """Build the error of a cancelled transaction: an instance of its first failure's class too.

    Args:
        failures: At least one, in the caller's order.
        reasons: As the engine gave them, one per part.
        unknown_attempts: Earlier attempts whose outcome nobody knows.
    """
    first = failures[0].error
    kind = next((made for base, made in _CANCELED if isinstance(first, base)), TransactionCanceled)
    told = "; ".join(f"operation {one.position} ({one.operation}): {one.error}" for one in failures)
    error = kind(
        f"The transaction was canceled: {told}", reasons=reasons, failures=failures, unknown_attempts=unknown_attempts
    )
    for name in ("stored", "expected", "field"):
        if hasattr(first, name):
            setattr(error, name, getattr(first, name))
    return error
