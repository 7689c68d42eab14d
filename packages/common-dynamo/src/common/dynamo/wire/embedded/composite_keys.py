"""Key conditions on an index whose key has several attributes.

A query names every attribute of the partition key, then those of the sort key from the left, all of them by equality but
the last one, which may be a range (Developer Guide, "Multi-attribute keys pattern").
"""

from collections.abc import Mapping
from typing import Any

from common.dynamo.requests import KeyAttribute, KeyCondition, KeySchema, SortCondition
from common.dynamo.wire.embedded.keys import PART_END, composite, escaped, scalar_bytes, successor
from common.dynamo.wire.embedded.refusal import invalid
from common.dynamo.wire.embedded.values import canonical_value

__all__ = ["partition_bytes", "sort_bounds"]


def partition_bytes(schema: KeySchema, key: KeyCondition) -> bytes:
    """Return the partition that *key* names.

    Raises:
        Refused: An attribute of the partition key is not named, or a value is of another type.
    """
    given = _given(key)
    for name, _ in schema.partitions:
        if name not in given:
            raise invalid(f"Query condition missed key schema element: {name}")
    return composite(_value(given[name], kind) for name, kind in schema.partitions)


def sort_bounds(schema: KeySchema, key: KeyCondition) -> tuple[bytes, bytes | None]:
    """Return the least bytes of the sort keys that *key* lets through, and the least above them, if anything is.

    Raises:
        Refused: It names sort attributes other than from the left, or a value is of another type or out of order.
    """
    given = _given(key)
    equal = [name for name, _ in schema.sorts if name in given]
    names = [name for name, _ in schema.sorts[: len(equal)]]
    unknown = given.keys() - {name for name, _ in (*schema.partitions, *schema.sorts)}
    if equal != names or unknown:
        raise invalid("Query key condition not supported")
    prefix = composite(_value(given[name], kind) for name, kind in schema.sorts[: len(equal)])
    if key.sort is None:
        return prefix, successor(prefix) if prefix else None
    following = schema.sorts[len(equal) : len(equal) + 1]
    if not following or following[0][0] != key.sort_name:
        raise invalid("Query key condition not supported")
    return _range(prefix, following[0], key.sort)


def _given(key: KeyCondition) -> dict[str, Mapping[str, Any]]:
    return {key.partition_name: key.partition, **dict(key.others)}


def _range(prefix: bytes, attribute: KeyAttribute, sort: SortCondition) -> tuple[bytes, bytes | None]:
    _, kind = attribute
    end = successor(prefix) if prefix else None
    low = prefix + escaped(_value(sort.value, kind, empty=sort.op == "begins_with"))
    above = successor(low + PART_END)
    if sort.op == "begins_with":
        if kind == "N":
            raise invalid(
                "Invalid KeyConditionExpression: Incorrect operand type for operator or function: begins_with, N"
            )
        return low, successor(low)
    if sort.op == "between":
        high = prefix + escaped(_value(sort.upper or {}, kind))
        if low + PART_END > high + PART_END:
            raise invalid("Invalid KeyConditionExpression: The BETWEEN operator requires upper bound above lower bound")
        return low + PART_END, successor(high + PART_END)
    ranges = {
        "=": (low + PART_END, above),
        "<": (prefix, low + PART_END),
        "<=": (prefix, above),
        ">": (above or low, end),
        ">=": (low + PART_END, end),
    }
    return ranges[sort.op]


def _value(value: Mapping[str, Any], kind: str, *, empty: bool = False) -> bytes:
    stored, _ = canonical_value(value)
    if kind not in stored:
        raise invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
    content = scalar_bytes(kind, stored[kind])
    if not content and not empty:
        raise invalid("The AttributeValue for a key attribute cannot contain an empty value.")
    return content
