"""Tables (D44, D2, D51) made of entity types."""

from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Database, EntityType, Index, Key, Pattern
from common.dynamo import requests as rq
from common.dynamo.exceptions import RequestRefused
from common.dynamo.testing.engines import Engine, fresh_table_name
from common.dynamo.testing.examples import INVOICE, NOTE, Note, make_invoice
from common.exceptions import ConfigurationError

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
