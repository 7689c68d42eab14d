"""Ranges of keys: what is read, in which order, and how much of it at a time."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, Final

from common.dynamo.execution import Operation
from common.dynamo.paging import Position
from common.dynamo.requests import AttributeValue, Condition, Item, ItemKey, KeyCondition, Query, ScalarType
from common.dynamo.value_classes import dataclass

__all__ = ["Found", "KeyRange", "collect", "examine"]

_LARGEST_LIMIT: Final = 1000
"""Items asked for in one call of a page, at most: enough to get through a filter, small enough to stop in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """Which items are read, and in which order."""

    table: str
    index: str | None
    keys: tuple[KeyCondition, ...]
    """The condition of each partition; more than one are shards of each other."""
    order: tuple[tuple[str, ScalarType], ...]
    """The attributes that tell an item's place within a partition, with their types."""
    filter: Condition | None = None
    consistent: bool = False
    forward: bool = True

    def request(
        self, key: KeyCondition, *, limit: int | None = None, start: ItemKey | None = None, backward: bool = False
    ) -> Query:
        """Return the request of one call.

        Args:
            key: One of :attr:`keys`, or a part of it.
            limit: Items to examine, at most; ``None`` up to 1 MB.
            start: Key of the item after which it begins.
            backward: Against the order of the range.
        """
        return Query(
            table=self.table,
            index=self.index,
            key=key,
            filter=self.filter,
            consistent=self.consistent,
            forward=self.forward is not backward,
            limit=limit,
            start=start,
        )

    # Places

    def place(self, shard: int, item: Item) -> tuple[str, ...]:
        """Return what a cursor holds of the place of *item*."""
        texts = tuple(_as_text(item[name]) for name, _ in self.order)
        return texts if len(self.keys) == 1 else (str(shard), *texts)

    def start_after(self, key: KeyCondition, texts: Sequence[str]) -> ItemKey:
        """Return the key of the item whose place in the partition of *key* is *texts*."""
        start: dict[str, AttributeValue] = {key.partition_name: key.partition}
        start.update(key.others)
        start.update((name, _as_value(text, kind)) for (name, kind), text in zip(self.order, texts, strict=True))
        return start

    def told(self) -> tuple[str, ...]:
        """Return everything that makes this range what it is, for the signature of a cursor."""
        order = "forward" if self.forward else "backward"
        return self.table, self.index or "", repr(self.keys[0]), str(len(self.keys)), repr(self.filter), order


def _as_text(value: AttributeValue) -> str:
    ((kind, content),) = value.items()
    return bytes(content).hex() if kind == "B" else str(content)


def _as_value(text: str, kind: ScalarType) -> AttributeValue:
    return {kind: bytes.fromhex(text) if kind == "B" else text}


# Reading --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """What a page has gathered so far."""

    items: list[tuple[int, Item]]
    """Each with the number of its shard."""
    more: bool = False
    scanned: int = 0

    def next_limit(self, size: int | None, *, filtered: bool) -> int | None:
        """Return how many items to examine next: what is missing, and more where a filter lets little through."""
        if size is None:
            return None
        return examine(size - len(self.items), self.scanned, len(self.items), filtered=filtered)


def examine(missing: int, scanned: int, found: int, *, filtered: bool) -> int:
    """Return how many items to examine for *missing* more, where *found* of *scanned* were wanted so far."""
    if not scanned:
        return min(missing * 2 if filtered else missing, _LARGEST_LIMIT)
    return min(max(missing, ceil(missing * scanned / max(1, found))), _LARGEST_LIMIT)


def collect(
    keys: KeyRange, operation: Operation, size: int | None, position: Position, is_wanted: Callable[[Item], bool]
) -> Found:
    """Return the first *size* wanted items behind *position* of a range in one partition."""
    [key] = keys.keys
    start = keys.start_after(key, position.keys) if position.keys else None
    found = Found([])
    while True:
        limit = found.next_limit(size, filtered=keys.filter is not None)
        request = keys.request(key, limit=limit, start=start, backward=not position.forward)
        body = operation.execute(request).body
        found.scanned += body.get("ScannedCount", 0)
        items: Any = body.get("Items", ())
        start = body.get("LastEvaluatedKey")
        for number, item in enumerate(items, 1):
            if is_wanted(item):
                found.items.append((0, item))
                if len(found.items) == size:
                    found.more = bool(start) or number < len(items)
                    return found
        if not start:
            return found
