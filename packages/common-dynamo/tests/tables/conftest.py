"""One working day of the whole ledger, as the requests that it sent."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from common.dynamo import Call, Database, Pattern
from common.dynamo import requests as rq
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES, ORDER
from common.dynamo.testing import Engine, Fault, FaultPlan, FaultyWire, fresh_table_name
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Asset, Order, OrderCreate, OrderStatus, OrderType, UserCreate
from common.exceptions import CommonError

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY_AND_AN_HOUR = 25 * 3600


class Recorder:
    """An interceptor that keeps every request."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def on_request(self, call: Call, /) -> None:
        """Keep the request."""
        self.calls.append(call)

    def on_result(self, call: Call, result: Any, /) -> None:
        """Do nothing."""

    def on_error(self, call: Call, error: BaseException, /) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Day:
    """What was sent, and to which tables."""

    calls: tuple[Call, ...]
    table: str
    inventory: str


@pytest.fixture(scope="session")
def day(engine: Engine) -> Day:
    """Every method of every DAO of the ledger, in every course: usual, refused, lost, repeated a day later."""
    recorder, faults, table = Recorder(), FaultPlan(), fresh_table_name()
    wire = FaultyWire(engine.wire(), faults)
    now = NOON.timestamp()

    def open_at(moment: float, *interceptors: Recorder) -> LedgerKit:
        """A ledger that has not seen any asset yet."""
        database = Database.connect(
            table=table,
            tables={"inventory": f"{table}-inventory"},
            wire=wire,
            entity_types=LEDGER_ENTITY_TYPES,
            cursor_keys=["a key for tests, and nothing else"],
            clock=lambda: moment,
            interceptors=interceptors,
        )
        return LedgerKit(database)

    unseen = open_at(now)
    unseen.db.create_tables()
    unseen.list_asset("BTC")
    work = Work(open_at(now, recorder), lambda: open_at(now + DAY_AND_AN_HOUR, recorder), unseen, faults)
    for part in (
        work.users,
        work.cash,
        work.inventory,
        work.holdings,
        work.market,
        work.limits,
        work.steps,
        work.lists,
    ):
        part()
    wire.close()
    return Day(tuple(recorder.calls), table, f"{table}-inventory")


class Work:
    """What is done, part by part; *kit* and *later* are recorded, *unseen* prepares."""

    def __init__(self, kit: LedgerKit, later: Callable[[], LedgerKit], unseen: LedgerKit, faults: FaultPlan) -> None:
        self.kit = kit
        self.later = later
        self.unseen = unseen
        self.faults = faults

    def now_and_later(self, call: Callable[[LedgerKit], object]) -> None:
        """Call once, and once more when the request id is over a day old, on a database object that is new."""
        for kit in (self.kit, self.later()):
            with suppress(CommonError):  # a refusal is a course as well
                call(kit)

    def users(self) -> None:
        """Register, log in, change."""
        new = self.kit.new_id
        wanted = UserCreate(username="alice", email="alice@example.org", password="correct horse")
        ids = [new() for _ in range(5)]
        self.now_and_later(lambda kit: kit.users.create(wanted, request_id=ids[0]))
        seen = self.kit.users.require("alice")
        self.kit.users.authenticate("alice", "correct horse")
        self.now_and_later(lambda kit: kit.users.update(seen, {"full_name": "Alice B."}, request_id=ids[1]))
        second = self.kit.users.require("alice")
        self.now_and_later(lambda kit: kit.users.set_password(second, "battery staple", request_id=ids[2]))
        stored = self.kit.users.stored_password("alice")
        self.kit.users.rehash("alice", old=(stored and stored.hash) or "", new="a hash of more work")
        third = self.kit.users.require("alice")
        self.now_and_later(lambda kit: kit.users.change_email(third, "new@example.org", request_id=ids[3]))
        fourth = self.kit.users.require("alice")
        self.now_and_later(lambda kit: kit.users.close(fourth, request_id=ids[4]))

    def cash(self) -> None:
        """Pay in and out, look up, give up; a deposit to nobody whose first answer is lost."""
        new, user = self.kit.new_id, self.unseen.open_account(cash="100.00")
        ids = [new() for _ in range(4)]
        self.now_and_later(lambda kit: kit.balances.deposit(user, 5, request_id=ids[0]))
        self.now_and_later(lambda kit: kit.balances.withdraw(user, 5, request_id=ids[1]))
        self.now_and_later(lambda kit: kit.balances.withdraw(user, 5000, request_id=ids[2]))
        self.faults.script(Fault.DROP_BEFORE)
        self.now_and_later(lambda kit: kit.balances.deposit("nobody", 5, request_id=ids[3]))
        self.corrections()
        self.kit.balances.get(user)
        self.kit.balances.entry(user, ids[0])
        self.kit.balances.resolve(user, ids[0])
        self.kit.balances.resolve(user, new(), fence=True)
        self.kit.balances.history(user, since=NOON)
        self.kit.balances.history(user, consistent=True)

    def corrections(self) -> None:
        """Adjust a balance, by too much as well, and refund what an order has cost."""
        new, user = self.kit.new_id, self.unseen.open_account(cash="100.00")
        ids = [new() for _ in range(3)]
        bought = self.unseen.orders.buy(user, "BTC", "0.5", price="100.00", request_id=new()).entry
        self.now_and_later(lambda kit: kit.balances.adjust(user, "-5", reason="a fee", request_id=ids[0]))
        self.now_and_later(lambda kit: kit.balances.adjust(user, "-5000", reason="a fee", request_id=ids[1]))
        self.now_and_later(lambda kit: kit.balances.refund(bought, "5.00", request_id=ids[2]))

    def inventory(self) -> None:
        """Create assets, price them, list them."""
        asset = Asset(id="ETH", name="Ether", category="crypto", scale=18, created_at=NOON)
        created, priced = self.kit.new_id(), self.kit.new_id()
        self.now_and_later(lambda kit: kit.assets.create(asset, request_id=created))
        self.now_and_later(lambda kit: kit.assets.set_price("BTC", "45000.00", request_id=priced))
        self.kit.assets.get("BTC")
        self.kit.assets.price("BTC")
        self.kit.assets.list()
        self.kit.assets.by_category("crypto")

    def holdings(self) -> None:
        """Look at what a user holds, on a database object that has not seen the assets."""
        user = self.unseen.open_account(holding={"BTC": "1"})
        self.later().holdings.portfolio(user)
        self.later().holdings.get(user, "BTC")
        self.kit.trades.history(user, "BTC")

    def market(self) -> None:
        """Buy and sell; too much, too little; and an order that somebody has taken away from under its entry."""
        new, user = self.kit.new_id, self.unseen.open_account(cash="1000.00", holding={"BTC": "1"})
        for name in ("buy", "sell"):
            for quantity in ("0.2", "500", "0.0001"):
                self.trade(name, user, quantity, new())
            taken = new()
            self.trade(name, user, "0.2", taken)
            delete = rq.DeleteItem(table=self.kit.db.table_of(ORDER), key=ORDER.item_key(user, taken))
            self.unseen.db.execute(delete, Pattern("Test.vandal", "DeleteItem"))
            self.trade(name, user, "0.2", taken)

    def trade(self, name: str, user: str, quantity: str, request_id: str) -> None:
        """Send a market order, and once more a day later."""
        self.now_and_later(
            lambda kit: getattr(kit.orders, name)(user, "BTC", quantity, price="100.00", request_id=request_id)
        )

    def limits(self) -> None:
        """Place limit orders: good ones, too large, too small; and those that wait for their confirmation."""
        new, user = self.kit.new_id, self.unseen.open_account(cash="1000.00")
        for quantity in ("0.5", "500", "0.0001"):
            self.order("place", user, limit_buy(quantity), new())
            self.order("submit", user, limit_buy(quantity), new())

    def order(self, name: str, user: str, wanted: OrderCreate, request_id: str) -> None:
        """Send a limit order, and once more a day later."""
        self.now_and_later(lambda kit: getattr(kit.orders, name)(user, wanted, request_id=request_id))

    def steps(self) -> None:
        """Take orders along every edge of the status table."""
        rich, poor = self.unseen.open_account(cash="5000.00"), self.unseen.open_account(cash="1.00")
        pending = [self.pending(rich) for _ in range(3)]
        for order, name in ((pending[0], "cancel"), (pending[1], "fail"), (self.pending(poor), "confirm")):
            self.step(order, name)
        queued = self.step(self.step(pending[2], "confirm"), "queue")
        claimed = self.step(self.step(queued, "trigger"), "claim")
        self.step(claimed, "settle", price="99.00")
        self.step(self.unseen.place(rich), "cancel")
        self.step(self.step(self.unseen.place(rich), "trigger"), "fail")
        self.step(self.unseen.place(rich, expires_at=datetime(2020, 1, 1, tzinfo=UTC)), "expire")

    def step(self, order: Order, name: str, **more: Any) -> Order:
        """Take one step, and once more a day later; return the order after it."""
        request_id = self.kit.new_id()
        self.now_and_later(lambda kit: getattr(kit.orders, name)(order, request_id=request_id, **more))
        return self.unseen.orders.get(order.user, order.id) or order

    def pending(self, user: str) -> Order:
        """A limit order that waits for its confirmation."""
        return self.unseen.orders.submit(user, limit_buy("0.5"), request_id=self.unseen.new_id()).entry

    def lists(self) -> None:
        """Look orders up and list them."""
        user = self.unseen.open_account(cash="1000.00")
        order = self.unseen.place(user)
        orders = self.kit.orders
        orders.get(user, order.id)
        orders.resolve(user, order.id)
        orders.resolve(user, self.kit.new_id(), fence=True)
        orders.list(user)
        orders.list(user, consistent=True)
        orders.by_status(user, OrderStatus.QUEUED)
        orders.due("BTC", OrderType.LIMIT_BUY, "99.00")
        orders.overdue("BTC", OrderType.LIMIT_BUY, NOON)


def limit_buy(quantity: str) -> OrderCreate:
    """The terms of a limit order at 100."""
    return OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal(quantity), limit_price=Decimal(100))
