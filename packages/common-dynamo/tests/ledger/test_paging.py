"""Newest first, every item exactly once, while new ones arrive (ledger R10)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from common.dynamo import Page
from common.dynamo.exceptions import InvalidCursor
from common.dynamo.testing import Engine
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderStatus, OrderType


def walk(read: Callable[[str | None], Page[Any]], between: Callable[[], object]) -> list[str]:
    """Read all pages, doing *between* after each; return the ids in order."""
    ids: list[str] = []
    after: str | None = None
    while True:
        page = read(after)
        ids += [item.id for item in page.items]
        after = page.next
        if after is None:
            return ids
        between()


def test_a_history_is_read_once_and_whole_while_it_grows(ledger: LedgerKit) -> None:
    """Entries that come in between are newer than the walk, so they neither shift nor repeat anything."""
    user = ledger.open_account()
    ids = [ledger.balances.deposit(user, 1, request_id=ledger.new_id()).entry.id for _ in range(25)]

    found = walk(
        lambda after: ledger.balances.history(user, limit=7, after=after, consistent=True),
        lambda: ledger.balances.deposit(user, 1, request_id=ledger.new_id()),
    )

    assert found == ids[::-1]


def test_orders_are_read_once_and_whole_while_they_move(ledger: LedgerKit) -> None:
    """All orders of a user, newest first, while others are placed and one is cancelled."""
    user = ledger.open_account(cash="2000.00")
    orders = [ledger.place(user) for _ in range(12)]
    cancelled = iter(orders)

    def meanwhile() -> None:
        ledger.place(user)
        ledger.orders.cancel(next(cancelled), request_id=ledger.new_id())

    found = walk(lambda after: ledger.orders.list(user, limit=5, after=after), meanwhile)

    assert found == [order.id for order in orders[::-1]]


def test_trades_of_one_asset_are_its_own(ledger: LedgerKit) -> None:
    """The history of an asset holds its trades alone, newest first, page by page."""
    user = ledger.open_account(cash="1000.00")
    ledger.list_asset("ETH")
    bought: dict[str, list[str]] = {"BTC": [], "ETH": []}
    for number in range(12):
        asset = ("BTC", "ETH")[number % 2]
        order = ledger.orders.buy(user, asset, "0.5", price="100.00", request_id=ledger.new_id()).entry
        bought[asset].append(order.id)

    for asset, ids in bought.items():
        history = partial(ledger.trades.history, user, asset, limit=4)
        found = walk(lambda after: history(after=after), lambda: None)  # noqa: B023 - walked within the round
        assert found == ids[::-1]
    newest = ledger.trades.history(user, "ETH", limit=1).items[0]
    assert (newest.quantity, newest.price, newest.total) == (Decimal("0.5"), Decimal(100), Decimal(50))


def test_a_page_of_one_status_is_that_status(ledger: LedgerKit) -> None:
    """Each order is listed under the status it has, and under no other."""
    user = ledger.open_account(cash="1000.00")
    orders = [ledger.place(user) for _ in range(4)]
    ledger.orders.cancel(orders[1], request_id=ledger.new_id())
    triggered = ledger.orders.trigger(orders[2], request_id=ledger.new_id()).entry

    assert [each.id for each in ledger.orders.by_status(user, OrderStatus.QUEUED).items] == [orders[3].id, orders[0].id]
    assert [each.id for each in ledger.orders.by_status(user, OrderStatus.CANCELLED).items] == [orders[1].id]
    assert list(ledger.orders.by_status(user, OrderStatus.TRIGGERED).items) == [triggered]
    assert list(ledger.orders.by_status(user, OrderStatus.EXPIRED).items) == []


def test_another_users_cursor_is_refused(ledger: LedgerKit) -> None:
    """A cursor belongs to the query that it came from."""
    users = [ledger.open_account(), ledger.open_account()]
    for user in users * 3:
        ledger.balances.deposit(user, 1, request_id=ledger.new_id())
    cursor = ledger.balances.history(users[0], limit=1).next

    with pytest.raises(InvalidCursor):
        ledger.balances.history(users[1], limit=1, after=cursor)


def test_a_history_may_be_cut_by_time(engine: Engine, ledger_on: Callable[..., LedgerKit]) -> None:
    """*since* and *until* are times of requests, both included, to the millisecond."""
    wire, now = engine.wire(), [1_800_000_000.0]
    ledger = ledger_on(wire, clock=lambda: now[0])
    user, ids = ledger.open_account(), []
    start = datetime.fromtimestamp(now[0], UTC)
    for _ in range(5):
        ids.append(ledger.balances.deposit(user, 1, request_id=ledger.new_id()).entry.id)
        now[0] += 60

    def found(since: int | None, until: int | None) -> list[str]:
        low = None if since is None else start + timedelta(minutes=since)
        high = None if until is None else start + timedelta(minutes=until)
        return [entry.id for entry in ledger.balances.history(user, since=low, until=high).items][::-1]

    answers = [found(1, 3), found(2, None), found(None, 1), found(5, 6)]
    wire.close()

    assert answers == [ids[1:4], ids[2:], ids[:2], []]


# The order book -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "due"),
    [(OrderType.LIMIT_BUY, ["102", "101.5", "101"]), (OrderType.LIMIT_SELL, ["99.99", "100", "101"])],
)
def test_due_orders_are_those_the_price_has_reached(ledger: LedgerKit, type: OrderType, due: list[str]) -> None:
    """At 101: buys limited at it or above, the highest first; sales limited at it or below, the lowest first."""
    user = ledger.open_account(cash="5000.00", holding={"BTC": "9"})
    for limit in ("100", "99.99", "101.5", "101", "102"):
        ledger.place(user, type=type, quantity="1", limit=limit)
    reached = ledger.orders.due("BTC", type, "101.00")

    assert [order.limit_price for order in reached.items] == [Decimal(limit) for limit in due]
    assert list(ledger.orders.due("ETH", type, "101.00").items) == []


def test_an_order_is_in_the_book_only_while_it_is_queued(ledger: LedgerKit) -> None:
    """Placed it is there; triggered or cancelled it is not; expired ones are told apart by their time."""
    user = ledger.open_account(cash="1000.00")
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    kept, triggered, cancelled = (ledger.place(user, expires_at=future) for _ in range(3))
    expired = ledger.place(user, expires_at=past)
    ledger.orders.trigger(triggered, request_id=ledger.new_id())
    ledger.orders.cancel(cancelled, request_id=ledger.new_id())

    now = datetime.now(UTC)
    due = {order.id: order for order in ledger.orders.due("BTC", OrderType.LIMIT_BUY, "100.00").items}

    assert due == {kept.id: kept, expired.id: expired}
    assert [order.id for order in due.values() if order.is_expired(now)] == [expired.id]
    assert list(ledger.orders.overdue("BTC", OrderType.LIMIT_BUY, now).items) == [expired]


# Assets ---------------------------------------------------------------------------------------------------------------


def test_assets_are_listed_by_id_and_category(ledger: LedgerKit) -> None:
    """Page by page, and filtered by category with exactly as many as asked for."""
    for asset_id in ("ETH", "XRP", "ADA"):
        ledger.list_asset(asset_id)
    metal = ledger.list_asset("BTC").model_copy(update={"id": "GOLD", "category": "metal"})
    ledger.assets.create(metal, request_id=ledger.new_id())

    assert walk(lambda after: ledger.assets.list(limit=2, after=after), lambda: None) == [
        "ADA",
        "BTC",
        "ETH",
        "GOLD",
        "XRP",
    ]
    assert list(ledger.assets.by_category("metal", limit=1).items) == [metal]
    assert len(ledger.assets.by_category("crypto", limit=3).items) == 3
