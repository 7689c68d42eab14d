"""Conditions, evaluated over an item as DynamoDB does.

A missing attribute makes every comparison false but ``<>``; values of different types are never equal and never in
order (Amazon DynamoDB Developer Guide, "Comparison operator and function reference").
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from common.dynamo.requests import (
    And,
    BeginsWith,
    Between,
    Compare,
    Condition,
    Constant,
    Contains,
    Exists,
    HasType,
    In,
    Not,
    NotExists,
    Operand,
    Or,
    Path,
    Size,
)
from common.dynamo.wire.embedded.values import Value, canonical_value, utf8_size

Document = Mapping[str, Value]


def holds(condition: Condition, item: Document) -> bool:
    """Return whether *condition* is true of *item*; a missing item is an empty one."""
    return _EVALUATORS[type(condition)](condition, item)


def find(path: Path, item: Document) -> Value | None:
    """Return the value at *path*, or ``None`` where there is none."""
    parts = path.parts
    value = item.get(parts[0])  # type: ignore[arg-type]  # the first part is always a name
    for part in parts[1:]:
        if value is None:
            return None
        value = _member(value, part)
    return value


def _member(value: Value, part: str | int) -> Value | None:
    if isinstance(part, int):
        elements = value.get("L")
        return elements[part] if elements is not None and part < len(elements) else None
    members = value.get("M")
    return None if members is None else members.get(part)


def operand_value(operand: Operand, item: Document) -> Value | None:
    """Return the value of *operand*, or ``None`` where its attribute is missing."""
    if isinstance(operand, Path):
        return find(operand, item)
    if isinstance(operand, Constant):
        return canonical_value(operand.value)[0]
    value = find(operand.path, item)
    length = None if value is None else _length(value)
    return None if length is None else {"N": str(length)}


def _length(value: Value) -> int | None:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content)
    if kind in ("B", "L", "M", "SS", "NS", "BS"):
        return len(content)
    return None


def equal(left: Value | None, right: Value | None) -> bool:
    """Return whether both are the same value of the same type; sets have no order."""
    if left is None or right is None:
        return False
    ((kind, content),) = left.items()
    if kind not in right:
        return False
    other = right[kind]
    if kind in ("SS", "NS", "BS"):
        return set(content) == set(other)
    if kind == "L":
        return len(content) == len(other) and all(map(equal, content, other))
    if kind == "M":
        return content.keys() == other.keys() and all(equal(member, other[name]) for name, member in content.items())
    return bool(content == other)


def sortable(value: Value | None) -> tuple[str, Any] | None:
    """Return type and an orderable content of a string, number or binary; ``None`` for all else."""
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind == "S":
        return kind, content.encode()
    if kind == "N":
        return kind, Decimal(content)
    return (kind, content) if kind == "B" else None


def _ordered(left: Value | None, right: Value | None, test: Callable[[Any, Any], bool]) -> bool:
    one, two = sortable(left), sortable(right)
    return one is not None and two is not None and one[0] == two[0] and test(one[1], two[1])


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _compare(condition: Compare, item: Document) -> bool:
    left, right = operand_value(condition.left, item), operand_value(condition.right, item)
    if condition.op == "=":
        return equal(left, right)
    if condition.op == "<>":
        return not equal(left, right)
    return _ordered(left, right, _ORDERS[condition.op])


def _between(condition: Between, item: Document) -> bool:
    value = operand_value(condition.operand, item)
    return _ordered(operand_value(condition.low, item), value, _ORDERS["<="]) and _ordered(
        value, operand_value(condition.high, item), _ORDERS["<="]
    )


def _in(condition: In, item: Document) -> bool:
    value = operand_value(condition.operand, item)
    return any(equal(value, operand_value(option, item)) for option in condition.options)


def _has_type(condition: HasType, item: Document) -> bool:
    value = find(condition.path, item)
    return value is not None and condition.type in value


def _begins_with(condition: BeginsWith, item: Document) -> bool:
    value, prefix = find(condition.path, item), operand_value(condition.prefix, item)
    if value is None or prefix is None:
        return False
    return any(kind in value and kind in prefix and value[kind].startswith(prefix[kind]) for kind in ("S", "B"))


def _contains(condition: Contains, item: Document) -> bool:
    value, member = find(condition.path, item), operand_value(condition.member, item)
    if value is None or member is None:
        return False
    ((kind, content),) = value.items()
    if kind == "L":
        return any(equal(element, member) for element in content)
    member_kind = kind[0] if kind in ("SS", "NS", "BS") else kind
    return kind in ("S", "B", "SS", "NS", "BS") and member_kind in member and member[member_kind] in content


_EVALUATORS: dict[type, Callable[[Any, Document], bool]] = {
    Compare: _compare,
    Between: _between,
    In: _in,
    Exists: lambda condition, item: find(condition.path, item) is not None,
    NotExists: lambda condition, item: find(condition.path, item) is None,
    HasType: _has_type,
    BeginsWith: _begins_with,
    Contains: _contains,
    And: lambda condition, item: all(holds(part, item) for part in condition.parts),
    Or: lambda condition, item: any(holds(part, item) for part in condition.parts),
    Not: lambda condition, item: not holds(condition.part, item),
}

__all__ = ["Document", "Size", "equal", "find", "holds", "operand_value", "sortable", "utf8_size"]
