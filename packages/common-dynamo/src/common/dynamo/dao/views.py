"""From stored records to the entities of the domain: numbers come back at the scale of their asset, or not at all.

Pure. The records have been validated when they were decoded, so the entities are built without a second validation.
"""

from decimal import Decimal

from common.core.validation import at_scale
from common.dynamo.dao.records import Account, JournalEntry, StoredOrder
from common.dynamo.exceptions import InvalidItem
from common.entities import (
    AssetBalance,
    AssetTransaction,
    AssetTransactionStatus,
    AssetTransactionType,
    Balance,
    BalanceTransaction,
    Order,
    QuoteAsset,
    TransactionType,
)
from common.exceptions import InvalidAmount

__all__ = ["asset_balance", "asset_transaction", "balance", "balance_transaction", "order_of", "price_at"]

_ZERO = Decimal(0)


def balance(account: Account, cash: QuoteAsset) -> Balance:
    """Return the cash of *account*.

    Raises:
        InvalidItem: What is stored is negative or finer than *cash*.
    """
    return Balance.model_construct(
        user=account.user,
        asset=cash.id,
        available=_holding(account.cash, cash.scale, "cash"),
        held=_holding(account.held, cash.scale, "held"),
    )


def asset_balance(account: Account, asset: str, scale: int) -> AssetBalance:
    """Return what *account* holds of *asset*, zero where it never held any.

    Raises:
        InvalidItem: What is stored is negative or finer than *scale*.
    """
    return AssetBalance.model_construct(
        user=account.user,
        asset=asset,
        available=_holding(account.assets.get(asset, _ZERO), scale, "assets"),
        held=_holding(account.held_assets.get(asset, _ZERO), scale, "held_assets"),
    )


def balance_transaction(entry: JournalEntry, cash: QuoteAsset) -> BalanceTransaction:
    """Return the cash posting of *entry*; of a tombstone, what was asked and not done.

    Raises:
        InvalidItem: What is stored is finer than *cash*.
    """
    amount = entry.cash if entry.refusal is None else entry.asked
    return BalanceTransaction.model_construct(
        id=entry.id,
        user=entry.user,
        type=entry.kind,
        status=entry.status,
        asset=cash.id,
        amount=_fit(amount or _ZERO, cash.scale, "entry", "cash"),
        order=entry.order,
        reason=entry.reason,
        posted_at=entry.posted_at,
    )


def asset_transaction(entry: JournalEntry, cash: QuoteAsset) -> AssetTransaction:
    """Return the asset posting of *entry*, which is a trade.

    Raises:
        InvalidItem: It is none, or what is stored does not fit its scale.
    """
    if entry.asset is None or entry.scale is None or entry.price is None or entry.asset not in entry.assets:
        raise InvalidItem("A journal entry in the index of trades is no trade.", entity="entry", field="asset")
    return AssetTransaction.model_construct(
        id=entry.id,
        user=entry.user,
        asset=entry.asset,
        quote=cash.id,
        type=AssetTransactionType.BUY if entry.kind is TransactionType.ORDER_PAYMENT else AssetTransactionType.SELL,
        status=AssetTransactionStatus(entry.status.value),
        quantity=_fit(entry.assets[entry.asset].copy_abs(), entry.scale, "entry", "assets"),
        price=price_at(entry.price, cash.scale),
        total=_fit((entry.cash or _ZERO).copy_abs(), cash.scale, "entry", "cash"),
        order=entry.order,
        posted_at=entry.posted_at,
    )


def order_of(stored: StoredOrder) -> Order:
    """Return the order in *stored*; it began and changed when its history says so."""
    return Order.model_construct(
        id=stored.id,
        user=stored.user,
        asset=stored.asset,
        quote=stored.quote,
        type=stored.type,
        status=stored.status,
        quantity=stored.quantity,
        limit_price=_price_or_none(stored.limit_price, stored.quote_scale),
        price_bound=_price_or_none(stored.price_bound, stored.quote_scale),
        price=_price_or_none(stored.price, stored.quote_scale),
        total=stored.total,
        refunded=stored.refunded,
        hold=stored.hold,
        fill=stored.fill,
        expires_at=stored.expires_at,
        history=stored.history,
        created_at=stored.history[0].at,
        updated_at=stored.history[-1].at,
    )


def price_at(price: Decimal, scale: int) -> Decimal:
    """Return *price* with at least *scale* decimal places, and with all that it has: a price may be finer than cash."""
    exponent = price.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    return at_scale(price, max(scale, places))


def _price_or_none(price: Decimal | None, scale: int) -> Decimal | None:
    return None if price is None else price_at(price, scale)


def _holding(amount: Decimal, scale: int, field: str) -> Decimal:
    if amount < 0:
        raise InvalidItem(f"The account's {field} is below zero.", entity="account", field=field, stored_type="N")
    return _fit(amount, scale, "account", field)


def _fit(amount: Decimal, scale: int, entity: str, field: str) -> Decimal:
    try:
        return at_scale(amount, scale)
    except InvalidAmount:
        message = f"A stored {field} of the {entity} does not fit {scale} decimal places."
        raise InvalidItem(message, entity=entity, field=field, stored_type="N") from None
