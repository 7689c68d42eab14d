"""The order as a pydantic model."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from peer_benchmark.orders import order_fields

__all__ = ["Order", "Status", "order"]


class Status(StrEnum):
    """Where an order is in its life."""

    OPEN = "open"
    FILLED = "filled"


class Order(BaseModel):
    """Twelve attributes of every common kind."""

    customer: str
    number: int
    status: Status
    symbol: str
    note: str
    fills: int
    price: Decimal
    total: Decimal
    paid: bool
    placed_at: datetime
    tags: list[str]
    address: dict[str, str]


def order(customer: str, number: int, **changed: Any) -> Order:
    """Return a validated order."""
    return Order.model_validate(order_fields(customer, number) | changed)
