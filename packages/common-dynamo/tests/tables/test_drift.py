"""Drift of tables (D45): each single difference is found, and nothing is changed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from common.dynamo import Database, Pattern
from common.dynamo import requests as rq
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.exceptions import Unavailable
from common.dynamo.requests import IndexDefinition, KeySchema, TableDefinition
from common.dynamo.table_drift import Drift, DriftKind, drifts_of
from common.dynamo.table_templates import api_requests
from common.dynamo.testing import Engine, network_wire

pytestmark = pytest.mark.thorough

RAW = Pattern("Test.raw", "CreateTable")
INDEXES = (IndexDefinition("GSI1", KeySchema("g1pk", "g1sk")), IndexDefinition("GSI2", KeySchema("g2pk", "g2sk")))
WANTED = TableDefinition(name="", key=KeySchema("pk", "sk"), indexes=INDEXES, ttl_attribute="_x")
"""What the ledger's entity types need."""


def make(db: Database, definition: TableDefinition) -> None:
    """Make a table as *definition* says, whatever the entity types say."""
    db.execute(rq.CreateTable(definition=definition), RAW)
    if definition.ttl_attribute is not None:
        db.execute(rq.UpdateTimeToLive(table=definition.name, attribute=definition.ttl_attribute), RAW)


def describe(db: Database, table: str) -> tuple[Any, Any]:
    """Return all that the engine says of a table."""
    expiry = db.execute(rq.DescribeTimeToLive(table=table), RAW).body
    return db.execute(rq.DescribeTable(table=table), RAW).body["Table"], expiry


def found(drifts: tuple[Drift, ...]) -> list[tuple[DriftKind, str | None, str, str]]:
    """Return what *drifts* say, without the table."""
    return [(drift.kind, drift.index, drift.wanted, drift.found) for drift in drifts]


@pytest.fixture
def db(engine: Engine, table_name: str) -> Iterator[Database]:
    """A database of the ledger, without its table."""
    with Database.connect(table=table_name, wire=engine.wire(), entity_types=LEDGER_ENTITY_TYPES) as database:
        yield database


@pytest.mark.parametrize("stream", [False, True])
def test_a_table_as_it_was_created_has_no_drift(db: Database, stream: bool) -> None:
    """``create_tables`` and ``diff_tables`` agree about what a table should be."""
    db.create_tables(stream=stream)

    assert () == db.diff_tables(stream=stream)


def test_a_missing_table_is_one_drift(db: Database, table_name: str) -> None:
    """Everything else about it follows."""
    [drift] = db.diff_tables()

    assert (table_name, DriftKind.TABLE_MISSING) == (drift.place, drift.kind)


DIFFERENCES = {
    "index missing": (
        {"indexes": INDEXES[:1]},
        [(DriftKind.INDEX_MISSING, "GSI2", "an index", "none")],
    ),
    "index extra": (
        {"indexes": (*INDEXES, IndexDefinition("GSI9", KeySchema("g9pk", "g9sk")))},
        [(DriftKind.INDEX_EXTRA, "GSI9", "none", "an index that no entity type uses")],
    ),
    "sort key type": (
        {"key": KeySchema("pk", "sk", sort_type="N")},
        [(DriftKind.KEY, None, "pk (S) / sk (S)", "pk (S) / sk (N)")],
    ),
    "partition key name": (
        {"key": KeySchema("id", "sk")},
        [(DriftKind.KEY, None, "pk (S) / sk (S)", "id (S) / sk (S)")],
    ),
    "no sort key": (
        {"key": KeySchema("pk")},
        [(DriftKind.KEY, None, "pk (S) / sk (S)", "pk (S)")],
    ),
    "index key": (
        {"indexes": (INDEXES[0], IndexDefinition("GSI2", KeySchema("g2sk", "g2pk")))},
        [(DriftKind.KEY, "GSI2", "g2pk (S) / g2sk (S)", "g2sk (S) / g2pk (S)")],
    ),
    "index key type": (
        {"indexes": (INDEXES[0], IndexDefinition("GSI2", KeySchema("g2pk", "g2sk", sort_type="N")))},
        [(DriftKind.KEY, "GSI2", "g2pk (S) / g2sk (S)", "g2pk (S) / g2sk (N)")],
    ),
    "projection": (
        {"indexes": (replace(INDEXES[0], projection="KEYS_ONLY"), INDEXES[1])},
        [(DriftKind.PROJECTION, "GSI1", "ALL", "KEYS_ONLY")],
    ),
    "included attributes": (
        {"indexes": (replace(INDEXES[0], projection="INCLUDE", include=("st", "h")), INDEXES[1])},
        [(DriftKind.PROJECTION, "GSI1", "ALL", "INCLUDE h, st")],
    ),
    "ttl attribute": ({"ttl_attribute": "exp"}, [(DriftKind.TTL, None, "on _x", "on exp")]),
    "ttl off": ({"ttl_attribute": None}, [(DriftKind.TTL, None, "on _x", "off")]),
    "stream": ({"stream": True}, [(DriftKind.STREAM, None, "off", "NEW_AND_OLD_IMAGES")]),
    "two at once": (
        {"indexes": INDEXES[:1], "ttl_attribute": None},
        [(DriftKind.INDEX_MISSING, "GSI2", "an index", "none"), (DriftKind.TTL, None, "on _x", "off")],
    ),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_each_difference_is_found_alone_and_left_alone(db: Database, table_name: str, difference: str) -> None:
    """Exactly what differs is told, and the table is afterwards what it was before."""
    changes, expected = DIFFERENCES[difference]
    make(db, replace(WANTED, name=table_name, **changes))  # type: ignore[arg-type]
    before = describe(db, table_name)

    assert expected == found(db.diff_tables())
    assert before == describe(db, table_name)


def test_a_stream_that_is_wanted_and_missing_is_found(db: Database) -> None:
    """The other direction."""
    db.create_tables()

    assert [(DriftKind.STREAM, None, "NEW_AND_OLD_IMAGES", "off")] == found(db.diff_tables(stream=True))


def test_each_table_of_a_database_is_compared(engine: Engine, table_name: str) -> None:
    """Groups of entity types may have tables of their own."""
    tables = {"inventory": f"{table_name}-inventory"}
    wire = engine.wire()
    Database.connect(table=table_name, wire=wire, entity_types=LEDGER_ENTITY_TYPES).create_tables()
    with Database.connect(table=table_name, tables=tables, wire=wire, entity_types=LEDGER_ENTITY_TYPES) as db:
        assert [f"{table_name}-inventory"] == [drift.place for drift in db.diff_tables()]


def test_an_engine_that_does_not_answer_is_no_drift() -> None:
    """What cannot be found out is an error, not a missing table."""
    wire = network_wire("http://127.0.0.1:1")
    with Database.connect(wire=wire, entity_types=LEDGER_ENTITY_TYPES) as db, pytest.raises(Unavailable):
        db.diff_tables(deadline=0.05)


# What requests of ours cannot make, made by boto3 ---------------------------------------------------------------------


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A boto3 client of an AWS in memory."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-central-1")


def drifts_at(client: Any, **changes: Any) -> list[tuple[DriftKind, str | None, str, str]]:
    """Make the ledger's table with other parameters of CreateTable, and return what differs."""
    [calls] = api_requests([replace(WANTED, name="app")])["Tables"]
    parameters = {name: value for name, value in {**calls["CreateTable"], **changes}.items() if value is not None}
    client.create_table(**parameters)
    client.update_time_to_live(**calls["UpdateTimeToLive"])
    return found(Database.connect(table="app", client=client, entity_types=LEDGER_ENTITY_TYPES).diff_tables())


def test_provisioned_capacity_is_found(client: Any) -> None:
    """Tables of ours are billed by request."""
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    [parameters] = api_requests([replace(WANTED, name="app")])["Tables"]
    indexes = [
        {**index, "ProvisionedThroughput": units} for index in parameters["CreateTable"]["GlobalSecondaryIndexes"]
    ]

    assert [(DriftKind.BILLING, None, "PAY_PER_REQUEST", "PROVISIONED")] == drifts_at(
        client, BillingMode="PROVISIONED", ProvisionedThroughput=units, GlobalSecondaryIndexes=indexes
    )


def test_another_view_of_the_stream_is_found(client: Any) -> None:
    """A stream that lacks the old images is not the one that was asked for."""
    assert [(DriftKind.STREAM, None, "off", "KEYS_ONLY")] == drifts_at(
        client, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )


def test_a_local_index_is_found(client: Any) -> None:
    """It can only have been made by somebody else."""
    local = {
        "IndexName": "LSI1",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g1sk", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    }

    assert [(DriftKind.INDEX_EXTRA, "LSI1", "none", "an index that no entity type uses")] == drifts_at(
        client, LocalSecondaryIndexes=[local]
    )


def test_what_a_definition_does_not_speak_of_is_no_drift(client: Any) -> None:
    """Deletion protection and tags belong to who deploys."""
    assert [] == drifts_at(client, DeletionProtectionEnabled=True, Tags=[{"Key": "team", "Value": "ledger"}])


# Pure -----------------------------------------------------------------------------------------------------------------

DESCRIBED: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g1pk", "g1sk")],
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
}
PLAIN = TableDefinition(name="app", key=KeySchema("pk", "sk"))


@pytest.mark.parametrize(
    ("described", "kind"),
    [
        pytest.param({"BillingModeSummary": None}, DriftKind.BILLING, id="no summary: always provisioned"),
        pytest.param({"KeySchema": []}, DriftKind.KEY, id="no key"),
        pytest.param({"AttributeDefinitions": []}, DriftKind.KEY, id="no types"),
        pytest.param({"StreamSpecification": {"StreamEnabled": True}}, DriftKind.STREAM, id="a stream without a view"),
    ],
)
def test_what_an_engine_leaves_out_is_judged_as_documented(described: dict[str, Any], kind: DriftKind) -> None:
    """Missing parts of a description never count as equal."""
    assert () == drifts_of(PLAIN, DESCRIBED)
    assert [kind] == [drift.kind for drift in drifts_of(PLAIN, DESCRIBED | described)]


def test_an_index_of_several_attributes_is_another_key() -> None:
    """The API lists them as several HASH or RANGE elements."""
    keys = [("g1pk", "HASH"), ("sk", "HASH"), ("g1sk", "RANGE")]
    index = {
        "IndexName": "GSI1",
        "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role in keys],
        "Projection": {"ProjectionType": "ALL"},
    }

    [drift] = drifts_of(replace(PLAIN, indexes=INDEXES[:1]), DESCRIBED | {"GlobalSecondaryIndexes": [index]})

    assert "g1pk (S), sk (S) / g1sk (S)" == drift.found


def test_an_index_that_is_being_deleted_is_missing() -> None:
    """It cannot be counted on."""
    [drift] = drifts_of(
        replace(PLAIN, indexes=INDEXES[:1]),
        DESCRIBED | {"GlobalSecondaryIndexes": [{"IndexName": "GSI1", "IndexStatus": "DELETING"}]},
    )

    assert (DriftKind.INDEX_MISSING, "being deleted", "index GSI1 is missing") == (drift.kind, drift.found, str(drift))


def test_expiry_that_was_not_asked_for_is_not_compared() -> None:
    """The health check looks at the table alone."""
    wanted = replace(PLAIN, ttl_attribute="_x")

    assert () == drifts_of(wanted, DESCRIBED)
    assert [DriftKind.TTL] == [drift.kind for drift in drifts_of(wanted, DESCRIBED, {"TimeToLiveStatus": "DISABLED"})]
