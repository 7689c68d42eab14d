"""Requests are rendered to the API's dictionaries: pure snapshots."""

from typing import Any

import pytest

from common.dynamo.requests import (
    And,
    BatchGetItem,
    BatchWriteItem,
    BeginsWith,
    Between,
    Compare,
    Condition,
    ConditionCheck,
    Contains,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    Exists,
    GetItem,
    HasType,
    IfNotExists,
    In,
    IndexDefinition,
    KeyCondition,
    KeySchema,
    ListAppend,
    ListTables,
    Minus,
    Not,
    NotExists,
    Or,
    Plus,
    PutItem,
    Query,
    Request,
    Scan,
    Size,
    SortCondition,
    TableDefinition,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
    UpdateTimeToLive,
)
from common.dynamo.testing.values import N, S, const, key, path
from common.dynamo.wire.expressions import Placeholders, condition_text, update_text
from common.dynamo.wire.render import ExpressionTooLarge, render

KEY = key("p", "s")
UNITS = {"ReturnConsumedCapacity": "INDEXES"}
ON_FAILURE = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
N1 = const(N(1))

CONDITIONS: list[tuple[Condition, str]] = [
    (Compare("=", path("a"), N1), "#a0 = :v0"),
    (Compare("<>", path("m", "k", 2), path("l", 0)), "#a0.#a1[2] <> #a2[0]"),
    (Compare(">=", Size(path("a")), N1), "size(#a0) >= :v0"),
    (Between(path("a"), N1, const(N(2))), "#a0 BETWEEN :v0 AND :v1"),
    (In(path("a"), (N1, path("b"))), "#a0 IN (:v0, #a1)"),
    (Exists(path("a", "b")), "attribute_exists(#a0.#a1)"),
    (NotExists(path("a")), "attribute_not_exists(#a0)"),
    (HasType(path("a"), "SS"), "attribute_type(#a0, :v0)"),
    (BeginsWith(path("a"), const(S("x"))), "begins_with(#a0, :v0)"),
    (Contains(path("a"), path("b")), "contains(#a0, #a1)"),
    (And((Exists(path("a")), Exists(path("b")))), "attribute_exists(#a0) AND attribute_exists(#a1)"),
    (
        And((Exists(path("a")), Or((Exists(path("b")), Exists(path("a")))))),
        "attribute_exists(#a0) AND (attribute_exists(#a1) OR attribute_exists(#a0))",
    ),
    (Or((Not(Exists(path("a"))), Exists(path("b")))), "(NOT (attribute_exists(#a0))) OR attribute_exists(#a1)"),
    (Not(And((Exists(path("a")), Exists(path("b"))))), "NOT (attribute_exists(#a0) AND attribute_exists(#a1))"),
    (And((Or((Exists(path("a")),)),)), "attribute_exists(#a0)"),
    (Not(And((Not(Exists(path("a"))),))), "NOT (NOT (attribute_exists(#a0)))"),
    (
        Or((And((Or((Exists(path("a")), Exists(path("b")))),)), Exists(path("c")))),
        "(attribute_exists(#a0) OR attribute_exists(#a1)) OR attribute_exists(#a2)",
    ),
]


@pytest.mark.parametrize(("condition", "text"), CONDITIONS, ids=[row[1] for row in CONDITIONS])
def test_a_condition_is_written_with_placeholders_alone(condition: Condition, text: str) -> None:
    """No name and no value stands in the expression, and brackets are only where they mean something."""
    assert text == condition_text(condition, Placeholders())


UPDATES: list[tuple[Update, str]] = [
    (Update(set=((path("a"), N1), (path("m", "k"), path("b")))), "SET #a0 = :v0, #a1.#a2 = #a3"),
    (
        Update(set=((path("a"), Plus(path("a"), N1)), (path("b"), Minus(N1, path("b"))))),
        "SET #a0 = #a0 + :v0, #a1 = :v1 - #a1",
    ),
    (Update(set=((path("a"), Plus(IfNotExists(path("a"), N1), N1)),)), "SET #a0 = if_not_exists(#a0, :v0) + :v1"),
    (Update(set=((path("a"), ListAppend(path("a"), const({"L": []}))),)), "SET #a0 = list_append(#a0, :v0)"),
    (Update(remove=(path("a"), path("l", 1), path("l", 10), path("l", 2))), "REMOVE #a0[10], #a0[2], #a0[1], #a1"),
    (Update(add=((path("a"), N1),)), "ADD #a0 :v0"),
    (Update(delete=((path("a"), const({"SS": ["x"]})),)), "DELETE #a0 :v0"),
    (
        Update(
            set=((path("a"), N1),),
            remove=(path("b"),),
            add=((path("c"), N1),),
            delete=((path("d"), const({"SS": ["x"]})),),
        ),
        "SET #a0 = :v0 REMOVE #a1 ADD #a2 :v1 DELETE #a3 :v2",
    ),
]


@pytest.mark.parametrize(("update", "text"), UPDATES, ids=[row[1] for row in UPDATES])
def test_an_update_is_written_clause_by_clause(update: Update, text: str) -> None:
    """List removals go from the highest index down, since engines count positions as they go."""
    assert text == update_text(update, Placeholders())


PLACEHOLDERS = {"ExpressionAttributeNames": {"#a0": "a"}, "ExpressionAttributeValues": {":v0": N(1)}}
IS_1 = Compare("=", path("a"), N1)
SET_1 = Update(set=((path("a"), N1),))
PUT = PutItem(table="t", item=KEY, condition=IS_1)
CONDITIONAL = {"ConditionExpression": "#a0 = :v0", **PLACEHOLDERS, **ON_FAILURE}

REQUESTS: list[tuple[Request, str, dict[str, Any]]] = [
    (GetItem(table="t", key=KEY), "get_item", {"TableName": "t", "Key": KEY, **UNITS}),
    (
        GetItem(table="t", key=KEY, consistent=True, projection=(path("a"), path("m", "k"))),
        "get_item",
        {
            "TableName": "t",
            "Key": KEY,
            "ConsistentRead": True,
            "ProjectionExpression": "#a0, #a1.#a2",
            "ExpressionAttributeNames": {"#a0": "a", "#a1": "m", "#a2": "k"},
            **UNITS,
        },
    ),
    (PutItem(table="t", item=KEY), "put_item", {"TableName": "t", "Item": KEY, **UNITS}),
    (PUT, "put_item", {"TableName": "t", "Item": KEY, **CONDITIONAL, **UNITS}),
    (
        UpdateItem(table="t", key=KEY, update=SET_1, condition=Exists(path("a")), returns="ALL_NEW"),
        "update_item",
        {
            "TableName": "t",
            "Key": KEY,
            "UpdateExpression": "SET #a0 = :v0",
            "ConditionExpression": "attribute_exists(#a0)",
            "ReturnValues": "ALL_NEW",
            **PLACEHOLDERS,
            **ON_FAILURE,
            **UNITS,
        },
    ),
    (UpdateItem(table="t", key=KEY, update=Update()), "update_item", {"TableName": "t", "Key": KEY, **UNITS}),
    (
        DeleteItem(table="t", key=KEY, condition=IS_1, returns="ALL_OLD"),
        "delete_item",
        {"TableName": "t", "Key": KEY, "ReturnValues": "ALL_OLD", **CONDITIONAL, **UNITS},
    ),
    (
        Query(
            table="t",
            index="GSI1",
            key=KeyCondition("g1pk", S("g"), "g1sk", SortCondition("between", S("a"), S("b"))),
            filter=IS_1,
            forward=False,
            limit=5,
            start=KEY,
        ),
        "query",
        {
            "TableName": "t",
            "IndexName": "GSI1",
            "KeyConditionExpression": "#a0 = :v0 AND #a1 BETWEEN :v1 AND :v2",
            "FilterExpression": "#a2 = :v3",
            "ExpressionAttributeNames": {"#a0": "g1pk", "#a1": "g1sk", "#a2": "a"},
            "ExpressionAttributeValues": {":v0": S("g"), ":v1": S("a"), ":v2": S("b"), ":v3": N(1)},
            "ScanIndexForward": False,
            "Limit": 5,
            "ExclusiveStartKey": KEY,
            **UNITS,
        },
    ),
    (
        Query(
            table="t",
            key=KeyCondition("pk", S("p"), "sk", SortCondition("begins_with", S("x"))),
            consistent=True,
            count_only=True,
        ),
        "query",
        {
            "TableName": "t",
            "KeyConditionExpression": "#a0 = :v0 AND begins_with(#a1, :v1)",
            "ExpressionAttributeNames": {"#a0": "pk", "#a1": "sk"},
            "ExpressionAttributeValues": {":v0": S("p"), ":v1": S("x")},
            "ConsistentRead": True,
            "Select": "COUNT",
            **UNITS,
        },
    ),
    (
        Scan(table="t", segment=1, total_segments=4),
        "scan",
        {"TableName": "t", "Segment": 1, "TotalSegments": 4, **UNITS},
    ),
    (
        BatchGetItem(keys={"t": (KEY,)}, consistent=True),
        "batch_get_item",
        {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": True}}, **UNITS},
    ),
    (
        BatchWriteItem(writes={"t": (PutItem(table="t", item=KEY), DeleteItem(table="t", key=KEY))}),
        "batch_write_item",
        {"RequestItems": {"t": [{"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": KEY}}]}, **UNITS},
    ),
    (
        TransactWriteItems(
            parts=(
                PUT,
                UpdateItem(table="t", key=KEY, update=SET_1),
                DeleteItem(table="t", key=KEY),
                ConditionCheck(table="t", key=KEY, condition=IS_1),
            ),
            token="once",
        ),
        "transact_write_items",
        {
            "TransactItems": [
                {"Put": {"TableName": "t", "Item": KEY, **CONDITIONAL}},
                {"Update": {"TableName": "t", "Key": KEY, "UpdateExpression": "SET #a0 = :v0", **PLACEHOLDERS}},
                {"Delete": {"TableName": "t", "Key": KEY}},
                {"ConditionCheck": {"TableName": "t", "Key": KEY, **CONDITIONAL}},
            ],
            "ClientRequestToken": "once",
            **UNITS,
        },
    ),
    (
        TransactGetItems(parts=(GetItem(table="t", key=KEY),)),
        "transact_get_items",
        {"TransactItems": [{"Get": {"TableName": "t", "Key": KEY}}], **UNITS},
    ),
    (
        CreateTable(
            definition=TableDefinition(
                name="t",
                key=KeySchema("pk", "sk"),
                indexes=(IndexDefinition("GSI1", KeySchema("g", "n", sort_type="N"), "INCLUDE", ("a",)),),
                stream=True,
                tags={"team": "x"},
            )
        ),
        "create_table",
        {
            "TableName": "t",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
                {"AttributeName": "g", "AttributeType": "S"},
                {"AttributeName": "n", "AttributeType": "N"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "GSI1",
                    "KeySchema": [
                        {"AttributeName": "g", "KeyType": "HASH"},
                        {"AttributeName": "n", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
                }
            ],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            "Tags": [{"Key": "team", "Value": "x"}],
        },
    ),
    (DescribeTable(table="t"), "describe_table", {"TableName": "t"}),
    (DeleteTable(table="t"), "delete_table", {"TableName": "t"}),
    (ListTables(), "list_tables", {}),
    (ListTables(start="t"), "list_tables", {"ExclusiveStartTableName": "t"}),
    (DescribeTimeToLive(table="t"), "describe_time_to_live", {"TableName": "t"}),
    (
        UpdateTimeToLive(table="t", attribute="_x"),
        "update_time_to_live",
        {"TableName": "t", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "_x"}},
    ),
]


@pytest.mark.parametrize(
    ("request_value", "method", "parameters"),
    REQUESTS,
    ids=[f"{row[1]}-{number}" for number, row in enumerate(REQUESTS)],
)
def test_a_request_becomes_the_call_of_the_api(request_value: Request, method: str, parameters: dict[str, Any]) -> None:
    """Capacity is always asked for by index, and the stored item wherever a condition may fail."""
    assert (method, parameters) == render(request_value)


def test_rendering_changes_no_request() -> None:
    """The same value renders to the same call again and again."""
    assert render(PUT) == render(PUT)
    assert PutItem(table="t", item=KEY, condition=IS_1) == PUT


@pytest.mark.parametrize(
    "request_value",
    [
        PutItem(table="t", item=KEY, condition=Or(tuple(Exists(path(f"a{i}")) for i in range(200)))),
        UpdateItem(table="t", key=KEY, update=Update(remove=tuple(path(f"a{i}", "b") for i in range(500)))),
        GetItem(table="t", key=KEY, projection=tuple(path(f"a{i}", "b") for i in range(500))),
    ],
)
def test_an_expression_has_4_kb_at_most(request_value: Request) -> None:
    """A longer one never reaches an engine, some of which it would bring down."""
    with pytest.raises(ExpressionTooLarge, match="Split the request"):
        render(request_value)
