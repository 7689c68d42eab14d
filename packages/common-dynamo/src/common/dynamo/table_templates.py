"""Table definitions in the languages of infrastructure tools. Pure; every result can be written as JSON.

What is exported is what ``Database.create_tables`` makes, and, unless told otherwise, what production wants besides:
deletion protection, point-in-time recovery, and a table that outlives its stack.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from common.dynamo.requests import CreateTable, IndexDefinition, KeySchema, TableDefinition
from common.dynamo.table_drift import STREAM_VIEW
from common.dynamo.wire.render import render

__all__ = ["EXPORTS", "Export", "api_requests", "cloudformation_template", "terraform_configuration"]

Export: TypeAlias = Callable[..., Mapping[str, Any]]
"""Takes definitions and ``protect=``; returns a document."""


def cloudformation_template(definitions: Sequence[TableDefinition], *, protect: bool = True) -> Mapping[str, Any]:
    """Return a CloudFormation template with one ``AWS::DynamoDB::Table`` per definition.

    Args:
        definitions: The tables.
        protect: Deletion protection, point-in-time recovery, and ``Retain`` where the stack or the table is replaced.
    """
    names = _identifiers([definition.name for definition in definitions])
    resources = {
        name: _cloudformation_resource(definition, protect=protect)
        for name, definition in zip(names, definitions, strict=True)
    }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def _cloudformation_resource(definition: TableDefinition, *, protect: bool) -> Mapping[str, Any]:
    properties = dict(render(CreateTable(definition=definition))[1])
    if definition.stream:
        # A template has no StreamEnabled: naming the view switches it on.
        properties["StreamSpecification"] = {"StreamViewType": STREAM_VIEW}
    if definition.ttl_attribute is not None:
        properties["TimeToLiveSpecification"] = {"AttributeName": definition.ttl_attribute, "Enabled": True}
    properties["DeletionProtectionEnabled"] = protect
    properties["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": protect}
    policies = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"} if protect else {}
    return {"Type": "AWS::DynamoDB::Table", **policies, "Properties": properties}


def terraform_configuration(definitions: Sequence[TableDefinition], *, protect: bool = True) -> Mapping[str, Any]:
    """Return a Terraform configuration in JSON syntax (a ``.tf.json`` file) with one ``aws_dynamodb_table`` each.

    Args:
        definitions: The tables.
        protect: Deletion protection, point-in-time recovery, and ``prevent_destroy``.
    """
    names = _identifiers([definition.name for definition in definitions])
    tables = {
        name: _terraform_resource(definition, protect=protect)
        for name, definition in zip(names, definitions, strict=True)
    }
    return {"resource": {"aws_dynamodb_table": tables}}


def _terraform_resource(definition: TableDefinition, *, protect: bool) -> Mapping[str, Any]:
    attributes = render(CreateTable(definition=definition))[1]["AttributeDefinitions"]
    resource: dict[str, Any] = {
        "name": definition.name,
        "billing_mode": "PAY_PER_REQUEST",
        **_terraform_key(definition.key),
        "attribute": [{"name": each["AttributeName"], "type": each["AttributeType"]} for each in attributes],
        "deletion_protection_enabled": protect,
        "point_in_time_recovery": {"enabled": protect},
    }
    if definition.indexes:
        resource["global_secondary_index"] = [_terraform_index(index) for index in definition.indexes]
    if definition.ttl_attribute is not None:
        resource["ttl"] = {"attribute_name": definition.ttl_attribute, "enabled": True}
    if definition.stream:
        resource |= {"stream_enabled": True, "stream_view_type": STREAM_VIEW}
    if definition.tags:
        resource["tags"] = dict(definition.tags)
    if protect:
        resource["lifecycle"] = {"prevent_destroy": True}
    return resource


def _terraform_index(index: IndexDefinition) -> Mapping[str, Any]:
    key = _terraform_key(index.key)
    described: dict[str, Any] = {"name": index.name, **key, "projection_type": index.projection}
    if index.projection == "INCLUDE":
        described["non_key_attributes"] = list(index.include)
    return described


def _terraform_key(key: KeySchema) -> Mapping[str, Any]:
    if key.is_composite:
        # The provider has blocks for keys of several attributes, and then takes neither hash_key nor range_key.
        halves = (("HASH", key.partitions), ("RANGE", key.sorts))
        return {"key_schema": [{"attribute_name": name, "key_type": role} for role, half in halves for name, _ in half]}
    return {"hash_key": key.partition} if key.sort is None else {"hash_key": key.partition, "range_key": key.sort}


def api_requests(definitions: Sequence[TableDefinition], *, protect: bool = True) -> Mapping[str, Any]:
    """Return, for each table, the inputs of the API calls that make it, by the names of the operations, in order.

    Args:
        definitions: The tables.
        protect: Deletion protection and point-in-time recovery.
    """
    return {"Tables": [_api_request(definition, protect=protect) for definition in definitions]}


def _api_request(definition: TableDefinition, *, protect: bool) -> Mapping[str, Any]:
    create = {**render(CreateTable(definition=definition))[1], "DeletionProtectionEnabled": protect}
    calls: dict[str, Any] = {"CreateTable": create}
    name = {"TableName": definition.name}
    if definition.ttl_attribute is not None:
        ttl = {"AttributeName": definition.ttl_attribute, "Enabled": True}
        calls["UpdateTimeToLive"] = {**name, "TimeToLiveSpecification": ttl}
    if protect:
        recovery = {"PointInTimeRecoveryEnabled": True}
        calls["UpdateContinuousBackups"] = {**name, "PointInTimeRecoverySpecification": recovery}
    return calls


def _identifiers(names: Sequence[str]) -> list[str]:
    """Return letters and digits for each table name, ``app-eu`` as ``AppEu``; a number ends those that would be equal."""
    identifiers: list[str] = []
    for name in names:
        words = re.split(r"[^A-Za-z0-9]+", name)
        wanted = "".join(word[:1].upper() + word[1:] for word in words)
        wanted = f"Table{wanted}" if not wanted or wanted[0].isdigit() else wanted
        known = {*identifiers}
        numbered = (wanted, *(f"{wanted}x{number}" for number in range(2, len(names) + 1)))
        identifiers.append(next(each for each in numbered if each not in known))
    return identifiers


EXPORTS: Final[Mapping[str, Export]] = MappingProxyType(
    {"cloudformation": cloudformation_template, "terraform": terraform_configuration, "json": api_requests}
)
"""The documents by the name of their format."""
