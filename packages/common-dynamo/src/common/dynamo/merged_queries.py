"""Queries over shards: each one is read by itself, and what they give is merged in the order of the sort key.

Items with equal sort keys in different shards follow each other in the order of the shards, those of one shard in the
engine's own order. So the place of one item suffices to go on in every shard: in its own after the item itself, in the
others from the sort key on, with or without what equals it. Nothing rests on how an engine orders equal index keys, nor
on starting keys of items that were never there.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from math import ceil, sqrt
from typing import Any, Final, Generic, TypeVar

from common.dynamo.execution import Operation
from common.dynamo.key_order import just_above, just_below, narrowed
from common.dynamo.key_ranges import Found, KeyRange, examine
from common.dynamo.paging import BEGINNING, Position
from common.dynamo.requests import Item, ItemKey, KeyCondition
from common.dynamo.side_by_side import execute_together

__all__ = ["collect_merged", "share", "walk_merged"]

T = TypeVar("T")

_DEVIATIONS: Final = 2.0
"""A shard is asked for its share of a page and so many standard deviations more: few pages have to ask a second time."""


def share(missing: int, shards: int) -> int:
    """Return how many of *missing* items to expect from one of *shards*, at most, all but one time in twenty.

    Shards are filled by a hash, so the number is binomial, with a variance just below its mean.

    >>> share(7, 8), share(100, 8), share(1, 8)
    (4, 21, 1)
    """
    mean = missing / shards
    return min(missing, ceil(mean + _DEVIATIONS * sqrt(mean)) + 1)


@dataclass(slots=True)
class _Shard(Generic[T]):
    """What has been read of one shard and not been taken yet."""

    number: int
    key: KeyCondition
    start: ItemKey | None = None
    is_read: bool = False
    """Nothing follows what is in :attr:`waiting`."""
    waiting: deque[tuple[str, T]] = field(default_factory=deque)
    """Sort keys and items, in the direction of reading."""

    @property
    def is_dry(self) -> bool:
        """Whether the next item has to be read first."""
        return not self.waiting and not self.is_read


@dataclass(slots=True)
class _Merge(Generic[T]):
    """The shards of a range on their way into one order."""

    keys: KeyRange
    is_wanted: Callable[[Item], bool]
    take: Callable[[Item], T]
    shards: Sequence[_Shard[T]]
    backward: bool = False
    scanned: int = 0
    found: int = 0

    @property
    def is_dry(self) -> bool:
        """Whether a shard has to be read before it is known which item comes next."""
        return any(shard.is_dry for shard in self.shards)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left, as far as has been read."""
        return not any(shard.waiting or not shard.is_read for shard in self.shards)

    def fill(self, operation: Operation, missing: int | None) -> None:
        """Read every dry shard, each until it has an item or ends; those of one round side by side."""
        while dry := [shard for shard in self.shards if shard.is_dry]:
            limit = self._limit(missing)
            requests = [
                self.keys.request(shard.key, limit=limit, start=shard.start, backward=self.backward) for shard in dry
            ]
            for shard, result in zip(dry, execute_together(operation, requests), strict=True):
                self._take_in(shard, result.body)

    def _limit(self, missing: int | None) -> int | None:
        if missing is None:
            return None
        expected = share(missing, len(self.shards))
        return examine(expected, self.scanned, self.found, filtered=self.keys.filter is not None)

    def _take_in(self, shard: _Shard[T], body: Mapping[str, Any]) -> None:
        self.scanned += body.get("ScannedCount", 0)
        [(name, _)] = self.keys.order[:1]
        wanted = [item for item in body.get("Items", ()) if self.is_wanted(item)]
        self.found += len(wanted)
        shard.waiting.extend((item[name]["S"], self.take(item)) for item in wanted)
        shard.start = body.get("LastEvaluatedKey")
        shard.is_read = not shard.start

    def next(self) -> tuple[int, T] | None:
        """Return the next item and its shard; ``None`` at the end. No shard is dry."""
        filled = [shard for shard in self.shards if shard.waiting]
        if not filled:
            return None
        first = min if self.keys.forward is not self.backward else max
        # Text sorts by code points, and so does DynamoDB by UTF-8 bytes.
        shard = first(filled, key=lambda shard: (shard.waiting[0][0], shard.number))
        return shard.number, shard.waiting.popleft()[1]


def collect_merged(
    keys: KeyRange, operation: Operation, size: int | None, position: Position, is_wanted: Callable[[Item], bool]
) -> Found:
    """Return the first *size* wanted items behind *position*, over all shards of *keys*.

    A page reads each shard's share and a little more, and again only those shards that run dry.
    """
    shards = list(_shards_behind(keys, position))
    merge: _Merge[Item] = _Merge(keys, is_wanted, _as_it_is, shards, backward=not position.forward)
    found = Found([])
    while size is None or len(found.items) < size:
        if merge.is_dry:
            merge.fill(operation, None if size is None else size - len(found.items))
        placed = merge.next()
        if placed is None:
            break
        found.items.append(placed)
    found.more, found.scanned = not merge.is_over, merge.scanned
    return found


def walk_merged(
    keys: KeyRange,
    operation: Callable[[int, Operation | None], AbstractContextManager[Operation]],
    is_wanted: Callable[[Item], bool],
    take: Callable[[Item], T],
) -> Iterator[T]:
    """Walk over all items; a shard is read, up to 1 MB of it, when what was read of it has been given out.

    Args:
        keys: The range.
        operation: Opens the operation with this number, from 0, that follows another one.
        is_wanted: Tells which items are given.
        take: Makes of an item what is given; within the operation that reads it.
    """
    merge = _Merge(keys, is_wanted, take, list(_shards_behind(keys, BEGINNING)))
    running: Operation | None = None
    number = 0
    while not merge.is_over:
        with operation(number, running) as running:
            merge.fill(running, None)
        number += 1
        while not merge.is_dry:
            placed = merge.next()
            if placed is None:
                return
            yield placed[1]


def _as_it_is(item: Item) -> Item:
    return item


# Going on -------------------------------------------------------------------------------------------------------------


def _shards_behind(keys: KeyRange, position: Position) -> Iterator[_Shard[Any]]:
    """Yield the shards with something to read behind *position*, each with where to begin."""
    if not position.keys:
        for number, key in enumerate(keys.keys):
            yield _Shard(number, key)
        return
    own, *place = position.keys
    ascending = keys.forward is position.forward
    for number, key in enumerate(keys.keys):
        if number == int(own):
            yield _Shard(number, key, start=keys.start_after(key, place))
            continue
        rest = _behind(key, place[0], ascending=ascending, includes=(number > int(own)) is ascending)
        if rest is not None:
            yield _Shard(number, replace(key, sort_name=keys.order[0][0], sort=rest))


def _behind(key: KeyCondition, text: str, *, ascending: bool, includes: bool) -> Any:
    """Return the condition of what lies behind the sort key *text*, and at it where *includes*; ``None`` for nothing."""
    if ascending:
        begin = text if includes else just_above(text)
        return None if begin is None else narrowed(key.sort, begin, None)
    end = text if includes else just_below(text)
    return None if end is None else narrowed(key.sort, "", end)
