"""Attribute values: checked, canonical and measured, in one walk."""

from collections.abc import Callable, Mapping
from typing import Any

from common.dynamo.wire.embedded import number
from common.dynamo.wire.embedded.refusal import Refused, invalid

MAX_ITEM_BYTES = 400 * 1024
MAX_DEPTH = 31
"""Lists and maps within each other; with what they hold, DynamoDB's 32 levels."""

Value = dict[str, Any]
"""An attribute value in canonical form, made of plain dicts and lists."""
Stored = dict[str, Value]
"""An item in canonical form."""

_WRONG_SHAPE = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"


def utf8_size(text: str) -> int:
    """Return the length of *text* in UTF-8 bytes."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise invalid("One or more parameter values were invalid: a string is not valid Unicode") from None


def canonical_item(item: Mapping[str, Mapping[str, Any]]) -> tuple[Stored, int]:
    """Return *item* in canonical form, and its size in bytes: names and values, without storage overhead."""
    total = 0
    stored: Stored = {}
    for name, value in item.items():
        stored[name], size = canonical_value(value)
        total += utf8_size(name) + size
    return stored, total


def canonical_value(value: Mapping[str, Any], depth: int = 0) -> tuple[Value, int]:
    """Return *value* in canonical form, and its size in bytes.

    Raises:
        Refused: Not one of DynamoDB's ten types, an empty set, a member twice, a number out of range, too deep.
    """
    try:
        ((kind, content),) = value.items()
    except (AttributeError, ValueError):
        raise invalid(_WRONG_SHAPE) from None
    check = _CHECKS.get(kind)
    if check is None:
        raise invalid(_WRONG_SHAPE)
    try:
        content, size = check(content, depth)
    except (TypeError, AttributeError):
        raise invalid(
            f"One or more parameter values were invalid: the content of type {kind} has another form"
        ) from None
    return {kind: content}, size


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the size in bytes of an item that is in canonical form."""
    return sum(utf8_size(name) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """Return the size in bytes of a value that is in canonical form."""
    text = value.get("S")
    if text is not None:
        return utf8_size(text)
    digits = value.get("N")
    return number.size(digits) if digits is not None else canonical_value(value)[1]


def _text(content: str, _depth: int) -> tuple[str, int]:
    return content, utf8_size(content)


def _number(content: str, _depth: int) -> tuple[str, int]:
    content = number.canonical(content)
    return content, number.size(content)


def _binary(content: bytes, _depth: int) -> tuple[bytes, int]:
    content = bytes(memoryview(content))
    return content, len(content)


def _boolean(content: bool, _depth: int) -> tuple[bool, int]:
    if not isinstance(content, bool):
        raise TypeError
    return content, 1


def _null(content: bool, _depth: int) -> tuple[bool, int]:
    if content is not True:
        raise invalid(
            "One or more parameter values were invalid: Null attribute value types must have the value of true"
        )
    return True, 1


def _list(content: list[Any], depth: int) -> tuple[list[Value], int]:
    _check_depth(depth)
    members = [canonical_value(member, depth + 1) for member in content]
    return [value for value, _ in members], 3 + sum(size + 1 for _, size in members)


def _map(content: Mapping[str, Any], depth: int) -> tuple[Stored, int]:
    _check_depth(depth)
    members = {name: canonical_value(member, depth + 1) for name, member in content.items()}
    total = 3 + sum(utf8_size(name) + size + 1 for name, (_, size) in members.items())
    return {name: value for name, (value, _) in members.items()}, total


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise invalid("Nesting Levels have exceeded supported limits")


def _set_of(check: Callable[[Any, int], tuple[Any, int]], name: str) -> Callable[[Any, int], tuple[list[Any], int]]:
    def check_set(content: list[Any], _depth: int) -> tuple[list[Any], int]:
        if isinstance(content, str | bytes):
            raise TypeError
        members = [check(member, 0) for member in content]
        if not members:
            raise invalid(f"One or more parameter values were invalid: An {name} set  may not be empty")
        if len({member for member, _ in members}) != len(members):
            raise invalid("One or more parameter values were invalid: Input collection contains duplicates")
        return [member for member, _ in members], sum(size for _, size in members)

    return check_set


_CHECKS: dict[str, Callable[[Any, int], tuple[Any, int]]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "L": _list,
    "M": _map,
    "SS": _set_of(_text, "string"),
    "NS": _set_of(_number, "number"),
    "BS": _set_of(_binary, "binary"),
}

__all__ = [
    "MAX_ITEM_BYTES",
    "Refused",
    "Stored",
    "Value",
    "canonical_item",
    "canonical_value",
    "item_size",
    "utf8_size",
    "value_size",
]
