"""What type checkers see of common.core's validation and utils, and of common.entities. Checked, never executed."""

from datetime import datetime
from decimal import Decimal
from typing import assert_type

from pydantic import SecretStr, ValidationError

from common.core.utils import SYSTEM, Clock, FrozenClock, UlidGenerator
from common.core.validation import (
    at_scale,
    canonical_email,
    cost,
    invalid_input,
    parse_amount,
    request_id_time,
    require_scale,
    total,
)
from common.entities import (
    Asset,
    AssetBalance,
    AssetListResponse,
    AssetTransaction,
    Balance,
    BalanceTransaction,
    Order,
    OrderSide,
    OrderStatus,
    OrderStep,
    OrderType,
    TransactionType,
    User,
    UserCreate,
)
from common.entities.order_states import SOURCES, Transition, can_reach, transition
from common.exceptions import InvalidInput


def clocks(system: Clock = SYSTEM) -> None:
    frozen: Clock = FrozenClock()
    assert_type(system.now(), datetime)
    assert_type(frozen.monotonic(), float)
    assert_type(UlidGenerator(clock=frozen)(), str)


def checks(error: ValidationError) -> None:
    assert_type(parse_amount("1"), Decimal)
    assert_type(require_scale("1", 2, positive=False), Decimal)
    assert_type(at_scale(Decimal(1), 2), Decimal)
    assert_type(cost(Decimal(1), Decimal(1), 2), Decimal)
    assert_type(total([Decimal(1)]), Decimal)
    assert_type(canonical_email("a@x.org"), str)
    assert_type(request_id_time("01J0B3V1MMEEDTX9CPDGKFHBCH"), datetime)
    assert_type(invalid_input(error), InvalidInput)


def users(user: User, wanted: UserCreate, balance: Balance, posting: BalanceTransaction) -> None:
    assert_type(user.username, str)
    assert_type(user.full_name, str | None)
    assert_type(user.created_at, datetime)
    assert_type(wanted.password, SecretStr | None)
    assert_type(balance.available, Decimal)
    assert_type(balance.posted, Decimal)
    assert_type(posting.type, TransactionType)
    assert_type(posting.amount, Decimal)
    assert_type(posting.order, str | None)


def orders(order: Order) -> None:
    assert_type(order.status.allows(OrderStatus.CANCELLED), bool)
    assert_type(order.status.sources, frozenset[OrderStatus])
    assert_type(order.history, tuple[OrderStep, ...])
    assert_type(order.limit_price, Decimal | None)
    assert_type(OrderType.LIMIT_BUY.side, OrderSide)
    assert_type(SOURCES[OrderStatus.FAILED], frozenset[OrderStatus])
    assert_type(transition(None, OrderStatus.PENDING), Transition | None)
    assert_type(can_reach(order.status, OrderStatus.EXPIRED.sources), bool)


def assets(asset: Asset, page: AssetListResponse, held: AssetBalance, trade: AssetTransaction) -> None:
    assert_type(asset.scale, int)
    assert_type(asset.minimum_order_value, Decimal)
    assert_type(page.assets, tuple[Asset, ...])
    assert_type(held.posted, Decimal)
    assert_type(trade.change, Decimal)


def misuse(user: User) -> None:
    user.email = "b@x.org"  # type: ignore[misc]
    _ = user.password  # type: ignore[attr-defined]
