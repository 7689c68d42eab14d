"""The boto wire under moto, since users have such tests; what moto gets right works."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    GetItem,
    KeyCondition,
    NotExists,
    PutItem,
    Query,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing.values import N, S, const, definition, key, path
from common.dynamo.wire.boto import BotoWire

TABLE = "orders"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[BotoWire]:
    """A wire that we build inside ``mock_aws``, on a table of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        wire = BotoWire.build(session=boto3.Session(region_name="eu-central-1"))
        assert wire.send(CreateTable(definition=definition(TABLE)), 5.0).status == 200
        yield wire
        wire.close()


def test_items_are_written_and_read(wire: BotoWire) -> None:
    """Put, update, get, query and delete."""
    put = PutItem(table=TABLE, item={**key("p", "1"), "n": N(1), "g1pk": S("g"), "g1sk": S("1")})
    add = UpdateItem(table=TABLE, key=key("p", "1"), update=Update(add=((path("n"), const(N(4))),)), returns="ALL_NEW")

    assert 200 == wire.send(put, 5.0).status
    assert N(5) == wire.send(add, 5.0).body["Attributes"]["n"]
    assert N(5) == wire.send(GetItem(table=TABLE, key=key("p", "1"), consistent=True), 5.0).body["Item"]["n"]
    assert 1 == wire.send(Query(table=TABLE, key=KeyCondition("pk", S("p"))), 5.0).body["Count"]
    assert 1 == wire.send(Query(table=TABLE, index="GSI1", key=KeyCondition("g1pk", S("g"))), 5.0).body["Count"]
    assert 200 == wire.send(DeleteItem(table=TABLE, key=key("p", "1")), 5.0).status
    assert "Item" not in wire.send(GetItem(table=TABLE, key=key("p", "1")), 5.0).body


def test_a_failed_condition_brings_the_stored_item(wire: BotoWire) -> None:
    """The error body has the same shape as any engine's."""
    create = PutItem(table=TABLE, item={**key("p", "1"), "n": N(1)}, condition=NotExists(path("pk")))
    wire.send(create, 5.0)

    refused = wire.send(create, 5.0)

    assert (400, "ConditionalCheckFailedException") == (refused.status, refused.body["__type"])
    assert N(1) == refused.body["Item"]["n"]


def test_transactions_and_batches_work(wire: BotoWire) -> None:
    """All parts or none, with their reasons in order."""
    one, two = (PutItem(table=TABLE, item=key("p", sort), condition=NotExists(path("pk"))) for sort in ("1", "2"))
    plain = PutItem(table=TABLE, item=key("p", "3"))
    reads = tuple(GetItem(table=TABLE, key=key("p", sort)) for sort in ("1", "9"))

    assert 200 == wire.send(TransactWriteItems(parts=(one,)), 5.0).status
    refused = wire.send(TransactWriteItems(parts=(two, one)), 5.0)
    assert ["None", "ConditionalCheckFailed"] == [reason["Code"] for reason in refused.body["CancellationReasons"]]
    assert [True, False] == ["Item" in each for each in wire.send(TransactGetItems(parts=reads), 5.0).body["Responses"]]
    assert 200 == wire.send(BatchWriteItem(writes={TABLE: (plain,)}), 5.0).status
    assert 2 == len(wire.send(BatchGetItem(keys={TABLE: (key("p", "1"), key("p", "3"))}), 5.0).body["Responses"][TABLE])
