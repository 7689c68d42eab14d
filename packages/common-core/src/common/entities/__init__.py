"""The domain's values: users, balances, orders, assets. Pure pydantic models that know nothing of storage.

All are frozen. Amounts are ``Decimal`` and exact: text in plain digits in JSON, never a JSON number.
"""

from common.entities.asset import (
    AssetBalance,
    AssetTransaction,
    AssetTransactionStatus,
    AssetTransactionType,
    Portfolio,
)
from common.entities.inventory import USD, Asset, AssetListResponse, AssetPrice, QuoteAsset
from common.entities.model import Entity, Input
from common.entities.order import Order, OrderCreate, OrderResponse, OrderSide, OrderStep, OrderType
from common.entities.order_states import OrderStatus
from common.entities.user import (
    Balance,
    BalanceTransaction,
    TransactionStatus,
    TransactionType,
    User,
    UserCreate,
    UserStatus,
)

__all__ = [
    "USD",
    "Asset",
    "AssetBalance",
    "AssetListResponse",
    "AssetPrice",
    "AssetTransaction",
    "AssetTransactionStatus",
    "AssetTransactionType",
    "Balance",
    "BalanceTransaction",
    "Entity",
    "Input",
    "Order",
    "OrderCreate",
    "OrderResponse",
    "OrderSide",
    "OrderStatus",
    "OrderStep",
    "OrderType",
    "Portfolio",
    "QuoteAsset",
    "TransactionStatus",
    "TransactionType",
    "User",
    "UserCreate",
    "UserStatus",
]
