"""The ledger's records may lie in one table or in several (dynamo D51)."""

from decimal import Decimal

import pytest

from common.dynamo.dao.ledger_types import ACCOUNT, ASSET, LEDGER_ENTITY_TYPES, ORDER, PRICE, PROFILE
from common.dynamo.testing import Engine, fresh_table_name
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderStatus


@pytest.mark.parametrize("apart", [False, True], ids=["one table", "assets in a table of their own"])
def test_business_goes_on_in_one_table_and_in_two(engine: Engine, table_name: str, apart: bool) -> None:
    """Register, price, trade, order, settle, list: the same with the inventory apart from the users."""
    tables = {"inventory": fresh_table_name()} if apart else {}
    with engine.open(table=table_name, tables=tables, entity_types=LEDGER_ENTITY_TYPES) as database:
        ledger = LedgerKit(database)
        user = ledger.open_account(cash="100.00", holding={"BTC": "1"})
        ledger.assets.set_price("BTC", "99.00", request_id=ledger.new_id())
        order = ledger.orders.trigger(ledger.place(user), request_id=ledger.new_id()).entry
        order = ledger.orders.claim(order, request_id=ledger.new_id()).entry
        price = ledger.assets.price("BTC")
        assert price is not None
        settled = ledger.orders.settle(order, price=price.price, request_id=ledger.new_id()).entry

        assert (database.table_of(ASSET) == database.table_of(ACCOUNT)) is not apart
        assert database.table_of(PRICE) == database.table_of(ASSET)
        assert settled.total == Decimal("49.50")
        assert [asset.id for asset in ledger.assets.list().items] == ["BTC"]
        assert order.id in [each.id for each in ledger.orders.by_status(user, OrderStatus.COMPLETED).items]
        assert ledger.check(user) == ()


def test_what_shares_a_users_partition_stays_together() -> None:
    """Profile, account, journal and orders are one group, so no setting can tear them apart."""
    assert len({entity.group for entity in (PROFILE, ACCOUNT, ORDER)}) == 1
