"""Every access pattern of the ledger costs what its row of the table says, in units and in round trips (ledger R14).

The table is :mod:`common.dynamo.dao.access_patterns`; here each of its rows is carried out and measured. Items stay within
1 KB. The catalogue of assets is warm, as it is in a service after its first requests; what a cold one adds is at the end.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from common.dynamo import Database
from common.dynamo.access import AccessPattern
from common.dynamo.dao.access_patterns import LEDGER_PATTERNS
from common.dynamo.dao.ledger_types import ACCOUNT, ASSET, LEDGER_ENTITY_TYPES
from common.dynamo.exceptions import LedgerRefusal
from common.dynamo.testing import Engine, spend
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Asset, Order, OrderCreate, OrderStatus, OrderType, UserCreate

pytestmark = pytest.mark.thorough

Call = Callable[[], object]
"""What is measured; what has to be there first has been done when it is made."""
Prepare = Callable[[LedgerKit], Call]

ROWS: dict[str, AccessPattern] = {row.title: row for row in LEDGER_PATTERNS}
COURSES: dict[str, Prepare] = {}


def course(title: str) -> Callable[[Prepare], None]:
    """Carry out the row called *title* by what is decorated."""

    def enter(prepare: Prepare) -> None:
        COURSES[title] = prepare

    return enter


def refused(call: Call) -> Call:
    """Expect *call* to be refused by the ledger."""

    def run() -> None:
        with pytest.raises(LedgerRefusal):
            call()

    return run


# Users ----------------------------------------------------------------------------------------------------------------


@course("UserDAO.create")
def _(ledger: LedgerKit) -> Call:
    wanted = UserCreate(username="alice", email="alice@example.org", password="correct horse")
    return lambda: ledger.users.create(wanted, request_id=ledger.new_id())


@course("UserDAO.authenticate")
def _(ledger: LedgerKit) -> Call:
    wanted = UserCreate(username="alice", email="alice@example.org", password="correct horse")
    ledger.users.create(wanted, request_id=ledger.new_id())
    return lambda: ledger.users.authenticate("alice", "correct horse")


@course("UserDAO.get")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.users.get(user)


@course("UserDAO.update")
def _(ledger: LedgerKit) -> Call:
    seen = ledger.users.require(ledger.open_account())
    return lambda: ledger.users.update(seen, {"full_name": "Alice B."}, request_id=ledger.new_id())


@course("UserDAO.set_password")
def _(ledger: LedgerKit) -> Call:
    seen = ledger.users.require(ledger.open_account())
    return lambda: ledger.users.set_password(seen, "battery staple", request_id=ledger.new_id())


@course("UserDAO.stored_password")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.users.stored_password(user)


@course("UserDAO.rehash")
def _(ledger: LedgerKit) -> Call:
    wanted = UserCreate(username="alice", email="alice@example.org", password="correct horse")
    ledger.users.create(wanted, request_id=ledger.new_id())
    stored = ledger.users.stored_password("alice")
    assert stored is not None
    assert stored.hash is not None
    old = stored.hash
    return lambda: ledger.users.rehash("alice", old=old, new="a hash of more work")


@course("UserDAO.change_email")
def _(ledger: LedgerKit) -> Call:
    seen = ledger.users.require(ledger.open_account())
    return lambda: ledger.users.change_email(seen, "new@example.org", request_id=ledger.new_id())


@course("UserDAO.close")
def _(ledger: LedgerKit) -> Call:
    seen = ledger.users.require(ledger.open_account())
    return lambda: ledger.users.close(seen, request_id=ledger.new_id())


# Cash -----------------------------------------------------------------------------------------------------------------


@course("BalanceDAO.deposit")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.balances.deposit(user, "5.00", request_id=ledger.new_id())


@course("BalanceDAO.withdraw")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00")
    return lambda: ledger.balances.withdraw(user, "5.00", request_id=ledger.new_id())


@course("BalanceDAO.withdraw, refused")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="1.00")
    return refused(lambda: ledger.balances.withdraw(user, "5.00", request_id=ledger.new_id()))


@course("BalanceDAO.adjust")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00")
    return lambda: ledger.balances.adjust(user, "-5.00", reason="booked twice", request_id=ledger.new_id())


@course("BalanceDAO.refund")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="100.00")
    order = ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id()).entry
    return lambda: ledger.balances.refund(order, "5.00", request_id=ledger.new_id())


@course("BalanceDAO.get")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00")
    return lambda: ledger.balances.get(user)


@course("BalanceDAO.entry")
def _(ledger: LedgerKit) -> Call:
    user, request_id = ledger.open_account(), ledger.new_id()
    ledger.balances.deposit(user, 1, request_id=request_id)
    return lambda: ledger.balances.entry(user, request_id)


@course("BalanceDAO.resolve")
def _(ledger: LedgerKit) -> Call:
    user, request_id = ledger.open_account(), ledger.new_id()
    ledger.balances.deposit(user, 1, request_id=request_id)
    return lambda: ledger.balances.resolve(user, request_id)


@course("BalanceDAO.resolve, fence")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.balances.resolve(user, ledger.new_id(), fence=True)


def page_of_entries(ledger: LedgerKit) -> str:
    """A user with as many journal entries as are on a page."""
    user = ledger.open_account()
    for _ in range(20):
        ledger.balances.deposit(user, 1, request_id=ledger.new_id())
    return user


@course("BalanceDAO.history")
def _(ledger: LedgerKit) -> Call:
    user = page_of_entries(ledger)
    return lambda: ledger.balances.history(user, limit=20)


@course("BalanceDAO.history, consistent")
def _(ledger: LedgerKit) -> Call:
    user = page_of_entries(ledger)
    return lambda: ledger.balances.history(user, limit=20, consistent=True)


# Assets ---------------------------------------------------------------------------------------------------------------


@course("AssetBalanceDAO.portfolio")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00", holding={"BTC": "1"})
    return lambda: ledger.holdings.portfolio(user)


@course("AssetBalanceDAO.portfolio, new assets")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="10.00", holding={"BTC": "1"})
    table, tables = ledger.db.table_of(ACCOUNT), {ASSET.group: ledger.db.table_of(ASSET)}
    database = Database.connect(table=table, tables=tables, wire=ledger.db.wire, entity_types=LEDGER_ENTITY_TYPES)
    return lambda: LedgerKit(database).holdings.portfolio(user)


@course("AssetBalanceDAO.get")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(holding={"BTC": "1"})
    return lambda: ledger.holdings.get(user, "BTC")


@course("AssetTransactionDAO.history")
def _(ledger: LedgerKit) -> Call:
    trader = ledger.open_account(cash="1000.00")
    for _ in range(20):
        ledger.orders.buy(trader, "BTC", "0.2", price="100.00", request_id=ledger.new_id())
    return lambda: ledger.trades.history(trader, "BTC")


@course("AssetDAO.create")
def _(ledger: LedgerKit) -> Call:
    asset = Asset(id="ETH", name="Ether", category="crypto", scale=18, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return lambda: ledger.assets.create(asset, request_id=ledger.new_id())


@course("AssetDAO.set_price")
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.set_price("BTC", "45000.00", request_id=ledger.new_id())


@course("AssetDAO.get")
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.get("BTC")


@course("AssetDAO.price")
def _(ledger: LedgerKit) -> Call:
    ledger.assets.set_price("BTC", "45000.00", request_id=ledger.new_id())
    return lambda: ledger.assets.price("BTC")


@course("AssetDAO.list")
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.list()


@course("AssetDAO.by_category")
def _(ledger: LedgerKit) -> Call:
    return lambda: ledger.assets.by_category("crypto")


# Orders ---------------------------------------------------------------------------------------------------------------


def page_of_orders(ledger: LedgerKit) -> str:
    """A user with as many orders as are on a page."""
    user = ledger.open_account(cash="2000.00")
    for _ in range(20):
        ledger.place(user)
    return user


def queued(ledger: LedgerKit, *, expires_at: datetime | None = None) -> Order:
    """A limit order in the book."""
    return ledger.place(ledger.open_account(cash="1000.00"), expires_at=expires_at)


def pending(ledger: LedgerKit, *, cash: str = "1000.00") -> Order:
    """A limit order that waits for its confirmation."""
    user = ledger.open_account(cash=cash)
    wanted = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(100))
    return ledger.orders.submit(user, wanted, request_id=ledger.new_id()).entry


def claimed(ledger: LedgerKit) -> Order:
    """A limit order that an engine fills."""
    triggered = ledger.orders.trigger(queued(ledger), request_id=ledger.new_id()).entry
    return ledger.orders.claim(triggered, request_id=ledger.new_id()).entry


@course("OrderDAO.buy")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="100.00")
    return lambda: ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id())


@course("OrderDAO.sell")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(holding={"BTC": "1"})
    return lambda: ledger.orders.sell(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id())


@course("OrderDAO.buy, refused")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="1.00")
    return refused(lambda: ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id()))


@course("OrderDAO.buy, refused by its terms")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="100.00")
    return refused(lambda: ledger.orders.buy(user, "BTC", "0.01", price="100.00", request_id=ledger.new_id()))


@course("OrderDAO.sell, refused")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(holding={"BTC": "0.1"})
    return refused(lambda: ledger.orders.sell(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id()))


@course("OrderDAO.sell, refused by its terms")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(holding={"BTC": "1"})
    return refused(lambda: ledger.orders.sell(user, "BTC", "0.01", price="100.00", request_id=ledger.new_id()))


@course("OrderDAO.place")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="100.00")
    return lambda: ledger.place(user)


@course("OrderDAO.place, refused")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="1.00")
    return refused(lambda: ledger.place(user))


@course("OrderDAO.place, refused by its terms")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account(cash="100.00")
    return refused(lambda: ledger.place(user, quantity="0.01"))


@course("OrderDAO.submit")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    wanted = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(100))
    return lambda: ledger.orders.submit(user, wanted, request_id=ledger.new_id())


@course("OrderDAO.confirm")
def _(ledger: LedgerKit) -> Call:
    order = pending(ledger)
    return lambda: ledger.orders.confirm(order, request_id=ledger.new_id())


@course("OrderDAO.confirm, refused")
def _(ledger: LedgerKit) -> Call:
    order = pending(ledger, cash="1.00")
    return refused(lambda: ledger.orders.confirm(order, request_id=ledger.new_id()))


@course("OrderDAO.queue")
def _(ledger: LedgerKit) -> Call:
    order = ledger.orders.confirm(pending(ledger), request_id=ledger.new_id()).entry
    return lambda: ledger.orders.queue(order, request_id=ledger.new_id())


@course("OrderDAO.trigger")
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.trigger(order, request_id=ledger.new_id())


@course("OrderDAO.claim")
def _(ledger: LedgerKit) -> Call:
    order = ledger.orders.trigger(queued(ledger), request_id=ledger.new_id()).entry
    return lambda: ledger.orders.claim(order, request_id=ledger.new_id())


@course("OrderDAO.settle")
def _(ledger: LedgerKit) -> Call:
    order = claimed(ledger)
    return lambda: ledger.orders.settle(order, price="99.00", request_id=ledger.new_id())


@course("OrderDAO.cancel")
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.cancel(order, request_id=ledger.new_id())


@course("OrderDAO.cancel, pending")
def _(ledger: LedgerKit) -> Call:
    order = pending(ledger)
    return lambda: ledger.orders.cancel(order, request_id=ledger.new_id())


@course("OrderDAO.expire")
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    return lambda: ledger.orders.expire(order, request_id=ledger.new_id())


@course("OrderDAO.fail")
def _(ledger: LedgerKit) -> Call:
    order = claimed(ledger)
    return lambda: ledger.orders.fail(order, request_id=ledger.new_id())


@course("OrderDAO.fail, pending")
def _(ledger: LedgerKit) -> Call:
    order = pending(ledger)
    return lambda: ledger.orders.fail(order, request_id=ledger.new_id())


@course("OrderDAO.get")
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.get(order.user, order.id)


@course("OrderDAO.resolve")
def _(ledger: LedgerKit) -> Call:
    order = queued(ledger)
    return lambda: ledger.orders.resolve(order.user, order.id)


@course("OrderDAO.resolve, fence")
def _(ledger: LedgerKit) -> Call:
    user = ledger.open_account()
    return lambda: ledger.orders.resolve(user, ledger.new_id(), fence=True)


@course("OrderDAO.list")
def _(ledger: LedgerKit) -> Call:
    user = page_of_orders(ledger)
    return lambda: ledger.orders.list(user, limit=20)


@course("OrderDAO.list, consistent")
def _(ledger: LedgerKit) -> Call:
    user = page_of_orders(ledger)
    return lambda: ledger.orders.list(user, limit=20, consistent=True)


@course("OrderDAO.by_status")
def _(ledger: LedgerKit) -> Call:
    user = page_of_orders(ledger)
    return lambda: ledger.orders.by_status(user, OrderStatus.QUEUED)


@course("OrderDAO.due")
def _(ledger: LedgerKit) -> Call:
    queued(ledger)
    return lambda: ledger.orders.due("BTC", OrderType.LIMIT_BUY, "99.00")


@course("OrderDAO.overdue")
def _(ledger: LedgerKit) -> Call:
    queued(ledger)
    return lambda: ledger.orders.overdue("BTC", OrderType.LIMIT_BUY, datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("title", ROWS)
def test_each_call_costs_what_its_row_says(title: str, ledger: LedgerKit) -> None:
    """Units on the table, units on the indexes and round trips are those of the table; a page costs that at most."""
    row = ROWS[title]
    call = COURSES[title](ledger)

    with spend(trips=len(row.trips)) as meter:
        call()

    cost = meter.cost
    written = sum(cost.indexes.values()) if cost.wcu else 0
    assert row.budget.admits(cost)
    if row.is_exact:
        assert (row.rcu, row.wcu, row.indexes) == (cost.rcu, cost.wcu - written, written)
    else:
        assert 0 < cost.rcu


@pytest.mark.parametrize("title", ROWS)
def test_each_call_stays_within_what_is_declared(
    title: str, engine: Engine, table_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is held to the table of access patterns stops nothing, and tells of nothing."""
    options: dict[str, Any] = {"budgets": "declared", "budget_mode": "raise", "entity_types": LEDGER_ENTITY_TYPES}
    with engine.open(table=table_name, cursor_keys=["k" * 32], **options) as database:
        ledger = LedgerKit(database)
        ledger.list_asset("BTC")
        COURSES[title](ledger)()

    assert [] == [record.getMessage() for record in caplog.records if record.name == "common.dynamo.budgets"]


def test_no_course_is_left_out() -> None:
    """Each row of the table is measured, and what is measured is in the table."""
    assert ROWS.keys() == COURSES.keys()


def test_an_unknown_name_costs_what_a_known_one_costs(ledger: LedgerKit) -> None:
    """The answer to a login does not tell by its cost whether there is such a user."""
    with spend(rcu=1, wcu=0, trips=1):
        ledger.users.authenticate("nobody", "correct horse")


# The cold catalogue --------------------------------------------------------------------------------------------------


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
