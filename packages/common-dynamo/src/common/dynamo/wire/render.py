"""Request values as the API's dictionaries: what the network wires send.

Pure. Numbers go as they are, so the core gives them in canonical form. Every request asks for its consumed capacity
with its indexes, every conditional write for the stored item when its condition fails.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    Condition,
    ConditionCheck,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    IndexDefinition,
    KeySchema,
    ListTables,
    PutItem,
    Query,
    Request,
    Scan,
    TableDefinition,
    TransactGetItems,
    TransactPart,
    TransactWriteItems,
    UpdateItem,
    UpdateTimeToLive,
)
from common.dynamo.wire.expressions import (
    ExpressionTooLarge,
    Placeholders,
    condition_text,
    key_condition_text,
    projection_text,
    update_text,
)

__all__ = ["ExpressionTooLarge", "render"]

Parameters = dict[str, Any]

_CAPACITY: Final = {"ReturnConsumedCapacity": "INDEXES"}
_METHODS: Final[Mapping[type, str]] = MappingProxyType(
    {
        GetItem: "get_item",
        PutItem: "put_item",
        UpdateItem: "update_item",
        DeleteItem: "delete_item",
        Query: "query",
        Scan: "scan",
        BatchGetItem: "batch_get_item",
        BatchWriteItem: "batch_write_item",
        TransactWriteItems: "transact_write_items",
        TransactGetItems: "transact_get_items",
        CreateTable: "create_table",
        DescribeTable: "describe_table",
        DeleteTable: "delete_table",
        ListTables: "list_tables",
        DescribeTimeToLive: "describe_time_to_live",
        UpdateTimeToLive: "update_time_to_live",
    }
)


def render(request: Request) -> tuple[str, Parameters]:
    """Return the boto3 client's method and the parameters for *request*.

    Raises:
        ExpressionTooLarge: An expression is over 4 KB.
    """
    kind = type(request)
    return _METHODS[kind], _RENDERERS[kind](request)


# Single items ---------------------------------------------------------------------------------------------------------


def _get(request: GetItem) -> Parameters:
    parameters = {**_get_part(request), **_CAPACITY}
    if request.consistent:
        parameters["ConsistentRead"] = True
    return parameters


def _get_part(request: GetItem) -> Parameters:
    parameters: Parameters = {"TableName": request.table, "Key": request.key}
    if request.projection:
        holders = Placeholders()
        parameters["ProjectionExpression"] = projection_text(request.projection, holders)
        parameters.update(holders.parameters())
    return parameters


def _conditional(parameters: Parameters, condition: Condition | None, holders: Placeholders) -> Parameters:
    if condition is not None:
        parameters["ConditionExpression"] = condition_text(condition, holders)
        parameters["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    parameters.update(holders.parameters())
    return parameters


def _put_part(request: PutItem) -> Parameters:
    return _conditional({"TableName": request.table, "Item": request.item}, request.condition, Placeholders())


def _update_part(request: UpdateItem) -> Parameters:
    holders = Placeholders()
    text = update_text(request.update, holders)
    parameters: Parameters = {"TableName": request.table, "Key": request.key}
    if text:
        parameters["UpdateExpression"] = text
    return _conditional(parameters, request.condition, holders)


def _key_part(request: DeleteItem | ConditionCheck) -> Parameters:
    return _conditional({"TableName": request.table, "Key": request.key}, request.condition, Placeholders())


_PARTS: Final[Mapping[type, tuple[str, Callable[[Any], Parameters]]]] = MappingProxyType(
    {
        PutItem: ("Put", _put_part),
        UpdateItem: ("Update", _update_part),
        DeleteItem: ("Delete", _key_part),
        ConditionCheck: ("ConditionCheck", _key_part),
    }
)


def _single_write(request: PutItem | UpdateItem | DeleteItem) -> Parameters:
    parameters = {**_PARTS[type(request)][1](request), **_CAPACITY}
    if request.returns != "NONE":
        parameters["ReturnValues"] = request.returns
    return parameters


# Many items -----------------------------------------------------------------------------------------------------------


def _query(request: Query) -> Parameters:
    holders = Placeholders()
    parameters: Parameters = {"KeyConditionExpression": key_condition_text(request.key, holders)}
    if not request.forward:
        parameters["ScanIndexForward"] = False
    if request.count_only:
        parameters["Select"] = "COUNT"
    return _page(request, parameters, holders)


def _scan(request: Scan) -> Parameters:
    parameters: Parameters = {}
    if request.segment is not None or request.total_segments is not None:
        parameters = {"Segment": request.segment, "TotalSegments": request.total_segments}
    return _page(request, parameters, Placeholders())


def _page(request: Query | Scan, parameters: Parameters, holders: Placeholders) -> Parameters:
    parameters = {"TableName": request.table, **parameters, **_CAPACITY}
    if request.index is not None:
        parameters["IndexName"] = request.index
    if request.filter is not None:
        parameters["FilterExpression"] = condition_text(request.filter, holders)
    if request.projection:
        parameters["ProjectionExpression"] = projection_text(request.projection, holders)
    if request.consistent:
        parameters["ConsistentRead"] = True
    if request.limit is not None:
        parameters["Limit"] = request.limit
    if request.start is not None:
        parameters["ExclusiveStartKey"] = request.start
    return {**parameters, **holders.parameters()}


def _batch_get(request: BatchGetItem) -> Parameters:
    consistent = {"ConsistentRead": True} if request.consistent else {}
    tables = {table: {"Keys": list(keys), **consistent} for table, keys in request.keys.items()}
    return {"RequestItems": tables, **_CAPACITY}


def _batch_write(request: BatchWriteItem) -> Parameters:
    tables = {table: [_batch_part(part) for part in parts] for table, parts in request.writes.items()}
    return {"RequestItems": tables, **_CAPACITY}


def _batch_part(part: PutItem | DeleteItem) -> Parameters:
    if isinstance(part, PutItem):
        return {"PutRequest": {"Item": part.item}}
    return {"DeleteRequest": {"Key": part.key}}


# Transactions ---------------------------------------------------------------------------------------------------------


def _transact_write(request: TransactWriteItems) -> Parameters:
    parameters: Parameters = {"TransactItems": [_transact_part(part) for part in request.parts], **_CAPACITY}
    if request.token is not None:
        parameters["ClientRequestToken"] = request.token
    return parameters


def _transact_part(part: TransactPart) -> Parameters:
    name, renderer = _PARTS[type(part)]
    return {name: renderer(part)}


def _transact_get(request: TransactGetItems) -> Parameters:
    return {"TransactItems": [{"Get": _get_part(part)} for part in request.parts], **_CAPACITY}


# Tables ---------------------------------------------------------------------------------------------------------------


def _create_table(request: CreateTable) -> Parameters:
    definition = request.definition
    parameters: Parameters = {
        "TableName": definition.name,
        "KeySchema": _key_schema(definition.key),
        "AttributeDefinitions": _attribute_definitions(definition),
        "BillingMode": "PAY_PER_REQUEST",
    }
    if definition.indexes:
        parameters["GlobalSecondaryIndexes"] = [_index(index) for index in definition.indexes]
    if definition.stream:
        parameters["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    if definition.tags:
        parameters["Tags"] = [{"Key": key, "Value": value} for key, value in definition.tags.items()]
    return parameters


def _key_schema(schema: KeySchema) -> list[dict[str, str]]:
    halves = (("HASH", schema.partitions), ("RANGE", schema.sorts))
    return [{"AttributeName": name, "KeyType": role} for role, attributes in halves for name, _ in attributes]


def _attribute_definitions(definition: TableDefinition) -> list[Mapping[str, str]]:
    types: dict[str, str] = {}
    for schema in (definition.key, *(index.key for index in definition.indexes)):
        for name, kind in (*schema.partitions, *schema.sorts):
            types.setdefault(name, kind)
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _index(index: IndexDefinition) -> Parameters:
    projection: Parameters = {"ProjectionType": index.projection}
    if index.projection == "INCLUDE":
        projection["NonKeyAttributes"] = list(index.include)
    return {"IndexName": index.name, "KeySchema": _key_schema(index.key), "Projection": projection}


def _table_name(request: DescribeTable | DeleteTable | DescribeTimeToLive) -> Parameters:
    return {"TableName": request.table}


def _list_tables(request: ListTables) -> Parameters:
    return {} if request.start is None else {"ExclusiveStartTableName": request.start}


def _update_ttl(request: UpdateTimeToLive) -> Parameters:
    specification = {"Enabled": True, "AttributeName": request.attribute}
    return {"TableName": request.table, "TimeToLiveSpecification": specification}


_RENDERERS: Final[Mapping[type, Callable[[Any], Parameters]]] = MappingProxyType(
    {
        GetItem: _get,
        PutItem: _single_write,
        UpdateItem: _single_write,
        DeleteItem: _single_write,
        Query: _query,
        Scan: _scan,
        BatchGetItem: _batch_get,
        BatchWriteItem: _batch_write,
        TransactWriteItems: _transact_write,
        TransactGetItems: _transact_get,
        CreateTable: _create_table,
        DescribeTable: _table_name,
        DeleteTable: _table_name,
        ListTables: _list_tables,
        DescribeTimeToLive: _table_name,
        UpdateTimeToLive: _update_ttl,
    }
)
