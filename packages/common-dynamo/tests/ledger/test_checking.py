"""The ledger's own check finds what does not agree (ledger R5)."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from common.dynamo.dao import check_account
from common.dynamo.dao.ledger_types import ACCOUNT, ENTRY, ORDER
from common.dynamo.exceptions import AccountNotFound
from common.dynamo.execution import Pattern
from common.dynamo.requests import Constant, DeleteItem, Path, Request, Update, UpdateItem
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Order

Damage = Callable[[LedgerKit, str, Order], Request]
"""Makes a write that no DAO would make."""


def _add(attribute: str, amount: str) -> Damage:
    def damage(ledger: LedgerKit, user: str, order: Order) -> Request:
        return UpdateItem(
            table=ledger.db.table_of(ACCOUNT),
            key=ACCOUNT.item_key(user),
            update=Update(add=((Path((attribute,)), Constant({"N": amount})),)),
        )

    return damage


def _refund(amount: str) -> Damage:
    def damage(ledger: LedgerKit, user: str, order: Order) -> Request:
        return UpdateItem(
            table=ledger.db.table_of(ORDER),
            key=ORDER.item_key(user, order.id),
            update=Update(add=((ORDER.path("refunded"), Constant({"N": amount})),)),
        )

    return damage


def _lose_entry(ledger: LedgerKit, user: str, order: Order) -> Request:
    return DeleteItem(table=ledger.db.table_of(ENTRY), key=ENTRY.item_key(user, order.id))


def _lose_order(ledger: LedgerKit, user: str, order: Order) -> Request:
    return DeleteItem(table=ledger.db.table_of(ORDER), key=ORDER.item_key(user, order.id))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (_add("cash", "0.01"), ["what the account has of cash differs from its journal"]),
        (_add("a_BTC", "-1"), ["free BTC is below zero", "what the account has of BTC differs from its journal"]),
        (
            _add("held", "1"),
            [
                "what the account has of cash differs from its journal",
                "what the account holds of cash differs from its open orders",
            ],
        ),
        (
            _lose_entry,
            [
                "what the account has of BTC differs from its journal",
                "what the account has of cash differs from its journal",
                "completed order {order} has no journal entry",
            ],
        ),
        (
            _refund("1000.00"),
            ["order {order} and its refunds differ", "order {order} has cost less than was refunded"],
        ),
        (_refund("0.01"), ["order {order} and its refunds differ"]),
        (_lose_order, ["journal entry {order} has no completed order"]),
    ],
    ids=["a cent", "an asset", "a hold", "an entry lost", "a refund too large", "a refund unposted", "an order lost"],
)
def test_the_check_names_what_does_not_agree(ledger: LedgerKit, damage: Damage, found: list[str]) -> None:
    """One thing is damaged behind the ledger's back; the check says which, and by how much."""
    user = ledger.open_account(cash="100.00")
    order = ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id()).entry
    ledger.place(user, quantity="0.2")
    assert check_account(ledger.db, user) == ()
    ledger.db.execute(damage(ledger, user, order), Pattern("damage", "UpdateItem"))

    discrepancies = check_account(ledger.db, user)

    assert [each.what for each in discrepancies] == [what.format(order=order.id) for what in found]


def test_the_check_tells_both_amounts(ledger: LedgerKit) -> None:
    """What the account says, and what the journal says."""
    user = ledger.open_account(cash="100.00")
    order = ledger.place(user)
    ledger.db.execute(_add("cash", "0.01")(ledger, user, order), Pattern("damage", "UpdateItem"))
    [discrepancy] = check_account(ledger.db, user)

    assert (discrepancy.found, discrepancy.expected) == (Decimal("100.01"), Decimal("100.00"))


def test_an_account_that_does_not_exist_cannot_be_checked(ledger: LedgerKit) -> None:
    """Nothing is not the same as in order."""
    with pytest.raises(AccountNotFound):
        check_account(ledger.db, "nobody")
