"""New orders: from what a caller asks to the items and postings that carry it out.

Pure. An order's terms are fixed when it is placed; their hash is stored with it (``h``), so a later step names the terms
it was made for, and the database compares.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from common.core.validation import parse_amount, require_asset_id, require_positive, require_scale
from common.dynamo.dao.input_hash import HashedValue
from common.dynamo.dao.instruction import Instruction
from common.dynamo.dao.ledger_types import BOOK_DECIMALS, BOOK_INTEGER_DIGITS
from common.dynamo.dao.records import JournalEntry, Refusal, StoredOrder
from common.dynamo.dao.refusals import Refused, tombstone_of
from common.dynamo.dao.trades import Trade
from common.dynamo.value_classes import dataclass
from common.entities import (
    Asset,
    Order,
    OrderCreate,
    OrderSide,
    OrderStatus,
    OrderStep,
    OrderType,
    QuoteAsset,
    TransactionType,
)
from common.exceptions import FieldError, InvalidAmount, InvalidInput

__all__ = [
    "MARKET_STEPS",
    "PLACED_STEPS",
    "OrderTerms",
    "hashed_terms",
    "limit_of",
    "market_terms",
    "price_from",
    "steps",
    "trade_entry",
]

_S = OrderStatus
MARKET_STEPS: Final = (_S.PENDING, _S.CONFIRMED, _S.PROCESSING, _S.COMPLETED)
"""What a market order goes through, all in one write."""
PLACED_STEPS: Final = (_S.PENDING, _S.CONFIRMED, _S.QUEUED)
"""What a limit order goes through when it is placed, all in one write."""


def hashed_terms(wanted: OrderCreate | Order) -> tuple[HashedValue, ...]:
    """Return what :func:`~common.dynamo.dao.input_hash.input_hash` takes for the terms of an order: kind and values."""
    return (
        wanted.type.value,
        wanted.asset,
        wanted.quantity,
        wanted.limit_price,
        wanted.price_bound,
        wanted.expires_at,
    )


def price_from(value: object, *, pointer: str) -> Decimal:
    """Return a price, or another number from outside whose scale is not known yet: exact and above zero.

    Raises:
        InvalidAmount: It is neither.
    """
    return require_positive(parse_amount(value, pointer=pointer), pointer=pointer)


def steps(statuses: Iterable[OrderStatus], at: datetime, by: str) -> tuple[OrderStep, ...]:
    """Return steps that one request took at one time."""
    return tuple(OrderStep.model_construct(status=status, at=at, by=by) for status in statuses)


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What a caller asks for, checked against the asset."""

    wanted: OrderCreate
    asset: Asset
    cash: QuoteAsset
    trade: Trade
    """At the limit of a limit order, at the quoted price of a market order."""

    @classmethod
    def of(cls, wanted: OrderCreate, asset: Asset, cash: QuoteAsset, price: Decimal) -> "OrderTerms":
        """Check *wanted* against *asset*.

        Raises:
            InvalidAmount: The quantity is finer than the asset's scale, or the value has more than 30 digits.
            InvalidInput: The asset is not traded for *cash*.
        """
        if asset.quote != cash.id or asset.quote_scale != cash.scale:
            message = "The asset is not traded for the cash of this ledger."
            raise InvalidInput(errors=(FieldError("/asset", "asset_quote", message),))
        quantity = require_scale(wanted.quantity, asset.scale, pointer="/quantity")
        trade = Trade(side=wanted.type.side, asset=asset.id, quantity=quantity, price=price, cash_scale=cash.scale)
        return cls(wanted, asset, cash, trade)

    @property
    def refused(self) -> Refused | None:
        """Why the terms themselves are refused; ``None`` where they are in order."""
        if not self.asset.active:
            return Refused(Refusal.INACTIVE)
        if self.wanted.price_bound is not None and self.trade.is_worse_than(self.wanted.price_bound):
            return Refused(Refusal.PRICE)
        if self.trade.is_below(self.asset.minimum_order_value):
            return Refused(Refusal.MINIMUM, self.asset.minimum_order_value)
        return None

    def completed(self, instruction: Instruction) -> StoredOrder:
        """Return the market order as it stands when its one write has been done."""
        return self._order(instruction, MARKET_STEPS, price=self.trade.price, total=self.trade.total)

    def queued(self, instruction: Instruction) -> StoredOrder:
        """Return the limit order in the book, with its hold taken."""
        side, hold = self.trade.side, self.trade.hold
        return self._order(instruction, PLACED_STEPS, hold=hold, book_side=side)

    def pending(self, instruction: Instruction) -> StoredOrder:
        """Return the limit order that waits for its confirmation and holds nothing yet."""
        return self._order(instruction, (_S.PENDING,))

    def failed(self, instruction: Instruction, refused: Refused) -> StoredOrder:
        """Return the tombstone of a limit order."""
        return self._order(
            instruction, (_S.FAILED,), refusal=refused.reason, figure=refused.figure, short=refused.short
        )

    def entry(self, instruction: Instruction) -> JournalEntry:
        """Return the journal entry of a market order."""
        return trade_entry(self.trade, self.asset.scale, instruction, entry_id=instruction.id, order=instruction.id)

    def failed_entry(self, instruction: Instruction, refused: Refused) -> JournalEntry:
        """Return the tombstone of a market order."""
        return tombstone_of(self.entry(instruction), refused)

    def _order(self, instruction: Instruction, taken: tuple[OrderStatus, ...], **more: Any) -> StoredOrder:
        return StoredOrder(
            user=instruction.user,
            id=instruction.id,
            input=instruction.input,
            asset=self.asset.id,
            scale=self.asset.scale,
            quote=self.cash.id,
            quote_scale=self.cash.scale,
            type=self.wanted.type,
            status=taken[-1],
            quantity=self.trade.quantity,
            limit_price=self.wanted.limit_price,
            price_bound=self.wanted.price_bound,
            expires_at=self.wanted.expires_at,
            history=steps(taken, instruction.at, instruction.id),
            version=1,
            **more,
        )


def trade_entry(trade: Trade, scale: int, instruction: Instruction, *, entry_id: str, order: str) -> JournalEntry:
    """Return the journal entry of *trade*, with its postings of cash and asset.

    Args:
        trade: What is posted.
        scale: Decimal places of the asset.
        instruction: Whose account, and when.
        entry_id: Id of the entry: the request of a market order, the fill of a limit order.
        order: Id of the order that the trade fills.
    """
    return JournalEntry(
        user=instruction.user,
        id=entry_id,
        kind=_kind(trade.side),
        input=instruction.input,
        posted_at=instruction.at,
        cash=trade.cash_change,
        assets={trade.asset: trade.asset_change},
        asset=trade.asset,
        scale=scale,
        price=trade.price,
        order=order,
    )


def limit_of(wanted: OrderCreate) -> Decimal:
    """Return the limit of a limit order.

    Raises:
        InvalidInput: It is a market order, which ``OrderDAO.buy`` and ``OrderDAO.sell`` take.
        InvalidAmount: The limit does not fit in the order book's key: 12 integer digits, 18 decimal places.
    """
    if not wanted.type.is_limit or wanted.limit_price is None:
        message = "A market order is filled at once: use OrderDAO.buy or OrderDAO.sell."
        raise InvalidInput(errors=(FieldError("/type", "order_terms", message),))
    limit = require_scale(wanted.limit_price, BOOK_DECIMALS, pointer="/limit_price")
    if limit >= 10**BOOK_INTEGER_DIGITS:
        message = f"A limit has at most {BOOK_INTEGER_DIGITS} integer digits."
        raise InvalidAmount(errors=(FieldError("/limit_price", "amount_too_long", message),))
    return wanted.limit_price


def market_terms(
    type: OrderType, asset: str, quantity: Decimal | int | str, price_bound: Decimal | int | str | None
) -> OrderCreate:
    """Return what the caller of a market order asks for, with every number checked.

    Raises:
        InvalidInput: A value is not exact, not positive or malformed.
    """
    return OrderCreate.model_construct(
        asset=require_asset_id(asset, pointer="/asset"),
        type=type,
        quantity=price_from(quantity, pointer="/quantity"),
        limit_price=None,
        price_bound=None if price_bound is None else price_from(price_bound, pointer="/price_bound"),
        expires_at=None,
    )


def _kind(side: OrderSide) -> TransactionType:
    return TransactionType.ORDER_PAYMENT if side is OrderSide.BUY else TransactionType.ORDER_PROCEEDS
