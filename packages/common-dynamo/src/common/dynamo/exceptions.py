"""Errors of the data layer and the ledger. No message holds an attribute value or a key value.

::

    CommonError
    └── DynamoError
        ├── NotFound                404  the item does not exist
        ├── ConditionFailed         409  the caller's condition did not hold; .stored is the decoded item
        │   ├── AlreadyExists            an item with this key exists
        │   ├── VersionConflict          another writer was faster; .expected
        │   └── UniqueViolation          another item owns the value; .field
        ├── TransactionCanceled     409  .failures, in the caller's order
        ├── InvalidItem             500  stored data does not fit its model; .field, .stored_type
        ├── InvalidCursor           400  a cursor that is not ours, or belongs to another query
        ├── ChangesTrimmed          410  changes after the position are no longer kept; .table
        ├── OutboxFull              503  an aggregate has too many events that wait; the relay is behind
        ├── BudgetExceeded          503  more than a budget allows; nothing was applied; .pattern, .overruns
        ├── Unavailable             503  certainly not applied; repeat the call
        ├── OutcomeUnknown          503  may have been applied, or still may; repeat with the same request id
        ├── RequestRefused          500  the engine refused the request as such: validation, access denied, no table
        └── LedgerRefusal           409  final, not applied
            ├── InsufficientFunds        .available
            ├── PriceOutOfBounds         the price is worse than the caller's bound
            ├── OrderTooSmall       422  .minimum
            ├── AssetInactive            the asset takes no new orders
            ├── AccountClosed
            ├── AccountNotFound     404
            ├── AccountNotEmpty          it cannot be closed while it holds something
            ├── RefundTooLarge           .refundable
            ├── RequestIdReused          the id belongs to a request with other input
            ├── RequestFenced            the id was given up by resolve(fence=True)
            └── OrderConflict            .current, .final

    ConfigurationError          500  of :mod:`common.exceptions`: the program is wrong, never the client
    ├── InvalidExpression            a callback asks or changes what cannot be; a TypeError too
    └── UnknownField                 a callback names a field that is not stored; an AttributeError too

``Unavailable`` and ``OutcomeUnknown`` share no base class but the root of all errors here, so that nobody retries the
second by catching the first.

A cancelled transaction is raised as a :class:`TransactionCanceled` that is an instance of its first failure's class
too: ``except AlreadyExists`` catches it as it catches the single call's error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from common.dynamo.requests import Item, ItemKey
from common.dynamo.value_classes import dataclass
from common.exceptions import CommonError, ConfigurationError

if TYPE_CHECKING:
    from common.dynamo.budgets import Overrun
    from common.entities import OrderStatus

__all__ = [
    "AccountClosed",
    "AccountNotEmpty",
    "AccountNotFound",
    "AlreadyExists",
    "AssetInactive",
    "BudgetExceeded",
    "ChangesTrimmed",
    "ConditionFailed",
    "DynamoError",
    "InsufficientFunds",
    "InvalidCursor",
    "InvalidExpression",
    "InvalidItem",
    "LedgerRefusal",
    "NotFound",
    "OperationFailure",
    "OrderConflict",
    "OrderTooSmall",
    "OutboxFull",
    "OutcomeUnknown",
    "PriceOutOfBounds",
    "Reason",
    "RefundTooLarge",
    "RequestFenced",
    "RequestIdReused",
    "RequestRefused",
    "TransactionCanceled",
    "Unavailable",
    "UniqueViolation",
    "UnknownField",
    "VersionConflict",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the engine refused one part of a write, in the words of ``CancellationReasons``."""

    code: str
    """``ConditionalCheckFailed``, another code of the engine, or ``None`` (a string) for a part that was in order."""
    item: Item | None = field(default=None, repr=False)
    """The stored item (ALL_OLD); ``None`` where no item exists or the part was in order."""


@dataclass(frozen=True, slots=True)
class OperationFailure:
    """One operation of a transaction that did not hold."""

    position: int
    """Its place among the caller's operations, from 0."""
    operation: str
    """What was asked, such as ``create invoice``."""
    code: str
    """The engine's reason, such as ``ConditionalCheckFailed``."""
    error: "DynamoError"
    """What the same operation would have raised as a single call."""

    @property
    def stored(self) -> Any:
        """The stored model, where the engine told it."""
        return getattr(self.error, "stored", None)


class DynamoError(CommonError):
    """Anything that the data layer raises on purpose."""

    code = "dynamo_error"


class NotFound(DynamoError):
    """The item does not exist, or has expired. Nothing was written."""

    code = "not_found"
    status = 404
    public_message = "What was asked for does not exist."


class ConditionFailed(DynamoError):
    """The condition of a write did not hold. Nothing was written."""

    code = "condition_failed"
    status = 409
    public_message = "The current state does not allow this."

    def __init__(
        self, message: str = "", *, stored: Any = None, reasons: Sequence[Reason] = (), unknown_attempts: int = 0
    ) -> None:
        super().__init__(message)
        self.stored = stored
        """The item that stood in the way: a model from a DAO, the item itself from ``Database.execute``, or ``None``."""
        self.reasons = tuple(reasons)
        """As the engine gave them, one per part of the write."""
        self.unknown_attempts = unknown_attempts
        """Earlier attempts of the same call whose outcome nobody knows."""


class AlreadyExists(ConditionFailed):
    """An item with this key exists. Nothing was written."""

    code = "already_exists"
    public_message = "It exists already."


class VersionConflict(ConditionFailed):
    """Another writer changed the item since it was read. Nothing was written; read it again and decide anew."""

    code = "version_conflict"
    retryable = True
    public_message = "It was changed by somebody else in the meantime."

    def __init__(
        self,
        message: str = "",
        *,
        expected: int | None = None,
        stored: Any = None,
        reasons: Sequence[Reason] = (),
        unknown_attempts: int = 0,
    ) -> None:
        super().__init__(message, stored=stored, reasons=reasons, unknown_attempts=unknown_attempts)
        self.expected = expected
        """The version that the writer had seen; ``None`` where it is not known here."""


class UniqueViolation(ConditionFailed):
    """Another item owns the value of a unique field. Nothing was written."""

    code = "unique_violation"
    public_message = "The value is taken."

    def __init__(
        self, message: str = "", *, field: str = "", reasons: Sequence[Reason] = (), unknown_attempts: int = 0
    ) -> None:
        super().__init__(message, reasons=reasons, unknown_attempts=unknown_attempts)
        self.field = field


class OutboxFull(DynamoError):
    """Too many events of one aggregate wait to be published. Nothing was written; repeat it when the relay has caught up."""

    code = "outbox_full"
    status = 503
    retryable = True
    public_message = "Too much is waiting to be told. Repeat the request later."


class TransactionCanceled(DynamoError):
    """A transaction did not hold as a whole. Nothing was written."""

    code = "transaction_canceled"
    status = 409
    public_message = "The current state does not allow this."

    def __init__(
        self,
        message: str = "",
        *,
        reasons: Sequence[Reason] = (),
        failures: Sequence[OperationFailure] = (),
        unknown_attempts: int = 0,
    ) -> None:
        # The classes made in `cancellations` have a ConditionFailed beside this one; each part is set up here, once.
        CommonError.__init__(self, message)
        self.reasons = tuple(reasons)
        """As the engine gave them, one per part, layer-made parts included."""
        self.failures = tuple(failures)
        """The caller's operations that did not hold, in their order; empty from ``Database.execute``."""
        self.unknown_attempts = unknown_attempts
        """Earlier attempts of the same call whose outcome nobody knows."""


class InvalidItem(DynamoError):
    """Stored data does not fit its model, or an item of another type stands at the key."""

    code = "invalid_item"

    def __init__(
        self, message: str = "", *, entity: str, field: str = "", stored_type: str = "", key: ItemKey | None = None
    ) -> None:
        super().__init__(message)
        self.entity = entity
        """The entity type's name."""
        self.field = field
        """The model's field; empty where the item as a whole is wrong."""
        self.stored_type = stored_type
        """``S``, ``N``, ...; empty where the attribute is absent."""
        self.key = key
        """The key of the item, for whoever repairs it; never part of the message."""


class InvalidCursor(DynamoError):
    """A cursor that is not ours, is damaged, or belongs to another query. Start again without one."""

    code = "invalid_cursor"
    status = 400
    public_message = "The page cursor is not valid for this request."


class ChangesTrimmed(DynamoError):
    """Changes after the position asked for are older than 24 hours and no longer kept: the reader has missed some.

    Bring what depends on them up to date from the tables themselves, then read on without a position.
    """

    code = "changes_trimmed"
    status = 410
    public_message = "The changes asked for are no longer kept."

    def __init__(self, message: str = "", *, table: str = "") -> None:
        super().__init__(message)
        self.table = table
        """The table that has lost changes."""


class BudgetExceeded(DynamoError):
    """A call would cost, or as a read has cost, more than a budget allows. It has sent no write, so nothing was applied.

    Where it repeats a write whose outcome was unknown, that is still unknown.
    """

    code = "budget_exceeded"
    status = 503
    public_message = "The request would cost too much. Nothing was changed."

    def __init__(
        self, message: str = "", *, pattern: str = "", scope: str = "", overruns: "Sequence[Overrun]" = ()
    ) -> None:
        super().__init__(message)
        self.pattern = pattern
        """The access pattern that was stopped."""
        self.scope = scope
        """Whose budget it was: ``pattern``, or ``request`` of a :func:`~common.dynamo.budget` block."""
        self.overruns = tuple(overruns)
        """Each limit that did not suffice."""


class Unavailable(DynamoError):
    """Certainly not applied, after every retry that the deadline allowed. The same call may succeed later."""

    code = "unavailable"
    status = 503
    retryable = True
    public_message = "The service is busy. Nothing was changed; please try again."

    def __init__(self, message: str = "", *, engine_code: str = "", unknown_attempts: int = 0) -> None:
        super().__init__(message)
        self.engine_code = engine_code
        """The code of the last attempt, such as ``ThrottlingException``."""
        self.unknown_attempts = unknown_attempts
        """Attempts of a *read* that brought no answer; a write with one raises :class:`OutcomeUnknown`."""


class OutcomeUnknown(DynamoError):
    """The write may have been applied, or still may be. Repeat it with the same request id, or read what is there."""

    code = "outcome_unknown"
    status = 503
    retryable = True
    public_message = "It is not known whether the request was carried out. Repeat it with the same request id."

    def __init__(self, message: str = "", *, request_id: str | None = None, engine_code: str = "") -> None:
        super().__init__(message)
        self.request_id = request_id
        """The caller's own id of the request, where it gave one."""
        self.engine_code = engine_code
        """The code of the last attempt, such as ``AnswerLost``."""


class RequestRefused(DynamoError):
    """The engine refused the request as such: validation, access denied, no table. A repeat changes nothing."""

    code = "request_refused"

    def __init__(self, message: str = "", *, engine_code: str, engine_message: str = "") -> None:
        super().__init__(message)
        self.engine_code = engine_code
        """Such as ``ValidationException``."""
        self.engine_message = engine_message
        """What the engine says about it. It may quote keys and values, so it is never logged nor shown."""


class InvalidExpression(ConfigurationError, TypeError):
    """A callback asks or changes what cannot be asked or changed, such as the truth of a condition. Nothing was sent."""

    code = "invalid_expression"


class UnknownField(ConfigurationError, AttributeError):
    """A callback names a field that is not stored. Nothing was sent."""

    code = "unknown_field"


# The ledger -----------------------------------------------------------------------------------------------------------


class LedgerRefusal(DynamoError):
    """The ledger says no. Nothing was applied, and under the same request id nothing ever will be.

    Two kinds of no may become a yes: an :class:`OrderConflict` that is not ``final``, and an :class:`AccountNotEmpty`.
    """

    code = "ledger_refusal"
    status = 409
    public_message = "The request was refused."


class InsufficientFunds(LedgerRefusal):
    """The account holds less than the request takes."""

    code = "insufficient_funds"
    public_message = "The account does not hold enough."

    def __init__(self, message: str = "", *, available: Decimal, asset: str) -> None:
        super().__init__(message)
        self.available = available
        """What there was when the request was refused, in units of *asset* at its scale; a repeat is told the same."""
        self.asset = asset
        """Id of the asset that did not suffice."""


class PriceOutOfBounds(LedgerRefusal):
    """The quoted price is worse than the bound that the caller set."""

    code = "price_out_of_bounds"
    public_message = "The price is no longer within the bound that was asked for."


class OrderTooSmall(LedgerRefusal):
    """The order is worth less than the asset's minimum order value."""

    code = "order_too_small"
    status = 422
    public_message = "The order is below the minimum order value."

    def __init__(self, message: str = "", *, minimum: Decimal) -> None:
        super().__init__(message)
        self.minimum = minimum
        """The least value of an order, in units of the quote asset."""

    def extensions(self) -> Mapping[str, object]:
        return {"minimum": format(self.minimum, "f")}


class AssetInactive(LedgerRefusal):
    """The asset takes no new orders."""

    code = "asset_inactive"
    public_message = "The asset takes no new orders."


class AccountClosed(LedgerRefusal):
    """The account is closed, which is final."""

    code = "account_closed"
    public_message = "The account is closed."


class AccountNotFound(LedgerRefusal):
    """No account has this user name."""

    code = "account_not_found"
    status = 404
    public_message = "There is no such account."


class AccountNotEmpty(LedgerRefusal):
    """The account still holds something, so it cannot be closed. It can be, once it is empty and no order is open."""

    code = "account_not_empty"
    public_message = "The account still holds something."


class RefundTooLarge(LedgerRefusal):
    """The refund is more than is left of what the order has cost."""

    code = "refund_too_large"
    public_message = "More was asked back than the order has cost."

    def __init__(self, message: str = "", *, refundable: Decimal) -> None:
        super().__init__(message)
        self.refundable = refundable
        """What can still be refunded, in units of the quote asset."""


class RequestIdReused(LedgerRefusal):
    """The request id belongs to a request with other input. Make a new id for a new request."""

    code = "request_id_reused"
    public_message = "The request id was used for another request."


class RequestFenced(LedgerRefusal):
    """The request id was given up by ``resolve(..., fence=True)``, so that no late copy can be applied."""

    code = "request_fenced"
    public_message = "The request was given up before it was carried out."


class OrderConflict(LedgerRefusal):
    """The order's status does not allow this step."""

    code = "order_conflict"
    public_message = "The order's status does not allow this."

    def __init__(self, message: str = "", *, current: "OrderStatus", final: bool) -> None:
        super().__init__(message)
        self.current = current
        """Where the order stands."""
        self.final = final
        """Whether the order can no longer come into a status that allows the step; otherwise it may be tried again."""
