"""Orders, from what a caller asks to what became of it. The states are a table: :mod:`common.entities.order_states`."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from common.core.validation import (
    AssetId,
    Moment,
    NonNegativeMoney,
    NonNegativeQuantity,
    PositiveMoney,
    PositiveQuantity,
    RequestId,
    UserName,
)
from common.entities.model import Entity, Input
from common.entities.order_states import OrderStatus

__all__ = ["Order", "OrderCreate", "OrderResponse", "OrderSide", "OrderStatus", "OrderStep", "OrderType"]


class OrderSide(StrEnum):
    """Which way the asset goes."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """Which way the asset goes, and whether the order waits for a price."""

    MARKET_BUY = "MARKET_BUY"
    MARKET_SELL = "MARKET_SELL"
    LIMIT_BUY = "LIMIT_BUY"
    LIMIT_SELL = "LIMIT_SELL"

    @property
    def side(self) -> OrderSide:
        """BUY or SELL."""
        return OrderSide.BUY if self in (OrderType.MARKET_BUY, OrderType.LIMIT_BUY) else OrderSide.SELL

    @property
    def is_limit(self) -> bool:
        """Whether the order waits for a price and holds what it needs meanwhile."""
        return self in (OrderType.LIMIT_BUY, OrderType.LIMIT_SELL)


class OrderCreate(Input):
    """What a caller asks for. The request id travels beside it, and becomes the order's id.

    >>> wanted = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity="0.5", limit_price="45000.00")
    >>> wanted.type.side, wanted.quantity
    (<OrderSide.BUY: 'BUY'>, Decimal('0.5'))
    """

    asset: AssetId
    type: OrderType
    quantity: PositiveQuantity
    """In units of the asset."""
    limit_price: PositiveMoney | None = None
    """For limit orders: the highest price to pay, or the lowest to accept, for one unit."""
    price_bound: PositiveMoney | None = None
    """For market orders: refuse the order where the quoted price is worse than this."""
    expires_at: Moment | None = None
    """For limit orders: when the order gives up; ``None`` for never."""

    @model_validator(mode="after")
    def _terms_fit_type(self) -> Self:
        _check_limit(self.type, self.limit_price)
        if self.type.is_limit and self.price_bound is not None:
            raise PydanticCustomError("order_terms", "A limit order takes limit_price, not price_bound.")
        if not self.type.is_limit and self.expires_at is not None:
            raise PydanticCustomError("order_terms", "A market order is filled at once and takes no expires_at.")
        return self


class OrderStep(Entity):
    """One entry of an order's history."""

    status: OrderStatus
    at: Moment
    by: RequestId
    """The request that took the step; a repeat finds itself here."""


class Order(Entity):
    """An order as it stands. Every number is at the full scale of its asset."""

    id: RequestId
    """The request that placed it."""
    user: UserName
    asset: AssetId
    quote: AssetId = "USD"
    """What prices and totals are counted in."""
    type: OrderType
    status: OrderStatus
    quantity: PositiveQuantity
    limit_price: PositiveMoney | None = None
    price_bound: PositiveMoney | None = None
    price: PositiveMoney | None = None
    """What one unit was traded at; ``None`` until COMPLETED."""
    total: NonNegativeMoney | None = None
    """What was paid (buy) or received (sell) in all; ``None`` until COMPLETED."""
    refunded: NonNegativeMoney | None = None
    """What was given back of *total* since; ``None`` where nothing was."""
    hold: NonNegativeQuantity | None = None
    """What the order reserved: of *quote* for a buy, of *asset* for a sell; ``None`` where it reserved nothing."""
    fill: RequestId | None = None
    """The id of the journal entry that settles the order; stored when an engine claims it."""
    expires_at: Moment | None = None
    history: tuple[OrderStep, ...] = ()
    """Oldest first."""
    created_at: Moment
    updated_at: Moment

    @model_validator(mode="after")
    def _limit_fits_type(self) -> Self:
        _check_limit(self.type, self.limit_price)
        return self

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the order's time is over at *now* (aware); whether it counts is for its status to say."""
        return self.expires_at is not None and self.expires_at <= now


class OrderResponse(Entity):
    """The answer to a caller who placed or changed an order."""

    order: Order
    replayed: bool = False
    """Whether an earlier call with the same request id had done it already."""


def _check_limit(type: OrderType, limit_price: Decimal | None) -> None:
    if type.is_limit and limit_price is None:
        raise PydanticCustomError("order_terms", "A limit order needs limit_price.")
    if not type.is_limit and limit_price is not None:
        raise PydanticCustomError("order_terms", "A market order takes price_bound, not limit_price.")
