"""The last requests that changed an item, kept in the item itself, so that a repeat finds itself.

Pure. For items that are rewritten in place and have no journal: profiles and prices. Each change shifts a row of
attributes by one in the update expression, whose right-hand sides all mean the item as it was (Amazon DynamoDB
Developer Guide, "Update expressions"); so it takes no read, and no second item. A repeat is recognised until
:data:`REMEMBERED` other changes have come after it; journals and orders remember for ever.
"""

from itertools import pairwise
from typing import Final

from common.dynamo.requests import And, BeginsWith, Condition, Constant, IfNotExists, Item, Not, Path, SetValue

__all__ = ["REMEMBERED", "first_request", "input_of", "is_new_request", "remember"]

REMEMBERED: Final = 8
"""How many requests an item remembers."""

_SLOTS: Final = tuple(Path((f"r{position}",)) for position in range(REMEMBERED))
_NOTHING: Final = Constant({"S": "-"})
_SHIFTS: Final[tuple[tuple[Path, SetValue], ...]] = tuple(
    (older, IfNotExists(newer, _NOTHING)) for newer, older in pairwise(_SLOTS)
)


def first_request(request: str, input_hash: str) -> Item:
    """Return the attributes of a new item that *request* makes."""
    return {"r0": {"S": f"{request}#{input_hash}"}}


def remember(request: str, input_hash: str) -> tuple[tuple[Path, SetValue], ...]:
    """Return the SET actions that put *request* in front and drop the oldest."""
    return ((_SLOTS[0], Constant({"S": f"{request}#{input_hash}"})), *_SHIFTS)


def is_new_request(request: str) -> Condition:
    """Return the condition that *request* is not among those remembered."""
    prefix = Constant({"S": f"{request}#"})
    return And(tuple(Not(BeginsWith(slot, prefix)) for slot in _SLOTS))


def input_of(request: str, item: Item) -> str | None:
    """Return the input hash with which *request* changed *item*; ``None`` where it is not remembered."""
    for slot in _SLOTS:
        remembered, _, input_hash = item.get(str(slot.parts[0]), {}).get("S", "").partition("#")
        if remembered == request:
            return str(input_hash)
    return None
