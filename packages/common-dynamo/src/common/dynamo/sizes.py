"""How large items are, by DynamoDB's rules (Developer Guide, "DynamoDB item sizes and formats")."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from common.dynamo.requests import AttributeValue, Item

__all__ = ["ITEM_LIMIT", "TRANSACTION_LIMIT", "item_size", "value_size"]

ITEM_LIMIT: Final = 400 * 1024
"""Bytes of an item, at most, names included."""
TRANSACTION_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of all items of a transaction, at most."""
NESTING_LIMIT: Final = 31
"""Lists and maps within each other, at most; with what they hold, DynamoDB's 32 levels (Developer Guide, "Quotas")."""


def item_size(item: Item) -> int:
    """Return the size of *item* in bytes: names in UTF-8 and values.

    A number counts as half of its digits plus 2, which is never below what DynamoDB charges for it.

    Raises:
        ValueError: Lists and maps are nested too deeply to be stored.
    """
    total = 0
    for name, value in item.items():  # most attributes need no call
        total += len(name)
        if (text := value.get("S")) is not None and text.isascii():
            total += len(text)
        elif (number := value.get("N")) is not None:
            total += len(number) // 2 + 2
        elif "BOOL" in value:
            total += 1
        else:
            total += value_size(value)
    return total


def value_size(value: AttributeValue, levels: int = NESTING_LIMIT) -> int:
    """Return the size of one attribute value in bytes.

    Args:
        value: To measure.
        levels: How many lists and maps it may still consist of, one within the other.

    Raises:
        ValueError: There are more.
    """
    ((tag, content),) = value.items()
    if tag == "L" or tag == "M":
        if levels == 0:
            raise ValueError("lists and dicts are nested over DynamoDB's 32 levels")
        return _list_size(content, levels - 1) if tag == "L" else _map_size(content, levels - 1)
    return _SIZES[tag](content)


def _text_size(content: Any) -> int:
    return len(content) if content.isascii() else len(content.encode())


def _number_size(content: Any) -> int:
    return len(content) // 2 + 2


def _list_size(content: Any, levels: int) -> int:
    size = 3
    for member in content:
        text = member.get("S")
        size += 1 + (len(text) if text is not None and text.isascii() else value_size(member, levels))
    return size


def _map_size(content: Any, levels: int) -> int:
    size = 3
    for name, member in content.items():
        text = member.get("S")
        size += 1 + (len(name) if name.isascii() else _text_size(name))
        size += len(text) if text is not None and text.isascii() else value_size(member, levels)
    return size


_SIZES: Final[Mapping[str, Callable[[Any], int]]] = {
    "S": _text_size,
    "N": _number_size,
    "B": len,
    "BOOL": lambda content: 1,
    "NULL": lambda content: 1,
    "SS": lambda content: sum(map(_text_size, content)),
    "NS": lambda content: sum(map(_number_size, content)),
    "BS": lambda content: sum(map(len, content)),
}
