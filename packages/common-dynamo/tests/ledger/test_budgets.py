"""Every access pattern of the ledger costs what its row of the table says, in units and in round trips (ledger R14).

Items stay within 1 KB. The catalogue of assets is warm, as it is in a service after its first requests; what a cold one
adds is at the end. A refusal is written down, which costs one put more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from common.dynamo.exceptions import InsufficientFunds
from common.dynamo.testing import Engine, spend
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Asset, Order, OrderCreate, OrderStatus, OrderType, UserCreate

Call = Callable[[], object]
"""What is measured; what has to be there first has been done when it is made."""
Prepare = Callable[[LedgerKit], Call]


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    prepare: Prepare
    rcu: float
    wcu: float
    """On the table."""
    gsi: float
    """On the indexes; "6+2" is ``wcu=6, gsi=2``."""
    trips: int


ROWS: dict[str, Row] = {}


def row(name: str, *, rcu: float = 0, wcu: float = 0, gsi: float = 0, trips: int = 1) -> Callable[[Prepare], None]:
    """Enter what is decorated into the table."""

    def enter(prepare: Prepare) -> None:
        ROWS[name] = Row(prepare, rcu, wcu, gsi, trips)

    return enter


# Users ----------------------------------------------------------------------------------------------------------------


@row("UserDAO.create", wcu=6)
def _(ledger: LedgerKit) -> Call:
    wanted = UserCreate(username="alice", email="alice@example.org", password="correct horse")
    return lambda: ledger.users.create(wanted, request_id=ledger.new_id())


@row("UserDAO.authenticate", rcu=1)
def _(ledger: LedgerKit) -> Call:
    wanted = UserCreate(username="alice", email="alice@example.org", password="correct horse")
    ledger.users.create(wanted, request_id=ledger.new_id())
    return lambda: ledger.users.authenticate("alice", "correct horse")


@row("UserDAO.authenticate, unknown name", rcu=1)
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.users.authenticate("nobody", "correct horse")


@row("UserDAO.get", rcu=1)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.users.get(user)


@row("UserDAO.update", wcu=1)
def _(ledger: LedgerKit) -> Call:
    seen = ledger.users.require(ledger.open_account())
    return lambda: ledger.users.update(seen, {"full_name": "Alice B."}, request_id=ledger.new_id())


@row("UserDAO.set_password", wcu=1)
def _(ledger: LedgerKit) -> Call:
    seen = ledger.users.require(ledger.open_account())
    return lambda: ledger.users.set_password(seen, "battery staple", request_id=ledger.new_id())


@row("UserDAO.change_email", wcu=6)
def _(ledger: LedgerKit) -> Call:
    seen = ledger.users.require(ledger.open_account())
    return lambda: ledger.users.change_email(seen, "new@example.org", request_id=ledger.new_id())


# Cash -----------------------------------------------------------------------------------------------------------------


@row("BalanceDAO.deposit", wcu=4)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.balances.deposit(user, "5.00", request_id=ledger.new_id())


@row("BalanceDAO.withdraw", wcu=4)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00")
    return lambda: ledger.balances.withdraw(user, "5.00", request_id=ledger.new_id())


@row("BalanceDAO.get", rcu=1)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00")
    return lambda: ledger.balances.get(user)


@row("BalanceDAO.entry", rcu=1)
def _(ledger: LedgerKit) -> Call:
    user, request_id = ledger.open_account(), ledger.new_id()
    ledger.balances.deposit(user, 1, request_id=request_id)
    return lambda: ledger.balances.entry(user, request_id)


@row("BalanceDAO.resolve", rcu=1)
def _(ledger: LedgerKit) -> Call:
    user, request_id = ledger.open_account(), ledger.new_id()
    ledger.balances.deposit(user, 1, request_id=request_id)
    return lambda: ledger.balances.resolve(user, request_id)


@row("BalanceDAO.resolve, fence", wcu=1)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.balances.resolve(user, ledger.new_id(), fence=True)


# Assets ---------------------------------------------------------------------------------------------------------------


@row("AssetBalanceDAO.portfolio", rcu=1)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00", holding={"BTC": "1"})
    return lambda: ledger.holdings.portfolio(user)


@row("AssetBalanceDAO.get", rcu=1)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(holding={"BTC": "1"})
    return lambda: ledger.holdings.get(user, "BTC")


@row("AssetDAO.create", wcu=1)
def _(ledger: LedgerKit) -> Call:
    asset = Asset(id="ETH", name="Ether", category="crypto", scale=18, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return lambda: ledger.assets.create(asset, request_id=ledger.new_id())


@row("AssetDAO.set_price", wcu=1)
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.set_price("BTC", "45000.00", request_id=ledger.new_id())


@row("AssetDAO.get", rcu=1)
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.get("BTC")


@row("AssetDAO.price", rcu=1)
def _(ledger: LedgerKit) -> Call:
    ledger.assets.set_price("BTC", "45000.00", request_id=ledger.new_id())
    return lambda: ledger.assets.price("BTC")


@row("AssetDAO.list", rcu=0.5)
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.list()


@row("AssetDAO.by_category", rcu=0.5)
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.by_category("crypto")


# Orders ---------------------------------------------------------------------------------------------------------------


def queued(ledger: LedgerKit, *, expires_at: datetime | None = None) -> Order:
    """A limit order in the book."""
    return ledger.place(ledger.open_account(cash="1000.00"), expires_at=expires_at)


def pending(ledger: LedgerKit) -> Order:
    """A limit order that waits for its confirmation."""
    user = ledger.open_account(cash="1000.00")
    wanted = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(100))
    return ledger.orders.submit(user, wanted, request_id=ledger.new_id()).entry


def claimed(ledger: LedgerKit) -> Order:
    """A limit order that an engine fills."""
    triggered = ledger.orders.trigger(queued(ledger), request_id=ledger.new_id()).entry
    return ledger.orders.claim(triggered, request_id=ledger.new_id()).entry


@row("OrderDAO.buy", wcu=6, gsi=2)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="100.00")
    return lambda: ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id())


@row("OrderDAO.sell", wcu=6, gsi=2)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(holding={"BTC": "1"})
    return lambda: ledger.orders.sell(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id())


@row("OrderDAO.place", wcu=4, gsi=2)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="100.00")
    return lambda: ledger.place(user)


@row("OrderDAO.submit", wcu=1, gsi=1)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    wanted = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(100))
    return lambda: ledger.orders.submit(user, wanted, request_id=ledger.new_id())


@row("OrderDAO.confirm", wcu=4, gsi=2)
def _(ledger: LedgerKit) -> Call:
    order = pending(ledger)
    return lambda: ledger.orders.confirm(order, request_id=ledger.new_id())


@row("OrderDAO.queue", wcu=1, gsi=3)
def _(ledger: LedgerKit) -> Call:
    order = ledger.orders.confirm(pending(ledger), request_id=ledger.new_id()).entry
    return lambda: ledger.orders.queue(order, request_id=ledger.new_id())


@row("OrderDAO.trigger", wcu=1, gsi=3)
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.trigger(order, request_id=ledger.new_id())


@row("OrderDAO.claim", wcu=1, gsi=2)
def _(ledger: LedgerKit) -> Call:
    order = ledger.orders.trigger(queued(ledger), request_id=ledger.new_id()).entry
    return lambda: ledger.orders.claim(order, request_id=ledger.new_id())


@row("OrderDAO.settle", wcu=6, gsi=3)
def _(ledger: LedgerKit) -> Call:
    order = claimed(ledger)
    return lambda: ledger.orders.settle(order, price="99.00", request_id=ledger.new_id())


@row("OrderDAO.cancel", wcu=4, gsi=3)
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.cancel(order, request_id=ledger.new_id())


@row("OrderDAO.cancel, pending", wcu=1, gsi=2)
def _(ledger: LedgerKit) -> Call:
    order = pending(ledger)
    return lambda: ledger.orders.cancel(order, request_id=ledger.new_id())


@row("OrderDAO.expire", wcu=4, gsi=3)
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    return lambda: ledger.orders.expire(order, request_id=ledger.new_id())


@row("OrderDAO.fail", wcu=4, gsi=2)
def _(ledger: LedgerKit) -> Call:
    order = claimed(ledger)
    return lambda: ledger.orders.fail(order, request_id=ledger.new_id())


@row("OrderDAO.get", rcu=1)
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.get(order.user, order.id)


@row("OrderDAO.resolve", rcu=2)
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.resolve(order.user, order.id)


@row("OrderDAO.resolve, fence", wcu=1)
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.orders.resolve(user, ledger.new_id(), fence=True)


@row("OrderDAO.due", rcu=0.5)
def _(ledger: LedgerKit) -> Call:
    queued(ledger)
    return lambda: ledger.orders.due("BTC", OrderType.LIMIT_BUY, "99.00")


@row("OrderDAO.overdue", rcu=0.5)
def _(ledger: LedgerKit) -> Call:
    queued(ledger)
    return lambda: ledger.orders.overdue("BTC", OrderType.LIMIT_BUY, datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ROWS)
def test_each_call_costs_what_its_row_says(name: str, ledger: LedgerKit) -> None:
    """Units on the table, units on the indexes and round trips are exactly those of the table."""
    wanted = ROWS[name]
    call = wanted.prepare(ledger)

    with spend(rcu=wanted.rcu, wcu=wanted.wcu + wanted.gsi, trips=wanted.trips) as meter:
        call()

    assert wanted.gsi == (sum(meter.cost.indexes.values()) if wanted.wcu else 0)


# Pages of items of 1 KB -----------------------------------------------------------------------------------------------


def _page_of_orders(ledger: LedgerKit) -> str:
    user = ledger.open_account(cash="2000.00")
    for _ in range(21):
        ledger.place(user)
    return user


@pytest.mark.parametrize(("consistent", "rcu"), [(False, 2.5), (True, 5)])
def test_a_page_of_twenty_costs_what_its_size_costs(ledger: LedgerKit, consistent: bool, rcu: float) -> None:
    """Twenty orders of up to 1 KB are one query of at most 2.5 units, 5 where it is consistent; so are twenty entries."""
    user = _page_of_orders(ledger)

    with spend(wcu=0, trips=1) as orders:
        page = ledger.orders.list(user, limit=20, consistent=consistent)
    with spend(wcu=0, trips=1) as entries:
        ledger.balances.history(user, limit=20, consistent=consistent)

    assert len(page.items) == 20
    assert 0 < orders.cost.rcu <= rcu
    assert 0 < entries.cost.rcu <= rcu


def test_a_page_by_status_is_one_eventual_query(ledger: LedgerKit) -> None:
    """Twenty orders in one status cost at most 2.5 units, and so do twenty trades of one asset."""
    user = _page_of_orders(ledger)
    trader = ledger.open_account(cash="1000.00")
    for _ in range(20):
        ledger.orders.buy(trader, "BTC", "0.2", price="100.00", request_id=ledger.new_id())

    with spend(wcu=0, trips=1) as orders:
        by_status = ledger.orders.by_status(user, OrderStatus.QUEUED)
    with spend(wcu=0, trips=1) as trades:
        history = ledger.trades.history(trader, "BTC")

    assert (len(by_status.items), len(history.items)) == (20, 20)
    assert 0 < orders.cost.rcu <= 2.5
    assert 0 < trades.cost.rcu <= 2.5


# Refusals and the cold catalogue --------------------------------------------------------------------------------------


def test_a_refusal_costs_one_put_more(ledger: LedgerKit) -> None:
    """Withdrawing what is not there: the refused transaction, and a tombstone of one unit."""
    user = ledger.open_account(cash="1.00")

    with spend(wcu=1, rcu=0, trips=2), pytest.raises(InsufficientFunds):
        ledger.balances.withdraw(user, "5.00", request_id=ledger.new_id())


def test_a_refused_limit_order_costs_one_put_and_its_index(ledger: LedgerKit) -> None:
    """The tombstone of a limit order is an order, so it is in the index of its status."""
    user = ledger.open_account(cash="1.00")

    with spend(wcu=2, rcu=0, trips=2, indexes={"GSI1": 1}), pytest.raises(InsufficientFunds):
        ledger.place(user)


def test_an_asset_is_looked_up_once_by_each_database_object(
    engine: Engine, ledger_on: Callable[..., LedgerKit]
) -> None:
    """A process that has not seen the asset reads it, one unit and one round trip; after that, never again."""
    wire = engine.wire()
    user = ledger_on(wire).open_account(cash="100.00")
    cold, colder = ledger_on(wire, listed=False), ledger_on(wire, listed=False)

    with spend(rcu=1, wcu=8, trips=2):
        cold.orders.buy(user, "BTC", "0.2", price="100.00", request_id=cold.new_id())
    with spend(rcu=0, wcu=8, trips=1):
        cold.orders.buy(user, "BTC", "0.2", price="100.00", request_id=cold.new_id())
    with spend(rcu=2, trips=2):
        colder.holdings.portfolio(user)
    with spend(rcu=1, trips=1):
        colder.holdings.portfolio(user)
    wire.close()
