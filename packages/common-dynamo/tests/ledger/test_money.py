"""Money is exact, never negative, and rounded against the customer alone (ledger R4, R12)."""

import ast
from concurrent.futures import ThreadPoolExecutor
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import common.dynamo.dao
import common.entities
from common.dynamo.dao.ledger_types import ACCOUNT
from common.dynamo.dao.postings import CASH, Posting, account_update
from common.dynamo.dao.trades import Trade
from common.dynamo.exceptions import (
    AssetInactive,
    InsufficientFunds,
    InvalidItem,
    NotFound,
    OrderTooSmall,
    RefundTooLarge,
)
from common.dynamo.execution import Pattern
from common.dynamo.requests import And, Compare, Constant, UpdateItem
from common.dynamo.requests import Path as AttributePath
from common.dynamo.testing import spend
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderCreate, OrderSide, OrderType
from common.exceptions import InvalidAmount, InvalidInput

REFUSED_AMOUNTS = [
    "0",
    "-5",
    0,
    -5,
    "5.001",
    "1e5",
    "٥",
    " 5",
    "+5",
    "5.",
    "NaN",
    5.0,
    True,
    None,
    Decimal("Infinity"),
    "1" * 31,
]


@pytest.mark.parametrize("amount", REFUSED_AMOUNTS, ids=repr)
def test_an_amount_that_is_not_exact_and_positive_is_refused_unsent(ledger: LedgerKit, amount: object) -> None:
    """Below the API as above it: zero, signs, floats, exponents, other digits, too many decimals, too many digits."""
    user = ledger.open_account(cash="100.00")

    for move in (ledger.balances.deposit, ledger.balances.withdraw):
        with spend(trips=0), pytest.raises(InvalidAmount):
            move(user, amount, request_id=ledger.new_id())  # type: ignore[arg-type]


@pytest.mark.parametrize("quantity", ["0", "-1", "0.000000001", 0.5])
def test_a_quantity_that_does_not_fit_its_asset_is_refused(ledger: LedgerKit, quantity: object) -> None:
    """BTC has eight decimal places: a ninth is refused, never rounded; so are zero, negative and binary numbers."""
    user = ledger.open_account(cash="100.00")

    with spend(wcu=0), pytest.raises(InvalidAmount):
        ledger.orders.buy(user, "BTC", quantity, price="100.00", request_id=ledger.new_id())  # type: ignore[arg-type]


def test_what_is_read_back_has_the_scale_of_its_asset(ledger: LedgerKit) -> None:
    """A dollar is 1.00 and a bitcoin 1.00000000, although the engine keeps both as 1."""
    ledger.list_asset("ETH", scale=18)
    user = ledger.open_account(cash="1", holding={"BTC": "1", "ETH": "1"})
    portfolio = ledger.holdings.portfolio(user)

    assert str(portfolio.balance.available) == "1.00"
    assert [str(held.available) for held in portfolio.assets] == ["1.00000000", "1.000000000000000000"]


def test_the_largest_amounts_stay_exact(ledger: LedgerKit) -> None:
    """Thirty digits go in and come out; ten of them add up to the cent."""
    user, amount = ledger.open_account(), Decimal("9999999999999999999999999999.99")
    for _ in range(10):
        ledger.balances.deposit(user, amount, request_id=ledger.new_id())

    assert str(ledger.balances.get(user).available) == "99999999999999999999999999999.90"
    assert str(ledger.balances.history(user, limit=1).items[0].amount) == str(amount)


def test_a_stored_number_finer_than_its_scale_is_an_error(ledger: LedgerKit) -> None:
    """A tenth of a cent in the table is reported as broken data, not shown as something near it."""
    user = ledger.open_account(cash="1.00")
    broken = account_update(
        ledger.db.table_of(ACCOUNT), ACCOUNT.item_key(user), Posting.of([(CASH, Decimal("0.001"))]), last="x"
    )
    ledger.db.execute(broken, Pattern("break an account", "UpdateItem"))

    with pytest.raises(InvalidItem) as error:
        ledger.balances.get(user)

    assert (error.value.entity, error.value.field) == ("account", "cash")


# Rounding -------------------------------------------------------------------------------------------------------------


def test_a_cost_is_rounded_up_and_proceeds_down(ledger: LedgerKit) -> None:
    """A third of a cent is paid by the customer on the way in, and not paid out on the way back."""
    ledger.list_asset("TINY", scale=8, minimum="0")
    user = ledger.open_account(cash="1.00")
    bought = ledger.orders.buy(user, "TINY", "0.0000001", price="45000", request_id=ledger.new_id()).entry
    sold = ledger.orders.sell(user, "TINY", "0.0000001", price="45000", request_id=ledger.new_id()).entry

    assert (bought.total, sold.total) == (Decimal("0.01"), Decimal("0.00"))
    assert ledger.balances.get(user).available == Decimal("0.99")
    assert ledger.check(user) == ()


def test_a_thousand_tiny_buys_bring_nothing(ledger: LedgerKit) -> None:
    """Buying in crumbs that half-even rounding would give away, and selling the lot, loses money."""
    ledger.list_asset("TINY", scale=8, minimum="0")
    user = ledger.open_account(cash="20.00")
    for _ in range(100):
        ledger.orders.buy(user, "TINY", "0.0000001", price="45000", request_id=ledger.new_id())
    ledger.orders.sell(user, "TINY", "0.00001", price="45000", request_id=ledger.new_id())

    assert ledger.balances.get(user).available == Decimal("20.00") - Decimal("1.00") + Decimal("0.45")


PRICES = st.decimals(min_value="0.01", max_value="100000", places=2)
QUANTITIES = st.lists(st.decimals(min_value="0.00000001", max_value="10", places=8), min_size=1, max_size=20)


@settings(max_examples=200, deadline=None)
@given(price=PRICES, bought=QUANTITIES, pieces=st.integers(1, 7))
def test_no_sequence_of_trades_at_one_price_gains_money(price: Decimal, bought: list[Decimal], pieces: int) -> None:
    """Whatever is bought in parts and sold in other parts at the same price, the cash at the end is not more."""
    spent = sum((_trade(OrderSide.BUY, price, quantity).total for quantity in bought), Decimal(0))
    total = sum(bought, Decimal(0))
    part = (total / pieces).quantize(Decimal("0.00000001"), rounding="ROUND_FLOOR")
    sold = [part] * (pieces - 1) + [total - part * (pieces - 1)]
    earned = sum((_trade(OrderSide.SELL, price, quantity).total for quantity in sold if quantity), Decimal(0))

    assert earned <= spent


@settings(max_examples=200, deadline=None)
@given(limit=PRICES, price=PRICES, quantity=st.decimals(min_value="0.00000001", max_value="10", places=8))
def test_what_settles_within_the_limit_costs_no_more_than_the_hold(
    limit: Decimal, price: Decimal, quantity: Decimal
) -> None:
    """A price no worse than the limit leaves the rest of the hold at zero or above."""
    hold = _trade(OrderSide.BUY, limit, quantity).hold
    filled = _trade(OrderSide.BUY, min(price, limit), quantity)

    assert filled.total <= hold
    assert filled.settle(hold).changes.get(CASH, Decimal(0)) == hold - filled.total


def _trade(side: OrderSide, price: Decimal, quantity: Decimal) -> Trade:
    return Trade(side=side, asset="BTC", quantity=quantity, price=price, cash_scale=2)


# The smallest order ---------------------------------------------------------------------------------------------------


def test_an_order_below_the_minimum_value_is_refused(ledger: LedgerKit) -> None:
    """Ten dollars is an order, a cent less is none: market or limit, buy or sell."""
    user = ledger.open_account(cash="100.00", holding={"BTC": "1"})
    for trade in (ledger.orders.buy, ledger.orders.sell):
        trade(user, "BTC", "0.1", price="100.00", request_id=ledger.new_id())
        with pytest.raises(OrderTooSmall) as refusal:
            trade(user, "BTC", "0.1", price="99.99", request_id=ledger.new_id())
        assert refusal.value.minimum == Decimal("10.00")
    for type in (OrderType.LIMIT_BUY, OrderType.LIMIT_SELL):
        ledger.place(user, type=type, quantity="0.1", limit="100.00")
        with pytest.raises(OrderTooSmall):
            ledger.place(user, type=type, quantity="0.1", limit="99.99")
    assert ledger.check(user) == ()


def test_an_asset_that_does_not_exist_cannot_be_traded(ledger: LedgerKit) -> None:
    """Without an asset there is no scale to be exact at."""
    user = ledger.open_account(cash="100.00")

    with spend(wcu=0), pytest.raises(NotFound):
        ledger.orders.buy(user, "NONE", 1, price=100, request_id=ledger.new_id())


def test_an_asset_in_another_quote_cannot_be_traded(ledger: LedgerKit) -> None:
    """Cash is counted in one asset; a pair in euros belongs to another ledger."""
    asset = ledger.list_asset("BTC").model_copy(update={"id": "EBTC", "quote": "EUR"})
    ledger.assets.create(asset, request_id=ledger.new_id())
    user = ledger.open_account(cash="100.00")

    with spend(wcu=0), pytest.raises(InvalidInput):
        ledger.orders.buy(user, "EBTC", 1, price=100, request_id=ledger.new_id())


def test_an_inactive_asset_takes_no_new_orders(ledger: LedgerKit) -> None:
    """Refused like any other no: written down, and the same on a repeat; nothing is held or traded."""
    asset = ledger.list_asset("BTC").model_copy(update={"id": "OLD", "active": False})
    ledger.assets.create(asset, request_id=ledger.new_id())
    user, bought, placed = ledger.open_account(cash="100.00"), ledger.new_id(), ledger.new_id()
    for _ in range(2):
        with pytest.raises(AssetInactive):
            ledger.orders.buy(user, "OLD", 1, price=50, request_id=bought)
        with pytest.raises(AssetInactive):
            ledger.place(user, asset="OLD", request_id=placed)

    assert ledger.balances.get(user).available == Decimal("100.00")
    assert ledger.check(user) == ()


@pytest.mark.parametrize("limit", ["1000000000000", "0.0000000000000000001"], ids=["too large", "too fine"])
def test_a_limit_that_the_book_cannot_sort_is_refused(ledger: LedgerKit, limit: str) -> None:
    """Twelve integer digits and eighteen decimal places fit in its key; more is refused when it is asked for."""
    user = ledger.open_account(cash="100.00")
    wanted = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal(1), limit_price=Decimal(limit))
    for ask in (ledger.orders.place, ledger.orders.submit):
        with spend(trips=0), pytest.raises(InvalidAmount):
            ask(user, wanted, request_id=ledger.new_id())


def test_a_market_order_cannot_be_placed_in_the_book(ledger: LedgerKit) -> None:
    """It has no limit to wait for."""
    user = ledger.open_account(cash="100.00")
    wanted = OrderCreate(asset="BTC", type=OrderType.MARKET_BUY, quantity=Decimal(1))

    with spend(wcu=0), pytest.raises(InvalidInput):
        ledger.orders.place(user, wanted, request_id=ledger.new_id())


# Never below zero -----------------------------------------------------------------------------------------------------


def test_every_subtraction_asks_for_what_it_takes() -> None:
    """The condition of an account update names each attribute that is lowered, with the amount; and the status."""
    posting = Posting.of([("cash", Decimal("-5.00")), ("a_BTC", Decimal(1)), ("held", Decimal(0))])
    update = account_update("app", {"pk": {"S": "U#alice"}, "sk": {"S": "ACCT"}}, posting, last="01J")

    assert isinstance(update, UpdateItem)
    assert update.condition == And(
        (
            Compare("=", AttributePath(("st",)), Constant({"S": "active"})),
            Compare(">=", AttributePath(("cash",)), Constant({"N": "5"})),
        )
    )
    assert [path.parts[0] for path, _ in update.update.add] == ["cash", "a_BTC", "seq"]


def test_eight_threads_cannot_take_more_than_there_is(ledger: LedgerKit) -> None:
    """Forty withdrawals of 10.00 from 100.00: ten are paid, no read ever shows less than zero."""
    user = ledger.open_account(cash="100.00")
    seen: list[Decimal] = []

    def withdraw(_: int) -> bool:
        try:
            ledger.balances.withdraw(user, "10.00", request_id=ledger.new_id(), deadline=30)
        except InsufficientFunds:
            return False
        finally:
            seen.append(ledger.balances.get(user).available)
        return True

    with ThreadPoolExecutor(8) as pool:
        paid = list(pool.map(withdraw, range(40)))

    assert paid.count(True) == 10
    assert min(seen) >= 0
    assert ledger.balances.get(user).available == 0
    assert ledger.check(user) == ()


def test_nothing_is_sold_or_held_twice(ledger: LedgerKit) -> None:
    """What a limit order holds can be neither sold nor held again."""
    user = ledger.open_account(cash="60.00", holding={"BTC": "1"})
    ledger.place(user, quantity="0.5", limit="100.00")
    ledger.place(user, type=OrderType.LIMIT_SELL, quantity="0.8", limit="100.00")

    with pytest.raises(InsufficientFunds) as cash:
        ledger.balances.withdraw(user, "10.01", request_id=ledger.new_id())
    with pytest.raises(InsufficientFunds) as asset:
        ledger.orders.sell(user, "BTC", "0.20000001", price="100.00", request_id=ledger.new_id())

    assert (cash.value.available, cash.value.asset) == (Decimal("10.00"), "USD")
    assert (asset.value.available, asset.value.asset) == (Decimal("0.20000000"), "BTC")


# No binary numbers ----------------------------------------------------------------------------------------------------

MAY_NAME_FLOAT = {"timing.py", "access_patterns.py"}
"""They count seconds and capacity units. The codec of values names it too, to refuse it: see the tests of the codec."""


def _modules() -> list[Path]:
    folders = [Path(common.dynamo.dao.__file__).parent, Path(common.entities.__file__).parent]
    codec = [folders[0].parent / name for name in ("codec.py", "decimals.py", "requests.py")]
    return [
        path for folder in folders for path in sorted(folder.glob("*.py")) if path.name not in MAY_NAME_FLOAT
    ] + codec


def test_no_module_on_the_way_of_money_knows_floats() -> None:
    """Neither the name nor a literal: in entities, DAOs and codec there is no binary number to come in by."""
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path.name}:{getattr(node, 'lineno', 0)}"
            assert not (isinstance(node, ast.Name) and node.id == "float"), place
            assert not isinstance(getattr(node, "value", None), float), place


LARGEST = "9999999999999999999999999999.99"
"""Thirty digits, the most that one amount has."""


def test_the_largest_amounts_are_exact_in_any_decimal_context(ledger: LedgerKit) -> None:
    """Thirty digits are moved, compared, held, refunded and read without any help of the process's context."""
    user = ledger.open_account()
    with localcontext(Context(prec=6, traps=[Inexact, InvalidOperation])):
        ledger.balances.deposit(user, LARGEST, request_id=ledger.new_id())
        bought = ledger.orders.buy(
            user, "BTC", "9999999999999999999999.99999999", price="1000000", request_id=ledger.new_id()
        ).entry
        with pytest.raises(InsufficientFunds):
            ledger.balances.withdraw(user, "0.01", request_id=ledger.new_id())
        ledger.balances.refund(bought, "9999999999999999999999999999.98", request_id=ledger.new_id())
        with pytest.raises(RefundTooLarge) as refused:
            ledger.balances.refund(bought, "0.02", request_id=ledger.new_id())
        held = ledger.place(user, quantity="9999999999999999999999.99999998", limit="1000000")
        ledger.orders.cancel(held, request_id=ledger.new_id())
        ledger.balances.adjust(user, "-9999999999999999999999999999.98", reason="the end", request_id=ledger.new_id())

    assert refused.value.refundable == Decimal("0.01")
    assert ledger.balances.get(user).available == 0
    assert ledger.check(user) == ()
