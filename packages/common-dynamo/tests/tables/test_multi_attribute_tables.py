"""Index keys of several attributes (D11) where types, tables, policies and exports meet them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Index, Key, MultiKey
from common.dynamo import requests as rq
from common.dynamo.entity_access import uses
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.registry import Registered, check_entity_types
from common.dynamo.table_templates import cloudformation_template, terraform_configuration
from common.dynamo.testing import Dynoxide, network_wire
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.known_faults import DYNOXIDE_FAULTS
from common.dynamo.testing.policy import PolicyGuard
from common.dynamo.wire.render import render
from common.exceptions import ConfigurationError, PluginLoadError


class State(StrEnum):
    OPEN = "open"
    DONE = "done"


class Task(BaseModel):
    """A model whose own attributes are keys."""

    id: str
    tenant: str = "t1"
    state: State = State.OPEN
    due: datetime | None = None
    rank: int = 0
    price: Decimal = Decimal(0)
    digest: bytes | None = None


DUE = Index("GSI3", MultiKey(("tenant", "state"), ("due", "rank", "price")))
BY_DIGEST = Index("GSI4", MultiKey("rank", "digest"))
TASK = EntityType(Task, "task", key=Key("TASK#{id}", "TASK"), indexes=[DUE, BY_DIGEST], scales={"price": 2})
OPEN = {"tenant": "t1", "state": State.OPEN}


@pytest.fixture
def db(engine: Engine, table_name: str) -> Iterator[Database]:
    """A database with tasks; skipped, by the name of its fault, on an engine without such keys."""
    if engine.name.startswith("dynoxide"):
        pytest.skip(f"first-key-attributes: {DYNOXIDE_FAULTS['first-key-attributes']}")
    with engine.open(table=table_name, entity_types=[TASK]) as db:
        yield db


# Declarations


class Odd(BaseModel):
    """Fields that cannot be parts of a key."""

    id: str
    flag: bool = False
    tags: frozenset[str] = frozenset()
    wait: timedelta = timedelta(0)
    both: int | str = 0
    null: str | None = "x"


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (MultiKey("flag"), "flag is stored as BOOL"),
        (MultiKey("id", "tags"), "tags is stored as SS"),
        (MultiKey("id", "wait"), "wait is stored as a text that does not sort as its values do"),
        (MultiKey("both"), "both is stored as N or S"),
        (MultiKey("null"), "null may be stored as NULL"),
        (MultiKey("nothing"), "the model has no stored field 'nothing'"),
    ],
)
def test_fields_that_cannot_be_keys_are_faults_of_the_type(key: MultiKey, fault: str) -> None:
    """Told when types are loaded."""
    [told] = EntityType(Odd, "odd", key=Key("ODD#{id}", "ODD"), indexes=[Index("GSI1", key)]).faults()

    assert told.startswith(f"index GSI1: {fault}")
    assert (
        () == EntityType(Odd, "odd", key=Key("O#{id}", "O"), indexes=[Index("GSI1", MultiKey("wait", "id"))]).faults()
    )


@pytest.mark.parametrize(
    ("partition", "sort"), [((), ()), ("abcde", ()), ("a", "abcde"), (("a", "b"), ("b",)), (("a", "a"), ())]
)
def test_a_key_has_one_to_four_and_up_to_four_fields(partition: Any, sort: Any) -> None:
    """Each once."""
    with pytest.raises(ConfigurationError, match="A key of several attributes"):
        MultiKey(list(partition), list(sort))


class Plain(BaseModel):
    id: str
    due: str = ""


class Cleared(BaseModel):
    id: str
    due: str | None = "x"


def of(model: type[BaseModel], name: str, *indexes: Index) -> EntityType[Any]:
    return EntityType(model, name, key=Key(f"{name.upper()}#{{id}}", "X"), indexes=indexes)


DATED = of(Plain, "dated", Index("GSI1", MultiKey("due")))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            of(Plain, "b", Index("GSI1", Key("D#{due}", "{id}"))),
            r"GSI1 is keyed by text templates here and by due \(S\) in",
        ),
        (of(Plain, "b", Index("GSI1", MultiKey("id"))), r"GSI1 is keyed by id \(S\) here and by due \(S\) in"),
        (of(Plain, "b", Index("GSI1", MultiKey("due"), "KEYS_ONLY")), "GSI1 has projection KEYS_ONLY here and ALL in"),
        (of(Cleared, "b"), "'due' has type S in the key of index GSI1 in .*, and is stored as NULL or S here"),
    ],
)
def test_plugins_that_disagree_on_a_slot_or_a_type_are_named(other: EntityType[Any], told: str) -> None:
    """Both of them, when they are loaded; DynamoDB would refuse the items of one of them."""
    pair = [Registered(DATED, "first", "acme-first", "1.0"), Registered(other, "second", "acme-second", "2.0")]
    with pytest.raises(PluginLoadError, match=told) as raised:
        check_entity_types(pair, {}, "app")

    assert "plugin first" in str(raised.value)
    assert "acme-second" in str(raised.value)
    check_entity_types([Registered(DATED), Registered(other)][:1], {}, "app")


def test_a_type_that_came_first_and_stores_the_attribute_otherwise_is_named() -> None:
    """The later one is at fault."""
    wrong = EntityType(Plain, "w", key=Key("W#{id}", "X"), indexes=[Index("GSI1", MultiKey("id", "due"))])
    stored_as_number = EntityType(
        Task, "n", key=Key("N#{id}", "X"), scales={"price": 0}, attributes={"rank": "late", "due": "x"}
    )
    clash = EntityType(
        Plain, "c", key=Key("C#{id}", "X"), attributes={"due": "late"}, indexes=[Index("GSI1", MultiKey("due"))]
    )

    check_entity_types([Registered(stored_as_number), Registered(wrong)], {}, "app")
    with pytest.raises(
        ConfigurationError, match="'late' has type S in the key of index GSI1 here, and is stored as N by 'n'"
    ):
        check_entity_types([Registered(stored_as_number), Registered(clash)], {}, "app")


# Tables, policies, requests


def test_an_engine_without_such_keys_is_refused_by_name(dynoxide: Dynoxide, table_name: str) -> None:
    """It would take the definition, describe it as asked for, and answer wrongly: told when tables are made."""
    types = [TASK]
    with (
        Database.connect(table=table_name, wire=network_wire(dynoxide.endpoint_url), entity_types=types) as db,
        pytest.raises(ConfigurationError) as raised,
    ):
        db.create_tables()

    told = str(raised.value)
    assert (
        f"Index GSI3 of table {table_name!r} has a key of several attributes (tenant, state, due, rank, price)" in told
    )
    assert "this engine uses the first ones alone" in told
    assert "Index(..., Key(...))" in told


def test_tables_are_made_compared_and_found_equal(db: Database) -> None:
    """Definition, CreateTable and DescribeTable agree, attribute for attribute."""
    db.create_tables()
    db.create_tables()

    assert () == db.diff_tables()
    [definition] = db.table_definitions()
    schema = {index.name: index.key for index in definition.indexes}["GSI3"]
    assert (("tenant", "S"), ("state", "S")) == schema.partitions
    assert (("due", "S"), ("rank", "N"), ("price", "N")) == schema.sorts


def test_drift_of_one_attribute_is_found(engine: Engine, table_name: str, db: Database) -> None:
    """Named with what is wanted and what is there."""
    db.create_tables()
    other = EntityType(
        Task,
        "task",
        key=TASK.key,
        scales={"price": 2},
        indexes=[Index("GSI3", MultiKey(("tenant", "state"), ("due", "price"))), BY_DIGEST],
    )
    with Database(db.wire, table=table_name, entity_types=[other]) as second:
        [drift] = second.diff_tables()
        with pytest.raises(ConfigurationError, match="index GSI3: key is tenant"):
            second.create_tables()

    assert "tenant (S), state (S) / due (S), price (N)" == drift.wanted
    assert "tenant (S), state (S) / due (S), rank (N), price (N)" == drift.found


def test_requests_are_what_dynamodb_takes() -> None:
    """Several HASH and RANGE elements; equality on all, the range last."""
    with Database.embedded(entity_types=[TASK]) as db:
        due = datetime(2026, 1, 1, tzinfo=UTC)
        query = db.dao(TASK).query(DUE, **OPEN, due=due).between(1, 2).request(limit=3)
    _, parameters = render(query)
    holders = parameters["ExpressionAttributeNames"]
    text = parameters["KeyConditionExpression"]
    for holder, name in holders.items():
        text = text.replace(holder, name)

    assert "tenant = :v0 AND state = :v1 AND due = :v2 AND rank BETWEEN :v3 AND :v4" == text
    assert {"N": "1"} == parameters["ExpressionAttributeValues"][":v3"]
    definition = rq.TableDefinition(
        name="app",
        key=rq.KeySchema("pk", "sk"),
        indexes=(rq.IndexDefinition("GSI3", TASK.mapped.native["GSI3"].schema),),
    )
    created = render(rq.CreateTable(definition=definition))[1]
    assert [("tenant", "HASH"), ("state", "HASH"), ("due", "RANGE"), ("rank", "RANGE"), ("price", "RANGE")] == [
        (each["AttributeName"], each["KeyType"]) for each in created["GlobalSecondaryIndexes"][0]["KeySchema"]
    ]
    exported = cloudformation_template([definition])["Resources"]["App"]["Properties"]
    assert created["GlobalSecondaryIndexes"] == exported["GlobalSecondaryIndexes"]
    [terraform] = terraform_configuration([definition])["resource"]["aws_dynamodb_table"]["App"][
        "global_secondary_index"
    ]
    assert "hash_key" not in terraform
    assert {"attribute_name": "price", "key_type": "RANGE"} == terraform["key_schema"][-1]


def test_the_installed_client_takes_the_definition() -> None:
    """botocore validates the request by its service model before it would be sent."""
    client = boto3.client("dynamodb", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    definition = rq.TableDefinition(
        name="app",
        key=rq.KeySchema("pk", "sk"),
        indexes=(rq.IndexDefinition("GSI3", TASK.mapped.native["GSI3"].schema),),
    )
    method, parameters = render(rq.CreateTable(definition=definition))
    with Stubber(client) as stub:
        stub.add_response(method, {}, parameters)
        getattr(client, method)(**parameters)

        stub.assert_no_pending_responses()


def test_a_policy_allows_the_queries_without_leading_keys(engine: Engine, table_name: str, db: Database) -> None:
    """A value of an attribute says nothing about whose it is: the index is allowed as a whole."""
    arns = Arns(region="eu-central-1", account="123456789012")
    policy = iam_policy(uses(TASK, "query", "create"), arns, table_of=lambda entity: table_name)
    guard = PolicyGuard(policy, arns)
    with engine.open(table=table_name, entity_types=[TASK], interceptors=[guard]) as guarded:
        guarded.dao(TASK).create(Task(id="a"))
        guarded.dao(TASK).query(DUE, **OPEN).all()
        guarded.dao(TASK).query(BY_DIGEST, rank=0).all()

    assert [] == [denied for denied in guard.denied if denied.startswith("Task.")]
    [statement] = [each for each in policy["Statement"] if each["Resource"].endswith("/index/GSI3")]
    assert "Condition" not in statement
