"""Least-privilege policies (D46): they allow what a service does, and nothing else."""

import json
from typing import Any, Protocol

import pytest
from pydantic import BaseModel

from common.dynamo import Call, EntityType, Key
from common.dynamo.access import TABLE_PATTERNS, select
from common.dynamo.dao.access_patterns import LEDGER_PATTERNS
from common.dynamo.entity_access import uses
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.testing.policy import Demand, allows, demands_of
from common.exceptions import ConfigurationError


class Day(Protocol):
    """What these tests use of the fixture."""

    calls: tuple[Call, ...]
    table: str
    inventory: str


ARNS = Arns(region="eu-central-1", account="123456789012")


def table_of(entity: EntityType[Any]) -> str:
    """Bind the groups to two tables."""
    return "app-inventory" if entity.group == "inventory" else "app"


def policy_of(*wanted: str) -> dict[str, Any]:
    """Return the policy of some of the ledger's patterns."""
    return iam_policy(select(LEDGER_PATTERNS, *wanted), ARNS, table_of=table_of)


def test_each_call_of_a_whole_day_is_allowed_by_the_policy_of_its_pattern_alone(day: Day) -> None:
    """Every method of every DAO in every course, judged by a policy of that one pattern."""
    tables = {"ledger": day.table, "inventory": day.inventory}
    policies = {
        pattern: iam_policy(select(LEDGER_PATTERNS, pattern), ARNS, table_of=lambda entity: tables[entity.group])
        for pattern in {call.pattern for call in day.calls}
    }

    denied = [
        f"{call.pattern}: {demand}"
        for call in day.calls
        for demand in demands_of(call.request)
        if not allows(policies[call.pattern], demand, ARNS)
    ]

    assert len(policies) == len({row.name for row in LEDGER_PATTERNS})
    assert [] == denied


def test_a_policy_looks_like_this() -> None:
    """One statement per resource and set of partitions: exact actions, exact resources, literal key prefixes."""
    policy = policy_of("BalanceDAO.deposit", "AssetTransactionDAO.history", "AssetDAO.*")
    app, inventory = (f"arn:aws:dynamodb:eu-central-1:123456789012:table/{name}" for name in ("app", "app-inventory"))

    assert "2012-10-17" == policy["Version"]
    assert [
        statement("AppGetItemPutItemUpdateItem", app, ["U#*"], "GetItem", "PutItem", "UpdateItem"),
        statement("AppInventoryGetItem", inventory, ["ASSETS", "PX#*"], "GetItem"),
        statement("AppInventoryPutItemQuery", inventory, ["ASSETS"], "PutItem", "Query"),
        statement("AppInventoryUpdateItem", inventory, ["PX#*"], "UpdateItem"),
        statement("AppGSI1Query", f"{app}/index/GSI1", ["U#*#A#*"], "Query"),
    ] == policy["Statement"]


def statement(sid: str, resource: str, keys: list[str], *actions: str) -> dict[str, Any]:
    """Return a statement that allows *actions* in the partitions *keys*."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in actions],
        "Resource": resource,
        "Condition": {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys},
            "Null": {"dynamodb:LeadingKeys": "false"},
        },
    }


@pytest.mark.parametrize(
    "demand",
    [
        pytest.param(Demand("dynamodb:PutItem", "app", None, ("EM#alice@example.org",)), id="another prefix"),
        pytest.param(Demand("dynamodb:PutItem", "app", None, ("U#alice", "EM#x")), id="one prefix among others"),
        pytest.param(Demand("dynamodb:PutItem", "app", None, ("AU#alice",)), id="a prefix that ends alike"),
        pytest.param(Demand("dynamodb:PutItem", "other", None, ("U#alice",)), id="another table"),
        pytest.param(Demand("dynamodb:PutItem", "app-inventory", None, ("U#alice",)), id="another table of the ledger"),
        pytest.param(Demand("dynamodb:DeleteItem", "app", None, ("U#alice",)), id="another action"),
        pytest.param(Demand("dynamodb:Scan", "app"), id="a scan"),
        pytest.param(Demand("dynamodb:PutItem", "app"), id="no key at all"),
        pytest.param(Demand("dynamodb:Query", "app", "GSI2", ("U#alice#A#BTC",)), id="another index"),
        pytest.param(Demand("dynamodb:Query", "app", "GSI1", ("U#alice#QUEUED",)), id="another use of the index"),
        pytest.param(Demand("dynamodb:DeleteTable", "app"), id="an action on the table"),
    ],
)
def test_what_is_not_of_the_service_is_not_allowed(demand: Demand) -> None:
    """A service of deposits and trades reaches no other prefix, table, index or action."""
    assert not allows(policy_of("BalanceDAO.*", "AssetTransactionDAO.*"), demand, ARNS)


def test_it_is_not_allowed_in_another_account_or_region() -> None:
    """Resources are whole names."""
    policy, demand = policy_of("BalanceDAO.*"), Demand("dynamodb:PutItem", "app", None, ("U#alice",))

    assert allows(policy, demand, ARNS)
    assert not allows(policy, demand, Arns(region="eu-central-1", account="999999999999"))
    assert not allows(policy, demand, Arns(region="eu-west-1", account="123456789012"))


def test_the_policy_of_the_whole_ledger_has_no_wildcard_action_and_fits() -> None:
    """Every statement names actions and one resource, and is limited to partitions; a managed policy has 6,144 characters."""
    policy = policy_of()
    actions = [action for each in policy["Statement"] for action in each["Action"]]

    assert [] == [action for action in actions if "*" in action or not action.startswith("dynamodb:")]
    assert [] == [each for each in policy["Statement"] if "*" in each["Resource"] or "Condition" not in each]
    assert len({each["Sid"] for each in policy["Statement"]}) == len(policy["Statement"])
    assert len("".join(json.dumps(policy).split())) < 6144


def test_transactions_need_the_actions_of_their_parts() -> None:
    """There is no action called TransactWriteItems."""
    actions = {action for each in policy_of("UserDAO.change_email")["Statement"] for action in each["Action"]}

    assert {"dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem", "dynamodb:GetItem"} == actions


def test_patterns_about_tables_are_allowed_on_each_table() -> None:
    """The health check describes every table; no key is involved."""
    policy = iam_policy(select(TABLE_PATTERNS, "Health.tables"), ARNS, table_of=table_of, tables=["app", "other"])

    assert [("AppDescribeTable", ["dynamodb:DescribeTable"]), ("OtherDescribeTable", ["dynamodb:DescribeTable"])] == [
        (each["Sid"], each["Action"]) for each in policy["Statement"]
    ]
    assert allows(policy, Demand("dynamodb:DescribeTable", "other"), ARNS)


# Templates ------------------------------------------------------------------------------------------------------------


class Thing(BaseModel):
    """A model for keys of all shapes."""

    id: str


def keys_of(*partitions: str) -> list[str] | None:
    """Return the leading keys that reads of types with these partition keys are limited to."""
    types = [EntityType(Thing, f"thing-{text}", key=Key(text, "THING")) for text in partitions]
    policy = iam_policy([row for each in types for row in uses(each, "get")], ARNS, table_of=lambda entity: "app")
    [only] = policy["Statement"]
    condition = only.get("Condition")
    return None if condition is None else condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]


@pytest.mark.parametrize(
    ("partitions", "keys"),
    [
        (["A#{id}"], ["A#*"]),
        (["A#{id}#B#{id}"], ["A#*#B#*"]),
        (["FIXED"], ["FIXED"]),
        (["B#{id}", "A#{id}"], ["A#*", "B#*"]),
        (["A#{id}", "A#{id}#B#{id}", "A#FIXED"], ["A#*"]),
        (["AB#{id}", "A#{id}"], ["A#*", "AB#*"]),
        (["50%*?$#{id}"], ["50%${*}${?}${$}#*"]),
        (["{id}"], None),
        (["A#{id}", "{id}"], None),
    ],
)
def test_leading_keys_are_what_templates_say_literally(partitions: list[str], keys: list[str] | None) -> None:
    """Components stand for anything, what another pattern covers is left out, and special characters are meant as such."""
    assert keys == keys_of(*partitions)


def test_what_is_escaped_matches_itself_alone() -> None:
    """A star in a key template is a star in the policy."""
    star = EntityType(Thing, "star", key=Key("*#{id}", "THING"))
    policy = iam_policy(uses(star, "get"), ARNS, table_of=lambda entity: "app")

    assert allows(policy, Demand("dynamodb:GetItem", "app", None, ("*#1",)), ARNS)
    assert not allows(policy, Demand("dynamodb:GetItem", "app", None, ("A#1",)), ARNS)


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_partition_follows_from_the_region(region: str, partition: str) -> None:
    """Unless it is given."""
    assert f"arn:{partition}:dynamodb:{region}:123456789012:table/app" == Arns(
        region=region, account="123456789012"
    ).table("app")
    assert Arns(region=region, account="123456789012", partition="aws-iso").table("a").startswith("arn:aws-iso:")


@pytest.mark.parametrize(("region", "account"), [("Frankfurt", "123456789012"), ("eu-central-1", "1234")])
def test_what_is_no_region_or_account_is_refused(region: str, account: str) -> None:
    """A policy with a wrong resource would allow nothing."""
    with pytest.raises(ConfigurationError):
        Arns(region=region, account=account)


def test_a_policy_of_nothing_is_refused() -> None:
    """AWS would refuse it too."""
    with pytest.raises(ConfigurationError, match="nothing that a policy could allow"):
        iam_policy([], ARNS, table_of=table_of)


@pytest.mark.parametrize(
    "changed",
    [{"Effect": "Deny"}, {"Action": ["dynamodb:*"]}, {"NotAction": []}, {"Condition": {"StringEquals": {}}}],
)
def test_a_policy_that_cannot_be_judged_is_not_guessed_at(changed: dict[str, Any]) -> None:
    """The judge knows what this package writes, and says so about the rest."""
    [first, *_] = policy_of("BalanceDAO.get")["Statement"]
    policy = {"Statement": [first | changed]}

    with pytest.raises(ValueError, match="cannot be judged"):
        allows(policy, Demand("dynamodb:GetItem", "app", None, ("U#alice",)), ARNS)
