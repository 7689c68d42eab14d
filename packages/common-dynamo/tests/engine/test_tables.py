"""Tables (D44, D2, D51) made of entity types."""

from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Database, EntityType, Index, Key, Pattern
from common.dynamo import requests as rq
from common.dynamo.dao.ledger_types import ACCOUNT
from common.dynamo.exceptions import RequestRefused
from common.dynamo.registry import Registered, check_entity_types
from common.dynamo.testing.engines import Engine, fresh_table_name
from common.dynamo.testing.examples import INVOICE, NOTE, Note, make_invoice
from common.exceptions import ConfigurationError, PluginLoadError

RAW = Pattern("Test.raw", "DescribeTable")


def test_create_tables_makes_what_the_types_need(database: Database, table_name: str) -> None:
    """Text keys, an index per slot in use, TTL on the one attribute, on-demand capacity."""
    database.create_tables()
    table = database.execute(rq.DescribeTable(table=table_name), RAW).body["Table"]
    ttl = database.execute(rq.DescribeTimeToLive(table=table_name), RAW).body["TimeToLiveDescription"]

    assert [("pk", "HASH"), ("sk", "RANGE")] == [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
    assert ["GSI1"] == [index["IndexName"] for index in table["GlobalSecondaryIndexes"]]
    assert "PAY_PER_REQUEST" == table["BillingModeSummary"]["BillingMode"]
    assert ("_x", True) == (ttl["AttributeName"], ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING"))


def test_create_tables_twice_changes_nothing(database: Database, notes: DAO[Note]) -> None:
    """Items stay."""
    database.create_tables()
    notes.create(Note(id="1", text="x"))
    database.create_tables()

    assert notes.get("1") is not None


def test_a_table_that_differs_is_told_and_left_alone(engine: Engine, table_name: str) -> None:
    """An index that a type needs is missing."""
    wire = engine.wire()
    with Database.connect(table=table_name, wire=wire, entity_types=[NOTE]) as db:
        db.create_tables()
        other = Database.connect(table=table_name, wire=wire, entity_types=[INVOICE])

        with pytest.raises(ConfigurationError, match="index GSI1 is missing"):
            other.create_tables()


def test_without_a_table_the_error_says_what_to_do(engine: Engine, table_name: str) -> None:
    """On a network engine, tables are made on purpose."""
    with (
        Database.connect(table=table_name, wire=engine.wire(), entity_types=[NOTE]) as db,
        pytest.raises(RequestRefused, match=r"call create_tables\(\)") as caught,
    ):
        db.dao(NOTE).get("1")
    assert "ResourceNotFoundException" == caught.value.engine_code


def test_an_embedded_database_makes_its_tables_on_first_use() -> None:
    """A type that comes later must not need an index that is not there."""
    with Database.embedded() as db:
        db.dao(NOTE).create(Note(id="1", text="x"))

        with pytest.raises(ConfigurationError, match="made without it"):
            db.dao(INVOICE)
        assert db.dao(NOTE).get("1") is not None


def test_two_databases_share_one_entity_type(engine: Engine) -> None:
    """Nothing is bound at import: table and wire belong to the database."""
    with (
        engine.open(table=fresh_table_name(), entity_types=[NOTE]) as one,
        engine.open(table=fresh_table_name(), entity_types=[NOTE]) as other,
    ):
        one.dao(NOTE).create(Note(id="1", text="one"))
        other.dao(NOTE).create(Note(id="1", text="other"))

        assert ["one", "other"] == [db.dao(NOTE).require("1").text for db in (one, other)]
        assert one.dao(NOTE) is one.dao(NOTE)
        assert one.dao(NOTE) is not other.dao(NOTE)


class Stock(BaseModel):
    id: str
    count: int


STOCK = EntityType(Stock, "stock", key=Key("STOCK#{id}", "STOCK"), group="inventory")


def test_a_group_can_have_a_table_of_its_own(engine: Engine, table_name: str) -> None:
    """A transaction spans both tables; each index is where its types are."""
    types: list[EntityType[Any]] = [INVOICE, STOCK]
    with engine.open(table=table_name, tables={"inventory": f"{table_name}-inv"}, entity_types=types) as db:
        with db.transaction() as tx:
            tx.create(db.dao(INVOICE), make_invoice())
            tx.create(db.dao(STOCK), Stock(id="s", count=1))

        assert (table_name, f"{table_name}-inv") == (db.table_of(INVOICE), db.table_of(STOCK))
        assert [["GSI1"], []] == [[index.name for index in each.indexes] for each in db.table_definitions()]
        assert Stock(id="s", count=1) == db.dao(STOCK).get("s")


def test_types_that_could_share_a_key_may_live_in_tables_apart(table_name: str) -> None:
    """In one table they are refused."""
    twin = EntityType(Stock, "twin", key=Key("STOCK#{id}", "STOCK"), group="other")

    assert Database.embedded(entity_types=[STOCK, twin], tables={"other": "apart"})
    with pytest.raises(ConfigurationError, match="can be that of 'stock'"):
        Database.embedded(entity_types=[STOCK, twin])


class Shelf(BaseModel):
    stock: str
    number: int


SHELF = EntityType(Shelf, "shelf", key=Key("STOCK#{stock}", "SHELF#{number:3}"), group="places")


@pytest.mark.parametrize(
    "tables", [{"inventory": "one"}, {"places": "one"}, {"inventory": "one", "places": "other"}], ids=str
)
def test_types_that_share_a_partition_by_design_are_not_torn_apart(tables: dict[str, str]) -> None:
    """Whatever the binding, when the database is opened and when a type comes late; with both types, groups and tables."""
    told = r"'shelf' shares its partitions \('STOCK#\{stock\}'\) with 'stock' .*group 'places' is bound to table '.*'inventory' to"
    with pytest.raises(ConfigurationError, match=told):
        Database.embedded(entity_types=[STOCK, SHELF], tables=tables)
    with Database.embedded(entity_types=[STOCK], tables=tables) as db, pytest.raises(ConfigurationError, match=told):
        db.dao(SHELF)


@pytest.mark.parametrize("tables", [{}, {"inventory": "one", "places": "one"}], ids=str)
def test_types_that_share_a_partition_may_be_of_two_groups_in_one_table(tables: dict[str, str]) -> None:
    """They lie side by side, as they are meant to."""
    with Database.embedded(entity_types=[STOCK, SHELF], tables=tables) as db:
        assert db.table_of(STOCK) == db.table_of(SHELF)


@pytest.mark.parametrize("partition", ["SHELF#{stock}", "STOCK#{stock}#{number:3}", "{stock}"])
def test_types_in_partitions_of_their_own_may_live_in_tables_apart(partition: str) -> None:
    """So may those whose partition has no literal to begin with: equal values may be chance."""
    shelf = EntityType(Shelf, "shelf", key=Key(partition, "SHELF"), group="places")

    assert Database.embedded(entity_types=[STOCK, shelf], tables={"places": "apart"})


def test_a_plugins_type_that_would_be_torn_from_the_ledger_is_refused_by_name() -> None:
    """It lies in the partition of users, and its group is bound elsewhere."""
    badge = EntityType(Shelf, "badge", key=Key("U#{stock}", "BADGE#{number:3}"), group="badges")
    registered = [Registered(ACCOUNT, "common.dynamo"), Registered(badge, "badges", "acme-badges", "1.0.0")]

    check_entity_types(registered, {}, "app")
    with pytest.raises(PluginLoadError, match=r"badges.*acme-badges.*'badge' shares its partitions.*with 'account'"):
        check_entity_types(registered, {"ledger": "ledger-prod"}, "app")


def test_dao_takes_in_a_type_that_goes_with_the_others() -> None:
    """And refuses one that does not, or whose declaration has faults."""
    db = Database.embedded(entity_types=[STOCK])
    assert db.dao(NOTE)

    for wrong, told in (
        (EntityType(Stock, "stock", key=Key("OTHER#{id}", "X")), "'stock' is already given"),
        (EntityType(Stock, "s2", key=Key("STOCK#{id}", "{count:4}")), "can be that of 'stock'"),
        (EntityType(Stock, "s3", key=Key("STOCK#{nope}", "X")), "no such field"),
        (EntityType(Stock, "s4", key=Key("A#{id}", "A"), indexes=[Index("X", Key("{id}", "A"))]), "none of GSI1"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            db.dao(wrong)
