"""Holding calls to an IAM policy: what each request needs, and whether a policy document allows it.

It judges as AWS documents it, for what :func:`common.dynamo.iam.iam_policy` writes: statements that allow, exact actions
and resources, ``ForAllValues:StringLike`` and ``Null`` conditions. Anything else in a policy is refused, not guessed at.

    >>> from common.dynamo import Database
    >>> from common.dynamo.iam import Arns, iam_policy
    >>> from common.dynamo.entity_access import uses
    >>> from common.dynamo.testing.examples import NOTE, Note
    >>> where = Arns(region="eu-central-1", account="123456789012")
    >>> guard = PolicyGuard(iam_policy(uses(NOTE, "get"), where, table_of=lambda entity: "app"), where)
    >>> with Database.embedded(interceptors=[guard]) as db:
    ...     _ = db.dao(NOTE).get("n1")
    ...     _ = db.dao(NOTE).create(Note(id="n1", text="remember"))
    >>> [denied for denied in guard.denied if denied.startswith("Note.")]  # the tables are made by the first call
    ['Note.create: dynamodb:PutItem on table/app, NOTE#n1']
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.dynamo import requests as rq
from common.dynamo.iam import Arns
from common.dynamo.interceptors import Call
from common.dynamo.layout import PARTITION
from common.dynamo.requests import Item, Request

__all__ = ["Demand", "PolicyGuard", "allows", "demands_of"]

_LEADING_KEYS: Final = "dynamodb:LeadingKeys"
_PARTS: Final[Mapping[type, str]] = {
    rq.PutItem: "PutItem",
    rq.UpdateItem: "UpdateItem",
    rq.DeleteItem: "DeleteItem",
    rq.ConditionCheck: "ConditionCheckItem",
    rq.GetItem: "GetItem",
}


@dataclass(frozen=True, slots=True)
class Demand:
    """One permission that a request needs."""

    action: str
    """Such as ``dynamodb:GetItem``."""
    table: str
    index: str | None = None
    leading_keys: tuple[str, ...] | None = None
    """The partition keys that the request names; ``None`` for a request about the table itself."""

    def __str__(self) -> str:
        resource = f"table/{self.table}" + (f"/index/{self.index}" if self.index else "")
        return f"{self.action} on {resource}" + (f", {', '.join(self.leading_keys)}" if self.leading_keys else "")


def demands_of(request: Request) -> Iterator[Demand]:
    """Yield what AWS checks before it executes *request*; a transaction needs what its parts need."""
    if isinstance(request, rq.TransactWriteItems | rq.TransactGetItems):
        for part in request.parts:
            yield _of_item(_PARTS[type(part)], part)
    elif isinstance(request, rq.PutItem | rq.UpdateItem | rq.DeleteItem | rq.GetItem):
        yield _of_item(request.operation, request)
    elif isinstance(request, rq.Query):
        yield Demand("dynamodb:Query", request.table, request.index, (_leading(request.key),))
    elif isinstance(request, rq.BatchGetItem):
        for table, keys in request.keys.items():
            yield Demand("dynamodb:BatchGetItem", table, None, _partitions(keys))
    elif isinstance(request, rq.BatchWriteItem):
        for table, writes in request.writes.items():
            yield Demand("dynamodb:BatchWriteItem", table, None, _partitions(map(_key_of, writes)))
    else:
        yield Demand(f"dynamodb:{request.operation}", getattr(request, "table", None) or "*")


def _leading(key: rq.KeyCondition) -> str:
    ((_, content),) = key.partition.items()
    return str(content)


def _of_item(action: str, part: Any) -> Demand:
    return Demand(f"dynamodb:{action}", part.table, None, _partitions([_key_of(part)]))


def _key_of(part: Any) -> Item:
    item: Item = part.item if isinstance(part, rq.PutItem) else part.key
    return item


def _partitions(items: Iterable[Item]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(item[PARTITION]["S"]) for item in items))


def allows(policy: Mapping[str, Any], demand: Demand, arns: Arns) -> bool:
    """Tell whether some statement of *policy* allows *demand*.

    Raises:
        ValueError: The policy holds what this cannot judge.
    """
    return any(_applies(statement, demand, arns) for statement in policy["Statement"])


def _applies(statement: Mapping[str, Any], demand: Demand, arns: Arns) -> bool:
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown or statement["Effect"] != "Allow" or any("*" in name for name in statement["Action"]):
        raise ValueError(f"a statement with {unknown or 'another effect or a wildcard action'} cannot be judged")
    resource = arns.table(demand.table, demand.index)
    if demand.action not in statement["Action"] or resource != statement["Resource"]:
        return False
    condition = statement.get("Condition")
    return condition is None or _holds(condition, demand.leading_keys)


def _holds(condition: Mapping[str, Mapping[str, Any]], keys: Sequence[str] | None) -> bool:
    if condition.keys() != {"ForAllValues:StringLike", "Null"}:
        raise ValueError(f"the condition operators {sorted(condition)} cannot be judged")
    patterns = [_pattern(each) for each in condition["ForAllValues:StringLike"][_LEADING_KEYS]]
    is_required = condition["Null"] == {_LEADING_KEYS: "false"}
    if keys is None:
        return not is_required
    return all(any(pattern.fullmatch(key) for pattern in patterns) for key in keys)


def _pattern(text: str) -> re.Pattern[str]:
    """Return what a StringLike text matches: ``*`` anything, ``?`` one character, ``${*}`` a star itself."""
    parts = re.split(r"(\$\{[*?$]\}|[*?])", text)
    meanings = {"*": ".*", "?": "."}
    return re.compile(
        "".join(meanings.get(part) or re.escape(re.sub(r"\$\{(.)\}", r"\1", part)) for part in parts), re.DOTALL
    )


class PolicyGuard:
    """An interceptor that notes which calls a policy would not allow. The calls go on."""

    def __init__(self, policy: Mapping[str, Any], arns: Arns) -> None:
        """Judge by *policy*, with tables at *arns*."""
        self.denied: list[str] = []
        """``<pattern>: <demand>`` of each denied one, in order."""
        self.seen = 0
        """Requests judged."""
        self._policy = policy
        self._arns = arns

    def allows(self, demand: Demand) -> bool:
        """Tell whether the policy allows *demand*."""
        return allows(self._policy, demand, self._arns)

    def on_request(self, call: Call, /) -> None:
        """Judge the request."""
        self.seen += 1
        self.denied += [f"{call.pattern}: {each}" for each in demands_of(call.request) if not self.allows(each)]

    def on_result(self, call: Call, result: Any, /) -> None:
        """Do nothing."""

    def on_error(self, call: Call, error: BaseException, /) -> None:
        """Do nothing."""
