"""Refusals: from what the account item shows to the error the caller gets, by way of the tombstone between the two."""

from decimal import Decimal
from typing import Final

from common.dynamo.dao.ledger_types import ENTRY, ORDER
from common.dynamo.dao.postings import Posting, asset_of, is_held, shortfall
from common.dynamo.dao.records import JournalEntry, Refusal, StoredOrder
from common.dynamo.decimals import at_scale
from common.dynamo.exceptions import (
    AccountClosed,
    AccountNotFound,
    AssetInactive,
    DynamoError,
    InsufficientFunds,
    InvalidItem,
    LedgerRefusal,
    OrderTooSmall,
    OutcomeUnknown,
    PriceOutOfBounds,
    RequestFenced,
    RequestIdReused,
    UniqueViolation,
)
from common.dynamo.requests import AttributeValue, Item
from common.dynamo.value_classes import dataclass
from common.entities import OrderStatus, QuoteAsset, TransactionStatus, UserStatus

__all__ = [
    "FENCE",
    "Refused",
    "address_taken",
    "check_claim",
    "is_fence",
    "refused_by_account",
    "refused_of",
    "tombstone_of",
]

FENCE: Final = "fence"
"""Type of the item that ``resolve(fence=True)`` puts under an id which nobody has used."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A no, as it is stored in a tombstone and raised to the caller: the same on every repeat."""

    reason: Refusal
    figure: Decimal | None = None
    """What there was, or the least value of an order, at scale."""
    short: str | None = None
    """The asset that lacked."""

    @property
    def error(self) -> LedgerRefusal:
        """The error to raise."""
        if self.reason is Refusal.PRICE:
            return PriceOutOfBounds()
        if self.reason is Refusal.ACCOUNT:
            return AccountNotFound()
        if self.reason is Refusal.INACTIVE:
            return AssetInactive()
        figure = Decimal(0) if self.figure is None else self.figure
        if self.reason is Refusal.MINIMUM:
            return OrderTooSmall(minimum=figure)
        return InsufficientFunds(available=figure, asset=self.short or "")


def refused_by_account(account: Item | None, posting: Posting, *, cash: QuoteAsset, scale: int) -> Refused | None:
    """Return why *account* did not take *posting*; ``None`` where it would have.

    Args:
        account: The account item when the condition failed; ``None`` where there is none.
        posting: What was to be applied.
        cash: The asset of the account's cash.
        scale: Decimal places of the other asset in *posting*.

    Raises:
        AccountClosed: The account is closed; no tombstone is needed, for that is final by itself.
        InvalidItem: The account holds less than its open orders have reserved.
    """
    if account is None:
        return Refused(Refusal.ACCOUNT)
    if account.get("st") != _ACTIVE:
        raise AccountClosed
    short = shortfall(posting, account)
    if short is None:
        return None
    attribute, available = short
    if is_held(attribute):
        message = "The account holds less than its open orders have reserved; run the ledger's check on it."
        raise InvalidItem(message, entity="account", field=attribute, stored_type="N")
    asset = asset_of(attribute)
    return Refused(Refusal.FUNDS, at_scale(available, cash.scale if asset is None else scale), asset or cash.id)


def refused_of(record: JournalEntry | StoredOrder, cash: QuoteAsset) -> Refused | None:
    """Return the refusal that *record* is the tombstone of; ``None`` where it is none."""
    if record.refusal is None:
        return None
    scale = cash.scale if record.short in (None, cash.id) else record.scale or 0
    figure = None if record.figure is None else at_scale(record.figure, scale)
    return Refused(record.refusal, figure, record.short)


def tombstone_of(entry: JournalEntry, refused: Refused) -> JournalEntry:
    """Return what is written in the place of *entry* where it is refused: no changes, but what was asked, and why not."""
    return entry.model_copy(
        update={
            "status": TransactionStatus.FAILED,
            "cash": None,
            "assets": {},
            "asset": None,
            "asked": entry.cash,
            "refusal": refused.reason,
            "figure": refused.figure,
            "short": refused.short,
        }
    )


def check_claim(item: Item, input_hash: str, cash: QuoteAsset) -> None:
    """Return where *item* is what a request with this input has written: the request is a repeat.

    Raises:
        RequestFenced: The id was given up.
        RequestIdReused: The item belongs to a request with other input.
        LedgerRefusal: The item is the tombstone of this very request; the same error as at first.
    """
    if is_fence(item):
        raise RequestFenced
    if item.get("h") != {"S": input_hash}:
        raise RequestIdReused
    refused = _tombstone(item, cash)
    if refused is not None:
        raise refused.error


def address_taken(unknown_attempts: int) -> DynamoError:
    """Return the error for an email address that belongs to another user.

    After an attempt whose outcome is unknown that is no certain no: the address may become free, and a copy of the attempt
    that is still on its way would then be applied.
    """
    if unknown_attempts:
        return OutcomeUnknown(
            "The email address belongs to another user, and an earlier attempt may still be applied once it is free. Repeat "
            "the call with the same request id.",
            engine_code="TransactionCanceledException",
        )
    return UniqueViolation("The email address belongs to another user.", field="email")


def is_fence(item: Item) -> bool:
    """Tell whether *item* only keeps an id from being used."""
    return item.get("_t") == {"S": FENCE}


def _tombstone(item: Item, cash: QuoteAsset) -> Refused | None:
    if item.get("_t") == {"S": ENTRY.name}:
        return refused_of(ENTRY.decode(item), cash)
    order = ORDER.decode(item)
    # An order that was taken and failed later is no tombstone: the request that placed it was carried out.
    return refused_of(order, cash) if order.history[0].status is OrderStatus.FAILED else None


_ACTIVE: Final[AttributeValue] = {"S": UserStatus.ACTIVE.value}
