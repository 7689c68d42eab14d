"""Least-privilege IAM policies, made of access patterns. Pure.

A policy allows exactly the actions, on exactly the tables and indexes, in exactly the partitions that the patterns touch.
``TransactWriteItems`` is no action of IAM: a transaction needs the actions of its parts (Amazon DynamoDB Developer Guide,
"Using IAM with DynamoDB transactions"). Partitions are limited by ``dynamodb:LeadingKeys`` to what key templates say
literally, so a service cannot touch the items of another one in the same table.

>>> from pydantic import BaseModel
>>> from common.dynamo import EntityType, Key
>>> from common.dynamo.entity_access import uses
>>> class Note(BaseModel):
...     id: str
>>> NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))
>>> where = Arns(region="eu-central-1", account="123456789012")
>>> [statement] = iam_policy(uses(NOTE, "get"), where, table_of=lambda entity: "app")["Statement"]
>>> statement["Action"], statement["Resource"]
(['dynamodb:GetItem'], 'arn:aws:dynamodb:eu-central-1:123456789012:table/app')
>>> statement["Condition"]["ForAllValues:StringLike"]
{'dynamodb:LeadingKeys': ['NOTE#*']}
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from common.dynamo.access import AccessPattern, Touch, Trip, Verb
from common.dynamo.entity_type import EntityType
from common.dynamo.keys import Template
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["Arns", "iam_policy"]

_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ACCOUNT: Final = re.compile(r"\d{12}")
_PARTITIONS: Final = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))
_BATCHES: Final = frozenset({"BatchGetItem", "BatchWriteItem"})
_ITEM_ACTIONS: Final = {
    Verb.GET: "GetItem",
    Verb.QUERY: "Query",
    Verb.SCAN: "Scan",
    Verb.PUT: "PutItem",
    Verb.UPDATE: "UpdateItem",
    Verb.DELETE: "DeleteItem",
    Verb.CHECK: "ConditionCheckItem",
}
_LEADING_KEYS: Final = "dynamodb:LeadingKeys"

_Keys: TypeAlias = frozenset[Template]
"""The partitions that an action is limited to; empty for an action on the table as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arns:
    """Where tables are: what their Amazon resource names begin with."""

    region: str
    account: str
    """12 digits."""
    partition: str = ""
    """``aws``, ``aws-cn``, ...; made of the region where nothing is said."""

    def __post_init__(self) -> None:
        if not _REGION.fullmatch(self.region):
            raise ConfigurationError(f"{self.region!r} is no AWS region; give one such as eu-central-1.")
        if not _ACCOUNT.fullmatch(self.account):
            raise ConfigurationError(
                "An AWS account is a number of 12 digits; `aws sts get-caller-identity` shows your own."
            )
        if not self.partition:
            found = (partition for prefix, partition in _PARTITIONS if self.region.startswith(prefix))
            object.__setattr__(self, "partition", next(found, "aws"))

    def table(self, name: str, index: str | None = None) -> str:
        """Return the name of a table, or of an index of it."""
        arn = f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table/{name}"
        return arn if index is None else f"{arn}/index/{index}"


def iam_policy(
    patterns: Iterable[AccessPattern],
    arns: Arns,
    *,
    table_of: Callable[[EntityType[Any]], str],
    tables: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the policy document that allows *patterns* and nothing else.

    Args:
        patterns: What a service does.
        arns: Where its tables are.
        table_of: The table of each entity type.
        tables: The tables that patterns without items, such as ``Health.tables``, are about.

    Raises:
        ConfigurationError: There is nothing to allow.
    """
    needs: dict[str, dict[str, set[Template]]] = {}
    for pattern in patterns:
        for trip in pattern.all_trips:
            for arn, action, keys in _needs(trip, arns, table_of, tuple(tables)):
                needs.setdefault(arn, {}).setdefault(action, set()).update(keys)
    if not needs:
        raise ConfigurationError("No access pattern was chosen, so there is nothing that a policy could allow.")
    statements = [statement for arn in sorted(needs) for statement in _statements(arn, needs[arn])]
    return {"Version": "2012-10-17", "Statement": statements}


def _needs(
    trip: Trip, arns: Arns, table_of: Callable[[EntityType[Any]], str], tables: tuple[str, ...]
) -> Iterable[tuple[str, str, _Keys]]:
    """Yield resource, action and partitions of each thing that *trip* touches."""
    if not trip.touches:
        for table in tables:
            yield arns.table(table), trip.operation, frozenset()
    for touch in trip.touches:
        index = None if touch.index is None else touch.index.name
        # A scan names no partition, so no condition on partitions would ever let it through.
        keys: _Keys = frozenset() if touch.verb is Verb.SCAN else frozenset({touch.partition})
        yield arns.table(table_of(touch.entity), index), _action(trip, touch), keys


def _action(trip: Trip, touch: Touch) -> str:
    return trip.operation if trip.operation in _BATCHES else _ITEM_ACTIONS[touch.verb]


# Statements -----------------------------------------------------------------------------------------------------------


def _statements(arn: str, actions: Mapping[str, set[Template]]) -> Iterable[dict[str, Any]]:
    """Yield one statement per set of partitions, with all actions that are limited to it."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for action, templates in sorted(actions.items()):
        alike.setdefault(_leading_keys(templates), []).append(action)
    for keys, names in alike.items():
        statement: dict[str, Any] = {
            "Sid": _sid(arn, names),
            "Effect": "Allow",
            "Action": [f"dynamodb:{name}" for name in names],
            "Resource": arn,
        }
        if keys and keys != ("*",):
            # ForAllValues holds for a request without any key, so that is asked for as well (IAM User Guide, "Multivalued
            # context keys").
            statement["Condition"] = {
                "ForAllValues:StringLike": {_LEADING_KEYS: list(keys)},
                "Null": {_LEADING_KEYS: "false"},
            }
        yield statement


def _sid(arn: str, actions: Iterable[str]) -> str:
    """Return an id of letters and digits: the table, the index, the actions."""
    resource = arn.rpartition(":table/")[2].replace("/index/", "-")
    words = [word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", resource)]
    return "".join((*words, *actions))


def _leading_keys(templates: Iterable[Template]) -> tuple[str, ...]:
    """Return the patterns of the partition keys that *templates* make, without those that another one covers."""
    shapes = sorted({template.literals for template in templates})
    kept = [shape for shape in shapes if not any(other != shape and _covers(other, shape) for other in shapes)]
    return tuple("*".join(map(_literally, shape)) for shape in kept)


def _covers(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """Tell whether every key of *narrow* is one of *wide*: its components stand for anything, so for a character too."""
    return re.fullmatch(".*".join(map(re.escape, wide)), "\0".join(narrow), re.DOTALL) is not None


def _literally(literal: str) -> str:
    """Escape what a policy would not take literally (IAM User Guide, "Policy variables", special characters)."""
    return re.sub(r"[*?$]", lambda match: f"${{{match[0]}}}", literal)
