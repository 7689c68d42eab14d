"""Exported definitions (D45): what is made of a template is what ``create_tables`` makes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from common.dynamo import Database, Pattern
from common.dynamo import requests as rq
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.requests import IndexDefinition, KeySchema, TableDefinition
from common.dynamo.table_templates import EXPORTS, api_requests, cloudformation_template, terraform_configuration
from common.dynamo.testing import Engine, fresh_table_name
from common.dynamo.testing.examples import INVOICE
from common.dynamo.wire import Wire

RAW = Pattern("Test.raw", "CreateTable")
TYPES: list[Any] = [*LEDGER_ENTITY_TYPES, INVOICE]
ODD = TableDefinition(
    name="odd-one",
    key=KeySchema("id", partition_type="N"),
    indexes=(IndexDefinition("BY_AGE", KeySchema("age", partition_type="B"), "INCLUDE", ("name", "size")),),
)
"""A table that no entity type of ours would need."""


def definitions_of(table: str, *, stream: bool) -> list[TableDefinition]:
    """Return what the entity types need, the inventory in a table of its own."""
    db = Database.embedded(table=table, tables={"inventory": f"{table}-inventory"}, entity_types=TYPES)
    return [replace(definition, stream=stream) for definition in db.table_definitions()]


# A small interpreter of each language; what it does not know, it refuses ------------------------------------------------


def from_cloudformation(template: Mapping[str, Any]) -> list[TableDefinition]:
    """Read a template as CloudFormation would: the properties are those of ``AWS::DynamoDB::Table``."""
    assert "2010-09-09" == template["AWSTemplateFormatVersion"]
    assert template.keys() == {"AWSTemplateFormatVersion", "Resources"}
    return [from_resource(resource) for resource in template["Resources"].values()]


def from_resource(resource: Mapping[str, Any]) -> TableDefinition:
    """Read one resource."""
    assert "AWS::DynamoDB::Table" == resource["Type"]
    left = dict(resource["Properties"])
    types = {each["AttributeName"]: each["AttributeType"] for each in left.pop("AttributeDefinitions")}
    assert "PAY_PER_REQUEST" == left.pop("BillingMode")
    left.pop("DeletionProtectionEnabled"), left.pop("PointInTimeRecoverySpecification")
    ttl = left.pop("TimeToLiveSpecification", {"AttributeName": None, "Enabled": True})
    stream = left.pop("StreamSpecification", None)
    assert ttl["Enabled"]
    assert stream in (None, {"StreamViewType": "NEW_AND_OLD_IMAGES"})
    definition = TableDefinition(
        name=left.pop("TableName"),
        key=from_key_schema(left.pop("KeySchema"), types),
        indexes=tuple(from_index(index, types) for index in left.pop("GlobalSecondaryIndexes", ())),
        ttl_attribute=ttl["AttributeName"],
        stream=stream is not None,
        tags={tag["Key"]: tag["Value"] for tag in left.pop("Tags", ())},
    )
    assert {} == left
    return definition


def from_key_schema(schema: list[dict[str, str]], types: Mapping[str, Any]) -> KeySchema:
    """Read a key: HASH, then perhaps RANGE."""
    assert ["HASH", "RANGE"][: len(schema)] == [each["KeyType"] for each in schema]
    return key_of(types, *(each["AttributeName"] for each in schema))


def from_index(index: Mapping[str, Any], types: Mapping[str, Any]) -> IndexDefinition:
    """Read an index."""
    projection = index["Projection"]
    include = tuple(projection.get("NonKeyAttributes", ()))
    key = from_key_schema(index["KeySchema"], types)
    return IndexDefinition(index["IndexName"], key, projection["ProjectionType"], include)


def from_terraform(configuration: Mapping[str, Any]) -> list[TableDefinition]:
    """Read a configuration as Terraform would: the arguments are those of ``aws_dynamodb_table``."""
    return [from_block(block) for block in configuration["resource"]["aws_dynamodb_table"].values()]


def from_block(block: Mapping[str, Any]) -> TableDefinition:
    """Read one resource."""
    left = dict(block)
    types = {each["name"]: each["type"] for each in left.pop("attribute")}
    assert "PAY_PER_REQUEST" == left.pop("billing_mode")
    ttl = left.pop("ttl", {"attribute_name": None})
    for protection in ("deletion_protection_enabled", "point_in_time_recovery", "lifecycle"):
        left.pop(protection, None)
    stream = (left.pop("stream_enabled", False), left.pop("stream_view_type", None))
    assert stream in ((False, None), (True, "NEW_AND_OLD_IMAGES"))
    indexes = tuple(
        IndexDefinition(
            index["name"],
            key_of(types, index["hash_key"], *([index["range_key"]] if "range_key" in index else [])),
            index["projection_type"],
            tuple(index.get("non_key_attributes", ())),
        )
        for index in left.pop("global_secondary_index", ())
    )
    definition = TableDefinition(
        name=left.pop("name"),
        key=key_of(types, left.pop("hash_key"), *([left.pop("range_key")] if "range_key" in left else [])),
        indexes=indexes,
        ttl_attribute=ttl["attribute_name"],
        stream=stream[0],
        tags=left.pop("tags", {}),
    )
    assert {} == left
    return definition


def key_of(types: Mapping[str, Any], partition: str, sort: str | None = None) -> KeySchema:
    """Return a key with the types of its attributes."""
    return KeySchema(partition, sort, types[partition], "S" if sort is None else types[sort])


READERS = {"cloudformation": from_cloudformation, "terraform": from_terraform}


def deploy(wire: Wire, definitions: list[TableDefinition]) -> None:
    """Make the tables that an interpreter has read."""
    with_any = Database.connect(wire=wire)
    for definition in definitions:
        with_any.execute(rq.CreateTable(definition=definition), RAW)
        if definition.ttl_attribute is not None:
            with_any.execute(rq.UpdateTimeToLive(table=definition.name, attribute=definition.ttl_attribute), RAW)


def told(wire: Wire, table: str) -> Mapping[str, Any]:
    """Return what the engine says of a table, without what differs from table to table."""
    db = Database.connect(wire=wire)
    described = db.execute(rq.DescribeTable(table=table), RAW).body["Table"]
    expiry = db.execute(rq.DescribeTimeToLive(table=table), RAW).body["TimeToLiveDescription"]
    indexes = [
        (each["IndexName"], each["KeySchema"], each["Projection"])
        for each in described.get("GlobalSecondaryIndexes", ())
    ]
    return {
        "key": described["KeySchema"],
        "types": sorted(described["AttributeDefinitions"], key=lambda each: str(each["AttributeName"])),
        "indexes": sorted(indexes, key=lambda index: str(index[0])),
        "stream": described.get("StreamSpecification"),
        "billing": described["BillingModeSummary"]["BillingMode"],
        "expiry": expiry,
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("language", READERS)
def test_a_table_made_of_the_template_is_the_one_that_we_create(engine: Engine, language: str, stream: bool) -> None:
    """Recreated by an interpreter of the language, the engine tells no difference, and no drift is found."""
    wire = engine.wire()
    ours, theirs = fresh_table_name(), fresh_table_name()
    options: dict[str, Any] = {"entity_types": TYPES, "wire": wire}
    Database.connect(table=ours, tables={"inventory": f"{ours}-inventory"}, **options).create_tables(stream=stream)
    exported = json.loads(json.dumps(EXPORTS[language](definitions_of(theirs, stream=stream))))

    deploy(wire, READERS[language](exported))

    with Database.connect(table=theirs, tables={"inventory": f"{theirs}-inventory"}, **options) as db:
        assert () == db.diff_tables(stream=stream)
        for suffix in ("", "-inventory"):
            assert told(wire, ours + suffix) == told(wire, theirs + suffix)


@pytest.mark.parametrize("language", READERS)
def test_every_kind_of_definition_survives(language: str) -> None:
    """Numbers and bytes as keys, no sort key, included attributes, tags."""
    definitions = [ODD, replace(ODD, name="tagged", tags={"team": "ledger"}, stream=True)]

    assert definitions == READERS[language](EXPORTS[language](definitions))


# Protection -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protect", [True, False])
def test_a_template_protects_tables_unless_told_otherwise(protect: bool) -> None:
    """Deletion protection, point-in-time recovery, and a table that stays when its stack goes."""
    [resource] = cloudformation_template([ODD], protect=protect)["Resources"].values()

    assert protect is resource["Properties"]["DeletionProtectionEnabled"]
    assert {"PointInTimeRecoveryEnabled": protect} == resource["Properties"]["PointInTimeRecoverySpecification"]
    assert (["Retain", "Retain"] if protect else [None, None]) == [
        resource.get("DeletionPolicy"),
        resource.get("UpdateReplacePolicy"),
    ]


@pytest.mark.parametrize("protect", [True, False])
def test_a_configuration_protects_tables_unless_told_otherwise(protect: bool) -> None:
    """The same in Terraform's words."""
    [block] = terraform_configuration([ODD], protect=protect)["resource"]["aws_dynamodb_table"].values()

    assert (protect, {"enabled": protect}) == (block["deletion_protection_enabled"], block["point_in_time_recovery"])
    assert ({"prevent_destroy": True} if protect else None) == block.get("lifecycle")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A boto3 client of an AWS in memory; it checks every parameter against the service's model."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-central-1")


@pytest.mark.parametrize("protect", [True, False])
def test_the_inputs_of_the_api_make_the_same_table(client: Any, protect: bool) -> None:
    """Each call is taken by the API as it stands; afterwards there is no drift, and the table is protected."""
    methods = {
        "CreateTable": client.create_table,
        "UpdateTimeToLive": client.update_time_to_live,
        "UpdateContinuousBackups": client.update_continuous_backups,
    }
    document = json.loads(json.dumps(api_requests(definitions_of("app", stream=True), protect=protect)))
    for calls in document["Tables"]:
        for operation, parameters in calls.items():
            methods[operation](**parameters)

    db = Database.connect(table="app", tables={"inventory": "app-inventory"}, client=client, entity_types=TYPES)
    assert () == db.diff_tables(stream=True)
    for table in ("app", "app-inventory"):
        backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        assert protect is client.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"]
        status = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        assert ("ENABLED" if protect else "DISABLED") == status


def test_table_names_become_identifiers_that_differ() -> None:
    """Letters and digits alone, as both languages want them."""
    names = ["app", "app-eu.1", "App", "APP-EU1", "9lives", "app.eu-1"]
    definitions = [replace(ODD, name=name) for name in names]

    assert ["App", "AppEu1", "Appx2", "APPEU1", "Table9lives", "AppEu1x2"] == list(
        cloudformation_template(definitions)["Resources"]
    )
