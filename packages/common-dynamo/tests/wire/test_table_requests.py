"""Tables are made, described and taken away as in DynamoDB, on both engines."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    IndexDefinition,
    KeyCondition,
    KeySchema,
    ListTables,
    PutItem,
    Query,
    Request,
    Scan,
    TableDefinition,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
    UpdateTimeToLive,
)
from common.dynamo.testing import fresh_table_name
from common.dynamo.testing.values import S, definition, key

MISSING = "ResourceNotFoundException"


def names(bench: Any) -> list[str]:
    found: list[str] = []
    start = None
    while True:
        body = bench.send(ListTables(start=start)).body
        found += body["TableNames"]
        start = body.get("LastEvaluatedTableName")
        if start is None:
            return found


def test_a_table_is_described_as_it_was_made(bench: Any) -> None:
    """Keys, attribute types, indexes and their projections, on-demand capacity, and active."""
    table = bench.send(DescribeTable(table=bench.table)).body["Table"]
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}

    assert ("ACTIVE", "PAY_PER_REQUEST") == (table["TableStatus"], table["BillingModeSummary"]["BillingMode"])
    assert [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}] == table[
        "KeySchema"
    ]
    assert {"pk": "S", "sk": "S", "g1pk": "S", "g1sk": "S", "g2pk": "S", "num": "N"} == {
        each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]
    }
    assert {"GSI1": "ALL", "GSI2": "KEYS_ONLY", "GSI3": "INCLUDE"} == {
        name: index["Projection"]["ProjectionType"] for name, index in indexes.items()
    }
    assert ["a"] == indexes["GSI3"]["Projection"]["NonKeyAttributes"]
    assert ["g2pk", "num"] == [each["AttributeName"] for each in indexes["GSI3"]["KeySchema"]]
    assert {"ACTIVE"} == {index["IndexStatus"] for index in indexes.values()}


def test_a_table_is_listed_while_it_is_there(bench: Any) -> None:
    """Then it is gone, with its items, and the name is free."""
    bench.put("a", "1")
    assert bench.table in names(bench)

    assert 200 == bench.send(DeleteTable(table=bench.table)).status
    assert bench.table not in names(bench)
    assert "OK" == bench.code(CreateTable(definition=definition(bench.table)))
    assert bench.get("a", "1") is None


def test_a_name_is_taken_once(bench: Any) -> None:
    """Making it again is refused, and the items stay."""
    bench.put("a", "1")

    assert "ResourceInUseException" == bench.code(CreateTable(definition=definition(bench.table)))
    assert {} == bench.get("a", "1")


USUAL = definition("replaced")
WRONG: list[tuple[str, TableDefinition]] = [
    ("a short name", replace(USUAL, name="ab")),
    ("a name with a slash", replace(USUAL, name="a/b/c")),
    ("an index twice", replace(USUAL, indexes=(USUAL.indexes[0], USUAL.indexes[0]))),
    ("a short index name", replace(USUAL, indexes=(IndexDefinition("G", KeySchema("g")),))),
    ("21 indexes", replace(USUAL, indexes=tuple(IndexDefinition(f"GSI{n}", KeySchema(f"g{n}")) for n in range(21)))),
]


@pytest.mark.parametrize("wrong", [row[1] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_table_outside_the_rules_is_not_made(bench: Any, wrong: TableDefinition) -> None:
    """Names and indexes are checked first."""
    wrong = replace(wrong, name=fresh_table_name()) if wrong.name == "replaced" else wrong

    assert bench.code(CreateTable(definition=wrong)) in ("ValidationException", "LimitExceededException")
    assert wrong.name not in names(bench)


ON_NOTHING: list[Callable[[str], Request]] = [
    lambda table: GetItem(table=table, key=key("a", "1")),
    lambda table: PutItem(table=table, item=key("a", "1")),
    lambda table: UpdateItem(table=table, key=key("a", "1"), update=Update()),
    lambda table: DeleteItem(table=table, key=key("a", "1")),
    lambda table: Query(table=table, key=KeyCondition("pk", S("a"))),
    lambda table: Scan(table=table),
    lambda table: BatchGetItem(keys={table: (key("a", "1"),)}),
    lambda table: BatchWriteItem(writes={table: (PutItem(table=table, item=key("a", "1")),)}),
    lambda table: TransactWriteItems(parts=(PutItem(table=table, item=key("a", "1")),)),
    lambda table: TransactGetItems(parts=(GetItem(table=table, key=key("a", "1")),)),
    lambda table: DescribeTable(table=table),
    lambda table: DeleteTable(table=table),
    lambda table: DescribeTimeToLive(table=table),
    lambda table: UpdateTimeToLive(table=table, attribute="x"),
]


@pytest.mark.parametrize("request_of", ON_NOTHING, ids=[make("t").operation for make in ON_NOTHING])
def test_a_table_that_is_not_there_is_reported(bench: Any, request_of: Callable[[str], Request]) -> None:
    """Every request on it has the same error code."""
    assert MISSING == bench.code(request_of(fresh_table_name()))


def test_ttl_is_switched_on_once(bench: Any) -> None:
    """The attribute is remembered; switching it on again is refused."""
    assert (
        "DISABLED"
        == bench.send(DescribeTimeToLive(table=bench.table)).body["TimeToLiveDescription"]["TimeToLiveStatus"]
    )

    first = bench.send(UpdateTimeToLive(table=bench.table, attribute="_x"))
    assert {"Enabled": True, "AttributeName": "_x"} == first.body["TimeToLiveSpecification"]
    assert {"TimeToLiveStatus": "ENABLED", "AttributeName": "_x"} == bench.send(
        DescribeTimeToLive(table=bench.table)
    ).body["TimeToLiveDescription"]
    again = bench.code(UpdateTimeToLive(table=bench.table, attribute="_x"))
    bench.check("ValidationException", again, "ttl-twice")


def test_a_table_may_have_only_a_partition_key(bench: Any) -> None:
    """Each partition then holds one item."""
    table = fresh_table_name()
    bench.send(CreateTable(definition=TableDefinition(name=table, key=KeySchema("id"))))
    for name in ("a", "b", "a"):
        assert "OK" == bench.code(PutItem(table=table, item={"id": S(name)}))

    assert 2 == bench.send(Scan(table=table)).body["Count"]
    assert 1 == bench.send(Query(table=table, key=KeyCondition("id", S("a")))).body["Count"]
    assert "ValidationException" == bench.code(GetItem(table=table, key={"id": S("a"), "sk": S("1")}))
