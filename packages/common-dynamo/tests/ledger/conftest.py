"""The ledger on a fresh table of the run's engine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.dynamo import Database
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.testing import Engine, FaultPlan
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire import Wire

OPTIONS: dict[str, Any] = {"entity_types": LEDGER_ENTITY_TYPES, "cursor_keys": ("a key for tests, and nothing else",)}


ONE_TABLE, TWO_TABLES = "one table", "two tables"


@pytest.fixture(params=[ONE_TABLE, pytest.param(TWO_TABLES, marks=[pytest.mark.thorough, pytest.mark.in_process])])
def tables(request: pytest.FixtureRequest, table_name: str) -> dict[str, str]:
    """Where groups of entity types are: all in one table, or assets and prices in another one (dynamo D51)."""
    return {} if request.param == ONE_TABLE else {"inventory": f"{table_name}-inventory"}


@pytest.fixture
def database(engine: Engine, table_name: str, tables: dict[str, str]) -> Iterator[Database]:
    """A database on fresh tables."""
    with engine.open(table=table_name, tables=tables, **OPTIONS) as database:
        yield database


@pytest.fixture
def ledger(database: Database) -> LedgerKit:
    """A ledger with one asset, BTC, whose scale is 8."""
    kit = LedgerKit(database)
    kit.list_asset("BTC")
    return kit


@pytest.fixture
def faulty_ledger(engine: Engine, table_name: str, faults: FaultPlan) -> Iterator[LedgerKit]:
    """Same as ``ledger``, on calls that meet what the plan ``faults`` has in store."""
    with engine.open(table=table_name, faults=faults, **OPTIONS) as database:
        kit = LedgerKit(database)
        kit.list_asset("BTC")
        yield kit
        faults.heal()
        faults.settle()


@pytest.fixture
def ledger_on(table_name: str) -> Callable[..., LedgerKit]:
    """Make a ledger on a wire of the test's own; a second one on the same wire shares the table, not the memory."""

    def make(wire: Wire, *, listed: bool = True, **options: Any) -> LedgerKit:
        database = Database.connect(table=table_name, wire=wire, **(OPTIONS | options))
        database.create_tables()
        kit = LedgerKit(database)
        if listed:
            kit.list_asset("BTC")
        return kit

    return make
