"""The checks can fail: each finds the fault that it is there for, in a real database."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from common.core import Plugins, Settings
from common.core.utils.identifiers import UlidGenerator
from common.dynamo import Database
from common.dynamo.dao import AssetDAO, BalanceDAO, OrderDAO, UserDAO
from common.entities.inventory import Asset
from common.entities.order import OrderCreate, OrderType
from common.entities.user import UserCreate
from exchange.checks import Account, read_account, run_checks

new_id = UlidGenerator()


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A database with one user who has paid in, bought, and waits to buy more."""
    plugins = Plugins()
    plugins.load(Settings(environment="test"), only=())
    with Database.embedded(plugins=plugins) as db:
        now = datetime.now(UTC)
        AssetDAO(db).create(
            Asset(id="BTC", name="Bitcoin", category="crypto", scale=8, created_at=now), request_id=new_id()
        )
        UserDAO(db).create(UserCreate(username="ada", email="ada@example.com"), request_id=new_id())
        BalanceDAO(db).deposit("ada", "1000.00", request_id=new_id())
        orders = OrderDAO(db)
        orders.buy("ada", "BTC", "0.01", price="40000.00", request_id=new_id())
        wanted = OrderCreate(
            asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.01"), limit_price=Decimal("30000.00")
        )
        orders.place("ada", wanted, request_id=new_id())
        yield db


@pytest.fixture
def account(database: Database) -> Account:
    """What the database has of that user."""
    return read_account(database, "ada", ["BTC"])


def failing(account: Account, acknowledged: list[str]) -> set[str]:
    """Return the titles of the checks that do not hold."""
    return {check.title for check in run_checks([account], acknowledged) if not check.holds}


def test_a_sound_account_passes(account: Account) -> None:
    """Nothing is found where nothing is wrong."""
    ids = [entry.id for entry in account.entries]

    assert set() == failing(account, ids)
    assert 2 == len(ids)


@pytest.mark.parametrize(
    ("lose", "found"),
    [
        ("entries", {"Money in = money out + money there", "Every history sums to its balance"}),
        ("trades", {"Every trade is in a holding", "Completed orders = trades"}),
        ("orders", {"Held = reserved by open orders", "Completed orders = trades"}),
    ],
)
def test_what_is_lost_is_found(lose: str, found: set[str], account: Account) -> None:
    """An account that lost its entries, its trades or its orders fails the checks that read them."""
    assert found == failing(replace(account, **{lose: ()}), [])


def test_what_is_doubled_is_found(account: Account) -> None:
    """An entry that stands twice is found, and so is an acknowledged request that stands nowhere."""
    doubled = replace(account, entries=(*account.entries, account.entries[0]))

    assert "What was acknowledged is there once" in failing(doubled, [])
    assert {"What was acknowledged is there once"} == failing(account, ["01J0000000000000000000000"])
