"""Arguments of a wrong kind: refused before anything is sent, with a pointer to the one that is wrong."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from common.dynamo.dao.records import Profile
from common.dynamo.testing import spend
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderStatus, OrderType
from common.exceptions import InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

Call = Callable[[LedgerKit, Any], object]

ID = "01HF0000000000000000000000"

CALLS: list[tuple[str, str, Call]] = [
    ("BalanceDAO.deposit", "/user", lambda on, given: on.balances.deposit(given, 1, request_id=on.new_id())),
    ("BalanceDAO.deposit", "/amount", lambda on, given: on.balances.deposit("alice", given, request_id=on.new_id())),
    ("BalanceDAO.deposit", "/request_id", lambda on, given: on.balances.deposit("alice", 1, request_id=given)),
    ("BalanceDAO.withdraw", "/user", lambda on, given: on.balances.withdraw(given, 1, request_id=on.new_id())),
    ("BalanceDAO.refund", "/order", lambda on, given: on.balances.refund(given, 1, request_id=on.new_id())),
    ("BalanceDAO.get", "/user", lambda on, given: on.balances.get(given)),
    ("BalanceDAO.entry", "/user", lambda on, given: on.balances.entry(given, ID)),
    ("BalanceDAO.entry", "/request_id", lambda on, given: on.balances.entry("alice", given)),
    ("BalanceDAO.resolve", "/request_id", lambda on, given: on.balances.resolve("alice", given)),
    ("BalanceDAO.history", "/user", lambda on, given: on.balances.history(given)),
    ("AssetBalanceDAO.portfolio", "/user", lambda on, given: on.holdings.portfolio(given)),
    ("AssetBalanceDAO.get", "/asset", lambda on, given: on.holdings.get("alice", given)),
    ("AssetTransactionDAO.history", "/user", lambda on, given: on.trades.history(given, "BTC")),
    ("OrderDAO.buy", "/user", lambda on, given: on.orders.buy(given, "BTC", 1, price=1, request_id=on.new_id())),
    ("OrderDAO.sell", "/asset", lambda on, given: on.orders.sell("alice", given, 1, price=1, request_id=on.new_id())),
    ("OrderDAO.place", "/wanted", lambda on, given: on.orders.place("alice", given, request_id=on.new_id())),
    ("OrderDAO.submit", "/wanted", lambda on, given: on.orders.submit("alice", given, request_id=on.new_id())),
    ("OrderDAO.confirm", "/order", lambda on, given: on.orders.confirm(given, request_id=on.new_id())),
    ("OrderDAO.queue", "/order", lambda on, given: on.orders.queue(given, request_id=on.new_id())),
    ("OrderDAO.trigger", "/order", lambda on, given: on.orders.trigger(given, request_id=on.new_id())),
    ("OrderDAO.claim", "/order", lambda on, given: on.orders.claim(given, request_id=on.new_id())),
    ("OrderDAO.settle", "/order", lambda on, given: on.orders.settle(given, price=1, request_id=on.new_id())),
    ("OrderDAO.cancel", "/order", lambda on, given: on.orders.cancel(given, request_id=on.new_id())),
    ("OrderDAO.fail", "/order", lambda on, given: on.orders.fail(given, request_id=on.new_id())),
    ("OrderDAO.expire", "/order", lambda on, given: on.orders.expire(given, request_id=on.new_id())),
    ("OrderDAO.get", "/user", lambda on, given: on.orders.get(given, ID)),
    ("OrderDAO.get", "/order_id", lambda on, given: on.orders.get("alice", given)),
    ("OrderDAO.resolve", "/request_id", lambda on, given: on.orders.resolve("alice", given)),
    ("OrderDAO.list", "/user", lambda on, given: on.orders.list(given)),
    ("OrderDAO.by_status", "/user", lambda on, given: on.orders.by_status(given, OrderStatus.QUEUED)),
    ("OrderDAO.due", "/asset", lambda on, given: on.orders.due(given, OrderType.LIMIT_BUY, 1)),
    ("OrderDAO.due", "/type", lambda on, given: on.orders.due("BTC", given, 1)),
    ("OrderDAO.overdue", "/as_of", lambda on, given: on.orders.overdue("BTC", OrderType.LIMIT_BUY, given)),
    ("UserDAO.create", "/wanted", lambda on, given: on.users.create(given, request_id=on.new_id())),
    ("UserDAO.get", "/username", lambda on, given: on.users.get(given)),
    ("UserDAO.update", "/seen", lambda on, given: on.users.update(given, {}, request_id=on.new_id())),
    ("UserDAO.update", "/changes", lambda on, given: on.users.update(seen(), given, request_id=on.new_id())),
    (
        "UserDAO.change_email",
        "/seen",
        lambda on, given: on.users.change_email(given, "a@b.org", request_id=on.new_id()),
    ),
    ("UserDAO.set_password", "/seen", lambda on, given: on.users.set_password(given, "secret", request_id=on.new_id())),
    ("UserDAO.close", "/seen", lambda on, given: on.users.close(given, request_id=on.new_id())),
    ("AssetDAO.create", "/asset", lambda on, given: on.assets.create(given, request_id=on.new_id())),
    ("AssetDAO.set_price", "/asset", lambda on, given: on.assets.set_price(given, 1, request_id=on.new_id())),
    ("AssetDAO.get", "/asset", lambda on, given: on.assets.get(given)),
    ("AssetDAO.by_category", "/category", lambda on, given: on.assets.by_category(given)),
]


def seen() -> Profile:
    """Return a profile as it was read before: nothing is sent for it."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Profile(username="alice", email="alice@example.org", created_at=now, updated_at=now, version=1)


@pytest.mark.parametrize(("name", "pointer", "call"), CALLS, ids=[f"{name} {pointer}" for name, pointer, _ in CALLS])
def test_an_argument_of_a_wrong_kind_is_pointed_at(ledger: LedgerKit, name: str, pointer: str, call: Call) -> None:
    """Whatever it is instead, nothing is sent, and the value is not told."""
    for wrong in (None, b"wrong", 1.5, ["wrong"], object()):
        with spend(trips=0), pytest.raises(InvalidInput) as refused:
            call(ledger, wrong)

        assert [pointer] == [error.pointer for error in refused.value.errors]
        assert "wrong" not in str(refused.value).replace("wrong_type", "")


def test_an_entity_of_another_kind_is_no_order(ledger: LedgerKit) -> None:
    """An asset is refused where an order is wanted; both kinds are named."""
    asset: Any = ledger.list_asset()

    with pytest.raises(InvalidInput, match="a value of type Order, and was given one of type Asset"):
        ledger.orders.cancel(asset, request_id=ledger.new_id())
