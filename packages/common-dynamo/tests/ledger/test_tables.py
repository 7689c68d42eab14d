"""The ledger's records may lie in one table or in several (dynamo D51)."""

from decimal import Decimal
from typing import Any

import pytest

from common.dynamo import Database, EntityType, Key
from common.dynamo.dao.ledger_types import ACCOUNT, ASSET, LEDGER_ENTITY_TYPES, ORDER, PRICE, PROFILE
from common.dynamo.testing import Engine, FaultPlan, fresh_table_name
from common.dynamo.testing.bank import Bank
from common.dynamo.testing.examples import Note
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderStatus
from common.exceptions import ConfigurationError


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


@pytest.mark.thorough
def test_a_bad_day_leaves_every_account_exact_over_two_tables(
    engine: Engine, table_name: str, faults: FaultPlan
) -> None:
    """The bank, with calls lost, doubled, late and throttled, and the assets in a table of their own."""
    tables = {ASSET.group: fresh_table_name()}
    options: dict[str, Any] = {"entity_types": LEDGER_ENTITY_TYPES, "cursor_keys": ["k" * 32]}
    with engine.open(table=table_name, tables=tables, faults=faults, **options) as database:
        ledger = LedgerKit(database)
        ledger.list_asset("BTC")
        found = Bank(ledger, faults, seed=11, operations=300).run()
        faults.heal()
        faults.settle()

    assert found == []
    assert faults.injected.total() > 40


def test_the_ledger_is_refused_where_a_binding_would_tear_it(table_name: str) -> None:
    """Another part of a user's partition that is bound elsewhere, by whoever brings it."""
    note = EntityType(Note, "note of a user", key=Key("U#{id}", "NOTE"), group="notes")
    types = (*LEDGER_ENTITY_TYPES, note)

    assert Database.embedded(table=table_name, entity_types=types)
    for group in ("ledger", "notes"):
        with pytest.raises(ConfigurationError, match=r"'note of a user' shares its partitions .* with 'user'"):
            Database.embedded(table=table_name, tables={group: fresh_table_name()}, entity_types=types)


def test_what_shares_a_users_partition_stays_together() -> None:
    """Profile, account, journal and orders are one group, so no setting can tear them apart."""
    assert len({entity.group for entity in (PROFILE, ACCOUNT, ORDER)}) == 1
