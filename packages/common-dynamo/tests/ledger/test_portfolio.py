"""The portfolio is one item and one atomic read, however much is in it (ledger R9, R17)."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from common.dynamo.cost import metered
from common.dynamo.dao.ledger_types import ACCOUNT
from common.dynamo.execution import Pattern
from common.dynamo.requests import GetItem
from common.dynamo.sizes import item_size
from common.dynamo.testing import spend
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderType


def test_a_portfolio_lists_cash_and_every_asset(ledger: LedgerKit) -> None:
    """Free and held, asset by asset, by id; an asset that was sold out stays, with zero."""
    user = ledger.open_account(cash="200.00", holding={"ETH": "2", "BTC": "1"})
    ledger.place(user, type=OrderType.LIMIT_SELL, asset="BTC", quantity="0.25", limit="100.00")
    ledger.place(user, quantity="0.5", limit="100.00")
    ledger.orders.sell(user, "ETH", 2, price="100.00", request_id=ledger.new_id())
    portfolio = ledger.holdings.portfolio(user)

    assert (portfolio.balance.available, portfolio.balance.held) == (Decimal("350.00"), Decimal("50.00"))
    assert [(held.asset, held.available, held.held) for held in portfolio.assets] == [
        ("BTC", Decimal("0.75"), Decimal("0.25")),
        ("ETH", Decimal(0), Decimal(0)),
    ]
    assert portfolio.balance == ledger.balances.get(user)
    assert portfolio.assets[0] == ledger.holdings.get(user, "BTC")


def test_forty_assets_fit_in_one_read_unit_and_one_kilobyte(ledger: LedgerKit) -> None:
    """The account item of a user with forty assets, some of them held by orders, is at most 1 KB (ledger R17)."""
    user = "a-user-name-of-thirty-letters-"
    ledger.open_account(user, cash="1234567.89")
    for number in range(40):
        ledger.give(user, f"AS{number:02d}", "12.34567891", price="100.00")
    for number in range(4):
        ledger.place(user, type=OrderType.LIMIT_SELL, asset=f"AS{number:02d}", quantity="1.23456789", limit="100.00")
    key = ACCOUNT.item_key(user)
    request = GetItem(table=ledger.db.table_of(ACCOUNT), key=key, consistent=True)
    item = ledger.db.execute(request, Pattern("size of an account", "GetItem")).body["Item"]

    with spend(rcu=1, trips=1):
        portfolio = ledger.holdings.portfolio(user)

    assert len(portfolio.assets) == 40
    assert item_size(item) <= 1024


def test_no_portfolio_is_torn(ledger: LedgerKit) -> None:
    """While another thread swaps cash and asset back and forth at one price, every read has the same total value."""
    user = ledger.open_account(cash="1000.00")
    price = Decimal("100.00")

    def swap() -> None:
        for _ in range(30):
            ledger.orders.buy(user, "BTC", 1, price=price, request_id=ledger.new_id(), deadline=30)
            ledger.orders.sell(user, "BTC", 1, price=price, request_id=ledger.new_id(), deadline=30)

    values = set()
    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap)
        while not swapping.done():
            portfolio = ledger.holdings.portfolio(user)
            values.add(portfolio.balance.posted + sum(held.posted * price for held in portfolio.assets))
        swapping.result()

    assert values == {Decimal("1000.00")}


@pytest.mark.parametrize("read", ["portfolio", "get"])
def test_holdings_are_read_in_one_round_trip(ledger: LedgerKit, read: str) -> None:
    """One consistent GetItem, whatever is held."""
    user = ledger.open_account(holding={"BTC": "1", "ETH": "1", "XRP": "1"})
    with metered() as meter:
        if read == "portfolio":
            ledger.holdings.portfolio(user)
        else:
            ledger.holdings.get(user, "ETH")

    assert (meter.cost.trips, meter.cost.rcu) == (1, 1)


def test_an_asset_never_held_is_zero(ledger: LedgerKit) -> None:
    """At the scale of the asset; nothing is stored for it."""
    held = ledger.holdings.get(ledger.open_account(), "BTC")

    assert str(held.available) == "0E-8"
    assert held.held == held.posted == 0
